"""Measures of relevance, each a value per search, spelled and valued as `ir_measures` does.

All follow trec_eval but ERR and nDCG(dcg='exp-log2'), which follow gdeval. An unjudged item gains nothing.
A search whose query has no judgment is NaN; where nothing relevant is judged, nDCG, R and AP are 0/0: NaN
(ir_measures writes 0 there, which drags every mean down).

Sources: nDCG: Järvelin and Kekäläinen, 2002. AP: Harman, 1992. ERR: Chapelle et al., 2009. RBP: Moffat and
Zobel, 2008.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from ranking.errors import InputError
from replay.engine import Ranking
from replay.judgments import Judgments
from replay.log import CaptureLog
from replay.measures.page import F64, Page, page, ratio

Dcg = Literal["log2", "exp-log2"]
ERR_HIGHEST = 4  # gdeval's highest grade: a grade of 4 satisfies with probability 15/16


def ndcg(
    log: CaptureLog,
    ranking: Ranking,
    judgments: Judgments,
    k: int | None = None,
    *,
    dcg: Dcg = "log2",
    gains: Mapping[int, float] | None = None,
    judged_only: bool = False,
) -> F64:
    """nDCG@k: sum of gain / log2(rank + 1), over that of the ideal ranking of every judged item.

    Args:
        log: the captured searches.
        ranking: of that log.
        judgments: grades.
        k: cutoff; None for all candidates, against an ideal of all judged items.
        dcg: gain is the grade (log2), or 2^grade - 1 (exp-log2).
        gains: other gains by grade, such as {1: 1, 2: 10}; grades that are not named keep theirs.
        judged_only: leave unjudged items out of the ranking.
    """
    if gains:
        judgments = judgments.regraded(gains)
    first, grades = _graded(log, ranking, judgments, k, judged_only)
    depth = k or judgments.most_per_query
    best = judgments.best(log, depth)
    if dcg == "exp-log2":
        grades, best = np.asarray(np.exp2(grades) - 1), np.asarray(np.exp2(best) - 1)
    found = (grades * first.discount).sum(axis=1)
    return ratio(found, (best / np.log2(np.arange(2, depth + 2))).sum(axis=1))


def precision(
    log: CaptureLog,
    ranking: Ranking,
    judgments: Judgments,
    k: int,
    *,
    rel: float = 1,
    judged_only: bool = False,
) -> F64:
    """P@k: relevant items among the first k, over k, however many there are."""
    _first, grades = _graded(log, ranking, judgments, k, judged_only)
    return _known(log, judgments, (grades >= rel).sum(axis=1) / k)


def recall(
    log: CaptureLog,
    ranking: Ranking,
    judgments: Judgments,
    k: int,
    *,
    rel: float = 1,
    judged_only: bool = False,
) -> F64:
    """R@k: relevant items among the first k, over all that are judged relevant."""
    _first, grades = _graded(log, ranking, judgments, k, judged_only)
    return ratio((grades >= rel).sum(axis=1), judgments.n_relevant(log, rel))


def reciprocal_rank(
    log: CaptureLog,
    ranking: Ranking,
    judgments: Judgments,
    k: int | None = None,
    *,
    rel: float = 1,
    judged_only: bool = False,
) -> F64:
    """RR@k: 1 / rank of the first relevant item, 0 where none is among the first k."""
    _first, grades = _graded(log, ranking, judgments, k, judged_only)
    hits = grades >= rel
    place = hits.argmax(axis=1) + 1.0
    return _known(log, judgments, np.where(hits.any(axis=1), 1 / place, 0.0))


def average_precision(
    log: CaptureLog,
    ranking: Ranking,
    judgments: Judgments,
    k: int | None = None,
    *,
    rel: float = 1,
    judged_only: bool = False,
) -> F64:
    """AP@k: precision at each relevant item of the first k, summed, over all that are judged relevant."""
    first, grades = _graded(log, ranking, judgments, k, judged_only)
    hits = grades >= rel
    precisions = hits.cumsum(axis=1) / first.ranks
    return ratio(np.where(hits, precisions, 0.0).sum(axis=1), judgments.n_relevant(log, rel))


def err(log: CaptureLog, ranking: Ranking, judgments: Judgments, k: int | None = None) -> F64:
    """ERR@k: expected 1 / rank at which a reader stops who is satisfied with (2^grade - 1) / 16.

    Raises:
        InputError: a grade is above 4, gdeval's highest.
    """
    if judgments.highest > ERR_HIGHEST:
        raise InputError(
            f"ERR knows grades 0 to {ERR_HIGHEST}, the judgments hold {judgments.highest:g}",
            hint="rescale the grades, or take nDCG",
        )
    first, grades = _graded(log, ranking, judgments, k, False)
    stops = (np.exp2(grades) - 1) / 2**ERR_HIGHEST
    goes_on = np.cumprod(1 - stops, axis=1)
    reads = np.concatenate([np.ones((len(log), 1)), goes_on[:, :-1]], axis=1)
    return _known(log, judgments, (stops * reads / first.ranks).sum(axis=1))


def rbp(
    log: CaptureLog,
    ranking: Ranking,
    judgments: Judgments,
    k: int | None = None,
    *,
    p: float = 0.8,
    rel: float = 1,
) -> F64:
    """RBP@k: (1 - p) times the sum of p^(rank - 1) over the relevant items of the first k."""
    first, grades = _graded(log, ranking, judgments, k, False)
    weights = (1 - p) * p ** (first.ranks - 1.0)
    return _known(log, judgments, np.where(grades >= rel, weights, 0.0).sum(axis=1))


def judged(log: CaptureLog, ranking: Ranking, judgments: Judgments, k: int | None = None) -> F64:
    """Judged@k: share of the shown first k that have a grade; 0 where the query has none at all."""
    first = page(log, ranking, k)
    known = first.shown & ~np.isnan(judgments.grades_at(log, first.at))
    return ratio(known.sum(axis=1), first.shown.sum(axis=1))


def _graded(
    log: CaptureLog, ranking: Ranking, judgments: Judgments, k: int | None, judged_only: bool
) -> tuple[Page, F64]:
    """The page and the grades on it, 0 for unjudged items and empty places."""
    if judged_only:
        whole = page(log, ranking, None)
        first = whole.only(~np.isnan(judgments.grades_at(log, whole.at)), k)
    else:
        first = page(log, ranking, k)
    grades = judgments.grades_at(log, first.at)
    return first, np.where(first.shown & ~np.isnan(grades), grades, 0.0)


def _known(log: CaptureLog, judgments: Judgments, values: F64) -> F64:
    return np.where(judgments.judged(log), values, np.nan)
