"""Examination by rank with intervals: every resample of users is fitted anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replay.clicks.clusters import grouped, interval, resample_weights
from replay.clicks.examination import fit_examination
from replay.clicks.pages import Pages
from replay.clicks.position_based import Cells, Impressions

F64 = NDArray[np.float64]
OFTEN = 0.9  # an interval needs a rank to be identified in so many of the resamples


@dataclass(frozen=True, slots=True)
class ExamProb:
    """Examination at one rank, relative to rank 1, with its 95 % interval over users."""

    platform: str
    rank: int  # 1-based
    exam_prob: float | None  # None where not identified
    low: float | None
    high: float | None
    impressions: int
    clicks: int


def exam_probs(
    pages: Pages,
    platform: str,
    rng: np.random.Generator,
    *,
    fit: Callable[[Cells], F64] = fit_examination,
    n_resamples: int = 200,
    advance: Callable[[int], object] = lambda _n: None,
) -> tuple[Cells, F64, list[ExamProb]]:
    """Fit one platform's pages.

    Args:
        pages: of that platform.
        platform: what to call it.
        rng: source of chance for the resamples.
        fit: gives P(examined) by rank, NaN where it cannot.
        n_resamples: of users.
        advance: told of each resample.

    Returns:
        the counts, the fit (depth,), and a row per rank.
    """
    impressions = Impressions(pages)
    fitted = fit(cells := impressions.count())
    user = grouped(pages.user, rng)
    n_users = int(user.max(initial=-1)) + 1
    values = np.full((n_resamples, pages.depth), np.nan)
    if n_users > 1:
        weights = (weight for block in resample_weights(n_users, n_resamples, rng) for weight in block)
        for i, weight in enumerate(weights):
            values[i] = fit(impressions.count(weight[user]))
            advance(1)
    rows = []
    for r in range(pages.depth):
        at = cells.rank == r
        known = not np.isnan(fitted[r])
        often = np.isfinite(values[:, r]).mean() >= OFTEN
        low, high = interval(values[:, r]) if known and often else (None, None)
        rows.append(
            ExamProb(
                platform=platform,
                rank=r + 1,
                exam_prob=float(fitted[r]) if known else None,
                low=low,
                high=high,
                impressions=int(cells.seen[at].sum()),
                clicks=int(cells.clicked[at].sum()),
            )
        )
    return cells, fitted, rows
