"""How many messages are taken at a time: more while they are soon done, so that bulk requests are worth it.

A batch is redelivered whole when its consumer dies, and what is in it waits for all of it: so few messages
where photos are scored, and as many as a bulk request holds where nothing but a price changes.
"""

from __future__ import annotations

from typing import Final

MOST: Final = 500  # as the feeder's bulk requests
_SOON_S: Final = 0.25
_LATE_S: Final = 1.0
_MOST_BYTES: Final = 8_000_000  # of one batch's messages, which may carry their photos


class BatchSize:
    """Doubles after a full batch that was soon done, halves after one that was not.

    Args:
        least: messages at a time, at the least; where it begins.
        most: messages at a time, at the most.
    """

    def __init__(self, least: int, most: int = MOST) -> None:
        self._least = least
        self._most = max(least, most)
        self.now = least

    def done(self, n_messages: int, n_bytes: int, seconds: float) -> None:
        """One batch is safe, so long after it was begun.

        One with fewer messages than are taken now says nothing: no more had come, or it is an earlier one.
        """
        if n_messages < self.now:
            return
        if seconds > _LATE_S or n_bytes > _MOST_BYTES:
            self.now = max(self._least, self.now // 2)
        elif seconds < _SOON_S and 2 * n_bytes <= _MOST_BYTES:
            self.now = min(self._most, 2 * self.now)


__all__ = ["MOST", "BatchSize"]
