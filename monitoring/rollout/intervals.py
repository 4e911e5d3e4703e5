"""Intervals of canary against control that hold at every look, for ratios of means and for quantiles.

`reach` is the half-width of the confidence sequence of replay/ab/sequential.py in standard errors. A ratio of
two means has the set of all r for which 0 lies in the sequence of canary - r * control (Fieller, 1954), so it
covers at every look as the sequence does. A quantile q of each arm has the set of all x whose share of
searches up to x is not told apart from the wanted share: the sequence needs to cover at x = q alone, so no
density is estimated and nothing assumed of the distribution. The two arms take half of alpha each.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from replay.ab.contrast import Arm, ratio_arm
from replay.ab.sequential import always_valid

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
EVERYTHING = (-math.inf, math.inf)


def reach(n: int, *, planned: int, alpha: float) -> float:
    """Half-width of the always-valid interval after n users of both arms, in standard errors."""
    found = always_valid(0.0, 1.0, n, planned=planned, alpha=alpha)
    assert found is not None
    return found[1]


def cautious(control: Arm, canary: Arm) -> Arm:
    """The canary with at least the control's variance.

    A few hundred users of whom nobody bought yet have no variance of their own; that is not precision.
    """
    return Arm(canary.n, canary.value, max(canary.variance, control.variance))


def difference(control: Arm, canary: Arm, wide: float) -> tuple[float, float]:
    """Canary - control."""
    delta = canary.value - control.value
    far = wide * math.hypot(control.error, canary.error)
    return delta - far, delta + far


def relative_change(control: Arm, canary: Arm, wide: float) -> tuple[float, float]:
    """Canary / control - 1; without bounds where the control is not told apart from 0."""
    a = control.value**2 - (wide * control.error) ** 2
    if not a > 0:
        return EVERYTHING
    b = control.value * canary.value
    c = canary.value**2 - (wide * canary.error) ** 2
    root = math.sqrt(max(b * b - a * c, 0.0))
    return (b - root) / a - 1, (b + root) / a - 1


def quantile(values: F64, share: float) -> float:
    """The smallest value up to which at least this share lies; NaN of nothing."""
    if not len(values):
        return math.nan
    return float(np.sort(values)[max(math.ceil(share * len(values)) - 1, 0)])


def quantile_interval(
    values: F64, owner: I64, n_users: int, share: float, wide: float
) -> tuple[float, float]:
    """Where the quantile of one arm lies, at every look.

    Args:
        values: one of each search.
        owner: the user of each search, in [0, n_users).
        n_users: of the arm.
        share: such as 0.95.
        wide: `reach` at this arm's part of alpha.
    """
    if len(values) < 2 or n_users < 2:
        return EVERYTHING
    points = np.unique(values)
    searches = np.bincount(owner, minlength=n_users).astype(np.float64)
    # Never surer than independent searches would be at the quantile itself: at the edge nothing varies.
    least = math.sqrt(share * (1 - share) / len(values))

    def up_to(i: int) -> tuple[float, float]:
        below = np.bincount(owner, weights=values <= points[i], minlength=n_users).astype(np.float64)
        arm = ratio_arm(below, searches)
        far = wide * max(arm.error, least)
        return arm.value - far, arm.value + far

    low = _first(len(points), lambda i: up_to(i)[1] >= share)
    high = _first(len(points), lambda i: up_to(i)[0] >= share)
    return (
        float(points[low]) if low < len(points) else math.inf,
        float(points[high]) if high < len(points) else math.inf,
    )


def _first(n: int, holds: Callable[[int], bool]) -> int:
    """The first index at which a condition that stays true holds; n where it never does."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


__all__ = [
    "EVERYTHING",
    "cautious",
    "difference",
    "quantile",
    "quantile_interval",
    "reach",
    "relative_change",
]
