"""The same searches at other clocks: an hour, a day, a week later; and how the page changes.

A later clock says what the captured items would do: those created in between are in no log. With a history,
each item is taken as it was then, and what was sold by then is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranking.clock import format_duration
from ranking.profile import Profile
from replay.engine import Ranking, rank
from replay.history.asof import AsOf, AsOfSummary, as_of
from replay.history.store import History
from replay.log import CaptureLog
from replay.measures import age_days, entered, overlap, rbo
from replay.significance import clustered_interval


@dataclass(frozen=True, slots=True)
class Moment:
    """All searches of a log with their clocks moved."""

    log: CaptureLog  # with as-of values where there is a history
    clock_shift_ms: int
    present: NDArray[np.bool_] | None
    as_of: AsOfSummary | None

    def rank(self, profile: Profile) -> Ranking:
        """Every search under a profile at this moment."""
        return rank(self.log, profile, clock_shift_ms=self.clock_shift_ms, present=self.present)


def moment(
    log: CaptureLog, clock_shift_ms: int, history: History | None, statuses: Sequence[str] = ("on_sale",)
) -> Moment:
    """A log at a moved clock, as of the history where there is one.

    Args:
        log: the captured searches.
        clock_shift_ms: added to each search's clock.
        history: intervals of items.
        statuses: what a hit may be, as in the base query of the profiles that are compared.
    """
    if history is None:
        return Moment(log, clock_shift_ms, None, None)
    found: AsOf = as_of(log, history, clock_shift_ms=clock_shift_ms, statuses=statuses)
    return Moment(found.log, clock_shift_ms, found.present, found.summary)


@dataclass(frozen=True, slots=True)
class PageChange:
    """One profile's pages at a moved clock against its pages at the logged one, means over the searches."""

    profile: str
    clock_shift_ms: int
    k: int
    n: int  # searches
    overlap: float  # share of the moved page that was on the logged one
    overlap_low: float | None  # 95 % interval, clustered by query
    overlap_high: float | None
    rbo: float  # rank-biased overlap of both pages, p = 0.9
    age_days_before: float  # mean age on the page, each at its own clock
    age_days: float
    entered: float  # items per search that the logged page lacks
    left: float  # items per search that the moved page lacks
    proven: int  # searches whose first k are proven at both clocks

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)

    def row(self) -> dict[str, Any]:
        """As one line of a table."""
        known = self.overlap_low is not None and self.overlap_high is not None
        return {
            "profile": self.profile,
            "clock": _signed(self.clock_shift_ms),
            "n": self.n,
            f"overlap@{self.k}": f"{self.overlap:.4f}",
            "95 % interval": f"{self.overlap_low:.4f} to {self.overlap_high:.4f}" if known else "",
            "RBO": f"{self.rbo:.4f}",
            "mean age, days": f"{self.age_days_before:.2f} to {self.age_days:.2f}",
            "entered": f"{self.entered:.2f}",
            "left": f"{self.left:.2f}",
            "proven": self.proven,
        }


def page_changes(
    moments: Sequence[Moment],
    profiles: Sequence[Profile],
    *,
    k: int,
    advance: Callable[[int], object] = lambda _n: None,
) -> list[PageChange]:
    """How each profile's page changes with the clock.

    Args:
        moments: of one log; the first is compared with each of the others.
        profiles: as published.
        k: length of the page.
        advance: told 1 after each ranking.
    """
    first, *others = moments
    found = []
    for profile in profiles:
        before = first.rank(profile)
        for other in others:
            found.append(_change(first, other, before, other.rank(profile), k))
            advance(1)
    return found


def _change(first: Moment, other: Moment, before: Ranking, after: Ranking, k: int) -> PageChange:
    log = first.log
    shared = overlap(log, before, after, k)
    seen = ~np.isnan(shared)
    low, high, _ = clustered_interval(shared[seen], log.searches["query"][seen])
    need = np.minimum(k, np.diff(log.offsets))
    return PageChange(
        profile=after.profile.name,
        clock_shift_ms=other.clock_shift_ms,
        k=k,
        n=int(seen.sum()),
        overlap=_mean(shared),
        overlap_low=None if low is None else max(low, 0.0),
        overlap_high=None if high is None else min(high, 1.0),
        rbo=_mean(rbo(log, before, after, k)),
        age_days_before=_mean(age_days(log, before, k)),
        age_days=_mean(age_days(other.log, after, k)),
        entered=_mean(entered(log, before, after, k)[seen]),
        left=_mean(entered(log, after, before, k)[seen]),
        proven=int(((before.exact_k >= need) & (after.exact_k >= need)).sum()),
    )


def _mean(values: NDArray[np.float64]) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")


def _signed(ms: int) -> str:
    return f"{'-' if ms < 0 else '+'}{format_duration(abs(ms))}"
