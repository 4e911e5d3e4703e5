"""How small an effect a test can see, and how long it takes to see one.

    minimum detectable effect = (t at 1 - alpha / 2  +  t at power) * standard error

The standard error falls with the square root of the units, so with steady traffic an effect r times smaller
takes r^2 times the days. Source: Kohavi, Tang and Xu, "Trustworthy online controlled experiments", 2020,
chapter 17.
"""

from __future__ import annotations

import math

from scipy import stats

ALPHA = 0.05
POWER = 0.8


def minimum_effect(error: float, df: float, *, alpha: float = ALPHA, power: float = POWER) -> float | None:
    """The effect that a two-sided test finds with probability `power`, in the unit of `error`.

    Args:
        error: standard error of the effect, >= 0.
        df: degrees of freedom of its t statistic, > 0.
        alpha: significance level.
        power: probability to find it.

    Returns:
        None where the error is unknown.
    """
    if not (math.isfinite(error) and df > 0):
        return None
    return float((stats.t.ppf(1 - alpha / 2, df) + stats.t.ppf(power, df)) * error)


def days_needed(effect: float, minimum: float | None, days: float) -> float | None:
    """Days until `effect` is the minimum detectable effect, traffic staying as it was.

    Args:
        effect: the effect to be seen, in the unit of `minimum`.
        minimum: minimum detectable effect of the data so far.
        days: how many days that data took, > 0.

    Returns:
        Days from the beginning, not rounded; None for an effect of zero or an unknown minimum.
    """
    if minimum is None or effect == 0 or days <= 0:
        return None
    return float(days * (minimum / abs(effect)) ** 2)
