"""What a person sees while engines are fetched and started. All of it on stderr."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

LINE_EVERY_S = 5.0


@lru_cache(maxsize=1)
def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def note(message: str) -> None:
    """One line on stderr; safe beside a progress bar."""
    _console().print(message, markup=False)


@contextmanager
def growth(label: str, folder: Path, total: int) -> Iterator[None]:
    """Show how the largest file below `folder` grows towards `total` bytes while the body runs.

    A bar on a terminal; elsewhere a line every few seconds.
    """
    stop = threading.Event()

    def size() -> int:
        largest = 0
        with suppress(OSError):  # Maven renames files when they are complete
            for path in folder.rglob("*"):
                largest = max(largest, path.stat().st_size)
        return largest

    def lines() -> None:
        started = time.monotonic()
        while not stop.wait(LINE_EVERY_S):
            note(f"{label}: {size() / 1e6:.0f} of {total / 1e6:.0f} MB, {time.monotonic() - started:.0f} s")

    def bar() -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=_console(), transient=True) as progress:
            task = progress.add_task(label, total=total)
            while not stop.wait(0.2):
                progress.update(task, completed=min(size(), total))

    watcher = threading.Thread(target=bar if _console().is_terminal else lines, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
