"""How the demo tells what it is doing; the command line passes its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Note = Callable[[str], None]
Bar = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]


class Stage:
    """Says a sentence with the seconds since the start before it."""

    def __init__(self, note: Note) -> None:
        self.note = note
        self.began = time.monotonic()

    def __call__(self, message: str) -> None:
        """Say `message`."""
        self.note(f"[{self.elapsed_s:5.1f} s] {message}")

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began


def no_bar(_label: str, _total: int | None) -> AbstractContextManager[Callable[[int], None]]:
    """A bar that shows nothing."""
    return nullcontext(lambda _n: None)
