"""A new model on the old one's scale, so that a boost weight means what it meant.

    mapped = Q_old(F_new(score))     F_new: share of photos that score less; Q_old: the old model's quantiles

Both models score the same photos. The map is monotone and piecewise linear between a hundred quantiles, so
the new model's order stays and its scores are spread as the old one's were. It is kept in the scorer's
folder and applied inside the model, in every place where the model runs.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError
from scorer.model.head import ScoreMap

Array = NDArray[np.float64]
N_KNOTS: Final = 101
_LEAST: Final = 1e-4  # between knots: below this, float32 cannot tell the slopes


def fit_score_map(scores: Array, like: Array) -> ScoreMap:
    """The map from one model's scores to another's scale.

    Args:
        scores: of the model to be mapped, shape (n,), n at least 100.
        like: of the model whose scale is kept, on the same photos or on others of the same kind, shape (m,).

    Raises:
        InputError: too few photos, or a model that scores all alike.
    """
    if min(len(scores), len(like)) < 100:
        raise InputError("at least 100 photos are needed to map one model's scores to another's")
    levels = np.linspace(0.0, 1.0, N_KNOTS)
    x, y = np.quantile(scores, levels), np.quantile(like, levels)
    kept = [0]
    for i in range(1, N_KNOTS):
        if x[i] - x[kept[-1]] >= _LEAST:
            kept.append(i)
    if len(kept) < 3:
        raise InputError("the model gives nearly all photos one score: there is nothing to map")
    # Ends meet the ends of the range, so that a score beyond those seen keeps its order.
    xs = [0.0, *x[kept], 1.0] if x[0] > _LEAST and x[kept[-1]] < 1.0 - _LEAST else list(x[kept])
    ys = [0.0, *y[kept], 1.0] if len(xs) > len(kept) else list(y[kept])
    return ScoreMap(x=tuple(float(v) for v in xs), y=tuple(float(v) for v in ys))


__all__ = ["N_KNOTS", "fit_score_map"]
