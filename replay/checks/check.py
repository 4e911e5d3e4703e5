"""What one look at a log found: a verdict, how many of how many, and a sentence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Literal

Verdict = Literal["ok", "warning", "failed"]
MAX_EXAMPLES = 5
TOLERATED = 0.01  # share of findings up to which most checks warn, and above which they fail


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a log.

    A failed check says that figures from this log would be wrong; a warning, that they mean something else
    than they seem to, or that a few rows are off.
    """

    name: str  # such as "position holes"
    verdict: Verdict
    count: int  # findings
    of: int  # things looked at: searches, candidates or events, as `says` tells
    says: str  # one sentence
    examples: tuple[str, ...] = ()  # the first few findings

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self) | {"examples": list(self.examples)}


def found(
    name: str,
    count: int,
    of: int,
    says: str,
    *,
    fine: str,
    examples: Iterable[object] = (),
    tolerated: float = TOLERATED,
) -> Check:
    """A check whose verdict follows from the share of findings.

    Args:
        name: of the check.
        count: findings.
        of: things looked at.
        says: the sentence where there are findings.
        fine: the sentence where there are none.
        examples: of the findings; the first five are kept.
        tolerated: share of findings that still is a warning; 0: one finding fails, 1: none ever does.
    """
    if count == 0:
        return Check(name, "ok", 0, of, fine)
    verdict: Verdict = "failed" if count > tolerated * of else "warning"
    return Check(name, verdict, count, of, says, tuple(str(one) for one in islice(examples, MAX_EXAMPLES)))
