"""The consumer as a process of the command line, the engines by pid, and a producer that keeps a pace."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ranking.kafka import PARTITIONS, ensure_topics, open_producer
from ranking.settings import get_settings
from stack import Options, process, up
from tests.faults.messages import Message

ROOT = Path(__file__).parents[2]
RANK_CLI = (sys.executable, "-c", "from ranking.cli import main; main()")
# With the time of day that the ingest stamps its work with two hours ahead; deadlines are not by it.
RANK_CLI_AHEAD = (
    sys.executable,
    "-c",
    "import time; real = time.time_ns; time.time_ns = lambda: real() + 7_200 * 10**9; "
    "from ranking.cli import main; main()",
)


class Consumer:
    """`rank-cli ingest stream` with `words`, its output in files named `name` in `folder`."""

    def __init__(
        self, words: Sequence[str], env: Mapping[str, str], folder: Path, name: str, *, ahead: bool = False
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._out = folder / f"{name}.json"
        self.peak_rss_mb = 0.0
        self.told_to_end = False
        with self.log.open("wb") as log, self._out.open("wb") as out:
            self._child = subprocess.Popen(
                [*(RANK_CLI_AHEAD if ahead else RANK_CLI), "ingest", "stream", *words, "--format", "json"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT), **env},
                cwd=ROOT,
            )
        threading.Thread(target=self._watch, daemon=True, name=f"memory of {name}").start()

    def _watch(self) -> None:
        while self.alive:
            self.peak_rss_mb = max(self.peak_rss_mb, memory_mb(self._child.pid, "VmHWM"))
            time.sleep(0.25)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._child.poll() is None

    @property
    def rss_mb(self) -> float:
        """Its memory now, in MB."""
        return memory_mb(self._child.pid, "VmRSS")

    def kill(self) -> None:
        """`kill -9`."""
        self.told_to_end = True
        self._child.kill()
        self._child.wait()

    def stop(self, patience_s: float = 60.0) -> dict[str, Any] | None:
        """SIGTERM; its summary, or None where it did not end well."""
        self.told_to_end = True
        self._child.send_signal(signal.SIGTERM)
        try:
            status = self._child.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
        return None if status else dict(json.loads(self._out.read_text()))

    def last_words(self) -> str:
        """The end of what it wrote to stderr."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])


class Backfill:
    """`rank-cli ingest backfill` with `words`, its output in a file named `name` in `folder`."""

    def __init__(self, words: Sequence[str], folder: Path, name: str) -> None:
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self._child = subprocess.Popen(
                [*RANK_CLI, "ingest", "backfill", *words, "--format", "json"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                cwd=ROOT,
            )

    def kill(self) -> None:
        """`kill -9`."""
        self._child.kill()

    def wait(self, timeout_s: float) -> int:
        """Its exit status."""
        return self._child.wait(timeout_s)

    def last_words(self) -> str:
        """The end of what it wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])


def memory_mb(pid: int, row: str) -> float:
    """A row of /proc/PID/status, in MB; 0 where there is none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split(f"{row}:")[1].split()[0]) / 1024
    return 0.0


class Engines:
    """The local engines: killed, frozen, started again on the ports and over the data that they had."""

    def __init__(self) -> None:
        found = up(["elasticsearch", "triton", "kafka"])
        get_settings.cache_clear()
        self.external = sorted(name for name, endpoint in found.items() if endpoint.pid is None)
        self.addresses = {name: str(endpoint.address) for name, endpoint in found.items()}

    def port(self, name: str) -> int:
        """The port that clients use."""
        return int(self.addresses[name].rpartition(":")[2])

    def pid(self, name: str) -> int:
        """The process of an engine."""
        return int(json.loads((get_settings().state_dir / "stack.json").read_text())["engines"][name]["pid"])

    def _signal(self, name: str, number: signal.Signals) -> None:
        os.kill(self.pid(name), number)

    def kill(self, name: str) -> None:
        """`kill -9`."""
        self._signal(name, signal.SIGKILL)

    def kill_model(self) -> int:
        """`kill -9` of the processes in which Triton runs the model; how many there were."""
        marked = process.marked(f"{get_settings().state_dir.resolve()}:triton")
        stubs = [pid for pid in marked if "python_backend_stub" in Path(f"/proc/{pid}/cmdline").read_text()]
        for pid in stubs:
            os.kill(pid, signal.SIGKILL)
        return len(stubs)

    def freeze(self, name: str) -> None:
        """SIGSTOP: it keeps its connections, and answers nothing."""
        self._signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        self._signal(name, signal.SIGCONT)

    def start(self, names: Sequence[str]) -> None:
        """Start again what was killed, and wait until it is ready."""
        up(names, options=Options())


class Publisher:
    """Sends messages at a pace in a thread, again and again where the brokers are gone."""

    def __init__(self, bootstrap: str, topic: str, messages: Iterable[Message], per_s: float) -> None:
        ensure_topics(bootstrap, {topic: PARTITIONS})
        self.confirmed = 0
        self.refused: list[str] = []
        self._producer = open_producer(bootstrap, give_up_s=None)
        self._thread = threading.Thread(target=self._send, args=(topic, messages, per_s), daemon=True)
        self._thread.start()

    def _send(self, topic: str, messages: Iterable[Message], per_s: float) -> None:
        began = time.monotonic()
        for n, message in enumerate(messages):
            while (early := began + n / per_s - time.monotonic()) > 0:
                self._producer.poll(min(early, 0.1))
            self._producer.produce(
                topic,
                message.value,
                message.key.encode(),
                timestamp=time.time_ns() // 1_000_000 + message.skew_ms,  # Kafka's retention goes by it
                on_delivery=self._delivered,
            )
        while self._producer.flush(1.0):
            pass

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is None:
            self.confirmed += 1
        else:
            self.refused.append(error.str())

    @property
    def done(self) -> bool:
        """Whether the brokers have everything."""
        return not self._thread.is_alive()


def wait_until(
    true: Callable[[], bool], timeout_s: float, state: Callable[[], str], *, step_s: float = 0.2
) -> None:
    """Wait for something to be so; `state` says how far it came where it was not.

    Raises:
        TimeoutError: it was not so in time.
    """
    until = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > until:
            raise TimeoutError(f"{state()} after {timeout_s:g} s")
        time.sleep(step_s)


def cli_json(*words: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What `rank-cli WORDS --format json` prints."""
    done = subprocess.run(
        [*RANK_CLI, *words, "--format", "json"],
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


__all__ = ["Consumer", "Engines", "Publisher", "cli_json", "memory_mb", "wait_until"]
