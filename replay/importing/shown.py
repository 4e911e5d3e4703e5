"""JSON lines of query, time and shown ids: what most services can write from the logs they have.

    {"query": "red dress", "at": "2026-11-20T09:00:00Z", "shown": ["i3", "i1"], "user_id": "u1"}

`shown` holds ids in order, or objects with item_id and, where known, score, image_score, price, category,
created_at and ai_prob. Other keys: search_id, platform, session_id, filters, index, total_hits, k, and
`clicks`, a list of ids or of objects with item_id, at and action.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from ranking import rows
from ranking.capture import CapturedItem, Event
from ranking.rows import RowError
from replay.importing.lines import Kind, Row
from replay.importing.records import Imported, ImportOptions, RowReader, f32, shown_search


class ShownReader(RowReader):
    """Searches with shown ids, and the clicks that stand beside them."""

    source = "shown"
    kind: Kind = "json"

    def __init__(self, options: ImportOptions) -> None:
        self._options = options

    def feed(self, row: Row) -> Iterable[Imported]:
        """One search and its clicks."""
        data = row.data
        query, now_ms = (
            rows.required_text(data, "query"),
            rows.required_moment(data, "at", "time", "timestamp"),
        )
        shown = rows.listing(data, "shown", "ids", "items")
        items = [_item(value, rank) for rank, value in enumerate(shown, start=1)]
        search_id = (
            rows.text(data, "search_id", "query_id")
            or hashlib.blake2b(
                repr((query, now_ms, rows.text(data, "user_id"), [item.item_id for item in items])).encode(),
                digest_size=16,
            ).hexdigest()
        )
        search = shown_search(
            self.source,
            search_id=search_id,
            query=query,
            now_ms=now_ms,
            items=items,
            index=rows.text(data, "index") or self._options.index,
            k=rows.whole(data, "k"),
            total_hits=rows.whole(data, "total_hits", most=2**62),
            platform=rows.text(data, "platform") or self._options.platform,
            user_id=rows.text(data, "user_id"),
            session_id=rows.text(data, "session_id"),
            filters=rows.mapping(data, "filters"),
        )
        ranks = {item.item_id: item.rank for item in items}
        clicks = [_click(one, search_id, now_ms, ranks) for one in rows.listing(data, "clicks")]
        return [search, *clicks]


def _item(value: Any, rank: int) -> CapturedItem:
    if not isinstance(value, dict):
        return CapturedItem(rows.required_text({"shown": value}, "shown"), rel=float("nan"), rank=rank)
    return CapturedItem(
        item_id=rows.required_text(value, "item_id", "id"),
        rel=float("nan"),
        rank=rank,
        score=f32(rows.number(value, "score")),
        image_score=f32(rows.number(value, "image_score")),
        created_ms=rows.moment(value, "created_at", "created_ms"),
        category=rows.text(value, "category"),
        price=rows.number(value, "price"),
        ai_prob=f32(rows.number(value, "ai_prob")),
    )


def _click(value: Any, search_id: str, now_ms: int, ranks: Mapping[str, int | None]) -> Event:
    if not isinstance(value, str | int | dict) or isinstance(value, bool):
        raise RowError("a click is neither an id nor an object")
    data = value if isinstance(value, dict) else {"item_id": value}
    item_id = rows.required_text(data, "item_id", "id")
    at_ms = rows.moment(data, "at", "time", "timestamp")
    return Event(
        search_id=search_id,
        item_id=item_id,
        action=rows.text(data, "action") or "click",
        rank=ranks.get(item_id),
        at_ms=now_ms if at_ms is None else at_ms,
    )
