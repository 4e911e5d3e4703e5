"""The teacher: kernel ridge regression from image statistics to the judges' scores.

With a thousand labelled photos, arithmetic on pixels with a smooth regressor on top is hard to beat. The
compact tower learns from it: the teacher gives every training photo a score, labelled or not. Alone it is
the baseline `statistics` of the evaluation.

Scores mean something within a page only, so the fit is on scores minus their page's mean. With K the
kernel between labelled photos, C the matrix that centers by page, y the centered scores:

    f(x) = k(x) a,   (C K + lambda I) a = y
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Chosen by 5-fold cross-validation over the training pages.
GAMMA: Final = 0.005  # of exp(-gamma |x - y|^2), on standardized statistics
RIDGE: Final = 0.3
_CLAMP: Final = 3.0  # standard deviations: beyond this, a statistic says no more


@dataclass(frozen=True, slots=True)
class Standard:
    """Mean and spread of each statistic over the training photos."""

    mean: Array
    std: Array

    @classmethod
    def fit(cls, statistics: Array) -> Standard:
        """From statistics of shape (n_photos, n_statistics)."""
        return cls(statistics.mean(axis=0), np.maximum(statistics.std(axis=0), 1e-6))

    def __call__(self, statistics: Array) -> Array:
        """Standardized and clamped, same shape."""
        return np.clip((statistics - self.mean) / self.std, -_CLAMP, _CLAMP)


@dataclass(frozen=True, slots=True)
class Teacher:
    """A fitted kernel ridge regression."""

    standard: Standard
    support: Array  # standardized statistics of the labelled photos, shape (m, n_statistics)
    weights: Array  # shape (m,)
    gamma: float

    @classmethod
    def fit(
        cls,
        standard: Standard,
        pages: Sequence[tuple[Array, Array]],
        *,
        gamma: float = GAMMA,
        ridge: float = RIDGE,
    ) -> Teacher:
        """Fit on pages of (statistics, truth), shapes (n, n_statistics) and (n,)."""
        support = standard(np.concatenate([statistics for statistics, _ in pages]))
        target = np.concatenate([truth - truth.mean() for _, truth in pages])
        kernel = _kernel(support, support, gamma)
        start = 0
        for statistics, _ in pages:
            page = slice(start, start + len(statistics))
            kernel[page] -= kernel[page].mean(axis=0)
            start += len(statistics)
        weights = np.linalg.solve(kernel + ridge * np.eye(len(support)), target)
        return cls(standard, support, weights, gamma)

    def predict(self, statistics: Array) -> Array:
        """Scores in points of the judges' scale, around 0; shape (n,)."""
        result: Array = _kernel(self.standard(statistics), self.support, self.gamma) @ self.weights
        return result


def _kernel(a: Array, b: Array, gamma: float) -> Array:
    distance = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2.0 * a @ b.T
    kernel: Array = np.exp(-gamma * np.maximum(distance, 0.0))
    return kernel


__all__ = ["GAMMA", "RIDGE", "Standard", "Teacher"]
