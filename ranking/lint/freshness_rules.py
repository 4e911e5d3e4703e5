"""Profile rules about freshness: decays that do nothing, do everything, or run out of float32."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ranking.clock import DAY_MS, MS_PER, format_duration
from ranking.freshness import Freshness
from ranking.lint.registry import Hit, rule
from ranking.lint.rounding_rules import TYPICAL_REL
from ranking.profile import Profile

OLD_DAYS = 90  # an item of this age is still for sale
_HOUR_MS = MS_PER["h"]


@rule(
    "zero-freshness",
    level="profile",
    severity="warning",
    why="exp(-large) underflows: a gauss of 36 h gave 8,128 of 20,000 documents a score of exactly 0, "
    "ordered by nothing but the tie-break. Gauss falls fast: at scale 7d it is 0 after 87 days, at 14d "
    "after 174. A linear decay reaches 0 by design, at offset + scale / (1 - decay).",
    instead="a longer `scale`, or `curve: exp`, which at scale 14d stays above 0 for almost six years",
)
def zero_freshness(profile: Profile) -> Iterator[Hit]:
    """Items younger than 90 days already score exactly 0 in float32, and tie."""
    fresh = profile.freshness
    if fresh is None:
        return
    age = zero_age_ms(fresh)
    if age <= OLD_DAYS * DAY_MS:
        severity = "warning" if fresh.curve == "linear" else "error"
        why = f"{fresh.curve} with scale {format_duration(fresh.scale)} is 0 from {age / DAY_MS:.3g} days on"
        yield Hit("freshness.scale", f"{why}: older items tie whatever the query", None, severity)  # type: ignore[arg-type]


@rule(
    "decay-out-of-sense",
    level="profile",
    why="`scale` and `offset` are durations: 14ms for 14d, or 14000d, is accepted and ranks by the newest "
    "second or not by age at all. `decay` is the factor at offset + scale; close to 0 or 1 it says that"
    " scale is wrong.",
    instead="set `scale` to the age at which an item is worth `decay` of a new one: `scale: 14d, decay: 0.5`",
)
def decay_out_of_sense(profile: Profile) -> Iterator[Hit]:
    """A decay that leaves nothing after an hour, or has no effect over a year, or a `decay` at its edge."""
    fresh = profile.freshness
    if fresh is None:
        return
    hour, year = (_at(fresh, age) for age in (_HOUR_MS + fresh.offset, 365 * DAY_MS))
    if hour < 0.01:
        yield Hit("freshness.scale", f"one hour past the offset the factor is {hour:.2g}")
    elif fresh.offset >= 365 * DAY_MS:
        yield Hit("freshness.offset", f"nothing decays within {format_duration(fresh.offset)}")
    elif year > 0.99:
        yield Hit("freshness.scale", f"after a year the factor is still {year:.4g}")
    if not 0.01 <= fresh.decay <= 0.99:
        yield Hit("freshness.decay", f"decay {fresh.decay:g} at the scale", None, "warning")


@rule(
    "missing-date-fresh",
    level="profile",
    severity="warning",
    why="The server's decay functions take a document without the date as distance 0: factor 1, as fresh as"
    " an item listed this second. The live rule `undated-items` counts them.",
    instead="write `freshness.missing`, such as 0.5, or suppress this where every item has a date",
)
def missing_date_fresh(profile: Profile) -> Iterator[Hit]:
    """A document without `created_at` counts as perfectly fresh."""
    if profile.freshness is not None and profile.freshness.missing == 1:
        yield Hit("freshness.missing", "items without created_at get 1, the factor of a new item")


def zero_age_ms(fresh: Freshness) -> float:
    """The age from which on a typical score times the factor is exactly 0 in float32; up to 100 years."""
    low, high = 0.0, 100 * 365.0 * DAY_MS
    if _at(fresh, high) * TYPICAL_REL[1] > np.finfo(np.float32).smallest_subnormal / 2:
        return float("inf")
    while high - low > MS_PER["m"]:
        middle = (low + high) / 2
        with np.errstate(under="ignore"):
            zero = np.float32(_at(fresh, middle) * TYPICAL_REL[1]) == 0
        low, high = (low, middle) if zero else (middle, high)
    return high


def _at(fresh: Freshness, age_ms: float) -> float:
    return float(fresh.score(np.array([-age_ms]), 0)[0])
