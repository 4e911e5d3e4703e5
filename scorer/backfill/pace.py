"""How fast a backfill may go: a limit that the operator sets, and one that the cluster asks for.

A server that answers 429 has no room. The rate is then halved, and raised again by a twentieth with every
bulk that is taken (additive would be too slow from 1 to 1,000 items a second): the same idea as in TCP.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

SLOWEST: Final = 0.5  # items per second
_FASTER: Final = 1.05


class Pace:
    """Lets items go at a rate. Threads may share it.

    Args:
        most: items per second; None for any.
        clock: seconds, never going back.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        most: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._most, self._clock, self._sleep = most, clock, sleep
        self._rate = most
        self._lock = threading.Lock()
        self._began = self._free_at = clock()
        self._gone = 0

    @property
    def rate(self) -> float | None:
        """Items per second now; None where nothing holds them back."""
        return self._rate

    def wait(self, n: int) -> None:
        """Wait until `n` more items may go."""
        with self._lock:
            now = self._clock()
            self._gone += n
            start = max(now, self._free_at)
            self._free_at = start + (n / self._rate if self._rate else 0.0)
        if start > now:
            self._sleep(start - now)

    def slower(self) -> None:
        """The cluster has no room: half the rate, as measured where there was no limit."""
        with self._lock:
            now = self._clock()
            rate = self._rate or self._gone / max(now - self._began, 1e-3)
            self._rate = max(rate / 2, SLOWEST)
            self._free_at = max(self._free_at, now + 1.0 / self._rate)

    def faster(self) -> None:
        """The cluster took a bulk."""
        with self._lock:
            if self._rate is not None:
                faster = self._rate * _FASTER
                self._rate = faster if self._most is None else min(faster, self._most)


__all__ = ["SLOWEST", "Pace"]
