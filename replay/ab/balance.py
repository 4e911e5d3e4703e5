"""Sample ratio mismatch: are there as many users in each arm as were assigned?

Where not, assignment or logging is broken, and users of the arms are no longer alike: every figure is in
doubt, and no test repairs it. Chi-square goodness of fit at 0.001. Source: Fabijan et al., "Diagnosing sample
ratio mismatch in online controlled experiments", 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ranking.errors import InputError
from replay.ab.users import ALL, Users

LEVEL = 0.001


@dataclass(frozen=True, slots=True)
class Balance:
    """Users counted against users expected, on one platform."""

    platform: str
    counts: dict[str, int]
    expected: dict[str, float]
    chi2: float
    p: float

    @property
    def mismatch(self) -> bool:
        """Whether chance does not explain it."""
        return self.p < LEVEL

    @property
    def says(self) -> str:
        """One sentence."""
        of = sum(self.counts.values())
        shares = ", ".join(
            f"{name} {n} ({n / of:.2%} instead of {self.expected[name] / of:.2%})"
            for name, n in self.counts.items()
        )
        verdict = "SAMPLE RATIO MISMATCH" if self.mismatch else "as assigned"
        return f"{verdict} on {self.platform}: {shares}; chi-square {self.chi2:.1f}, p {self.p:.2g}"


def balances(users: Users, split: Mapping[str, float] | None = None) -> list[Balance]:
    """The check for all users and for each platform.

    Args:
        users: the accepted users.
        split: weight of each variant in the assignment; None for equal ones.

    Raises:
        InputError: the split does not name just the variants of the data, or a weight is not above 0.
    """
    weights = dict(split) if split is not None else dict.fromkeys(users.variants, 1.0)
    if set(weights) != set(users.variants):
        raise InputError(
            f"the split names {', '.join(sorted(weights))}, the users are in {', '.join(users.variants)}"
        )
    if min(weights.values()) <= 0:
        raise InputError("each weight of the split must be above 0")
    total = sum(weights.values())
    found = []
    for platform in (ALL, *users.platforms):
        counts = users.counts(platform)
        n = sum(counts.values())
        expected = {name: n * weights[name] / total for name in counts}
        chi2, p = stats.chisquare(np.array(list(counts.values())), np.array(list(expected.values())))
        found.append(Balance(platform, counts, expected, float(chi2), float(p)))
    return found
