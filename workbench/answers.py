"""One search under two profiles, as the page reads it: two candidate lists, formulas, and what was found.

The page ranks the candidates by itself (replay/report/ranking.js), so that a slider re-ranks at once; `found`
is the ranking of the server, or of the replay, which its own is held against. Items are numbered in the order
of their ids, which is the order that breaks ties.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ranking.profile import Profile
from replay.report.formulas import formula


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the formula needs of one item, and its price."""

    item_id: str
    rel: float
    image_score: float | None
    created_ms: int | None
    ai_prob: float | None
    price: float | None
    columns: Mapping[str, Any] = field(default_factory=dict)  # by field, those that factors read


@dataclass(frozen=True, slots=True)
class Side:
    """One profile's part of an answer."""

    label: str
    profile: Profile  # resolved for its platform, sliders moved
    own: Profile  # the same before sliders moved
    candidates: Sequence[Candidate]
    rel_floor: float | None  # nothing outside is more relevant; None where every match is here
    found: Sequence[str]  # the first k, best first
    scores: Sequence[float]  # of these, as float32 values
    exact_k: int | None  # how far `found` is proven; None where every match was scored
    more: Mapping[str, Any] = field(default_factory=dict)  # took_ms, total_hits, execution, ...


def two_sides(sides: tuple[Side, Side], **head: Any) -> dict[str, Any]:
    """Both sides as JSON, items numbered over both."""
    ids = sorted({one.item_id for side in sides for one in side.candidates})
    place = {item_id: i for i, item_id in enumerate(ids)}
    return {**head, "item_ids": ids, "sides": [_side(side, place) for side in sides]}


def _side(side: Side, place: Mapping[str, int]) -> dict[str, Any]:
    profile, candidates = side.profile, side.candidates
    return {
        "label": side.label,
        "name": profile.name,
        "hash": profile.hash,
        "summary": profile.summary,
        "formula": formula(profile),
        "own": formula(side.own),
        "rel_floor": number(side.rel_floor),
        "found": {
            "items": [place[item_id] for item_id in side.found],
            "scores": [number(score) for score in side.scores],
            "exact_k": side.exact_k,
        },
        "candidates": {
            "item": [place[one.item_id] for one in candidates],
            "rel": [number(one.rel) for one in candidates],
            "image_score": [number(one.image_score) for one in candidates],
            "created_ms": [one.created_ms for one in candidates],
            "ai_prob": [number(one.ai_prob) for one in candidates],
            "price": [number(one.price) for one in candidates],
            "columns": {
                name: {"kind": kind, "values": [plain(one.columns.get(name)) for one in candidates]}
                for name, kind in profile.factor_fields.items()
            },
        },
        **side.more,
    }


def number(value: float | None) -> float | str | None:
    """A number for JSON: None for NaN, and a word for infinity, which `Number` of JavaScript reads."""
    if value is None or math.isnan(value):
        return None
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


def plain(value: Any) -> Any:
    """A field's value for JSON: text as it is, numbers as `number`."""
    return value if value is None or isinstance(value, str) else number(float(value))


def optional(value: Any) -> float | None:
    """None for NaN."""
    return None if value is None or np.isnan(value) else float(value)


__all__ = ["Candidate", "Side", "number", "optional", "plain", "two_sides"]
