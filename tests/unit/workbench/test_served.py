"""Where the page is served, whom it answers, and which files it opens."""

import socket

import pytest

from ranking.errors import InputError
from workbench import Workbench, listen
from workbench.answers import number
from workbench.reports import find_report, list_reports
from workbench.server import is_loopback


def bench():
    return Workbench(open_cluster=lambda: None, index="items")


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True)]
    + [(host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "example.com", "localhost.example.com", "")],
)
def test_loopback_is_this_machine_alone(host, local):
    assert is_loopback(host) is local


def test_another_address_needs_the_explicit_flag():
    with pytest.raises(InputError, match="can be reached from other machines") as refused:
        listen(bench(), "0.0.0.0", 0)
    assert "--allow-remote" in refused.value.hint
    server = listen(bench(), "0.0.0.0", 0, allow_remote=True)
    assert f"0.0.0.0:{server.port}" in server.hosts
    server.close()


def test_a_port_in_use_is_said_with_what_to_do():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="is in use") as refused:
            listen(bench(), "127.0.0.1", taken.getsockname()[1])
    assert "--port" in refused.value.hint


def test_the_token_is_in_the_fragment_and_new_each_time():
    one, two = (listen(bench(), "127.0.0.1", 0) for _ in range(2))
    assert one.url == f"http://127.0.0.1:{one.port}/"
    assert one.url_to_save.startswith(f"{one.url}#token=")
    assert one.workbench.token != two.workbench.token
    assert len(one.workbench.token) >= 32
    assert one.hosts == [f"127.0.0.1:{one.port}", f"[::1]:{one.port}", f"localhost:{one.port}"]
    one.close()
    two.close()


def test_only_plain_reports_of_the_folder_itself_are_found(tmp_path):
    folder = tmp_path / "reports"
    (folder / "deep").mkdir(parents=True)
    for path in (
        folder / "one.html",
        folder / ".hidden.html",
        folder / "deep" / "two.html",
        tmp_path / "out.html",
    ):
        path.write_text("x")
    (folder / "notes.txt").write_text("x")
    (folder / "link.html").symlink_to(tmp_path / "out.html")
    (folder / "folder.html").mkdir()
    assert [one["name"] for one in list_reports(folder)] == ["one.html"]
    assert find_report(folder, "one.html") == folder / "one.html"
    for name in (
        *(".hidden.html", "deep/two.html", "../out.html", "link.html", "folder.html", "notes.txt", ""),
        *("..\\out.html", "one.html\0", "x" * 5000 + ".html", str(folder / "one.html")),
    ):
        assert find_report(folder, name) is None, name


@pytest.mark.parametrize(
    ("value", "as_json"),
    [
        (1.5, 1.5),
        (None, None),
        (float("nan"), None),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_a_number_that_json_lacks_has_a_word(value, as_json):
    assert number(value) == as_json
