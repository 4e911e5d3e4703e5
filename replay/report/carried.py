"""The searches, candidates and items a report carries, column by column.

Items are sorted by `item_id`, so that the order of their places is the order that breaks ties.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranking.profile import Profile
from replay.compare import Comparison
from replay.engine import Ranking
from replay.judgments import Judgments
from replay.log import CaptureLog
from replay.report.cards import ItemCard
from replay.report.columns import pack, pack_codes, pack_floats
from replay.report.formulas import factor_columns
from replay.report.segments import Dimension
from replay.report.selection import Selection, subset
from replay.report.thumbnails import thumbnails

_NO_CARD = ItemCard()


def searches(
    log: CaptureLog,
    chosen: Selection,
    dimensions: Sequence[Dimension],
    judgments: Judgments | None,
    k: int,
) -> dict[str, Any]:
    """One row per listed search."""
    at = chosen.searches
    columns = log.searches
    best = None if judgments is None else judgments.best(subset(log, at), k)
    ideal = None if best is None else (best / np.log2(np.arange(2, k + 2))).sum(axis=1)
    return {
        "n": len(at),
        "search_id": [str(one) for one in columns["search_id"][at]],
        "query": pack_codes("" if query is None else query for query in columns["query"][at]),
        "platform": pack_codes(columns["platform"][at]),
        "profile": pack_codes(columns["profile"][at]),
        "profile_hash": pack_codes(name or None for name in columns["profile_hash"][at]),
        "segments": {one.name: pack_codes(one.of[at], list(one.values)) for one in dimensions},
        "now_ms": pack(columns["now_ms"][at], np.float64),
        "total_hits": pack(columns["total_hits"][at], np.float64),
        "rel_floor": pack(columns["rel_floor"][at].astype(np.float32), np.float32),
        "ideal": None if ideal is None else pack(ideal, np.float64),
        "detailed": pack(chosen.detailed.astype(np.uint8), np.uint8),
        "n_candidates": pack(np.diff(log.offsets)[at], np.uint32),
        "offsets": pack(chosen.offsets, np.uint32),
    }


def candidates(
    log: CaptureLog,
    chosen: Selection,
    place: NDArray[np.intp],
    judgments: Judgments | None,
    profiles: Sequence[Profile],
) -> dict[str, Any]:
    """One row per carried candidate; `place` is that of its item."""
    at, docs = chosen.kept, log.docs
    uses_ai = any(profile.image.ai_generated is not None for profile in profiles)
    ai_prob = np.full(len(at), np.nan) if docs.ai_prob is None else docs.ai_prob[at].astype(np.float64)
    return {
        "item": pack(place, np.uint32),
        "rel": pack(docs.rel[at], np.float32),
        "image_score": pack(docs.image_score[at], np.float32),
        "ai_prob": pack_floats(ai_prob) if uses_ai else None,
        "created_ms": pack(docs.created_ms[at], np.float64),
        "grade": None if judgments is None else pack_floats(judgments.grades(log)[at]),
        "columns": factor_columns(profiles, docs.columns, at),
    }


def first_pages(side: Ranking, log: CaptureLog, chosen: Selection, k: int) -> NDArray[np.int64]:
    """Each listed search's first page as places among its candidates, (n_listed, k); -1 past its end."""
    pages = np.full((len(chosen.searches), k), -1, dtype=np.int64)
    ranks = side.ranks[chosen.kept]
    shown = np.flatnonzero((ranks >= 1) & (ranks <= k))
    owner = np.repeat(np.arange(len(chosen.searches)), np.diff(chosen.offsets))[shown]
    pages[owner, ranks[shown] - 1] = shown - chosen.offsets[owner]
    return pages


def items(
    log: CaptureLog, chosen: Selection, cards: Mapping[str, ItemCard]
) -> tuple[dict[str, Any], list[str], int, NDArray[np.intp]]:
    """Titles, prices and photos of the carried items.

    Returns:
        one row per item; the photos; how many could not be read; the place of each carried candidate's item.
    """
    ids, first, place = np.unique(
        log.item_id[chosen.kept].astype(str), return_index=True, return_inverse=True
    )
    visible, with_photo = set(chosen.cards), set(chosen.with_photo)
    shown = {one: cards[one] for one in chosen.cards if one in cards}
    asked = [shown[one].photo for one in chosen.with_photo if one in shown]
    uris, at = thumbnails(photo for photo in asked if photo is not None)
    titles, prices, categories, photos = [], [], [], []
    for item_id, p in zip(ids, chosen.kept[first], strict=True):
        card = shown.get(str(item_id), _NO_CARD) if str(item_id) in visible else _NO_CARD
        titles.append(card.title)
        prices.append(float(log.price[p]) if card.price is None else card.price)
        categories.append(card.category)
        photo = card.photo if str(item_id) in with_photo else None
        photos.append(len(uris) if photo is None else at.get(photo, len(uris)))
    rows = {
        "item_id": [str(one) for one in ids],
        "title": titles,
        "price": pack_floats(np.array(prices, dtype=np.float64)),
        "category": pack_codes(categories),
        "photo": pack(photos, np.uint32),  # the place past the last photo: none
    }
    unreadable = len({photo for photo in asked if photo is not None} - at.keys())
    return rows, uris, unreadable, place.reshape(-1)


def resolved_profiles(comparisons: Sequence[Comparison], platforms: Sequence[str | None]) -> list[Profile]:
    """Every compared profile as each platform is served it."""
    return [
        side.profile.for_platform(platform)
        for pair in comparisons
        for side in (pair.baseline, pair.contender)
        for platform in platforms
    ]
