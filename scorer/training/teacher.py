"""The teacher: kernel ridge regression from features of a photo to the judges' scores.

With a thousand labelled photos, fixed features with a smooth regressor on top are hard to beat. On image
statistics it is a baseline of the evaluation; on the statistics and on what larger networks see in nine
cells of the photo it teaches the compact tower: it gives every training photo a score, labelled or not.

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

# Chosen by cross-validation over the training pages.
GAMMA: Final = 0.3  # of exp(-gamma |x - y|^2), on features whose mean square is 1 in all
RIDGE: Final = 0.3
_CLAMP: Final = 3.0  # standard deviations: beyond this, a feature says no more


@dataclass(frozen=True, slots=True)
class Standard:
    """Mean and spread of each feature over the training photos."""

    mean: Array
    std: Array

    @classmethod
    def fit(cls, features: Array) -> Standard:
        """From features of shape (n_photos, n_features)."""
        return cls(features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6))

    def __call__(self, features: Array) -> Array:
        """Standardized and clamped, same shape."""
        return np.clip((features - self.mean) / self.std, -_CLAMP, _CLAMP)


def weigh_blocks(*blocks: Array) -> Array:
    """Standardized features side by side, each block with the same say however wide it is.

    Args:
        blocks: each of shape (n, its width), with mean square 1 per column.

    Returns:
        Shape (n, sum of widths); the mean square of a row is about 1 in all.
    """
    return np.concatenate([block / np.sqrt(block.shape[1] * len(blocks)) for block in blocks], axis=1)


@dataclass(frozen=True, slots=True)
class Teacher:
    """A fitted kernel ridge regression."""

    support: Array  # features of the labelled photos, shape (m, n_features)
    weights: Array  # shape (m,)
    gamma: float

    @classmethod
    def fit(
        cls, pages: Sequence[tuple[Array, Array]], *, gamma: float = GAMMA, ridge: float = RIDGE
    ) -> Teacher:
        """Fit on pages of (features, truth), shapes (n, n_features) and (n,)."""
        support = np.concatenate([features for features, _ in pages])
        target = np.concatenate([truth - truth.mean() for _, truth in pages])
        kernel = _kernel(support, support, gamma)
        start = 0
        for features, _ in pages:
            page = slice(start, start + len(features))
            kernel[page] -= kernel[page].mean(axis=0)
            start += len(features)
        weights = np.linalg.solve(kernel + ridge * np.eye(len(support)), target)
        return cls(support, weights, gamma)

    def predict(self, features: Array) -> Array:
        """Scores in points of the judges' scale, around 0; shape (n,)."""
        result: Array = _kernel(features, self.support, self.gamma) @ self.weights
        return result


def _kernel(a: Array, b: Array, gamma: float) -> Array:
    distance = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2.0 * a @ b.T
    kernel: Array = np.exp(-gamma * np.maximum(distance, 0.0))
    return kernel


__all__ = ["GAMMA", "RIDGE", "Standard", "Teacher", "weigh_blocks"]
