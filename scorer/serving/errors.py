"""What can go wrong with a score.

ServerError
├── ScoringUnavailable   nobody scores right now (.retry_after_s .busy): wait, or go on unscored
└── BadScoresError       the model answered with no score for some images (.bad)
InputError
└── NothingToQuantize    int8 gains nothing, or is not known, for this tower
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError, ServerError

ENGINE: Final = "Triton"


class NothingToQuantize(InputError):
    """int8 would gain nothing for this tower, or does not know it."""


class ScoringUnavailable(ServerError):
    """No server scores at the moment; the same request may succeed later.

    Args:
        retry_after_s: before then another try is pointless; 0 where nobody knows.
        busy: the servers are there and their queues are full: send less, rather than give up.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, retry_after_s: float = 0.0, busy: bool = False
    ) -> None:
        super().__init__(ENGINE, message, hint=hint)
        self.retry_after_s = retry_after_s
        self.busy = busy


class BadScoresError(ServerError):
    """The model answered with something that is no score; `bad` says for which images."""

    def __init__(self, scores: NDArray[np.float32], bad: NDArray[np.bool_], model_version: str) -> None:
        first = int(np.flatnonzero(bad)[0])
        super().__init__(
            ENGINE,
            f"{int(bad.sum())} of {bad.size} scores are not numbers in [0, 1], the first is {scores[first]}",
            hint="the exported weights are broken: run `rank-cli scorer export` again",
        )
        self.scores = scores
        self.bad = bad
        self.model_version = model_version


__all__ = ["ENGINE", "BadScoresError", "NothingToQuantize", "ScoringUnavailable"]
