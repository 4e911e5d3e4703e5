"""The position-based model: P(click on item d at rank r) = exam_prob[r] * attract_prob[d].

Craswell et al. 2008; the EM steps are those of Chuklin, Markov and de Rijke 2015, "Click Models for Web
Search", section 4.2. Searches are first counted by (query-item pair, rank), so a step costs as many
operations as there are such cells.

What is identified without an intervention: only ratios of examination, and only between ranks that the same
pairs were seen at. Rank 1 is therefore taken as always examined, and a rank that no chain of pairs joins with
it has no `exam_prob` (NaN). Items must have moved for reasons other than a change of their own appeal (the
clock, another profile, exploration): what made an item both move up and attract more is read as examination.

With few impressions a pair, the joint maximum puts examination too high; `replay.clicks.examination`
estimates it without attraction's many parameters, and is what the toolkit uses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replay.clicks.clusters import total_by
from replay.clicks.em import expit, logit, squarem
from replay.clicks.pages import Pages

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cells:
    """Impressions and clicks by pair and rank, in the order of pair, then rank."""

    pair: I64  # (n_cells,)
    rank: I64  # (n_cells,), 0-based
    seen: F64  # (n_cells,): impressions
    clicked: F64  # (n_cells,): clicks, at most seen
    n_pairs: int
    depth: int


@dataclass(frozen=True, slots=True)
class PositionBased:
    """A fitted position-based model."""

    exam_prob: F64  # (depth,), 1 at rank 1; NaN where not identified
    attract_prob: F64  # (n_pairs,); NaN for a pair without impressions
    examined: F64  # (n_pairs,): impressions, each times exam_prob
    clicks: F64  # (n_pairs,)
    log_likelihood: float
    iterations: int


class Impressions:
    """Shown items by cell, ready to be counted again under other weights of the searches."""

    def __init__(self, pages: Pages) -> None:
        self._search, ranks = np.nonzero(pages.pair >= 0)
        key = pages.pair[self._search, ranks] * pages.depth + ranks
        self._cells, self._cell = np.unique(key, return_inverse=True)
        self._clicked = pages.clicks[self._search, ranks].astype(np.float64)
        self._n_pairs, self._depth = len(pages.pairs), pages.depth

    def count(self, weight: F64 | None = None) -> Cells:
        """Impressions and clicks by cell, each search counted `weight` times, (n_searches,)."""
        times = np.ones(len(self._search)) if weight is None else weight[self._search]
        n = len(self._cells)
        return Cells(
            pair=self._cells // max(self._depth, 1),
            rank=self._cells % max(self._depth, 1),
            seen=total_by(self._cell, times, n),
            clicked=total_by(self._cell, times * self._clicked, n),
            n_pairs=self._n_pairs,
            depth=self._depth,
        )


def fit_position_based(cells: Cells, *, iterations: int = 2000, tolerance: float = 1e-6) -> PositionBased:
    """Maximum likelihood by EM.

    Args:
        cells: `Impressions.count`.
        iterations: at most so many.
        tolerance: stop when one step moves no probability by more.
    """
    missed = cells.seen - cells.clicked
    seen_rank = total_by(cells.rank, cells.seen, cells.depth)
    seen_pair = total_by(cells.pair, cells.seen, cells.n_pairs)

    def split(x: F64) -> tuple[F64, F64]:
        p = expit(x)
        return np.append(1.0, p[: cells.depth - 1]), p[cells.depth - 1 :]

    def step(x: F64) -> F64:
        exam, attract = split(x)
        e, a = exam[cells.rank], attract[cells.pair]
        unclicked = 1 - e * a
        looked = cells.clicked + missed * e * (1 - a) / unclicked  # expected examinations
        liked = cells.clicked + missed * a * (1 - e) / unclicked  # expected attractions
        exam = _ratio(total_by(cells.rank, looked, cells.depth), seen_rank)
        attract = _ratio(total_by(cells.pair, liked, cells.n_pairs), seen_pair)
        return logit(np.append(exam[1:], attract))

    def likelihood(x: F64) -> float:
        exam, attract = split(x)
        p = exam[cells.rank] * attract[cells.pair]
        return float((cells.clicked * np.log(p) + missed * np.log1p(-p)).sum())

    x, steps = squarem(step, likelihood, logit(_start(cells)[1:]), iterations=iterations, tolerance=tolerance)
    exam, attract = split(x)
    relative = np.where(identified(cells), exam, np.nan)
    examined = total_by(cells.pair, cells.seen * np.nan_to_num(relative[cells.rank]), cells.n_pairs)
    return PositionBased(
        exam_prob=relative,
        attract_prob=np.where(seen_pair > 0, attract, np.nan),
        examined=examined,
        clicks=total_by(cells.pair, cells.clicked, cells.n_pairs),
        log_likelihood=likelihood(x),
        iterations=steps,
    )


def identified(cells: Cells) -> NDArray[np.bool_]:
    """Which ranks a chain of pairs, each with a click somewhere, joins with rank 1, shape (depth,).

    A pair without any click says nothing about examination: its attraction is estimated as 0.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not cells.depth:
        return np.zeros(0, dtype=bool)
    clicks = total_by(cells.pair, cells.clicked, cells.n_pairs)
    useful = (clicks[cells.pair] > 0) & (cells.seen > 0)
    size = cells.depth + cells.n_pairs
    edges = (cells.rank[useful], cells.depth + cells.pair[useful])
    graph = coo_array((np.ones(int(useful.sum())), edges), shape=(size, size))
    part = connected_components(graph, directed=False)[1][: cells.depth]
    same: NDArray[np.bool_] = part == part[0]
    clicked = total_by(cells.rank, cells.clicked, cells.depth) > 0
    return same & clicked


def _start(cells: Cells) -> F64:
    """1 / rank, and click rates."""
    seen = total_by(cells.pair, cells.seen, cells.n_pairs)
    clicks = total_by(cells.pair, cells.clicked, cells.n_pairs)
    return np.append(1 / np.arange(1, cells.depth + 1), (clicks + 0.5) / (seen + 1.0))


def _ratio(top: F64, bottom: F64) -> F64:
    return np.divide(top, bottom, out=np.full(len(top), 0.5), where=bottom > 0)
