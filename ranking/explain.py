"""A page taken apart: each score as its parts, what each part did to the rank, and whether it is exact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranking import fields
from ranking.capture import CapturedItem
from ranking.clock import DAY_MS
from ranking.formula import F32, Candidates, Parts, rank_order, score_parts
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
    factors: tuple[float, ...]  # one per factor of the profile, in its order
    age_days: float | None
    recomputed: float  # our formula's score
    exact: bool | None  # recomputed equals score, bit for bit; None where nothing was served

    def row(self) -> dict[str, Any]:
        """As one JSON object, or one line of a table."""
        return asdict(self)


def candidates(items: Sequence[CapturedItem], profiles: Iterable[Profile] = ()) -> Candidates:
    """The formula's arrays for captured items, in their order.

    Args:
        items: page or window.
        profiles: whose factors will read them: a field that no item has is a column all the same.
    """

    def column(values: list[float | int | None]) -> list[float]:
        return [np.nan if value is None else float(value) for value in values]

    names = {name for item in items for name in item.extras}
    names |= {name for profile in profiles for name in profile.factor_fields}
    columns = {name: _column([item.extras.get(name) for item in items]) for name in sorted(names)}
    columns |= {
        fields.CATEGORY: np.array([item.category for item in items], dtype=object),
        fields.PRICE: np.array(column([item.price for item in items])),
        fields.AI_PROBABILITY: np.array(column([item.ai_prob for item in items])),
    }
    return Candidates(
        rel=np.array([item.rel for item in items], dtype=np.float32),
        image_score=np.array(column([item.image_score for item in items]), dtype=np.float32),
        created_ms=np.array(column([item.created_ms for item in items]), dtype=np.float64),
        ai_prob=np.array(column([item.ai_prob for item in items]), dtype=np.float32),
        columns=columns,
    )


def _column(values: list[str | float | None]) -> NDArray[Any]:
    """Numbers with NaN, or keywords with None, for what is absent."""
    if any(isinstance(value, str) for value in values):
        return np.array(values, dtype=object)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def explain_items(profile: Profile, items: Sequence[CapturedItem], now_ms: int) -> list[Explanation]:
    """Each item's score as its parts, under a profile resolved for its platform, at the clock `now_ms`."""
    parts = score_parts(profile, candidates(items, [profile]), now_ms)
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
        factors=tuple(float(factor[i]) for factor in parts.factors),
        age_days=None if item.created_ms is None else (now_ms - item.created_ms) / DAY_MS,
        recomputed=recomputed,
        exact=None if item.score is None else recomputed == item.score,
    )


@dataclass(frozen=True, slots=True)
class RankSteps:
    """The rank of each hit as the formula is put together, among the same candidates at every step."""

    stages: tuple[str, ...]  # `rel`, then those of `image`, `freshness`, `factors` that the profile has
    ranks: Mapping[str, tuple[int, ...]]  # by item_id, one rank per stage; the last is the page's
    candidates: int  # among how many
    complete: bool  # whether these are all matches; else the page and the most relevant ones

    def words(self, item_id: str) -> str:
        """Such as `12 → 7 → 3`."""
        return " → ".join(map(str, self.ranks[item_id]))

    @property
    def among(self) -> str:
        """Over what the ranks are taken, in words."""
        if self.complete:
            return f"all {self.candidates} matches"
        return f"{self.candidates} candidates: the page and the most relevant"


def rank_steps(
    profile: Profile, items: Sequence[CapturedItem], now_ms: int, *, complete: bool = False
) -> RankSteps:
    """What each part of the formula does to the rank of each candidate.

    Stages: relevance alone; with the image; with freshness; with the factors. A stage that the profile lacks
    is left out. Ties go to `item_id`, as on the server.

    Args:
        profile: resolved for its platform.
        items: the candidates: a page and the most relevant documents, in any order.
        now_ms: the clock.
        complete: whether `items` are all matches.
    """
    parts = score_parts(profile, candidates(items, [profile]), now_ms)
    scores: dict[str, F32] = {"rel": parts.rel}
    if profile.image.mode != "none":
        scores["image"] = parts.combined.astype(np.float32)
    if profile.freshness is not None:
        scores["freshness"] = (parts.combined * parts.freshness).astype(np.float32)
    if profile.factors:
        scores["factors"] = parts.final
    scores[list(scores)[-1]] = parts.final  # the last stage is the score itself, bit for bit
    ids = [item.item_id for item in items]
    ranks = np.empty((len(scores), len(ids)), dtype=np.int64)
    for stage, values in enumerate(scores.values()):
        ranks[stage, rank_order(values, np.array(ids))] = np.arange(1, len(ids) + 1)
    return RankSteps(
        stages=tuple(scores),
        ranks={one: tuple(int(rank) for rank in ranks[:, i]) for i, one in enumerate(ids)},
        candidates=len(ids),
        complete=complete,
    )
