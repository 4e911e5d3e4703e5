"""A score that does not come out bit for bit, taken apart: what was said, and each part of the formula."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ranking.clock import DAY_MS
from ranking.explain import Explanation
from ranking.formula import score_parts
from ranking.profile import Profile
from replay.log import CaptureLog
from replay.parity import Failure, ulp_distance


@dataclass(frozen=True, slots=True)
class FailureParts:
    """One score that differs."""

    search_id: str
    query: str
    profile: str
    item_id: str
    rank: int
    said: float  # by the log, or by the cluster
    recomputed: float
    ulp: int  # float32 steps between the two
    rel: float
    image_score: float | None  # as indexed
    image: float | None  # after `missing`, AI rule and transform; None where it was not kept
    combined: float  # relevance and image
    freshness: float
    age_days: float | None
    factors: Mapping[str, float]  # by the factor's place and field

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)

    @property
    def sentence(self) -> str:
        """For people, in one line."""
        factors = "".join(f", {name} {value:.9g}" for name, value in self.factors.items())
        image = "" if self.image is None else f" -> {self.image:.9g}"
        return (
            f"{self.query!r} rank {self.rank} {self.item_id} under {self.profile}: said {self.said!r}, "
            f"formula {self.recomputed!r}, {self.ulp} ulp; rel {self.rel!r}, "
            f"image {self.image_score!r}{image}, combined {self.combined:.9g}, "
            f"freshness {self.freshness:.9g} at age {self.age_days!r} d{factors}"
        )


def failure_parts(log: CaptureLog, failures: Iterable[Failure]) -> list[FailureParts]:
    """The parts behind failures of `replay.verify`, at each search's own clock and profile."""
    place = {str(name): i for i, name in enumerate(log.searches["search_id"])}
    found = []
    for failure in failures:
        i = place[failure.search_id]
        span = log.span(i)
        here = np.flatnonzero(log.item_id[span] == failure.item_id) + span.start
        profile = log.profiles[log.searches["profile_hash"][i]]
        now_ms = int(log.searches["now_ms"][i])
        parts = score_parts(profile, log.docs[here[:1]], now_ms)
        created = float(log.docs.created_ms[here[0]])
        found.append(
            FailureParts(
                search_id=failure.search_id,
                query=failure.query,
                profile=profile.name,
                item_id=failure.item_id,
                rank=failure.rank,
                said=failure.logged,
                recomputed=failure.recomputed,
                ulp=failure.ulp,
                rel=failure.rel,
                image_score=failure.image_score,
                image=float(parts.image[0]),
                combined=float(parts.combined[0]),
                freshness=float(parts.freshness[0]),
                age_days=None if np.isnan(created) else (now_ms - created) / DAY_MS,
                factors=_named(profile, [float(values[0]) for values in parts.factors]),
            )
        )
    return found


def explained_failure(search_id: str, query: str, profile: Profile, row: Explanation) -> FailureParts:
    """The same for a score of the live cluster."""
    said = float("nan") if row.score is None else row.score
    pair = np.array([[said], [row.recomputed]], dtype=np.float32)
    return FailureParts(
        search_id=search_id,
        query=query,
        profile=profile.name,
        item_id=row.item_id,
        rank=row.rank or 0,
        said=said,
        recomputed=row.recomputed,
        ulp=int(ulp_distance(pair[0], pair[1])[0]),
        rel=row.rel,
        image_score=row.image_score,
        image=None,
        combined=row.combined,
        freshness=row.freshness,
        age_days=row.age_days,
        factors=_named(profile, row.factors),
    )


def _named(profile: Profile, values: Iterable[float]) -> dict[str, float]:
    pairs = zip(profile.factors, values, strict=True)
    return {f"factor {n} ({factor.field})": value for n, (factor, value) in enumerate(pairs, start=1)}
