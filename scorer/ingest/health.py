"""Whether the process lives, and whether it gets its work done: for an orchestrator's probes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

SILENT_S: Final = 60.0  # a loop that has not turned for so long is stuck


class Health:
    """Alive while the consuming loop turns; ready while nothing is waited for and it was not told to stop.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last_beat = clock()
        self._why_not: str | None = "starting"

    def beat(self) -> None:
        """The loop has turned."""
        with self._lock:
            self._last_beat = self._clock()
            if self._why_not == "starting":
                self._why_not = None

    def waiting(self, why: str) -> None:
        """An engine is waited for."""
        with self._lock:
            if self._why_not != "stopping":
                self._why_not = why

    def working(self) -> None:
        """A batch is finished, so whatever was waited for is there."""
        with self._lock:
            if self._why_not != "stopping":
                self._why_not = None

    def stopping(self) -> None:
        """It was told to stop."""
        with self._lock:
            self._why_not = "stopping"

    def alive(self) -> tuple[bool, str]:
        """Whether the loop turns, and a word on it."""
        with self._lock:
            silent = self._clock() - self._last_beat
        return (
            (True, "alive") if silent < SILENT_S else (False, f"the loop has stood still for {silent:.0f} s")
        )

    def ready(self) -> tuple[bool, str]:
        """Whether messages are worked on, and why not."""
        alive, word = self.alive()
        if not alive:
            return alive, word
        with self._lock:
            return (True, "ready") if self._why_not is None else (False, self._why_not)


__all__ = ["SILENT_S", "Health"]
