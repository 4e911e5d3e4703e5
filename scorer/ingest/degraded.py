"""Giving the scorer up for a while, where that was chosen, so that items are searchable meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from ranking.errors import ServerError
from scorer.ingest.analyzer import Scorer
from scorer.ingest.photos import Pixels
from scorer.serving.client import BadScoresError, Scored

RETRY_S: Final = 5.0


class GivingUp:
    """Waits for the scorer once, as long as it may; from then on asks it now and then only, until it answers.

    Args:
        patient: waits for a scorer that is gone as long as an item may wait for its score.
        quick: does not wait.
        retry_s: how often a scorer that was given up is asked again.
        on_change: told when it is given up, and when it is back.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        patient: Scorer,
        quick: Scorer,
        *,
        retry_s: float = RETRY_S,
        on_change: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._patient = patient
        self._quick = quick
        self._retry_s = retry_s
        self._on_change = on_change
        self._clock = clock
        self._lock = threading.Lock()
        self._down: ServerError | None = None
        self._ask_again_at = 0.0

    def score(self, images: Pixels) -> Scored:
        """Score a batch.

        Raises:
            BadScoresError: the model answered, with something that is no score.
            ServerError: it does not answer, or has been given up a moment ago.
        """
        with self._lock:
            down = self._down
            if down is not None and self._clock() < self._ask_again_at:
                raise ServerError(down.engine, "given up a moment ago") from down
            self._ask_again_at = self._clock() + self._retry_s  # this thread asks, the others go on
        try:
            scored = (self._patient if down is None else self._quick).score(images)
        except BadScoresError:
            self._is_back()
            raise
        except ServerError as e:
            self._give_up(e)
            raise
        self._is_back()
        return scored

    def _give_up(self, error: ServerError) -> None:
        with self._lock:
            news, self._down = self._down is None, error
            self._ask_again_at = self._clock() + self._retry_s
        if news and self._on_change:
            self._on_change(f"{error}; items are indexed unscored until it is back")

    def _is_back(self) -> None:
        with self._lock:
            news, self._down = self._down is not None, None
        if news and self._on_change:
            self._on_change("photos are scored again; `rank-cli ingest backfill` scores what went without")


__all__ = ["RETRY_S", "GivingUp"]
