"""User Behavior Insights 1.3.0: `ubi_queries.jsonl`, `ubi_events.jsonl`, and our side file.

UBI has no place for scores, components or proofs, so `rank_captures.jsonl` holds them: whole captures and
their profiles. Imported together, the three give the folder back, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ranking.capture import (
    EVENT_SCHEMA,
    CapturedItem,
    CaptureRecord,
    read_captures,
    read_profiles,
    read_table,
)
from ranking.clock import format_time
from ranking.fields import ITEM_ID
from replay.exporting.files import atomic_text, json_line

QUERIES, EVENTS, SIDE = "ubi_queries.jsonl", "ubi_events.jsonl", "rank_captures.jsonl"
_APPLICATION = "rank-toolkit"


@dataclass(frozen=True, slots=True)
class UbiExport:
    """What was written."""

    searches: int
    events: int
    files: tuple[str, ...]


def export_ubi(
    folder: Path, out: Path, *, application: str = _APPLICATION, side_file: bool = True
) -> UbiExport:
    """Write a capture folder as UBI.

    Args:
        folder: the capture folder.
        out: folder of the files, made where missing.
        application: what UBI calls the source of the searches.
        side_file: also write what UBI has no place for.

    Raises:
        InputError: the folder holds no searches, or a file cannot be written.
    """
    searches = 0
    with atomic_text(out / QUERIES) as queries:
        for record in read_captures(folder):
            queries.write(json_line(_query(record, application)))
            searches += 1
    if side_file:
        with atomic_text(out / SIDE) as side:
            for profile in read_profiles(folder).values():
                side.write(json_line({"rank_profile": profile.model_dump(mode="json")}))
            for record in read_captures(folder):
                side.write(json_line({"rank_capture": _capture(record)}))
    events = 0
    with atomic_text(out / EVENTS) as lines:
        for event in _events(folder, application):
            lines.write(json_line(event))
            events += 1
    names = (QUERIES, EVENTS, SIDE) if side_file else (QUERIES, EVENTS)
    return UbiExport(searches, events, tuple(str(out / name) for name in names))


def _query(record: CaptureRecord, application: str) -> dict[str, Any]:
    served = sorted((item for item in record.items if item.rank is not None), key=lambda item: item.rank or 0)
    attributes = {
        "platform": record.platform,
        "user_id": record.user_id,
        "session_id": record.session_id,
        "index": record.index,
        "profile": record.profile,
        "profile_hash": record.profile_hash,
        "arm": record.arm,
        "k": record.k,
        "total_hits": record.total_hits,
        "filters": dict(record.filters) or None,
    }
    return {
        "application": application,
        "query_id": record.search_id,
        **({"client_id": record.user_id} if record.user_id else {}),
        "user_query": record.query,
        "timestamp": format_time(record.now_ms),
        "object_id_field": ITEM_ID,
        "query_attributes": {name: value for name, value in attributes.items() if value is not None},
        "query_response_hit_ids": [item.item_id for item in served],
    }


def _events(folder: Path, application: str) -> Iterator[dict[str, Any]]:
    users = {record.search_id: (record.user_id, record.session_id) for record in read_captures(folder)}
    for row in read_table(folder, "events", EVENT_SCHEMA).to_pylist():
        user_id, session_id = users.get(row["search_id"], (None, None))
        attributes: dict[str, Any] = {"object": {"object_id": row["item_id"], "object_id_field": ITEM_ID}}
        if row["rank"] is not None:
            attributes["position"] = {"ordinal": row["rank"]}
        if row["simulated"]:
            attributes["simulated"] = True
        yield {
            "application": application,
            "action_name": row["action"],
            "query_id": row["search_id"],
            **({"client_id": user_id, "user_id": user_id} if user_id else {}),
            **({"session_id": session_id} if session_id else {}),
            "timestamp": format_time(row["at_ms"]),
            "event_attributes": attributes,
        }


def _capture(record: CaptureRecord) -> dict[str, Any]:
    """A capture as JSON: what is None is left out, an infinite floor is a text."""
    names = (
        "search_id", "query", "now_ms", "index", "profile", "profile_hash", "k", "total_hits", "window",
        "platform", "user_id", "session_id", "arm", "n_shards", "took_ms", "execution", "source",
    )  # fmt: skip
    row = {name: value for name in names if (value := getattr(record, name)) is not None}
    if record.rel_floor is not None:
        row["rel_floor"] = "Infinity" if math.isinf(record.rel_floor) else record.rel_floor
    return {**row, "filters": dict(record.filters), "items": [_item(item) for item in record.items]}


def _item(item: CapturedItem) -> dict[str, Any]:
    names = ("item_id", "rank", "score", "image_score", "created_ms", "category", "price", "ai_prob")
    row = {name: value for name in names if (value := getattr(item, name)) is not None}
    if not math.isnan(item.rel):
        row["rel"] = item.rel
    return {**row, "extras": dict(item.extras)} if item.extras else row
