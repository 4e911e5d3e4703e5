"""Starts the processes that send, divides rounds between them, and reads back what each request took.

Each request of an open load belongs to one process, with the intended start that it has in the whole; a
closed load's users are divided. All processes get the word to go together.
"""

from __future__ import annotations

import importlib.util
import json
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from loadtest.targets import Broker, ModelServer, Target
from ranking.errors import RankError

Mode = Literal["open", "closed"]
Kind = Literal["search", "publish", "searchable", "score"]
Work = Mapping[Kind, Target | Broker | ModelServer]  # what is sent to whom in all rounds
KINDS: tuple[Kind, ...] = ("search", "publish", "searchable", "score")  # in the order of reports
WORKER = Path(__file__).with_name("worker") / "__main__.py"


class LoadError(RankError):
    """A process that sends cannot run, or ended in the middle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The requests of one kind in a round."""

    kind: Kind
    mode: Mode = "open"
    items: tuple[int, ...]  # which body, message or photos each carries; from the start again at the end
    at: tuple[float, ...] = ()  # open: intended starts, seconds from the beginning of the round
    names: tuple[str, ...] = ()  # of publish: each message's item_id
    looked_for: tuple[bool, ...] = ()  # of publish: whether a search looks for it
    connections: int = 256  # open: requests that may be unanswered at once; more of them wait
    users: int = 1  # closed
    think: float = 0.0  # closed: seconds between an answer and the user's next request
    seconds: float = 0.0  # closed: how long


@dataclass(frozen=True, slots=True)
class Sample:
    """One request, in seconds from the beginning of its round."""

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


def share(load: Load, number: int, of: int) -> Load | None:
    """What process `number` (from 0) of `of` sends of a load; None where that is nothing."""
    if of == 1:
        return load
    if load.mode == "open":
        items = spread(load.items, len(load.at))[number::of]
        at, names, looked_for = load.at[number::of], load.names[number::of], load.looked_for[number::of]
        connections = max(load.connections // of + (number < load.connections % of), 1)
        mine = replace(load, items=items, at=at, names=names, looked_for=looked_for, connections=connections)
        return mine if at else None
    first = number * len(load.items) // of
    users = load.users // of + (number < load.users % of)
    return replace(load, items=load.items[first:] + load.items[:first], users=users) if users else None


def spread(values: Sequence[int], n: int) -> tuple[int, ...]:
    """`n` of the values, from the start again where they run out."""
    return tuple(values[i % len(values)] for i in range(n))


class Sender:
    """The running processes that send."""

    def __init__(self, processes: Sequence[_Process]) -> None:
        self._processes = processes
        self._pool = ThreadPoolExecutor(len(processes), thread_name_prefix="sender")

    def play(
        self, loads: Sequence[Load], progress: Callable[[int], object] = lambda _n: None
    ) -> dict[Kind, list[Sample]]:
        """Run one round to its end; samples by kind, in the order of their intended starts.

        Args:
            loads: what to send, and when; one of each kind at most.
            progress: is told how many more were answered.

        Raises:
            LoadError: a process ended.
        """
        n, lock = len(self._processes), threading.Lock()

        def told(more: int) -> None:
            with lock:
                progress(more)

        for number, process in enumerate(self._processes):
            mine = [one for load in loads if (one := share(load, number, n)) is not None]
            process.write({"loads": [asdict(one) for one in mine]})
        for process in self._processes:
            process.read()
        for process in self._processes:
            process.write({"go": True})
        found: dict[Kind, list[Sample]] = {kind: [] for kind in KINDS}
        for samples in self._pool.map(lambda one: one.samples(told), self._processes):
            for kind, rows in samples.items():
                found[kind] += rows
        return {
            kind: sorted(rows, key=lambda sample: sample.intended)
            for kind, rows in found.items()
            if rows or any(load.kind == kind for load in loads)
        }


class _Process:
    """One process that sends, here or behind a command such as ssh."""

    def __init__(self, command: Sequence[str], log: Path, name: str) -> None:
        self._log, self._name = log, name
        with log.open("w") as stderr:
            try:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
                )
            except OSError as e:
                raise LoadError(f"{name} cannot be started: {e.strerror or e}") from None

    def samples(self, told: Callable[[int], None]) -> dict[Kind, list[Sample]]:
        """Read until the round is over."""
        answered = 0
        while "samples" not in (line := self.read()):
            told(line["sent"] - answered)
            answered = line["sent"]
        found: dict[Kind, list[Sample]] = {
            kind: [Sample(*row) for row in rows] for kind, rows in line["samples"].items()
        }
        told(sum(len(rows) for kind, rows in found.items() if kind != "searchable") - answered)
        return found

    def write(self, line: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(line) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            assert self._process.stdout is not None
            self._ended(self._process.stdout.readline().strip())

    def read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        try:
            found: dict[str, Any] = json.loads(line)
        except ValueError:
            if line:  # not one of ours: whatever runs there does not send
                self._process.kill()
            self._ended(line.strip())
        return found

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _ended(self, said: str = "") -> None:
        self._process.wait()
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise LoadError(f"{self._name} ended: {said or (lines[-1] if lines else 'without a word')}")


@contextmanager
def sender(work: Work, *, processes: int = 1, commands: Sequence[str] = ()) -> Iterator[Sender]:
    """Processes that send, ended with the block.

    Args:
        work: where requests of each kind go, and what they carry.
        processes: how many of them run here.
        commands: each starts one more, elsewhere: a shell's words that run `rank-cli loadtest worker`
            there with their standard input and output, such as `ssh load2 rank-cli loadtest worker`.

    Raises:
        LoadError: Locust is not installed, or a process does not start.
    """
    if processes and importlib.util.find_spec("locust") is None:
        raise LoadError("Locust is not installed", hint="pip install 'rank-toolkit[loadtest]'")
    here = [([sys.executable, "-P", str(WORKER)], "the process that sends")] * processes
    there = [(shlex.split(command), f"the worker behind `{command}`") for command in commands]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        running = []
        for number, (command, name) in enumerate([*here, *there]):
            running.append(_Process(command, folder / f"log{number}", name))
            stack.callback(running[-1].stop)
        for process in running:
            process.write({kind: asdict(target) for kind, target in work.items()})
        for process in running:
            process.read()
        yield Sender(running)
