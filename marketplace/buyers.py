"""Simulated buyers: how they grade an item, and what they click. Nothing here was observed.

The click model is position based (Craswell et al. 2008, "An experimental comparison of click
position-bias models"): P(click) = exam_prob(rank, platform) * attract_prob(grade, platform, quality).
Both factors are public, so an off-policy estimate can be held against the truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from marketplace.items import Item
from marketplace.queries import Query
from ranking import fields

MAX_GRADE: Final = 4
WISH_WEIGHTS: Final[Mapping[str, float]] = {"colour": 0.4, "brand": 0.4, "condition": 0.2}
NO_PHOTO_QUALITY: Final = 0.1  # a listing without a photo appeals like one of the worst photos
UNKNOWN_QUALITY: Final = 0.5
AI_DISTRUST: Final = 0.5  # from this probability on, a photo is taken for generated ...
AI_QUALITY_CAP: Final = 0.4  # ... and appeals no more than this: the buyer does not trust it


@dataclass(frozen=True, slots=True)
class PlatformEffect:
    """How visitors of one platform behave.

    Web thumbnails are larger: photo quality moves web clicks, and hardly moves those on phones. That is the
    direction the Image Score paper found in its A/B test; the sizes are ours.
    """

    exam_decay: float  # exam_prob = rank ** -exam_decay
    quality_weight: float  # attract_prob is multiplied by exp(quality_weight * (quality - 0.5))


PLATFORM_EFFECTS: Final[Mapping[str, PlatformEffect]] = {
    "web": PlatformEffect(exam_decay=0.6, quality_weight=1.2),
    "ios": PlatformEffect(exam_decay=0.8, quality_weight=0.2),
    "android": PlatformEffect(exam_decay=0.8, quality_weight=0.1),
}

ATTRACT: Final = (0.01, 0.05, 0.12, 0.25, 0.45)  # attract_prob by grade, at quality 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One visit of a search page: who asked what, where and when."""

    search_id: str
    query: Query
    platform: str  # one of ranking.fields.PLATFORMS
    user_id: str
    session_id: str
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """One simulated click."""

    search_id: str
    item_id: str
    rank: int  # 1-based
    at_ms: int
    simulated: bool = True


def judge(query: Query, item: Item, quality: float | None = None) -> int:
    """Grade an item as a simulated buyer would: 0 (wrong) to 4 (perfect).

    An item of another class than the one meant gets 0. So does one that meets none of the wishes where no
    class was named. Otherwise, rounded half up:

        grade = 1 + 1.5 * fit + 1.5 * quality

    `fit` in [0, 1] is the weighted share of the stated wishes (`WISH_WEIGHTS`: colour 0.4, brand 0.4,
    condition 0.2) that the item meets; 1 where only a class was named. Quality is the item's hidden
    `photo_quality`, `NO_PHOTO_QUALITY` without a photo, and at most `AI_QUALITY_CAP` for a photo that is
    taken for generated.

    Args:
        query: what was asked.
        item: what was shown.
        quality: in [0, 1], used only where the item's own `photo_quality` is None; a model's image score,
            say. Grades made with the score that also ranks flatter that ranking: say so where they are shown.
    """
    intent = query.intent
    if intent.category is not None and item.category != intent.category:
        return 0
    wishes = {name: getattr(intent, name) for name in WISH_WEIGHTS if getattr(intent, name) is not None}
    total = sum(WISH_WEIGHTS[name] for name in wishes)
    met = sum(WISH_WEIGHTS[name] for name, wish in wishes.items() if getattr(item, name) == wish)
    fit = met / total if wishes else 1.0
    if intent.category is None and fit == 0:
        return 0
    return int(1 + 1.5 * fit + 1.5 * perceived_quality(item, quality) + 0.5)


def perceived_quality(item: Item, quality: float | None = None) -> float:
    """Return the photo quality a simulated buyer sees, in [0, 1]; see `judge`."""
    if item.photo_quality is not None:
        seen = item.photo_quality
    elif item.image_path is None:
        seen = NO_PHOTO_QUALITY
    else:
        seen = UNKNOWN_QUALITY if quality is None else quality
    if item.ai_probability is not None and item.ai_probability >= AI_DISTRUST:
        seen = min(seen, AI_QUALITY_CAP)
    return min(max(seen, 0.0), 1.0)


def exam_prob(rank: int, platform: str) -> float:
    """Probability that the simulated buyer looks at a rank (1-based): rank ** -exam_decay."""
    return float(rank ** -_effect(platform).exam_decay)


def attract_prob(grade: int, platform: str, quality: float | None = None) -> float:
    """Probability of a click on an item that is looked at: `ATTRACT[grade]`, moved by its photo quality."""
    if not 0 <= grade <= MAX_GRADE:
        raise ValueError(f"grade must be in 0..{MAX_GRADE}, got {grade}")
    if quality is None:
        return ATTRACT[grade]
    return min(1.0, ATTRACT[grade] * float(np.exp(_effect(platform).quality_weight * (quality - 0.5))))


def simulate_clicks(
    search: Search,
    shown: Sequence[str],
    grades: Mapping[str, int],
    rng: np.random.Generator,
    *,
    qualities: Mapping[str, float] | None = None,
) -> list[Click]:
    """Draw the clicks of one visit, each item independently of the others.

    Args:
        search: the visit; its platform decides examination and how much photo quality moves.
        shown: item ids in the order shown; rank 1 first.
        grades: grade by item id; an item without one counts as 0.
        rng: source of chance.
        qualities: perceived photo quality by item id (`perceived_quality`); an item without one is clicked
            by its grade alone.
    """
    clicks = []
    at_ms = search.now_ms
    for rank, (item_id, u) in enumerate(zip(shown, rng.random(len(shown)), strict=True), start=1):
        quality = qualities.get(item_id) if qualities is not None else None
        p = exam_prob(rank, search.platform) * attract_prob(grades.get(item_id, 0), search.platform, quality)
        if u < p:
            at_ms += int(1_500 + 400 * rank + rng.exponential(6_000))
            clicks.append(Click(search_id=search.search_id, item_id=item_id, rank=rank, at_ms=at_ms))
    return clicks


def _effect(platform: str) -> PlatformEffect:
    if platform not in PLATFORM_EFFECTS:
        raise ValueError(f"platform must be one of {', '.join(fields.PLATFORMS)}, got {platform!r}")
    return PLATFORM_EFFECTS[platform]
