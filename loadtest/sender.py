"""Starts the process that sends, gives it rounds, and reads back what each search took."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ranking.errors import RankError

Mode = Literal["open", "closed"]
WORKER = Path(__file__).with_name("worker.py")


class LoadError(RankError):
    """The process that sends cannot run, or ended in the middle."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where searches go, and their bodies. Headers may hold a login: they go through a pipe, not on disk."""

    url: str
    path: str
    bodies: tuple[str, ...]
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    ca_certs: str | None = None
    timeout: float = 30.0  # seconds until an answer counts as a timeout


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round of one side."""

    side: str
    mode: Mode
    bodies: tuple[int, ...]  # which body each search sends, in order; taken again from the start at the end
    at: tuple[float, ...] = ()  # open: intended starts, seconds from the beginning
    connections: int = 256  # open: searches that may be unanswered at once; more of them wait
    users: int = 1  # closed
    think: float = 0.0  # closed: seconds between an answer and the user's next search
    seconds: float = 0.0  # closed: how long


@dataclass(frozen=True, slots=True)
class Sample:
    """One search, in seconds from the beginning of its round."""

    intended: float
    started: float
    ended: float
    error: str  # kind; empty for none
    took_ms: int  # the server's own time; -1 where it gave none

    @property
    def latency(self) -> float:
        """Seconds from the intended start to the answer."""
        return self.ended - self.intended

    @property
    def service_time(self) -> float:
        """Seconds from the actual start to the answer."""
        return self.ended - self.started


class Sender:
    """A running process that sends."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    def play(self, one: Round, progress: Callable[[int], object] = lambda _n: None) -> list[Sample]:
        """Run one round to its end.

        Args:
            one: what to send, and when.
            progress: is told how many more were answered.

        Raises:
            LoadError: the process ended.
        """
        self._write(asdict(one))
        answered = 0
        while "samples" not in (line := self._read()):
            progress(line["sent"] - answered)
            answered = line["sent"]
        samples = [Sample(*row) for row in line["samples"]]
        progress(len(samples) - answered)
        return sorted(samples, key=lambda sample: sample.intended)

    def _write(self, line: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(line) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._ended()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._ended()
        found: dict[str, Any] = json.loads(line)
        return found

    def _ended(self) -> None:
        self._process.wait()
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise LoadError(f"the process that sends ended: {lines[-1] if lines else 'without a word'}")


@contextmanager
def sender(target: Target) -> Iterator[Sender]:
    """A process that sends to `target`, ended with the block.

    Raises:
        LoadError: Locust is not installed, or the process does not start.
    """
    if importlib.util.find_spec("locust") is None:
        raise LoadError("Locust is not installed", hint="pip install 'rank-toolkit[loadtest]'")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-P", str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        try:
            running = Sender(process, log)
            running._write(asdict(target))
            running._read()
            yield running
        finally:
            process.kill()
            process.communicate()


def spread(values: Sequence[int], n: int) -> tuple[int, ...]:
    """`n` of the values, from the start again where they run out."""
    return tuple(values[i % len(values)] for i in range(n))
