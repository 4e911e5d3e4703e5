"""Modelled rewards for direct and doubly robust estimates: a cross-fitted position-based model.

q(item, rank) = exam_prob[rank] * attract(query, item), fitted by platform on the other users' searches (each
user's rewards are modelled without that user), attraction shrunk towards the mean; an item that nobody was
shown attracts as the mean item does. A wrong model costs a doubly robust estimate precision, not truth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from replay.clicks.clusters import total_by
from replay.clicks.examination import by_pair, fit_examination
from replay.clicks.pages import Pages
from replay.clicks.position_based import Impressions
from replay.log import CaptureLog

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
FOLDS = 5
PRIOR = 5.0  # examinations that the mean counts for


def modelled_rewards(
    log: CaptureLog, pages: Pages, target: I64, rng: np.random.Generator, *, folds: int = FOLDS
) -> tuple[F64, F64]:
    """Modelled rewards of the target's items and of the shown ones at their ranks, each (n_searches, depth).

    Args:
        log: the captured searches.
        pages: the same searches with clicks.
        target: the candidate at each rank as the target would serve, (n_searches, depth), -1 for none.
        rng: assigns users to folds.
        folds: how many; fewer where there are fewer users.
    """
    pair_of = {pair: j for j, pair in enumerate(pages.pairs)}
    queries = log.searches["query"]
    target_pair = np.full(target.shape, -1, dtype=np.int64)
    for i, r in zip(*np.nonzero(target >= 0), strict=True):
        target_pair[i, r] = pair_of.get((str(queries[i]), str(log.item_id[target[i, r]])), -1)
    q_target, q_shown = np.zeros(target.shape), np.zeros(pages.shown.shape)
    n_folds = max(1, min(folds, pages.n_users))
    fold = rng.permutation(np.arange(pages.n_users) % n_folds)[pages.user]
    for platform in pages.platforms():
        of_platform = pages.platform == platform
        mine = pages.where(of_platform)
        impressions = Impressions(mine)
        fold_of_mine = fold[of_platform]
        for f in range(n_folds):
            others = (fold_of_mine != f) if n_folds > 1 else np.ones(len(fold_of_mine), dtype=bool)
            exam, attract = _fitted(impressions, others.astype(np.float64))
            rows = (
                np.flatnonzero(of_platform)[fold_of_mine == f] if n_folds > 1 else np.flatnonzero(of_platform)
            )
            q_target[rows] = _rewards(target_pair[rows], target[rows] >= 0, exam, attract)
            q_shown[rows] = _rewards(pages.pair[rows], pages.shown[rows] >= 0, exam, attract)
    return q_target, q_shown


def _fitted(impressions: Impressions, weight: F64) -> tuple[F64, F64]:
    """Examination by rank, and attraction by pair with the mean's behind the last pair."""
    cells = impressions.count(weight)
    exam = np.minimum(fit_examination(cells), 1.0)
    seen = total_by(cells.rank, cells.seen, cells.depth)
    clicked = total_by(cells.rank, cells.clicked, cells.depth)
    rate = np.divide(clicked, seen, out=np.zeros(cells.depth), where=seen > 0)
    top = rate[0] if cells.depth and rate[0] > 0 else 1.0
    exam = np.where(
        np.isnan(exam), np.minimum(rate / top, 1.0), exam
    )  # not identified: the click rate's shape
    clicks, examined = by_pair(cells, exam)
    total = float(examined.sum())
    mean = float(clicks.sum()) / total if total > 0 else 0.0
    return exam, np.append((clicks + PRIOR * mean) / (examined + PRIOR), mean)


def _rewards(pair: I64, there: NDArray[np.bool_], exam: F64, attract: F64) -> F64:
    depth = pair.shape[1]
    padded = np.append(exam, np.full(max(0, depth - len(exam)), exam[-1] if len(exam) else 0.0))
    return np.asarray(np.where(there, padded[:depth] * attract[pair], 0.0))
