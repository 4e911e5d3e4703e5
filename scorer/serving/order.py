"""Whether int8 orders photos as float32 does."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError

INT8_SPEARMAN: Final = 0.99  # least rank correlation of int8 scores with float32's, over photos


class Scores(Protocol):
    """Anything that scores pixels."""

    def score(self, images: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Scores in [0, 1], shape (n,), of uint8 [n, size, size, 3]."""
        ...


def check_order(expected: NDArray[np.float32], small: Scores, photos: NDArray[np.uint8]) -> float:
    """Spearman's rank correlation of two models' scores.

    Args:
        expected: the float32 model's scores of the photos, shape (n,).
        small: the int8 model.
        photos: uint8 [n, size, size, 3].

    Raises:
        InputError: it is below `INT8_SPEARMAN`.
    """
    from scipy.stats import spearmanr

    found = float(spearmanr(expected, small.score(photos)).statistic)
    if not found >= INT8_SPEARMAN:  # NaN too
        raise InputError(
            f"int8 orders {len(photos)} photos otherwise than float32 does: "
            f"Spearman {found:.4f}, at least {INT8_SPEARMAN} is asked for",
            hint="export with --precision float32, or calibrate with more photos",
        )
    return found


__all__ = ["INT8_SPEARMAN", "Scores", "check_order"]
