"""Reading an engine's log, and following it as it grows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from stack.process import tail


def read(log: Path, *, lines: int, follow: bool = False, poll_s: float = 0.3) -> Iterator[str]:
    """The last `lines` lines of `log`; with `follow`, then each line that is added, until interrupted.

    A log that was rotated (it became shorter, or another file has its name) is read from its beginning.
    """
    end = log.stat().st_size if follow else 0
    last = tail(log, lines)
    yield from last.splitlines()
    if not follow:
        return
    inode, half = log.stat().st_ino, b""
    while True:
        time.sleep(poll_s)
        try:
            now = log.stat()
        except FileNotFoundError:  # between rotation and the next line
            continue
        if now.st_ino != inode or now.st_size < end:
            inode, end, half = now.st_ino, 0, b""
        if now.st_size == end:
            continue
        with log.open("rb") as f:
            f.seek(end)
            half += f.read(now.st_size - end)
        end = now.st_size
        *whole, half = half.split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
