"""Choosing ports on 127.0.0.1: the one a client would guess, or the next that is free."""

from __future__ import annotations

import socket
import time
from collections.abc import Collection

from ranking.errors import StackError

HOST = "127.0.0.1"
TRIES = 50  # preferred + 50 stays below the range the kernel hands out by itself


def is_free(port: int) -> bool:
    """Whether a server could bind to `port` now."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((HOST, port))
        except OSError:
            return False
        return True


def choose(preferred: int, *, taken: Collection[int] = ()) -> int:
    """`preferred`, or the first free port after it that is not in `taken`."""
    for port in range(preferred, preferred + TRIES):
        if port not in taken and is_free(port):
            return port
    with socket.socket() as s:
        s.bind((HOST, 0))
        return int(s.getsockname()[1])


def demand(engine: str, port: int, option: str) -> int:
    """`port`, as the user asked for it.

    Raises:
        StackError: another process has it.
    """
    if not wait_free(port, 2.0):
        raise StackError(
            engine,
            f"port {port} is in use by another process",
            hint=f"stop that process, give {option} another port, or leave {option} out to take a free one",
        )
    return port


def wait_free(port: int, timeout_s: float) -> bool:
    """Wait until `port` is free, as it is soon after the process that had it died."""
    deadline = time.monotonic() + timeout_s
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
