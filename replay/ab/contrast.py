"""One arm against another: Welch's t, the delta method for ratios, CUPED.

    t  = (m1 - m0) / sqrt(v1 / n1 + v0 / n0), with Welch and Satterthwaite's degrees of freedom

For a ratio of sums R = sum y / sum x, the users are the unit: v is the variance of (y - R x) / mean(x), the
delta method (Deng et al., "Applying the delta method in metric analytics", 2018). For CUPED, y becomes
y - theta (c - mean c) with theta = cov(y, c) / var(c) within arms, c from before the experiment (Deng et al.,
"Improving the sensitivity of online controlled experiments", 2013). The quotient of the two arms has an
interval on the log scale by the delta method.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Arm:
    """What a metric is in one arm."""

    n: int  # users
    value: float
    variance: float  # of one user's contribution, with n - 1

    @property
    def error(self) -> float:
        """Standard error of the value."""
        return math.sqrt(self.variance / self.n)


@dataclass(frozen=True, slots=True)
class Contrast:
    """A variant against the control."""

    control: Arm
    variant: Arm
    delta: float  # variant - control
    error: float  # standard error of delta
    t: float | None  # None where neither arm varies
    df: float
    p: float | None  # two-sided
    low: float | None  # 95 % interval of delta
    high: float | None
    ratio: float | None  # variant / control; None where the control is not above 0
    ratio_low: float | None
    ratio_high: float | None


def mean_arm(y: F64) -> Arm:
    """An arm of a mean per user; `y` has shape (n_users,), n_users >= 2."""
    return Arm(len(y), float(y.mean()), float(y.var(ddof=1)))


def ratio_arm(y: F64, x: F64) -> Arm:
    """An arm of a ratio of sums, by the delta method; NaN where the denominators sum to 0."""
    below = float(x.mean())
    if below == 0:
        return Arm(len(y), math.nan, math.nan)
    value = float(y.mean()) / below
    return Arm(len(y), value, float(((y - value * x) / below).var(ddof=1)))


def cuped_arms(y: tuple[F64, F64], c: tuple[F64, F64]) -> tuple[Arm, Arm, float]:
    """Control and variant with what was known before taken out, and the share of variance that is gone.

    Args:
        y: the metric in control and variant, (n_users,) each.
        c: the covariate of the same users; NaN counts as the mean of both arms: it moves nothing.
    """
    pooled = np.concatenate(c)
    middle = float(np.nanmean(pooled)) if not np.isnan(pooled).all() else 0.0
    filled = [np.nan_to_num(side, nan=middle) for side in c]
    within = [side - side.mean() for side in filled]
    spread = sum(float((side**2).sum()) for side in within)
    shared = sum(float((side * arm).sum()) for side, arm in zip(within, y, strict=True))
    theta = shared / spread if spread > 0 else 0.0
    everyone = float(np.concatenate(filled).mean())
    arms = [mean_arm(arm - theta * (side - everyone)) for arm, side in zip(y, filled, strict=True)]
    before = sum(mean_arm(arm).variance / len(arm) for arm in y)
    after = sum(arm.variance / arm.n for arm in arms)
    return arms[0], arms[1], 1 - after / before if before > 0 else 0.0


def contrast(control: Arm, variant: Arm, *, pooled: bool = False) -> Contrast:
    """Compare two arms.

    Args:
        control: the baseline.
        variant: the contender.
        pooled: Student's t with one variance for both, rather than Welch's.
    """
    delta = variant.value - control.value
    v0, v1 = control.variance / control.n, variant.variance / variant.n
    df: float
    if pooled:
        df = control.n + variant.n - 2
        shared = ((control.n - 1) * control.variance + (variant.n - 1) * variant.variance) / df
        error = math.sqrt(shared * (1 / control.n + 1 / variant.n))
    else:
        error = math.sqrt(v0 + v1)
        parts = v0**2 / (control.n - 1) + v1**2 / (variant.n - 1)
        df = (v0 + v1) ** 2 / parts if parts > 0 else math.nan
    ratio = variant.value / control.value if control.value > 0 else None
    if not error > 0:  # nothing varies, or nothing is known
        return Contrast(control, variant, delta, error, None, df, None, None, None, ratio, None, None)
    t = delta / error
    reach = float(stats.t.ppf(0.975, df))
    low = high = None
    if ratio is not None and ratio > 0:
        log_error = math.sqrt(v0 / control.value**2 + v1 / variant.value**2)
        low, high = ratio * math.exp(-reach * log_error), ratio * math.exp(reach * log_error)
    return Contrast(
        control=control,
        variant=variant,
        delta=delta,
        error=error,
        t=t,
        df=df,
        p=float(2 * stats.t.sf(abs(t), df)),
        low=delta - reach * error,
        high=delta + reach * error,
        ratio=ratio,
        ratio_low=low,
        ratio_high=high,
    )
