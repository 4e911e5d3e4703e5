import json
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from ranking.settings import get_settings
from stack import local, paths
from stack.engine import Launch, NotReady
from stack.process import Process, spawn
from stack.record import Record


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No engine of the environment, no folder of the user."""
    for name in ("ELASTICSEARCH_URL", "TRITON_URL", "KAFKA_BOOTSTRAP", "JAVA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RANK_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(paths, "running_as_root", lambda: False)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


@dataclass
class WebServer:
    """Python's own web server, playing an engine."""

    name: str = "kafka"
    title: str = "Kafka"
    first_ports: Mapping[str, int] = field(default_factory=lambda: {"broker": 18432})
    start_timeout_s: float = 20.0
    options: dict[str, str] = field(default_factory=dict)
    user: tuple[int, int] | None = None
    broken: str | None = None  # why it has to be started again, until it is
    script: str | None = None  # runs in place of the server

    def prepare(self, cancel: threading.Event) -> None:
        pass

    def launch(self, launch: Launch) -> Process:
        serve = ["-m", "http.server", str(launch.ports["broker"]), "--bind", "127.0.0.1"]
        child = spawn(
            [sys.executable, *(["-c", self.script] if self.script else serve)],
            log=launch.log,
            marker=launch.marker,
            env={},
            cwd=launch.home,
        )
        return Process.of(child.pid)

    def address(self, given: Mapping[str, int]) -> str:
        return f"127.0.0.1:{given['broker']}"

    def defect(self, given: Mapping[str, int]) -> str | None:
        found, self.broken = self.broken, None
        return found

    def probe(self, address: str, given: Mapping[str, int] | None) -> str:
        try:
            urllib.request.urlopen(f"http://{address}/", timeout=2).close()
        except OSError as e:
            raise NotReady(str(e)) from e
        return "1"


@pytest.fixture
def start(state: Path) -> Iterator[Callable[..., SimpleNamespace]]:
    """Start a web server as an engine in `state`; whatever was started is ended after the test."""
    record = Record(state)

    def call(**how):
        given = how.pop("ports", {})
        engine = WebServer(**how)
        return local.ensure(engine, state, record, local.Options(ports=given), threading.Event())

    yield call
    local.stop("kafka", record.get("kafka") if _readable(state) else None, state)


def _readable(state: Path) -> bool:
    try:
        json.loads((state / "stack.json").read_text())
    except (OSError, ValueError):
        return False
    return True
