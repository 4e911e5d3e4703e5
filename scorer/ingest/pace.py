"""How much is written at a time: additive increase, multiplicative decrease (AIMD), as TCP does it.

Two things are let through: bulk requests at a time, and documents in one. A request that is pushed back
(429, 503, no answer in time) halves both (the second from what it held), once for all requests under way;
each one that is taken adds 1/requests to the first and a sixteenth of the largest size to the second, so
that a full round of good answers adds one request. It begins at the most, since a cluster that has room is
the usual case.

Source: Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance", 1989.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

_INCREASES: Final = 16  # from none to the most documents
_FEWEST: Final = 16  # documents in one request: below, more requests cost the server more than they spare it


class Pace:
    """Lets bulk requests through. Threads share it.

    Args:
        max_requests: at a time, at most; >= 1.
        max_docs: documents in one request, at most; >= 1.
        on_change: told requests and documents after each change.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        max_requests: int = 4,
        max_docs: int = 500,
        *,
        on_change: Callable[[float, float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_requests < 1 or max_docs < 1:
            raise ValueError(f"max_requests and max_docs must be >= 1, got {max_requests} and {max_docs}")
        self.max_requests = max_requests
        self.max_docs = max_docs
        self._on_change = on_change
        self._clock = clock
        self._requests = float(max_requests)
        self._docs = float(max_docs)
        self._under_way = 0
        self._last_cut = float("-inf")
        self._free = threading.Condition()

    @property
    def requests(self) -> int:
        """Bulk requests at a time, now."""
        return int(self._requests)

    @property
    def docs(self) -> int:
        """Documents in one request, now."""
        return int(self._docs)

    @contextlib.contextmanager
    def request(self) -> Iterator[float]:
        """Wait until one more request may go; when it began, for `taken` and `pushed_back`."""
        with self._free:
            while self._under_way >= self.requests:
                self._free.wait()
            self._under_way += 1
        try:
            yield self._clock()
        finally:
            with self._free:
                self._under_way -= 1
                self._free.notify()

    def taken(self) -> None:
        """A request was taken whole."""
        with self._free:
            before = (self.requests, self.docs)
            self._requests = min(float(self.max_requests), self._requests + 1 / self._requests)
            self._docs = min(float(self.max_docs), self._docs + max(1.0, self.max_docs / _INCREASES))
            changed = before != (self.requests, self.docs)
            self._free.notify()
        if changed:
            self._tell()

    def pushed_back(self, began: float, docs: int) -> None:
        """A request of `docs` that began at `began` was refused for lack of room, wholly or in part."""
        with self._free:
            if began < self._last_cut:
                return  # it was under way when the last cut was made for its neighbour
            self._last_cut = self._clock()
            self._requests = max(1.0, self._requests / 2)
            self._docs = max(float(min(_FEWEST, self.max_docs)), min(self._docs, docs) / 2)
        self._tell()

    def _tell(self) -> None:
        if self._on_change:
            self._on_change(self._requests, self._docs)


__all__ = ["Pace"]
