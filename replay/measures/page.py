"""The first k of every search as one matrix: what every measure at k looks at.

The engine's order decides ties: score, then `item_id`. trec_eval and ir_measures break ties by descending
document id, whatever was shown to the user; hand them ranks instead of scores to get equal values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replay.engine import Ranking
from replay.log import CaptureLog

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Page:
    """The first k places of every search."""

    at: NDArray[np.int64]  # (n_searches, k): positions of candidates; meaningless where not shown
    shown: NDArray[np.bool_]  # (n_searches, k): False past the end of a short page

    @property
    def ranks(self) -> NDArray[np.int64]:
        """1-based ranks of the columns, (k,)."""
        return np.arange(1, self.at.shape[1] + 1)

    @property
    def discount(self) -> F64:
        """1 / log2(rank + 1) of the columns, (k,)."""
        return np.asarray(1 / np.log2(self.ranks + 1.0))

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """A column of the candidates on the page, (n_searches, k); look only where `shown`."""
        return values[self.at] if len(values) else np.zeros(self.at.shape, dtype=values.dtype)

    def mean(self, values: F64) -> F64:
        """Mean over the shown items that have a value, (n_searches,); NaN where none has one."""
        return self.mean_of(self.of(values))

    def mean_of(self, found: F64) -> F64:
        """`mean` of values that are on the page already, (n_searches, k)."""
        counted = self.shown & ~np.isnan(found)
        return ratio(np.where(counted, found, 0.0).sum(axis=1), counted.sum(axis=1))

    def only(self, kept: NDArray[np.bool_], k: int | None) -> Page:
        """The page without the items that are not kept, closed up, its first k places."""
        shown = self.shown & kept
        order = np.argsort(~shown, axis=1, kind="stable")[:, :k]
        return Page(np.take_along_axis(self.at, order, axis=1), np.take_along_axis(shown, order, axis=1))


def page(log: CaptureLog, ranking: Ranking, k: int | None) -> Page:
    """The first k of each search, or all of them where k is None."""
    counts = np.diff(log.offsets)
    width = int(counts.max(initial=0)) if k is None else k
    at = log.offsets[:-1, None] + np.arange(width)
    shown = at < log.offsets[1:, None]
    at = np.minimum(at, max(log.n_candidates - 1, 0))
    if log.n_candidates:
        at = ranking.order[at]
        shown &= ranking.eligible[at]
    return Page(at, shown)


def ratio(above: NDArray[Any], below: NDArray[Any]) -> F64:
    """above / below, NaN where below is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(below > 0, above / below, np.nan)
