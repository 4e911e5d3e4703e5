"""One change of one item: a line of a change log, an item message, or a scored document.

    {"item_id": "a", "at": "2026-11-20T09:00:00Z", "price": 900}          a patch: what it names changes
    {"item_id": "a", "at": 1795165200000, "fields": {"image_score": .7}}  the same, under `fields`
    {"item_id": "a", "at": 1795165200000, "op": "sold"}                   status becomes sold
    {"item_id": "a", "at": 1795165200000, "op": "delete"}                 the document is gone
    {"item_id": "a", "updated_at": ..., "title": ..., ...}                an item message: replaces the item
    {"item_id": "a", "updated_at": ..., "partial": true, "price": 900}    a partial one: what it names changes

An item message leaves the image score alone, unless it brings another photo. Where it carries a score with
its own `image_scored_at`, as documents of the index do, the score holds from then on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ranking import fields
from ranking.errors import InputError
from ranking.item_message import ItemMessage, epoch_ms, parse_message

Kind = Literal["replace", "patch", "remove"]
Value = str | float | int | None

AT: Final = "at"
DATES: Final = (fields.CREATED_AT, fields.UPDATED_AT, fields.IMAGE_SCORED_AT, fields.INGESTED_AT)
_OPS: Final = ("update", "create", "sold", "delete")
_SCORE: Final = (fields.IMAGE_SCORE, fields.IMAGE_SCORE_VERSION, fields.IMAGE_SCORED_AT)
_OWN: Final = {AT, "op", "fields", fields.ITEM_ID}
_OF_THE_INGEST: Final = ("partial", fields.PARTIALS)  # said of the message, not of the item
_UNIT: Final = (fields.IMAGE_SCORE, fields.AI_PROBABILITY)


@dataclass(frozen=True, slots=True)
class Change:
    """One change; values by dotted field name, dates as epoch ms, None where a field is taken away."""

    item_id: str
    at_ms: int  # when it happened: event time, not the time it arrived
    kind: Kind
    values: Mapping[str, Value] = field(default_factory=dict)


def is_score_field(name: str) -> bool:
    """Whether a field belongs to the scorer: an item message does not touch it."""
    return name in _SCORE or name.startswith((f"{fields.IMAGE_ATTRIBUTES}.", fields.IMAGE_EMBEDDING))


def parse_change(data: Mapping[str, Any]) -> list[Change]:
    """The changes in one line: one, or two where an item message carries a dated score.

    Raises:
        InputError: no `item_id`, no time, or a value that the index would refuse.
    """
    if AT in data:
        return [_of_change_log(data)]
    if fields.UPDATED_AT in data:
        return _of_message(data)
    if fields.IMAGE_SCORED_AT in data:
        return [_of_change_log({AT: data[fields.IMAGE_SCORED_AT], **data})]
    raise InputError(
        f"no time: a change has {AT!r}, an item message {fields.UPDATED_AT!r}",
        hint="write when the change happened, as ISO 8601 or epoch milliseconds",
    )


def _of_change_log(data: Mapping[str, Any]) -> Change:
    item_id = _item_id(data)
    at_ms = _date(AT, data[AT])
    op = data.get("op", "update")
    if op not in _OPS:
        raise InputError(f"op: {op!r} is not one of {', '.join(_OPS)}")
    if op == "delete":
        return Change(item_id, at_ms, "remove")
    inner = data.get("fields") or {}
    if not isinstance(inner, Mapping):
        raise InputError("fields: not an object of field names and values")
    values = _values({**{name: value for name, value in data.items() if name not in _OWN}, **inner})
    if op == "sold":
        values[fields.STATUS] = fields.SOLD
    return Change(item_id, at_ms, "replace" if op == "create" else "patch", values)


def _of_message(data: Mapping[str, Any]) -> list[Change]:
    message = parse_message(data)
    said = {name: value for name, value in data.items() if name not in _OF_THE_INGEST}
    values = _values({**said, **message.to_document()})
    values.pop(fields.ITEM_ID, None)
    if message.is_partial:
        return [Change(message.item_id, message.updated_at, "patch", values)]
    for name in ItemMessage.model_fields.keys() & values.keys():
        if values[name] is None:
            del values[name]
    score = {name: value for name, value in values.items() if is_score_field(name)}
    scored_at = score.get(fields.IMAGE_SCORED_AT)
    if scored_at is None or scored_at == message.updated_at:
        return [Change(message.item_id, message.updated_at, "replace", values)]
    rest = {name: value for name, value in values.items() if name not in score}
    return [
        Change(message.item_id, message.updated_at, "replace", rest),
        Change(message.item_id, int(scored_at), "patch", score),
    ]


def _item_id(data: Mapping[str, Any]) -> str:
    item_id = data.get(fields.ITEM_ID)
    if isinstance(item_id, int) and not isinstance(item_id, bool):
        return str(item_id)
    if not isinstance(item_id, str) or not item_id:
        raise InputError(f"{fields.ITEM_ID} is missing")
    return item_id


def _values(data: Mapping[str, Any]) -> dict[str, Value]:
    """Dotted names, dates as ms; lists (such as embeddings) are left out: no formula reads them."""
    values: dict[str, Value] = {}
    for name, value in _flat(data, ""):
        if isinstance(value, list):
            continue
        if value is not None and name in DATES:
            values[name] = _date(name, value)
        elif value is None or isinstance(value, str):
            values[name] = value
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            values[name] = float(value)
        else:
            raise InputError(f"{name}: {value!r} is neither text nor a finite number")
        if name in _UNIT and value is not None:
            _check_unit(name, value)
    status = values.get(fields.STATUS)
    if status is not None and status not in fields.STATUSES:
        raise InputError(f"status: {status!r} is not one of {', '.join(fields.STATUSES)}")
    return values


def _check_unit(name: str, value: Any) -> None:
    if isinstance(value, str) or not 0 <= value <= 1:
        raise InputError(f"{name}: {value!r} is not a number within [0, 1]")


def _flat(data: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _date(name: str, value: Any) -> int:
    try:
        return epoch_ms(value)
    except ValueError as e:
        raise InputError(f"{name}: {e}") from None
