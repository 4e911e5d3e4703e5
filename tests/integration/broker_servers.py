"""Redis, NATS and RabbitMQ servers of a test's own, as Debian packages them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.conftest import missing

PLACES = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/lib/rabbitmq/bin")


def binary(name: str, *, needed: bool = True) -> str:
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *PLACES)))
    if found is None and needed:
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
        program = binary(f"{kind}-server")
        self._command = {
            "redis": [
                *(program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)),
                *("--save", "", "--appendonly", "yes", "--appendfsync", "always"),
            ],
            "nats": [program, "-js", "-sd", str(folder), "-p", str(self.port), "-a", "127.0.0.1"],
        }[kind]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, f"{self.kind}-server has ended"
                assert time.monotonic() < until, f"{self.kind}-server does not answer"
                time.sleep(0.05)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def server(kind: str, folder: Path) -> Iterator[Server]:
    one = Server(kind, folder)
    try:
        yield one
    finally:
        one.kill()
