"""Sample ratio mismatch that may be looked at every hour: as many users in the canary as were assigned?

    BF = B(a + n1, b + n0) / (B(a, b) share^n1 (1 - share)^n0),    p = min(1, 1 / BF)

with n1 users of the canary, n0 of the control, and a Beta(a, b) prior around the share. BF is a nonnegative
martingale where users are assigned as they should be, so p < level happens with probability below the level,
however often one looks (Ville). It is exact: no number of users is too small. Source: Lindon and Malek,
"Anytime-valid inference for multinomial count data", 2022.
"""

from __future__ import annotations

import math
from typing import Any, Final

from scipy import special

_special: Any = special
STRENGTH: Final = 100.0  # users that the prior weighs as much as


def mismatch_p(n_canary: int, n_control: int, share: float) -> float:
    """Always-valid p value of the counts.

    Args:
        n_canary: users of the canary.
        n_control: users of the control.
        share: of the canary as assigned, in (0, 1).
    """
    a, b = STRENGTH * share, STRENGTH * (1 - share)
    log_factor = float(_special.betaln(a + n_canary, b + n_control) - _special.betaln(a, b))
    log_factor -= n_canary * math.log(share) + n_control * math.log1p(-share)
    return math.exp(-max(log_factor, 0.0))


__all__ = ["mismatch_p"]
