"""How fast a backfill may go: a limit that the operator sets, and one that the cluster asks for.

A server that answers 429 has no room. The rate then falls to 0.7 of what it was, once a second at most since
refusals come in bursts, and rises by a tenth with every bulk that is taken: the same idea as in TCP, whose
CUBIC has the same 0.7. (To rise by a constant would be too slow from 1 to 1,000 items a second.)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

SLOWEST: Final = 1.0  # items per second
SLOWER: Final = 0.7
FASTER: Final = 1.1
_HOLD_S: Final = 1.0  # refusals within this time count as one


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
        self._slowed_at = float("-inf")

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
        """The cluster has no room: 0.7 of the rate, as measured where there was no limit."""
        with self._lock:
            now = self._clock()
            if now - self._slowed_at < _HOLD_S:
                return
            self._slowed_at = now
            rate = self._rate or self._gone / max(now - self._began, 1e-3)
            self._rate = max(rate * SLOWER, SLOWEST)

    def faster(self) -> None:
        """The cluster took a bulk."""
        with self._lock:
            if self._rate is not None:
                faster = self._rate * FASTER
                self._rate = faster if self._most is None else min(faster, self._most)


__all__ = ["FASTER", "SLOWER", "SLOWEST", "Pace"]
