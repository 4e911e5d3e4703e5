"""Formula parity: does our formula, on the logged parts, give the logged scores and the logged order?

This says nothing about the index of today; `replay.live` asks that, and keeps the two apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranking.draw import FORMULA_RANK
from replay.engine import LoggedRun, for_each_logged
from replay.imported import without_profile
from replay.log import CaptureLog

_MAX_FAILURES = 20


@dataclass(frozen=True, slots=True)
class Failure:
    """One logged score that the formula does not give."""

    search_id: str
    query: str
    item_id: str
    rank: int
    logged: float
    recomputed: float
    ulp: int
    rel: float
    image_score: float | None
    created_ms: float | None


@dataclass(frozen=True, slots=True)
class Parity:
    """What a verification compared, and how it came out."""

    scores: int  # logged scores compared
    bit_equal: int
    worst_ulp: int  # distance in float32 steps of the worst
    searches: int
    identical_topk: int  # searches whose page comes out item for item, in order
    unknown_profile: int  # searches that could not be compared
    failures: list[Failure] = field(default_factory=list)  # the first 20
    imported: int = 0  # searches from logs that do not say which formula served: nothing to recompute

    @property
    def holds(self) -> bool:
        """Every score bit for bit, every page item for item, every profile known."""
        return (
            self.bit_equal == self.scores
            and self.identical_topk == self.searches
            and not self.unknown_profile
        )

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self) | {"holds": self.holds}


def verify(log: CaptureLog, *, threads: int = 0) -> Parity:
    """Recompute every logged score and page under the profile that served it.

    Args:
        log: the captured searches.
        threads: 0 for one per core.
    """
    found: list[tuple[int, Parity]] = []
    places = formula_places(log)
    n_served = _counts(places > 0, log)

    def compare(run: LoggedRun) -> None:
        found.append((run.searches.start, _compare(log, run, places, n_served[run.searches])))

    for_each_logged(log, compare, down_to=n_served, threads=threads)
    return with_imported(log, merge(parity for _, parity in sorted(found, key=lambda one: one[0])))


def merge(parts: Iterable[Parity]) -> Parity:
    """Verifications of parts of a log as one; the first failures in the order of the parts."""
    total = Parity(0, 0, 0, 0, 0, 0)
    for part in parts:
        total = Parity(
            scores=total.scores + part.scores,
            bit_equal=total.bit_equal + part.bit_equal,
            worst_ulp=max(total.worst_ulp, part.worst_ulp),
            searches=total.searches + part.searches,
            identical_topk=total.identical_topk + part.identical_topk,
            unknown_profile=total.unknown_profile + part.unknown_profile,
            imported=total.imported + part.imported,
            failures=[*total.failures, *part.failures][:_MAX_FAILURES],
        )
    return total


def with_imported(log: CaptureLog, parity: Parity) -> Parity:
    """Count apart what cannot be verified because the log never said which formula served it."""
    if not parity.unknown_profile:
        return parity
    n = int(without_profile(log).sum())
    return replace(parity, unknown_profile=parity.unknown_profile - n, imported=n)


def formula_places(log: CaptureLog) -> NDArray[np.int32]:
    """Where the formula put each candidate, 1-based, 0 where it served none: its rank on the page.

    A page that was drawn or drafted from the formula's order (`ranking.explorer`, `ranking.interleaver`) says
    where that order had its items.
    """
    drawn = log.docs.columns.get(FORMULA_RANK)
    if drawn is None or drawn.dtype == object:
        return log.rank
    has_places = np.bincount(log.owner, weights=~np.isnan(drawn), minlength=len(log)) > 0
    places: NDArray[np.int32] = np.where(has_places[log.owner], np.nan_to_num(drawn), log.rank).astype(
        np.int32
    )
    return places


def ulp_distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many float32 steps lie between two arrays, value by value; +0 and -0 are the same value."""

    def line(x: NDArray[np.float32]) -> NDArray[np.int64]:
        bits = np.ascontiguousarray(x, dtype=np.float32).view(np.int32).astype(np.int64)
        return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)

    distance: NDArray[np.int64] = np.abs(line(a) - line(b))
    return distance


def _counts(values: NDArray[np.bool_], log: CaptureLog) -> NDArray[np.int64]:
    """How many of each search's candidates are True."""
    before = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(values, out=before[1:])
    counts: NDArray[np.int64] = before[log.offsets[1:]] - before[log.offsets[:-1]]
    return counts


def _compare(
    log: CaptureLog, run: LoggedRun, places: NDArray[np.int32], n_served: NDArray[np.int64]
) -> Parity:
    mine = run.candidates
    sizes = run.sizes
    expected, logged = places[mine], log.score[mine]
    served = (log.rank[mine] > 0) & (expected > 0)
    all_known = bool(run.known.all())
    if not all_known:
        served &= np.repeat(run.known, sizes)
    suspect = np.flatnonzero(served & ~(run.scores == logged))  # other bits, or NaN
    ulp = ulp_distance(run.scores[suspect], logged[suspect])
    failed = suspect[ulp != 0]
    # the candidate at place r must be the one that was served at rank r, as far as the page went
    wrong = (run.place <= np.repeat(n_served, sizes)) & (expected[run.order] != run.place)
    n_wrong = 0
    if wrong.any():
        of_each = np.repeat(np.arange(len(sizes)), sizes)
        differs = np.bincount(of_each[wrong], minlength=len(sizes)) > 0
        n_wrong = int((differs & run.known).sum())
    n_known = int(run.known.sum())
    return Parity(
        scores=int(served.sum()),
        bit_equal=int(served.sum()) - len(failed),
        worst_ulp=int(ulp.max(initial=0)),
        searches=n_known,
        identical_topk=n_known - n_wrong,
        unknown_profile=len(sizes) - n_known,
        failures=[_failure(log, float(run.scores[p]), int(p) + mine.start) for p in failed[:_MAX_FAILURES]],
    )


def _failure(log: CaptureLog, recomputed: float, p: int) -> Failure:
    i = int(np.searchsorted(log.offsets, p, side="right")) - 1

    def optional(value: float) -> float | None:
        return None if np.isnan(value) else float(value)

    return Failure(
        search_id=str(log.searches["search_id"][i]),
        query=str(log.searches["query"][i]),
        item_id=str(log.item_id[p]),
        rank=int(log.rank[p]),
        logged=float(log.score[p]),
        recomputed=recomputed,
        ulp=int(ulp_distance(np.array([recomputed], dtype=np.float32), log.score[p : p + 1])[0]),
        rel=float(log.docs.rel[p]),
        image_score=optional(log.docs.image_score[p]),
        created_ms=optional(log.docs.created_ms[p]),
    )
