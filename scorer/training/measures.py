"""Ordered pair accuracy and click accuracy, their intervals, and the pairs that they count.

    OPA = share of the pairs (i, j) within a page with truth_i > truth_j where score_i > score_j
    CA  = share of the pairs (i, j) within a page with i clicked, j not, where score_i > score_j

Equal scores count one half (the paper counts them as wrong; with float scores there are none). Source: the
Image Score paper, eq. 4 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A share with its bootstrap interval, all in percent."""

    value: float
    low: float
    high: float
    n_pairs: int


def pair_counts(truth: Array, scores: Array, *, among: NDArray[np.bool_] | None = None) -> tuple[float, int]:
    """Pairs of one page in the right order (a tie of scores is half a pair), and pairs that have an order.

    Args:
        truth: shape (n,); equal values make no pair.
        scores: shape (n,).
        among: shape (n, n), the pairs to count; all without it.
    """
    better = truth[:, None] > truth[None, :]
    if among is not None:
        better &= among
    ahead = scores[:, None] - scores[None, :]
    right = np.where(ahead > 0, 1.0, np.where(ahead == 0, 0.5, 0.0))
    return float(right[better].sum()), int(better.sum())


def opa(
    pages: Sequence[tuple[Array, Array]], *, rng: np.random.Generator | None = None, n_resamples: int = 2000
) -> Interval:
    """Ordered pair accuracy over pages, with a 95 % bootstrap interval over pages.

    Args:
        pages: per page, truth and scores, each of shape (n,).
        rng: where the resamples come from; a fixed seed without it.
        n_resamples: pages are drawn with replacement this many times.

    Returns:
        Percent; NaN where there is no pair.
    """
    return accuracy([pair_counts(truth, scores) for truth, scores in pages], rng=rng, n_resamples=n_resamples)


def click_accuracy(
    pages: Sequence[tuple[int, Array]], *, rng: np.random.Generator | None = None, n_resamples: int = 2000
) -> Interval:
    """Click accuracy over pages, each the place of its clicked photo and the scores of all, shape (n,)."""
    counts = []
    for clicked, scores in pages:
        truth = np.zeros(len(scores))
        truth[clicked] = 1.0
        counts.append(pair_counts(truth, scores))
    return accuracy(counts, rng=rng, n_resamples=n_resamples)


def accuracy(
    counts: Sequence[tuple[float, int]], *, rng: np.random.Generator | None = None, n_resamples: int = 2000
) -> Interval:
    """As `opa`, from the counts of each page: pairs in the right order, and pairs that have an order."""
    table = np.array(counts, dtype=np.float64).reshape(-1, 2)
    total = table[:, 1].sum()
    if total == 0:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    rng = rng or np.random.default_rng(0)
    drawn = table[rng.integers(0, len(table), size=(n_resamples, len(table)))].sum(axis=1)
    shares = 100.0 * drawn[:, 0] / np.maximum(drawn[:, 1], 1.0)
    low, high = np.percentile(shares[drawn[:, 1] > 0], [2.5, 97.5])
    return Interval(float(100.0 * table[:, 0].sum() / total), float(low), float(high), int(total))


__all__ = ["Interval", "accuracy", "click_accuracy", "opa", "pair_counts"]
