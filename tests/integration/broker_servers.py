"""Redis, NATS and RabbitMQ servers of a test's own, as Debian packages them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.conftest import missing

PLACES = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/lib/rabbitmq/bin")


def binary(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *PLACES)))
    if found is None:
        missing(f"no {name}; run `apt-get install {name}`")
    return found or ""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Server:
    """A server process on its own port and folder, which can be killed and started again."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.port = free_port()
        self.url = f"{kind}://127.0.0.1:{self.port}"
        self._environment: dict[str, str] = {}
        if kind == "amqp":
            self._rabbit(folder)
            return
        program = binary(f"{kind}-server")
        self._command = {
            "redis": [
                *(program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)),
                *("--save", "", "--appendonly", "yes", "--appendfsync", "always"),
            ],
            "nats": [program, "-js", "-sd", str(folder), "-p", str(self.port), "-a", "127.0.0.1"],
        }[kind]
        self.start()

    def _rabbit(self, folder: Path) -> None:
        program = binary("rabbitmq-server")
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"
        inner = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the other changes to a user of its own
        self._command = [str(inner if inner.exists() else program)]
        self._environment = {
            "HOME": str(folder),
            "RABBITMQ_NODENAME": f"rank{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **self._environment},
            start_new_session=True,
        )
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, f"{self.kind}-server has ended"
                assert time.monotonic() < until, f"{self.kind}-server does not answer"
                time.sleep(0.05)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        self.kill()
        if "ERL_EPMD_PORT" in self._environment:
            until = time.monotonic() + 5
            while time.monotonic() < until:  # refused until it has seen that its node is gone
                here = {**os.environ, **self._environment}
                if b"Killed" in subprocess.run(["epmd", "-kill"], env=here, capture_output=True).stdout:
                    return
                time.sleep(0.2)


@contextmanager
def server(kind: str, folder: Path) -> Iterator[Server]:
    one = Server(kind, folder)
    try:
        yield one
    finally:
        one.end()
