"""The cascade model: users look from the top and stop at their first click (Craswell et al. 2008).

    P(first click at rank r) = attract_prob[d_r] * product over the ranks above of (1 - attract_prob)

The maximum of the likelihood is clicks / examinations, where the items down to the first click count as
examined, and the whole page where there was none. Later clicks are not explained and not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replay.clicks.clusters import total_by
from replay.clicks.pages import Pages

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cascade:
    """A fitted cascade model."""

    attract_prob: F64  # (n_pairs,); NaN for a pair that was never examined
    examined: F64  # (n_pairs,)
    clicks: F64  # (n_pairs,): first clicks
    later_clicks: int  # clicks that the model cannot explain


def fit_cascade(pages: Pages) -> Cascade:
    """Maximum likelihood, in closed form."""
    shown = pages.pair >= 0
    before: NDArray[np.int64] = np.cumsum(pages.clicks, axis=1) - pages.clicks
    looked = shown & (before == 0)
    first = pages.clicks & looked
    examined, clicks = by_pair(pages, looked), by_pair(pages, first)
    return Cascade(
        attract_prob=np.divide(clicks, examined, out=np.full(len(clicks), np.nan), where=examined > 0),
        examined=examined,
        clicks=clicks,
        later_clicks=int(pages.clicks.sum() - first.sum()),
    )


def by_pair(pages: Pages, values: NDArray[np.generic]) -> F64:
    """Sum over impressions, by pair, of values of shape (n_searches, depth); shape (n_pairs,)."""
    rows, ranks = np.nonzero(pages.pair >= 0)
    return total_by(
        pages.pair[rows, ranks], np.asarray(values[rows, ranks], dtype=np.float64), len(pages.pairs)
    )
