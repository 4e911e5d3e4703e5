"""Clicks over expected clicks: an item's clicks by what its ranks get on average (Zhang and Jones 2007).

    COEC[d] = clicks[d] / sum over impressions of d of click_rate[rank]

1 is average. It corrects for rank only as far as items were put at ranks regardless of their appeal: click
rates of rank hold the better items of the upper ranks too, so COEC understates differences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replay.clicks.cascade import by_pair
from replay.clicks.pages import Pages

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Coec:
    """Clicks over expected clicks."""

    click_rate: F64  # (depth,): clicks per impression at each rank; NaN where nothing was shown
    ratio: F64  # (n_pairs,); NaN where no click was expected
    expected: F64  # (n_pairs,): expected clicks
    clicks: F64  # (n_pairs,)


def fit_coec(pages: Pages) -> Coec:
    """Count."""
    shown = pages.pair >= 0
    seen = shown.sum(axis=0).astype(np.float64)
    rate = np.divide(pages.clicks.sum(axis=0), seen, out=np.full(len(seen), np.nan), where=seen > 0)
    expected = by_pair(pages, np.where(shown, np.nan_to_num(rate), 0.0))
    clicks = by_pair(pages, pages.clicks)
    ratio = np.divide(clicks, expected, out=np.full(len(clicks), np.nan), where=expected > 0)
    return Coec(rate, ratio, expected, clicks)
