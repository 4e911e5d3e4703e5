"""User Behavior Insights 1.3.0: `ubi_queries` and `ubi_events` as JSON lines, in any order, mixed or apart.

A row with `action_name` is an event, one with `user_query` or `query_response_hit_ids` a search; a row as the
index returns it (`{"_index", "_source"}`) is unwrapped. UBI has no place for scores and components: our
export adds a side file, `rank_captures.jsonl`, of whole captures and profiles. With it a capture comes back
as it was, bit for bit; without it, its page does.

Schema: https://o19s.github.io/ubi/schema/1.3.0/
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ranking import rows
from ranking.capture import CapturedItem, CaptureRecord, Event
from ranking.profile import Profile
from ranking.rows import RowError
from replay.importing.lines import Kind, Row, read_rows
from replay.importing.records import (
    Ignored,
    Imported,
    ImportOptions,
    RowReader,
    f32,
    shown_item,
    shown_search,
)

CAPTURE, PROFILE = "rank_capture", "rank_profile"  # keys of the rows of our side file


class UbiReader(RowReader):
    """Searches and events of UBI."""

    source = "ubi"
    kind: Kind = "json"

    def __init__(self, options: ImportOptions) -> None:
        self._options = options

    def prepare(self, paths: Sequence[Path]) -> Sequence[Path]:
        """Our side file goes first: it knows more of a search than `ubi_queries` does."""
        return sorted(paths, key=lambda path: not _is_side_file(path))

    def feed(self, row: Row) -> Iterable[Imported]:
        """One query or event."""
        data = row.data["_source"] if isinstance(row.data.get("_source"), dict) else row.data
        if isinstance(data.get(CAPTURE), dict):
            return [our_search(data[CAPTURE])]
        if isinstance(data.get(PROFILE), dict):
            return [_our_profile(data[PROFILE])]
        if "action_name" in data:
            return [self._event(data)]
        if "user_query" in data or "query_response_hit_ids" in data:
            return [self._search(data)]
        if "index" in data and isinstance(data["index"], dict) and len(data) == 1:
            return [Ignored("action lines of a bulk request")]
        raise RowError("neither a query (user_query) nor an event (action_name)")

    def _search(self, data: Mapping[str, Any]) -> CaptureRecord:
        attributes = rows.mapping(data, "query_attributes")
        if not isinstance(data.get("user_query"), str):
            raise RowError("user_query is missing")
        query = rows.text(data, "user_query") or ""
        now_ms = rows.required_moment(data, "timestamp")
        user_id = rows.text(attributes, "user_id") or rows.text(data, "user_id", "client_id")
        hits = [
            rows.required_text({"hit": hit}, "hit") for hit in rows.listing(data, "query_response_hit_ids")
        ]
        search_id = rows.text(data, "query_id") or _fresh_id(query, now_ms, user_id, hits)
        return shown_search(
            self.source,
            search_id=search_id,
            query=query,
            now_ms=now_ms,
            items=[shown_item(item_id, rank) for rank, item_id in enumerate(hits, start=1)],
            index=rows.text(attributes, "index") or self._options.index,
            profile=rows.text(attributes, "profile") or "",
            k=rows.whole(attributes, "k"),
            total_hits=rows.whole(attributes, "total_hits", most=2**62),
            platform=rows.text(attributes, "platform") or self._options.platform,
            user_id=user_id,
            session_id=rows.text(attributes, "session_id") or rows.text(data, "session_id"),
            filters=attributes["filters"] if isinstance(attributes.get("filters"), dict) else {},
        )

    def _event(self, data: Mapping[str, Any]) -> Event | Ignored:
        action = rows.required_text(data, "action_name")
        at_ms = rows.required_moment(data, "timestamp")
        attributes = rows.mapping(data, "event_attributes")
        thing = rows.mapping(attributes, "object")
        item_id = rows.text(thing, "object_id", "internal_id")
        search_id = rows.text(data, "query_id")
        if search_id is None:
            return Ignored("events without a query_id")
        if item_id is None:
            return Ignored("events without an object")
        place = rows.number(rows.mapping(attributes, "position"), "ordinal")
        return Event(
            search_id=search_id,
            item_id=item_id,
            action=action,
            rank=place_to_rank(place, self._options.first_position),
            at_ms=at_ms,
            simulated=attributes.get("simulated") is True,
        )


def place_to_rank(place: float | None, first_position: int) -> int | None:
    """A 1-based rank; None where the log does not say.

    Raises:
        RowError: before the first place, or not whole.
    """
    if place is None:
        return None
    rank = place - first_position + 1
    if rank != int(rank) or not 1 <= rank <= rows.MAX_RANK:
        raise RowError(
            f"position {place:g} is no place on a page that begins at {first_position}"
            + (" (import with `--first-position 0`?)" if place == 0 else "")
        )
    return int(rank)


def _is_side_file(path: Path) -> bool:
    row = next(read_rows(path, "json"), None)
    return row is not None and (CAPTURE in row.data or PROFILE in row.data)


def _our_profile(data: Mapping[str, Any]) -> Profile:
    try:
        return Profile.model_validate(data)
    except ValidationError as e:
        raise RowError(f"not a profile: {e.errors()[0]['msg']}") from None


def our_search(ours: Mapping[str, Any]) -> CaptureRecord:
    """A search that we exported, as it was captured.

    Raises:
        RowError: a value is of the wrong kind.
    """
    floor = ours.get("rel_floor")
    return CaptureRecord(
        search_id=rows.required_text(ours, "search_id"),
        query=rows.text(ours, "query") or "",
        now_ms=rows.required_moment(ours, "now_ms"),
        index=rows.text(ours, "index") or "",
        profile=rows.text(ours, "profile") or "",
        profile_hash=rows.text(ours, "profile_hash") or "",
        k=rows.whole(ours, "k") or 0,
        total_hits=rows.whole(ours, "total_hits", most=2**62),
        window=rows.whole(ours, "window") or 0,
        rel_floor=math.inf if floor == "Infinity" else rows.number(ours, "rel_floor"),
        items=tuple(_our_item(item) for item in rows.listing(ours, "items")),
        platform=rows.text(ours, "platform"),
        user_id=rows.text(ours, "user_id"),
        session_id=rows.text(ours, "session_id"),
        arm=rows.text(ours, "arm"),
        filters=rows.mapping(ours, "filters"),
        n_shards=rows.whole(ours, "n_shards") or 0,
        took_ms=rows.whole(ours, "took_ms") or 0,
        execution=rows.text(ours, "execution"),
        source=rows.text(ours, "source"),
    )


def _our_item(item: Any) -> CapturedItem:
    if not isinstance(item, dict):
        raise RowError("an item is not an object")
    rel = f32(rows.number(item, "rel"))
    extras = rows.mapping(item, "extras")
    return CapturedItem(
        item_id=rows.required_text(item, "item_id"),
        rel=math.nan if rel is None else rel,
        rank=rows.whole(item, "rank"),
        score=f32(rows.number(item, "score")),
        image_score=f32(rows.number(item, "image_score")),
        created_ms=rows.whole(item, "created_ms", most=2**53),
        category=rows.text(item, "category"),
        price=rows.number(item, "price"),
        ai_prob=f32(rows.number(item, "ai_prob")),
        extras={name: _extra(extras, name) for name in extras},
    )


def _extra(extras: Mapping[str, Any], name: str) -> str | float:
    value = rows.text(extras, name) if isinstance(extras[name], str) else rows.number(extras, name)
    if value is None:
        raise RowError(f"extra field {name!r} has no value")
    return value


def _fresh_id(query: str, now_ms: int, user_id: str | None, hits: list[str]) -> str:
    """An id that a second import of the same row gives again."""
    return hashlib.blake2b(repr((query, now_ms, user_id, hits)).encode(), digest_size=16).hexdigest()
