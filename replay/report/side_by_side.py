"""One search under two profiles, side by side: photos, scores as their parts, and where each item went.

The page needs no script. Rows have one height, so the lines between the sides are drawn here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from ranking.clock import format_time
from ranking.explain import Explanation, RankSteps
from ranking.preview import QueryPreview
from ranking.profile import Profile
from replay.report.cards import ItemCard
from replay.report.html_file import asset, policy, write_atomically
from replay.report.thumbnails import thumbnails

ROW = 124  # pixels from one card's top to the next, as in side_by_side.css
GUTTER = 96  # pixels between the sides
_STAGES = {"rel": "relevance", "image": "image", "freshness": "freshness", "factors": "factors"}


@dataclass(frozen=True, slots=True)
class Side:
    """One profile's page."""

    label: str  # as the user wrote it, such as `additive@3`
    profile: Profile  # resolved for its platform
    hits: Sequence[Explanation]  # in rank order
    steps: RankSteps


def build_side_by_side(
    query: str,
    baseline: Side,
    contender: Side,
    found: QueryPreview,
    *,
    items: Mapping[str, ItemCard],
    ai_items: frozenset[str] = frozenset(),
    now_ms: int,
    platform: str | None,
    out: Path,
    currency: str = "",
) -> Path:
    """Write the comparison as one HTML file, whole or not at all.

    Args:
        query: what the user typed.
        baseline: the left side.
        contender: the right side.
        found: the two pages compared.
        items: title, price and photo by item id; items it lacks are shown by their id.
        ai_items: ids of items whose photo is probably AI-generated.
        now_ms: the clock of both.
        platform: whose overrides apply.
        out: the file; its folder is made where missing.
        currency: written before prices, such as "¥".

    Returns:
        `out`.
    """
    uris, place = thumbnails([card.photo for card in items.values() if card.photo is not None])
    sides = (baseline, contender)

    def photo(item_id: str) -> str | None:
        card = items.get(item_id)
        return uris[place[card.photo]] if card is not None and card.photo in place else None

    columns = [
        {
            "label": side.label,
            "profile": side.profile,
            "steps": " → ".join(_STAGES[stage] for stage in side.steps.stages),
            "among": side.steps.among,
            "rows": [
                {
                    "hit": hit,
                    "card": items.get(hit.item_id, ItemCard()),
                    "photo": photo(hit.item_id),
                    "ai": hit.item_id in ai_items,
                    "steps": side.steps.words(hit.item_id),
                    "bar": bar,
                    "went": _went(hit, side, other, to_left=side is contender),
                }
                for hit, bar in zip(side.hits, _bars(side.hits), strict=True)
            ],
        }
        for side, other in (sides, sides[::-1])
    ]
    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    page.globals |= {"number": _number, "price": lambda value: _price(value, currency)}
    text = page.from_string(asset("side_by_side.html")).render(
        policy=policy(),
        style=asset("base.css") + asset("side_by_side.css"),
        query=query,
        columns=columns,
        found=found,
        clock=format_time(now_ms),
        platform=platform,
        lines=_lines(baseline.hits, contender.hits),
        height=ROW * max(len(baseline.hits), len(contender.hits), 1),
        gutter=GUTTER,
    )
    return write_atomically(out, text)


def _bars(hits: Sequence[Explanation]) -> list[dict[str, float]]:
    """Per hit, in percent of its side's longest: relevance and image as they count, and what was lost."""
    longest = max((max(hit.combined, hit.recomputed) for hit in hits), default=0.0) or 1.0
    bars = []
    for hit in hits:
        kept = hit.recomputed / hit.combined if hit.combined > 0 else 0.0
        image = max(0.0, hit.image_part) * kept
        lost = max(0.0, hit.combined - hit.recomputed)
        parts = {"rel": hit.recomputed - image, "image": image, "lost": lost}
        bars.append({name: 100 * value / longest for name, value in parts.items()})
    return bars


def _went(hit: Explanation, side: Side, other: Side, *, to_left: bool) -> dict[str, Any] | None:
    """Where an item stands on the other side: a badge's words and kind; None where the rank is the same."""
    there = {one.item_id: one.rank for one in other.hits}
    here = hit.rank or 0
    rank = there.get(hit.item_id)
    if rank is None:
        known = other.steps.ranks.get(hit.item_id)
        words = f"{known[-1]}" if known else f"below {len(other.hits)}"
        return {
            "words": f"was {words}" if to_left else f"falls to {words}",
            "kind": "new" if to_left else "gone",
        }
    if rank == here or not to_left:
        return None
    return {
        "words": f"{'↑' if here < rank else '↓'} {abs(rank - here)}",
        "kind": "up" if here < rank else "down",
    }


def _lines(before: Sequence[Explanation], after: Sequence[Explanation]) -> list[dict[str, Any]]:
    """A curve for each item on both pages, from its row on the left to its row on the right."""
    rows = {hit.item_id: i for i, hit in enumerate(before)}
    lines = []
    for i, hit in enumerate(after):
        start = rows.get(hit.item_id)
        if start is None:
            continue
        y0, y1, middle = ROW * (start + 0.5) - 6, ROW * (i + 0.5) - 6, GUTTER / 2
        kind = "same" if start == i else "up" if i < start else "down"
        path = f"M0 {y0:g} C{middle:g} {y0:g} {middle:g} {y1:g} {GUTTER} {y1:g}"
        lines.append({"path": path, "kind": kind})
    return lines


def _number(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}"


def _price(value: float | None, currency: str) -> str:
    return "" if value is None else f"{currency}{value:,.0f}"
