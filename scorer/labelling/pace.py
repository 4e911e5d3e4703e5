"""A speed limit that threads share: requests and tokens of the last minute."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 60.0


class Pace:
    """Lets a request go when the last minute has room for it.

    Args:
        rpm: requests per minute; None for any.
        tpm: tokens per minute, in and out together; None for any. A request is taken to need what the
            largest one so far did.
        stop: waiting ends when it is set.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        rpm: int | None,
        tpm: int | None,
        *,
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rpm, self._tpm, self._stop, self._clock = rpm, tpm, stop, clock
        self._lock = threading.Lock()
        self._sent: deque[float] = deque()
        self._used: deque[tuple[float, int]] = deque()
        self._largest = 0

    def wait(self) -> bool:
        """Wait for room; False where told to stop meanwhile."""
        while not self._stop.is_set():
            with self._lock:
                delay = self._delay()
                if delay <= 0:
                    self._sent.append(self._clock())
                    return True
            self._stop.wait(min(delay, 1.0))
        return False

    def used(self, tokens: int) -> None:
        """Say what a request needed."""
        with self._lock:
            self._used.append((self._clock(), tokens))
            self._largest = max(self._largest, tokens)

    def _delay(self) -> float:
        """Seconds until the window has room, as far as is known now."""
        now = self._clock()
        while self._sent and self._sent[0] <= now - WINDOW_S:
            self._sent.popleft()
        while self._used and self._used[0][0] <= now - WINDOW_S:
            self._used.popleft()
        delay = 0.0
        if self._rpm is not None and len(self._sent) >= self._rpm:
            delay = self._sent[0] + WINDOW_S - now
        if self._tpm is not None and self._used:
            total = sum(tokens for _, tokens in self._used) + self._largest
            if total > self._tpm:
                delay = max(delay, self._used[0][0] + WINDOW_S - now)
        return delay


__all__ = ["WINDOW_S", "Pace"]
