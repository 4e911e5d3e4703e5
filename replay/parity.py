"""Formula parity: does our formula, on the logged parts, give the logged scores and the logged order?

This says nothing about the index of today; `replay.live` asks that, and keeps the two apart.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replay.engine import rank_as_logged
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


def verify(log: CaptureLog) -> Parity:
    """Recompute every logged score and page under the profile that served it."""
    scores, order, known = rank_as_logged(log)
    served = (log.rank > 0) & known[log.owner]
    ulp = ulp_distance(scores[served], log.score[served])
    identical = _identical_pages(log, order, known)
    positions = np.flatnonzero(served)[ulp != 0][:_MAX_FAILURES]
    return Parity(
        scores=int(served.sum()),
        bit_equal=int((ulp == 0).sum()),
        worst_ulp=int(ulp.max(initial=0)),
        searches=int(known.sum()),
        identical_topk=int(identical.sum()),
        unknown_profile=int((~known).sum()),
        failures=[_failure(log, scores, int(p)) for p in positions],
    )


def ulp_distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many float32 steps lie between two arrays, value by value; +0 and -0 are the same value."""

    def line(x: NDArray[np.float32]) -> NDArray[np.int64]:
        bits = np.ascontiguousarray(x, dtype=np.float32).view(np.int32).astype(np.int64)
        return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)

    distance: NDArray[np.int64] = np.abs(line(a) - line(b))
    return distance


def _identical_pages(
    log: CaptureLog, order: NDArray[np.int64], known: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which searches come out as served: the candidate at place r is the one logged at rank r."""
    place = np.arange(log.n_candidates) - log.offsets[log.owner[order]] + 1
    n_served = np.bincount(log.owner, weights=log.rank > 0, minlength=len(log))
    on_page = place <= n_served[log.owner[order]]
    wrong = on_page & (log.rank[order] != place)
    n_wrong = np.bincount(log.owner[order], weights=wrong, minlength=len(log))
    identical: NDArray[np.bool_] = (n_wrong == 0) & known
    return identical


def _failure(log: CaptureLog, scores: NDArray[np.float32], p: int) -> Failure:
    i = int(log.owner[p])

    def optional(value: float) -> float | None:
        return None if np.isnan(value) else float(value)

    return Failure(
        search_id=str(log.searches["search_id"][i]),
        query=str(log.searches["query"][i]),
        item_id=str(log.item_id[p]),
        rank=int(log.rank[p]),
        logged=float(log.score[p]),
        recomputed=float(scores[p]),
        ulp=int(ulp_distance(scores[p : p + 1], log.score[p : p + 1])[0]),
        rel=float(log.docs.rel[p]),
        image_score=optional(log.docs.image_score[p]),
        created_ms=optional(log.docs.created_ms[p]),
    )
