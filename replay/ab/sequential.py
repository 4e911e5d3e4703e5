"""Intervals that may be looked at every day: they cover the truth at all looks together.

The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central
limit theory and asymptotic confidence sequences", Annals of Statistics 2024, Theorem 2.2, for the difference
of two means with standard error s after n users:

    delta ± s * sqrt(2 (m + 1) / m * log(sqrt(m + 1) / alpha)),    m = n rho²

rho is chosen so that the interval is narrowest near a number of users planned beforehand (their equation
for rho at t*). The p value is one over the likelihood ratio that normal mixing gives: the mSPRT of Johari,
Koomen, Pekelis and Walsh, "Always valid inference", 2022.
"""

from __future__ import annotations

import math

PLANNED = 100_000  # users for which the interval is narrowest, unless said otherwise


def always_valid(
    delta: float, error: float, n: int, *, planned: int = PLANNED, alpha: float = 0.05
) -> tuple[float, float, float] | None:
    """Interval and p value of a difference that hold however often one looks, and whenever one stops.

    Args:
        delta: variant - control so far.
        error: its standard error so far, > 0.
        n: users of both arms so far.
        planned: users of both arms for which the interval is to be narrowest; fixed before the first look.
        alpha: probability that any interval of the whole experiment misses.

    Returns:
        low, high, p; None where the error is 0 or unknown.
    """
    if not (error > 0 and math.isfinite(error)):
        return None
    m = n * _rho2(planned, alpha)
    reach = error * math.sqrt(2 * (m + 1) / m * math.log(math.sqrt(m + 1) / alpha))
    z2 = (delta / error) ** 2
    log_p = 0.5 * math.log(m + 1) - z2 * m / (2 * (m + 1))
    return delta - reach, delta + reach, min(1.0, math.exp(min(log_p, 0.0)))


def _rho2(planned: int, alpha: float) -> float:
    wanted = -2 * math.log(alpha)
    return (wanted + math.log(wanted + 1)) / planned
