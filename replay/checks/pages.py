"""The served pages: whole, without holes, in the order of their scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from replay.checks.check import Check, found
from replay.log import CaptureLog

_FORMULA_RANK = "formula_rank"  # extra field of the items of a drawn or interleaved page


def truncated_pages(log: CaptureLog) -> Check:
    """A page holds min(k, total_hits) items."""
    served = _n_served(log)
    k = log.searches["k"].astype(np.float64)
    wanted = np.fmin(k, log.searches["total_hits"].astype(np.float64))  # NaN where the total is unknown
    short = np.flatnonzero(served < wanted)
    return found(
        "truncated pages",
        len(short),
        len(log),
        f"{len(short)} of {len(log)} pages hold fewer items than were asked for and matched",
        fine="every page is as long as k and the matches allow",
        examples=(f"{_name(log, i)}: {served[i]} of {int(wanted[i])}" for i in short),
    )


def position_holes(log: CaptureLog) -> Check:
    """The ranks of a page are 1, 2, 3 … without a hole or a repetition."""
    served = np.flatnonzero(log.rank > 0)
    order = served[np.lexsort((log.rank[served], log.owner[served]))]
    counts = np.bincount(log.owner[order], minlength=len(log))
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    place = np.arange(len(order)) - first[log.owner[order]] + 1
    broken = np.unique(log.owner[order[log.rank[order] != place]])
    return found(
        "position holes",
        len(broken),
        len(log),
        f"{len(broken)} of {len(log)} pages have holes or repetitions in their ranks",
        fine="the ranks of every page run from 1 without a hole",
        examples=(_name(log, int(i)) for i in broken),
        tolerated=0.0,
    )


def page_order(log: CaptureLog) -> Check:
    """Served scores fall with rank, and equal scores are in order of item_id: the tie policy of the body.

    Pages that were drawn or interleaved are left out: their items say where the formula had them.
    """
    served = np.flatnonzero((log.rank > 0) & ~np.isnan(log.score) & ~_drawn(log)[log.owner])
    order = served[np.lexsort((log.rank[served], log.owner[served]))]
    upper, lower = order[:-1], order[1:]
    same = log.owner[upper] == log.owner[lower]
    rises = log.score[lower] > log.score[upper]
    ties = (log.score[lower] == log.score[upper]) & (log.item_code[lower] < log.item_code[upper])
    broken = np.unique(log.owner[lower[same & (rises | ties)]])
    n = len(np.unique(log.owner[order]))
    return found(
        "order of pages",
        len(broken),
        n,
        f"{len(broken)} of {n} pages are not in order of score, then item_id: another sort or tie policy",
        fine="every page is in order of score, then item_id",
        examples=(_name(log, int(i)) for i in broken),
    )


def _drawn(log: CaptureLog) -> NDArray[np.bool_]:
    """Which pages were put into another order on purpose, (n_searches,)."""
    places = log.docs.columns.get(_FORMULA_RANK)
    if places is None or places.dtype == object:
        return np.zeros(len(log), dtype=bool)
    drawn: NDArray[np.bool_] = np.bincount(log.owner[~np.isnan(places)], minlength=len(log)) > 0
    return drawn


def _n_served(log: CaptureLog) -> NDArray[np.int64]:
    return np.bincount(log.owner[log.rank > 0], minlength=len(log)).astype(np.int64)


def _name(log: CaptureLog, i: int) -> str:
    return f"search {log.searches['search_id'][i]}, {log.searches['query'][i]!r}"
