"""A page taken apart: each hit's score as its parts, and whether our formula gives it bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ranking.capture import CapturedItem
from ranking.clock import DAY_MS
from ranking.formula import Candidates, Parts, score_parts
from ranking.profile import Profile


@dataclass(frozen=True, slots=True)
class Explanation:
    """One hit; `combined * freshness`, rounded as the execution rounds, is `recomputed`."""

    rank: int | None
    item_id: str
    score: float | None  # as the server returned it
    rel: float  # relevance of the base query
    image_score: float | None  # as indexed; None where unscored
    image_part: float  # what the image changed: combined - rel
    combined: float  # relevance and image together
    freshness: float  # factor in [0, 1]
    age_days: float | None
    recomputed: float  # our formula's score
    exact: bool | None  # recomputed equals score, bit for bit; None where nothing was served

    def row(self) -> dict[str, Any]:
        """As one JSON object, or one line of a table."""
        return asdict(self)


def candidates(items: Sequence[CapturedItem]) -> Candidates:
    """The formula's arrays for captured items, in their order."""

    def column(values: list[float | int | None]) -> list[float]:
        return [np.nan if value is None else float(value) for value in values]

    return Candidates(
        rel=np.array([item.rel for item in items], dtype=np.float32),
        image_score=np.array(column([item.image_score for item in items]), dtype=np.float32),
        created_ms=np.array(column([item.created_ms for item in items]), dtype=np.float64),
    )


def explain_items(profile: Profile, items: Sequence[CapturedItem], now_ms: int) -> list[Explanation]:
    """Each item's score as its parts, under a profile resolved for its platform, at the clock `now_ms`."""
    parts = score_parts(profile, candidates(items), now_ms)
    return [_explain(item, parts, i, now_ms) for i, item in enumerate(items)]


def _explain(item: CapturedItem, parts: Parts, i: int, now_ms: int) -> Explanation:
    recomputed = float(parts.final[i])
    combined = float(parts.combined[i])
    return Explanation(
        rank=item.rank,
        item_id=item.item_id,
        score=item.score,
        rel=item.rel,
        image_score=item.image_score,
        image_part=combined - item.rel,
        combined=combined,
        freshness=float(parts.freshness[i]),
        age_days=None if item.created_ms is None else (now_ms - item.created_ms) / DAY_MS,
        recomputed=recomputed,
        exact=None if item.score is None else recomputed == item.score,
    )
