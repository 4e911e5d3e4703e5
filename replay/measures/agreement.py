"""How much of one page is on another: counts and rank-biased overlap, a value per search.

RBO is the extrapolated one, equation 32 of Webber, Moffat and Zobel, "A similarity measure for indefinite
rankings", 2010, for lists of equal or unequal length without ties.
"""

from __future__ import annotations

import numpy as np

from replay.engine import Ranking
from replay.log import CaptureLog
from replay.measures.page import F64, page, ratio


def entered(log: CaptureLog, baseline: Ranking, contender: Ranking, k: int) -> F64:
    """How many of the contender's first k the baseline's first k lack, per search."""
    first = page(log, contender, k)
    before = first.of(baseline.ranks)
    kept = (before >= 1) & (before <= k)
    return np.asarray((first.shown & ~kept).sum(axis=1), dtype=np.float64)


def overlap(log: CaptureLog, baseline: Ranking, contender: Ranking, k: int) -> F64:
    """Share of the contender's first k that are among the baseline's first k; NaN where it shows nothing."""
    n = page(log, contender, k).shown.sum(axis=1)
    return ratio(n - entered(log, baseline, contender, k), n)


def rbo(
    log: CaptureLog, baseline: Ranking, contender: Ranking, k: int | None = None, *, p: float = 0.9
) -> F64:
    """Extrapolated rank-biased overlap of the two rankings' first k, in [0, 1]; 1 for identical lists.

    Args:
        log: the captured searches.
        baseline: one side.
        contender: the other; the measure is symmetric.
        k: how deep both lists are read; None for all candidates.
        p: persistence in (0, 1): the first ten ranks weigh 86 % at 0.9.
    """
    one, two = page(log, baseline, k), page(log, contender, k)
    lengths = np.sort(np.stack([one.shown.sum(axis=1), two.shown.sum(axis=1)]), axis=0)
    short, long = lengths[0], lengths[1]
    depth = one.ranks
    both = one.shown.shape
    # An item of the second list is common from the deeper of its two ranks on.
    theirs = two.of(baseline.ranks)
    limit = both[1]
    common = two.shown & (theirs >= 1) & (theirs <= limit)
    at = np.where(common, np.maximum(theirs, two.ranks), 0)
    rows = np.arange(len(at))[:, None] * (limit + 1)
    counts = np.bincount((rows + at).ravel(), minlength=len(at) * (limit + 1)).reshape(len(at), limit + 1)
    agreed = counts[:, 1:].cumsum(axis=1).astype(np.float64)  # X_d of the paper
    weights = p ** depth.astype(np.float64)
    total = np.where(depth <= long[:, None], agreed / depth * weights, 0.0).sum(axis=1)
    rows_at = np.arange(len(at))
    with np.errstate(invalid="ignore", divide="ignore"):
        at_short = np.where(short > 0, agreed[rows_at, np.maximum(short - 1, 0)], 0.0)
        at_long = agreed[rows_at, np.maximum(long - 1, 0)]
        past = (depth > short[:, None]) & (depth <= long[:, None])
        filled = at_short[:, None] * (depth - short[:, None]) / (short[:, None] * depth)
        total += np.where(past & (short[:, None] > 0), filled * weights, 0.0).sum(axis=1)
        rest = ((at_long - at_short) / long + np.where(short > 0, at_short / short, 0.0)) * p**long
        found = (1 - p) / p * total + rest
    return np.where(long > 0, found, np.nan)
