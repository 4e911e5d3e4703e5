"""`rank-cli doctor` on this machine alone: packages that do not fit, engines that are not there."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from docs.privileges import TARGET, written
from doctor import Finding, Options, examine
from doctor.examine import CHECKS
from doctor.installation import forget
from doctor.nodes import is_past
from ranking.cli import full_app
from ranking.errors import InputError
from ranking.settings import get_settings
from stack import jdk

ENGINES = ("ELASTICSEARCH_URL", "TRITON_URL", "KAFKA_BOOTSTRAP")


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in (*ENGINES, "ELASTICSEARCH_API_KEY", "ELASTICSEARCH_USER", "RANK_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RANK_STATE_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def look(
    monkeypatch: pytest.MonkeyPatch, *only: str, timeout_s: float = 10.0, **env: str
) -> dict[str, Finding]:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    return {found.check: found for found in examine(Options(timeout_s=timeout_s), only=only)}


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose packages are found first."""
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    yield tmp_path
    forget()


def pretend(folder: Path, name: str, version: str, requires: str = "") -> None:
    """A package as pip leaves it: what counts is its metadata."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")


def test_with_nothing_configured_it_finds_no_problem_and_says_what_to_set() -> None:
    done = CliRunner().invoke(full_app(), ["doctor", "--format", "json"])
    report = json.loads(done.stdout)
    assert (done.exit_code, report["problems"]) == (0, 0), done.stdout
    found = {one["check"]: one for one in report["checks"]}
    assert {name: found[name]["fix"].rpartition(" ")[2] for name in ("elasticsearch", "triton", "kafka")} == {
        "elasticsearch": "ELASTICSEARCH_URL",
        "triton": "TRITON_URL",
        "kafka": "KAFKA_BOOTSTRAP",
    }
    assert found["clock"] == {
        "check": "clock",
        "state": "not checked",
        "says": "needs elasticsearch",
        "fix": "",
    }
    assert sum(report[state] for state in ("problems", "warnings", "ok", "not_checked")) == len(found)


def test_a_package_that_another_one_refuses_is_named_with_both_versions(
    monkeypatch: pytest.MonkeyPatch, packages: Path
) -> None:
    pretend(packages, "numpy", "2.3.0")
    pretend(packages, "nvidia-pytriton", "0.7.0", "numpy (<2)")
    found = look(monkeypatch, "packages")["packages"]
    assert found.state == "problem"
    assert "nvidia-pytriton needs numpy<2, and 2.3.0 is installed" in found.says


def test_a_version_out_of_range_is_a_problem_of_its_extra(
    monkeypatch: pytest.MonkeyPatch, packages: Path
) -> None:
    pretend(packages, "optuna", "3.6.1")
    found = look(monkeypatch, "extra")["extra sweep"]
    assert found.says == "rank-toolkit needs optuna<6,>=5, and 3.6.1 is installed"
    assert (found.state, found.fix) == ("problem", "pip install 'rank-toolkit[sweep]'")


def test_no_java_is_a_warning_with_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(jdk, "JVM_FOLDERS", ())
    found = look(monkeypatch, "java", "maven", PATH=str(tmp_path), JAVA_HOME=str(tmp_path))
    assert found["java"].state == found["maven"].state == "warning"
    assert "no Java was found" in found["java"].says
    assert "install one" in found["java"].fix
    assert found["maven"].fix == "apt install maven"


@pytest.mark.parametrize(
    ("name", "variable", "value"),
    [
        ("elasticsearch", "ELASTICSEARCH_URL", "http://127.0.0.1:1"),
        ("triton", "TRITON_URL", "127.0.0.1:1"),
        ("kafka", "KAFKA_BOOTSTRAP", "127.0.0.1:1"),
    ],
)
def test_an_engine_that_is_not_there_is_a_problem_and_what_needs_it_is_not_checked(
    monkeypatch: pytest.MonkeyPatch, name: str, variable: str, value: str
) -> None:
    found = look(monkeypatch, name, timeout_s=2, **{variable: value})
    assert found[name].state == "problem"
    assert "nothing answers" in found[name].says
    assert found[name].fix
    rest = [one for check, one in found.items() if check not in (name, "elasticsearch")]
    assert rest
    assert {(one.state, one.says) for one in rest if "and" not in one.says} == {
        ("not checked", f"needs {name}")
    }


def test_a_server_that_never_answers_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        threading.Thread(target=lambda: [silent.accept()], daemon=True).start()
        began = time.monotonic()
        port = silent.getsockname()[1]
        found = look(
            monkeypatch,
            "elasticsearch",
            "python",
            timeout_s=1,
            ELASTICSEARCH_URL=f"http://127.0.0.1:{port}",
        )
        assert time.monotonic() - began < 3
    assert found["elasticsearch"].state == "problem"
    assert "no answer in" in found["elasticsearch"].says
    assert found["python"].state in ("ok", "warning")


def test_an_address_that_is_none_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    found = look(
        monkeypatch, "elasticsearch", "triton", ELASTICSEARCH_URL="localhost", TRITON_URL="localhost"
    )
    assert "'localhost' is not an address" in found["elasticsearch"].says
    assert found["triton"].says == "'localhost' is no host:port of Triton's gRPC"
    assert found["triton"].state == "problem"


def test_a_check_that_there_is_not_is_refused_with_the_names() -> None:
    with pytest.raises(InputError, match="no check 'clocks'") as refused:
        examine(only=["clocks"])
    assert "clock, scripts" in (refused.value.hint or "")
    assert CliRunner().invoke(full_app(), ["doctor", "--only", "clocks"]).exit_code == 1


def test_one_check_brings_what_it_needs_and_nothing_else() -> None:
    assert [found.check for found in examine(only=["model"])] == ["elasticsearch", "triton", "model"]


def test_captures_that_are_not_there_are_a_problem(tmp_path: Path) -> None:
    found = {one.check: one for one in examine(Options(captures=tmp_path), only=["captures"])}
    assert (found["captures"].state, found["replay"].state) == ("problem", "not checked")
    missing = examine(Options(captures=tmp_path / "no"), only=["captures"])[0]
    assert missing.says == f"{tmp_path / 'no'} is no folder"


@pytest.mark.parametrize(
    ("mark", "headroom", "free", "size", "past"),
    [
        ("90%", "-1", 9, 100, True),
        ("90%", "-1", 11, 100, False),
        ("0.95", None, 4, 100, True),
        ("10gb", "-1", 9 * 1024**3, 10**12, True),
        ("10gb", "-1", 11 * 1024**3, 10**12, False),
        ("90%", "100gb", 150 * 1024**3, 4 * 10**12, False),  # 3.75 % free, and more than the headroom
        ("90%", "200gb", 150 * 1024**3, 4 * 10**12, True),
        (None, None, 0, 100, False),
    ],
)
def test_a_watermark_is_a_share_or_bytes_with_a_headroom(
    mark: str | None, headroom: str | None, free: float, size: float, past: bool
) -> None:
    assert is_past(mark, headroom, free, size) is past


def test_the_privileges_are_those_of_the_docs() -> None:
    assert TARGET.read_text(encoding="utf-8") == written(), "run `make docs`"


def test_the_page_has_a_row_for_every_check() -> None:
    page = (Path(__file__).parents[3] / "docs" / "doctor.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1].strip(" `") for line in page.splitlines() if line.startswith("| `")]
    assert rows == [check.name for check in CHECKS]
