"""What a winner must keep: any measure at most or at least a number, or not worse than the baseline.

`ai_share@10 <= 0.2`, `price@10 >= 3000`, `freshness@10 not lower`, `age@10 not higher`. Means are compared,
over the searches where the measure is defined under both sides.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from ranking.errors import InputError
from replay.measures import Measure, measure

Rule = Literal["<=", ">=", "not lower", "not higher"]
_PATTERN = re.compile(
    r"^(?P<measure>.+?)\s*(?:(?P<sign><=|>=)\s*(?P<limit>\S+)|\s(?P<words>not (?:lower|higher)))$"
)


@dataclass(frozen=True, slots=True)
class Constraint:
    """One measure and what its mean must keep."""

    measure: Measure
    rule: Rule
    limit: float | None = None  # None: the baseline's mean

    def __str__(self) -> str:
        end = "" if self.limit is None else f" {self.limit:g}"
        return f"{self.measure.name} {self.rule}{end}"

    def excess(self, value: float, baseline: float) -> float:
        """By how much it is broken; 0 or less where it holds, infinity where the mean is not defined."""
        limit = baseline if self.limit is None else self.limit
        above = value - limit if self.rule in ("<=", "not higher") else limit - value
        return math.inf if math.isnan(above) else above

    def holds(self, value: float, baseline: float) -> bool:
        """Whether a candidate with this mean may win."""
        return self.excess(value, baseline) <= 0


def parse_constraint(text: str) -> Constraint:
    """A constraint of an option.

    Raises:
        InputError: it is none, or there is no such measure.
    """
    found = _PATTERN.match(" ".join(text.split()))
    if found is None:
        raise InputError(
            f"{text!r} is no constraint", hint="for example 'ai_share@10 <= 0.2' or 'freshness@10 not lower'"
        )
    what = measure(found["measure"])
    if found["words"]:
        return Constraint(what, "not lower" if found["words"] == "not lower" else "not higher")
    try:
        limit = float(found["limit"])
    except ValueError:
        raise InputError(f"{text!r}: {found['limit']!r} is not a number") from None
    if not math.isfinite(limit):
        raise InputError(f"{text!r}: the limit must be finite")
    return Constraint(what, "<=" if found["sign"] == "<=" else ">=", limit)
