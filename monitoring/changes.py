"""Change points of a daily series, at a false alarm rate that is stated and tried.

The days' values become ranks, so that one wild day is one high rank and no distribution is assumed.
`ruptures` (PELT on squared error, exact) splits the series wherever that lowers the cost by more than a
penalty. The penalty is not chosen by eye: it is what the best single split of the same days in random order
stays below with probability 1 - `false_alarms`.

Assumption: without a change, days could be swapped. Weekdays differ, so from three weeks on the median of
each weekday is taken out first. Days that follow their neighbours (autocorrelation) break it, and give more
false alarms than stated: docs/monitoring.md has the figures, tests/unit/monitoring/test_changes.py tries it.

Sources: Killick, Fearnhead and Eckley, "Optimal detection of changepoints with a linear computational cost",
JASA 2012; Truong, Oudre and Vayatis, "Selective review of offline change point detection methods", 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

MIN_DAYS: Final = 3  # on either side of a change: it is seen on its third day
LEAST: Final = 14  # days without which nothing is looked for
WEEKS: Final = 21  # days from which on weekdays are taken out
PERMUTATIONS: Final = 1_000
FALSE_ALARMS: Final = 0.01
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Change:
    """The level before and from a day on, up to the next change."""

    day: str
    before: float  # median since the change before, or the first day
    after: float


def find_changes(
    days: Sequence[str], values: Sequence[float], *, false_alarms: float = FALSE_ALARMS
) -> list[Change]:
    """Days from which on the level is another.

    Args:
        days: such as `2026-11-20`, ascending; days may be missing.
        values: finite, one per day.
        false_alarms: probability that a series without a change has any.

    Returns:
        In order; none where there are fewer than `LEAST` days or all values are equal.
    """
    import ruptures

    if len(values) < LEAST:
        return []
    found = np.asarray(values, dtype=np.float64)
    weekdays = np.array([date.fromisoformat(day).weekday() for day in days])
    if len(values) < WEEKS:
        weekdays[:] = 0
    level = _without_weekdays(found[None, :], weekdays)
    ranks = rankdata(level[0])
    if np.ptp(ranks) == 0:
        return []
    penalty = _penalty(level, weekdays, false_alarms)
    ends = ruptures.KernelCPD(kernel="linear", min_size=MIN_DAYS).fit(ranks[:, None]).predict(pen=penalty)
    starts = [0, *ends]
    return [
        Change(
            day=days[at],
            before=float(np.median(found[starts[i] : at])),
            after=float(np.median(found[at : ends[i + 1]])),
        )
        for i, at in enumerate(ends[:-1])
    ]


def _without_weekdays(values: F64, weekdays: NDArray[np.int64]) -> F64:
    """Less the median of each weekday, (n_series, n_days); rounded, so that equal days stay equal."""
    level = np.empty_like(values)
    for one in np.unique(weekdays):
        mine = weekdays == one
        level[:, mine] = values[:, mine] - np.median(values[:, mine], axis=1, keepdims=True)
    return np.round(level, 12)


def _penalty(level: F64, weekdays: NDArray[np.int64], false_alarms: float) -> float:
    """What the gain of the best single split of shuffled days exceeds with probability `false_alarms`.

    Shuffled days lose their weekdays' medians as the true ones did: with few weeks, that alone changes
    what chance looks like.
    """
    rng = np.random.default_rng(0)
    shuffled = rng.permuted(np.repeat(level, PERMUTATIONS, axis=0), axis=1)
    ranks = rankdata(_without_weekdays(shuffled, weekdays), axis=1)
    n = ranks.shape[1]
    size = np.arange(MIN_DAYS, n - MIN_DAYS + 1)
    left = np.cumsum(ranks - (n + 1) / 2, axis=1)[:, size - 1]
    gain = (left**2 * n / (size * (n - size))).max(axis=1)
    return float(np.quantile(gain, 1 - false_alarms))


__all__ = ["FALSE_ALARMS", "LEAST", "MIN_DAYS", "Change", "find_changes"]
