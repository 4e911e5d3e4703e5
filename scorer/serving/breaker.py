"""A circuit breaker: after several failures in a row nobody asks for a while, then one asks for all.

closed       requests go through; a success forgets earlier failures
open         nobody asks until `open_s` is over, twice as long each time it fails again
half-open    one request goes through; its outcome closes or opens

A full queue is no failure: the server answered. Why this is not a library: docs/decisions/0026.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half-open"]


class CircuitBreaker:
    """Shared by all threads or tasks of one client. Nothing here blocks.

    Args:
        failures: in a row, after which it opens.
        open_s: how long nobody asks, the first time.
        open_max_s: at most.
        clock: seconds that never run backwards.
    """

    def __init__(
        self,
        *,
        failures: int = 5,
        open_s: float = 1.0,
        open_max_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if failures < 1:
            raise ValueError(f"failures must be > 0, got {failures}")
        if not 0 < open_s <= open_max_s:
            raise ValueError(f"open_s must be in (0, open_max_s], got {open_s}")
        self._failures = failures
        self._first_s, self._max_s = open_s, open_max_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0  # in a row
        self._open_s = open_s  # of the next opening
        self._until: float | None = None  # while open: when somebody may ask
        self._asking = False  # somebody does
        self.reason = ""  # of the latest failure

    @property
    def state(self) -> State:
        """What a request would meet now."""
        with self._lock:
            if self._until is None:
                return "closed"
            return "open" if self._clock() < self._until else "half-open"

    def admit(self) -> float:
        """0 where a request may go, and must report its outcome; else how many seconds to stay away."""
        with self._lock:
            if self._until is None:
                return 0.0
            left = self._until - self._clock()
            if left > 0:
                return left
            # One that asks and never reports, as a cancelled task, holds the others up no longer than this.
            self._asking, self._until = True, self._clock() + self._first_s
            return 0.0

    def succeeded(self) -> None:
        """The server answered."""
        with self._lock:
            self._failed, self._open_s = 0, self._first_s
            self._until, self._asking, self.reason = None, False, ""

    def failed(self, reason: str) -> None:
        """The server did not answer, or not with sense."""
        with self._lock:
            self._failed += 1
            self.reason = reason
            if self._asking or (self._until is None and self._failed >= self._failures):
                self._asking = False
                self._until = self._clock() + self._open_s
                self._open_s = min(2 * self._open_s, self._max_s)


__all__ = ["CircuitBreaker", "State"]
