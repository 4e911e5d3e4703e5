"""Examination by rank from pairs of query and item that were seen at several ranks.

The mean of the position-based model is E[clicks of pair d at rank r] = impressions[d, r] exam[r] attract[d].
Attraction has one parameter per pair, and most pairs are seen a few times, so fitting both by maximum
likelihood (EM) drives examination up: a pair seen once and clicked once asks for exam = attract = 1. Given a
pair's number of clicks, attraction drops out of the Poisson likelihood,

    sum over d, r of clicks[d, r] * log(impressions[d, r] exam[r] / sum over s of impressions[d, s] exam[s])

and its maximum is consistent whatever the distribution, as long as the mean is right (Hausman, Hall and
Griliches 1984; Wooldridge 1999). It is concave in log exam and found by Newton's method. A pair seen at one
rank alone, or never clicked, says nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from replay.clicks.clusters import total_by
from replay.clicks.position_based import Cells

F64 = NDArray[np.float64]


def fit_examination(cells: Cells, *, iterations: int = 100, tolerance: float = 1e-9) -> F64:
    """P(examined) by rank relative to rank 1, shape (depth,); NaN where the clicks do not identify it.

    Noise can take a rank above 1.

    Args:
        cells: `Impressions.count`.
        iterations: Newton steps, at most.
        tolerance: stop when no log exam moves by more.
    """
    exam = np.full(cells.depth, np.nan)
    if not cells.depth:
        return exam
    known = comparable(cells)
    exam[0] = 1.0
    known[0] = True
    if known.sum() < 2:
        return exam
    place = np.cumsum(known) - 1
    clicks = total_by(cells.pair, cells.clicked * known[cells.rank], cells.n_pairs)
    used = known[cells.rank] & (cells.seen > 0) & (clicks[cells.pair] > 0)
    pair = np.cumsum(np.diff(cells.pair[used], prepend=-1) > 0) - 1  # cells are in the order of their pairs
    rank, seen, clicked = place[cells.rank[used]], cells.seen[used], cells.clicked[used]
    n_pairs, n_ranks = int(pair[-1]) + 1, int(known.sum())
    total = total_by(pair, clicked, n_pairs)[pair]
    observed = total_by(rank, clicked, n_ranks)
    first = np.append(np.flatnonzero(np.diff(pair, prepend=-1)), len(pair))
    log_exam = np.zeros(n_ranks)

    def share_of(log_exam: F64) -> tuple[F64, float]:
        weight = seen * np.exp(log_exam[rank])
        share = weight / total_by(pair, weight, n_pairs)[pair]
        return share, float((clicked * np.log(share)).sum())

    share, likelihood = share_of(log_exam)
    for _ in range(iterations):
        expected = total_by(rank, share * total, n_ranks)
        root = csr_array((share * np.sqrt(total), rank, first), shape=(n_pairs, n_ranks))
        information = np.diag(expected) - (root.T @ root).toarray()
        step = np.zeros(n_ranks)
        step[1:] = np.linalg.lstsq(information[1:, 1:], (observed - expected)[1:], rcond=None)[0]
        for _ in range(30):  # halve a step that goes too far
            moved = np.clip(log_exam + step, -30.0, 30.0)
            moved_share, moved_likelihood = share_of(moved)
            if moved_likelihood >= likelihood - 1e-12:
                break
            step = step / 2
        else:
            break
        done = float(np.abs(moved - log_exam).max()) < tolerance
        log_exam, share, likelihood = moved, moved_share, moved_likelihood
        if done:
            break
    exam[known] = np.exp(log_exam)
    return exam


def comparable(cells: Cells) -> NDArray[np.bool_]:
    """Which ranks can be compared with rank 1, (depth,): the maximum is finite between them.

    Rank s beats rank r where a pair seen at both was clicked at s. Ranks are comparable where a chain of such
    wins leads from one to the other and back (Ford 1957); a rank without a click is not.
    """
    size = cells.depth + cells.n_pairs
    seen, clicked = cells.seen > 0, cells.clicked > 0
    tail = np.concatenate([cells.rank[seen], cells.depth + cells.pair[clicked]])
    head = np.concatenate([cells.depth + cells.pair[seen], cells.rank[clicked]])
    graph = coo_array((np.ones(len(tail)), (tail, head)), shape=(size, size))
    part = connected_components(graph, directed=True, connection="strong")[1][: cells.depth]
    same: NDArray[np.bool_] = part == part[0]
    return same


def by_pair(cells: Cells, exam: F64) -> tuple[F64, F64]:
    """Clicks and expected examinations of each pair, (n_pairs,) each, at the ranks whose exam is known."""
    known = ~np.isnan(exam[cells.rank])
    clicks = total_by(cells.pair, cells.clicked * known, cells.n_pairs)
    examined = total_by(cells.pair, cells.seen * np.nan_to_num(exam[cells.rank]), cells.n_pairs)
    return clicks, examined
