"""What a scorer must beat: classical regressors on image statistics, and scores that learn nothing.

All take image statistics of shape (n_photos, n_statistics) and the labelled pages as (rows, truth), and
give every photo a score. They are fitted to scores minus their page's mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scorer.training.teacher import Standard, Teacher, weigh_blocks

Array = NDArray[np.float64]
Pages = Sequence[tuple[NDArray[np.int64], Array]]


def boosting(statistics: Array, pages: Pages) -> Array:
    """Gradient-boosted trees: 200 of depth 3, each on half of the photos and a third of the statistics."""
    from sklearn.ensemble import GradientBoostingRegressor

    rows = np.concatenate([rows for rows, _ in pages])
    wanted = np.concatenate([truth - truth.mean() for _, truth in pages])
    trees = GradientBoostingRegressor(
        n_estimators=200, max_depth=3, learning_rate=0.05, subsample=0.5, max_features=0.3, random_state=0
    )
    found: Array = trees.fit(statistics[rows], wanted).predict(statistics)
    return found


def kernel_ridge(statistics: Array, pages: Pages) -> Array:
    """The regression that the teacher is, on statistics alone."""
    features = weigh_blocks(Standard.fit(statistics)(statistics))
    return Teacher.fit([(features[rows], truth) for rows, truth in pages]).predict(features)


STATISTICS_BASELINES: Final[Mapping[str, Callable[[Array, Pages], Array]]] = {
    "gradient boosting on statistics": boosting,
    "kernel ridge on statistics": kernel_ridge,
}

__all__ = ["STATISTICS_BASELINES", "boosting", "kernel_ridge"]
