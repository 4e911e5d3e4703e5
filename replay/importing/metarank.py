"""Metarank events: `ranking` as searches, `interaction` as events; `item` and `user` metadata is counted.

The query text is the field `query` of a ranking event; the fields `platform` and `index` are kept too.
`relevancy` of an item is the score that ranked it. Source: Metarank, "Supported events".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ranking import rows
from ranking.capture import CapturedItem, CaptureRecord, Event
from ranking.rows import RowError
from replay.importing.lines import Kind, Row
from replay.importing.records import Ignored, Imported, ImportOptions, RowReader, shown_item, shown_search


class MetarankReader(RowReader):
    """Rankings and interactions."""

    source = "metarank"
    kind: Kind = "json"

    def __init__(self, options: ImportOptions) -> None:
        self._options = options

    def feed(self, row: Row) -> Iterable[Imported]:
        """One event."""
        match row.data.get("event"):
            case "ranking":
                return [self._ranking(row.data)]
            case "interaction":
                return [_interaction(row.data)]
            case "item" | "user" as kind:
                return [Ignored(f"metadata of {kind}s")]
            case other:
                raise RowError(f"event must be item, user, ranking or interaction, got {other!r}"[:120])

    def _ranking(self, data: Mapping[str, Any]) -> CaptureRecord:
        fields = _fields(data)
        return shown_search(
            self.source,
            search_id=rows.required_text(data, "id"),
            query=rows.text(fields, "query") or "",
            now_ms=rows.required_moment(data, "timestamp"),
            items=[_item(value, rank) for rank, value in enumerate(rows.listing(data, "items"), start=1)],
            index=rows.text(fields, "index") or self._options.index,
            platform=rows.text(fields, "platform") or self._options.platform,
            user_id=rows.text(data, "user"),
            session_id=rows.text(data, "session"),
        )


def _interaction(data: Mapping[str, Any]) -> Event | Ignored:
    at_ms = rows.required_moment(data, "timestamp")
    action, item_id = rows.required_text(data, "type"), rows.required_text(data, "item")
    search_id = rows.text(data, "ranking")
    if search_id is None:
        return Ignored("interactions outside a ranking")
    return Event(search_id, item_id, action, None, at_ms)


def _item(value: Any, rank: int) -> CapturedItem:
    if not isinstance(value, dict):
        raise RowError("an item of a ranking is not an object")
    return shown_item(rows.required_text(value, "id"), rank, rows.number(value, "relevancy"))


def _fields(data: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for field in rows.listing(data, "fields"):
        if not isinstance(field, dict) or not isinstance(field.get("name"), str):
            raise RowError("a field is not an object with a name")
        found[field["name"]] = field.get("value")
    return found
