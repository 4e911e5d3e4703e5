"""What an experiment is measured by: means per user and ratios of sums.

    BCR                    buyers' conversion rate: share of users who bought
    BCR (via search)       share of users who bought an item that they found by search
    ATPU                   average transactions per user
    ATPU (via search)      the same, of items found by search
    clicks per search      a ratio of sums, whose unit of analysis is still the user

The first four are those of the Image Score paper (2024), Table 2.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError
from replay.ab.users import Users

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metric:
    """A mean per user of a column, or the ratio of two columns' sums."""

    name: str
    column: str
    any_of: bool = False  # whether the number is above 0, rather than the number
    per: str | None = None  # denominator of a ratio

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads."""
        return (self.column,) if self.per is None else (self.column, self.per)

    def values(self, users: Users) -> F64:
        """The numerator of every user."""
        found = users.columns[self.column]
        return (found > 0).astype(np.float64) if self.any_of else found

    def covariate(self, users: Users) -> F64 | None:
        """The same number before the experiment, NaN where unknown; None where the data lack it."""
        found = users.columns.get(f"pre_{self.column}")
        if found is None or self.per is not None:
            return None
        return np.where(np.isnan(found), np.nan, found > 0) if self.any_of else found


PAPER = (
    Metric("BCR", "purchases", any_of=True),
    Metric("BCR (via search)", "purchases_via_search", any_of=True),
    Metric("ATPU", "purchases"),
    Metric("ATPU (via search)", "purchases_via_search"),
)
RATIOS = (
    Metric("clicks per search", "clicks", per="searches"),
    Metric("purchases per search", "purchases_via_search", per="searches"),
)
_SPELLED = re.compile(r"^(?:(?P<name>[^=]+)=)?(?P<column>\w+)(?:/(?P<per>\w+)|(?P<any>>0))?$")


def usual(columns: Collection[str]) -> list[Metric]:
    """The metrics that the columns allow.

    Raises:
        InputError: they allow none.
    """
    found = [
        metric
        for metric in (*PAPER, *RATIOS)
        if metric.column in columns and (metric.per is None or metric.per in columns)
    ]
    if not found:
        raise InputError(
            "the users have neither purchases nor clicks and searches",
            hint="name your own, for example --metric 'revenue per user=revenue'",
        )
    return found


def parse_metric(text: str) -> Metric:
    """A metric as users spell it: `revenue`, `ARPU=revenue`, `CTR=clicks/searches`, `BCR=purchases>0`.

    Raises:
        InputError: another spelling.
    """
    found = _SPELLED.match(text.strip().replace(" > 0", ">0"))
    if found is None:
        raise InputError(
            f"{text!r} is no metric", hint="for example revenue, CTR=clicks/searches or BCR=purchases>0"
        )
    return Metric(
        name=(found["name"] or text).strip(),
        column=found["column"],
        any_of=found["any"] is not None,
        per=found["per"],
    )
