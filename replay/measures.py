"""Measures of one ranking, a value per search, for all searches of a log at once.

nDCG is trec_eval's: the gain is the grade, the discount log2(rank + 1), the ideal ranks every judged item of
the query; unjudged items gain nothing. Source: Järvelin and Kekäläinen, 2002. NaN where undefined.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ranking.clock import DAY_MS
from ranking.freshness import Freshness
from replay.engine import Ranking
from replay.judgments import Judgments
from replay.log import CaptureLog

F64 = NDArray[np.float64]


def ndcg(log: CaptureLog, ranking: Ranking, judgments: Judgments, k: int) -> F64:
    """nDCG@k of each search, shape (n_searches,); NaN where the query has no relevant judgment."""
    shown = _shown(ranking, k)
    gains = np.nan_to_num(judgments.grades(log))
    discounted = np.where(shown, gains / np.log2(np.maximum(ranking.ranks, 1) + 1.0), 0.0)
    dcg = np.bincount(log.owner, weights=discounted, minlength=len(log))
    ideal = (judgments.best(log, k) / np.log2(np.arange(2, k + 2))).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        value: F64 = np.where(ideal > 0, dcg / ideal, np.nan)
    return value


def image_score(log: CaptureLog, ranking: Ranking, k: int) -> F64:
    """Mean image score of the scored items among the first k of each search."""
    return _mean_at_k(log, ranking, log.docs.image_score.astype(np.float64), k)


def age_days(log: CaptureLog, ranking: Ranking, k: int) -> F64:
    """Mean age in days, at the ranking's clock, of the dated items among the first k of each search."""
    return _mean_at_k(log, ranking, (_clock(log, ranking) - log.docs.created_ms) / DAY_MS, k)


def freshness(log: CaptureLog, ranking: Ranking, curve: Freshness, k: int) -> F64:
    """Mean freshness factor of the first k of each search, under one curve for both sides."""
    return _mean_at_k(log, ranking, curve.score(log.docs.created_ms, _clock(log, ranking)), k)


def entered(log: CaptureLog, baseline: Ranking, contender: Ranking, k: int) -> F64:
    """How many of the contender's first k the baseline's first k lack, per search."""
    new = _shown(contender, k) & ~_shown(baseline, k)
    return np.bincount(log.owner, weights=new.astype(np.float64), minlength=len(log)).astype(np.float64)


def _clock(log: CaptureLog, ranking: Ranking) -> NDArray[np.int64]:
    clock: NDArray[np.int64] = log.searches["now_ms"].astype(np.int64)[log.owner] + ranking.clock_shift_ms
    return clock


def _shown(ranking: Ranking, k: int) -> NDArray[np.bool_]:
    return (ranking.ranks >= 1) & (ranking.ranks <= k)


def _mean_at_k(log: CaptureLog, ranking: Ranking, values: F64, k: int) -> F64:
    counted = _shown(ranking, k) & ~np.isnan(values)
    total = np.bincount(log.owner, weights=np.where(counted, values, 0.0), minlength=len(log))
    n = np.bincount(log.owner, weights=counted, minlength=len(log))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: F64 = np.where(n > 0, total / n, np.nan)
    return mean
