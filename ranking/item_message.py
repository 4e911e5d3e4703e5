"""The item message: what a seller's service puts on the topic, one JSON object per change of an item.

Keyed by `item_id`, so that changes of one item stay in order within their partition. `updated_at` is the
version of what the message says: whatever arrives late or twice never overwrites something newer.

A message is whole (what it leaves out, the item does not have) or, with `"partial": true`, names only the
fields that changed; a null takes a field away:

    {"item_id": "m1", "updated_at": 1795165200000, "partial": true, "price": 900}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ranking import fields
from ranking.errors import InputError

DEFAULT_TOPIC: Final = "items"
ITEM_FIELDS: Final = (  # that a whole message may leave out: a newer message without one empties it
    fields.TITLE,
    fields.DESCRIPTION,
    fields.CATEGORY,
    fields.PRICE,
    fields.CREATED_AT,
    fields.IMAGE_URL,
)
_ITEM_FIELDS: Final = frozenset(ITEM_FIELDS)
_CHANGEABLE: Final = frozenset((*ITEM_FIELDS, fields.STATUS, fields.AI_GENERATED))
_KEPT: Final = (fields.TITLE, fields.STATUS, fields.CREATED_AT)  # an item on the shelf always has these
MAX_ID_BYTES: Final = 512  # the longest `_id` that Elasticsearch takes
_MINUTES: Final = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(1440)]  # faster looked up
_SECONDS: Final = [f"{second:02d}" for second in range(60)]
_MILLIS: Final = [f"{millis:03d}" for millis in range(1000)]
_EARLIEST_MS: Final = 100_000_000_000  # 3 March 1973: an epoch below this was sent in seconds
_LATEST_MS: Final = 253_402_300_799_999  # the last millisecond of the year 9999


def epoch_ms(value: Any) -> int:
    """A date as epoch milliseconds, from ISO 8601 text or from a number of milliseconds.

    Text without an offset is UTC, as in Elasticsearch.

    Raises:
        ValueError: neither, or a number that can only be seconds.
    """
    if type(value) is int and _EARLIEST_MS <= value <= _LATEST_MS:
        return value
    if isinstance(value, str) and not _is_number(value):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(f"{value!r} is neither an ISO 8601 date nor epoch milliseconds") from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        millis = round(moment.timestamp() * 1000)
    elif isinstance(value, int | float | str) and not isinstance(value, bool) and math.isfinite(float(value)):
        millis = int(float(value))
        if 0 < millis < _EARLIEST_MS:
            raise ValueError(f"{value} looks like epoch seconds; send milliseconds")
    else:
        raise ValueError(f"{value!r} is neither an ISO 8601 date nor epoch milliseconds")
    if not 0 <= millis <= _LATEST_MS:
        raise ValueError(f"{value!r} is outside the years 1970 to 9999")
    return millis


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def iso_ms(millis: int) -> str:
    """Epoch milliseconds as ISO 8601 text with milliseconds, in UTC."""
    seconds, millis = divmod(millis, 1000)
    minutes, second = divmod(seconds, 60)
    day, minute = divmod(minutes, 1440)
    return f"{_iso_day(day)}T{_MINUTES[minute]}:{_SECONDS[second]}.{_MILLIS[millis]}Z"


@lru_cache(maxsize=4096)
def _iso_day(day: int) -> str:
    """A day since the epoch as text: messages of one hour share very few."""
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


EpochMs = Annotated[int, BeforeValidator(epoch_ms)]


class AiGenerated(BaseModel):
    """Whether the photo was made by a generator, as some detector or the seller said."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    probability: float = Field(ge=0, le=1, allow_inf_nan=False)
    source: str | None = None


class ItemMessage(BaseModel):
    """One item as its seller last left it, or what changed of it. Keys not listed here are dropped."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    item_id: str = Field(min_length=1)
    partial: bool = False  # names only what changed; the rest of the item stays as it is
    title: str = ""
    description: str | None = ""
    category: str | None = None
    price: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    status: Literal["on_sale", "sold", "deleted"] = "on_sale"
    created_at: EpochMs | None = None  # epoch ms; needed unless the item is deleted
    updated_at: EpochMs  # epoch ms; the version of the item, or of the fields that changed
    image_url: str | None = None  # file:, data:, http(s):, or a path below the photos' root
    ai_generated: AiGenerated | None = None

    @model_validator(mode="after")
    def _complete(self) -> ItemMessage:
        if len(self.item_id.encode()) > MAX_ID_BYTES:
            raise ValueError(f"item_id is longer than {MAX_ID_BYTES} bytes")
        if self.is_partial:
            self._check_partial()
        elif not self.is_deleted:
            missing = [name for name in ("title", "created_at") if not getattr(self, name)]
            if missing:
                raise ValueError(
                    f"{' and '.join(missing)} missing (only a deleted item, or a message with "
                    '"partial": true, can do without)'
                )
        return self

    def _check_partial(self) -> None:
        if not self.changed:
            raise ValueError(f"a partial message that names none of {', '.join(sorted(_CHANGEABLE))}")
        emptied = [name for name in _KEPT if name in self.changed and not getattr(self, name)]
        if emptied:
            raise ValueError(f"{' and '.join(emptied)} cannot be taken from an item")
        if fields.AI_GENERATED in self.changed and fields.IMAGE_URL not in self.changed:
            raise ValueError("ai_generated is said of a photo: send image_url with it")

    @property
    def is_partial(self) -> bool:
        """Whether this names only what changed. A delete is whole: it leaves nothing of the item."""
        return self.partial and not self.is_deleted

    @property
    def changed(self) -> frozenset[str]:
        """The fields that a partial message names."""
        return _CHANGEABLE & self.model_fields_set

    @property
    def is_deleted(self) -> bool:
        """Whether this message takes the item off the shelf for good."""
        return self.status == fields.DELETED

    def to_document(self) -> dict[str, Any]:
        """The document without its score: names as in `ranking.fields`, dates as ISO 8601, no nulls.

        Of a partial message, only what it names.

        A deleted item stays as a document with `status: deleted`, so that its version outlives a late
        message (a real delete is forgotten after `index.gc_deletes`, one minute).
        """
        document: dict[str, Any] = {
            fields.ITEM_ID: self.item_id,
            fields.TITLE: self.title or None,
            fields.DESCRIPTION: self.description or None,
            fields.CATEGORY: self.category,
            fields.PRICE: self.price,
            fields.STATUS: self.status,
            fields.CREATED_AT: None if self.created_at is None else iso_ms(self.created_at),
            fields.UPDATED_AT: iso_ms(self.updated_at),
            fields.IMAGE_URL: self.stored_url,
            fields.AI_GENERATED: self.ai_generated and self.ai_generated.model_dump(exclude_none=True),
        }
        if self.is_partial:
            named = {fields.ITEM_ID, fields.UPDATED_AT, *self.changed}
            return {name: value for name, value in document.items() if name in named and value is not None}
        return {name: value for name, value in document.items() if value is not None}

    @property
    def speaks_of(self) -> frozenset[str]:
        """Of `ITEM_FIELDS`, those that this message speaks of; what it has no value for is emptied."""
        return _ITEM_FIELDS & self.changed if self.is_partial else _ITEM_FIELDS

    @property
    def stored_url(self) -> str | None:
        """The photo's address as the index keeps it; a photo carried inside the message is not kept."""
        if self.image_url and self.image_url[:5].lower() == "data:":
            return None
        return self.image_url or None

    def to_json(self) -> bytes:
        """The message as it travels."""
        if self.is_partial:  # a null takes a field away
            return self.model_dump_json(exclude_unset=True).encode()
        return self.model_dump_json(exclude_none=True, exclude={"partial"}).encode()


def parse_message(data: bytes | str | Mapping[str, Any]) -> ItemMessage:
    """An item message from the bytes on the topic, a line of JSON, or a mapping.

    Raises:
        InputError: not a JSON object, or fields that are wrong; all of them are named.
    """
    try:
        if isinstance(data, bytes | str):
            return ItemMessage.model_validate_json(data)
        return ItemMessage.model_validate(dict(data))
    except ValidationError as e:
        raise InputError(_sentence(e)) from e


def _sentence(error: ValidationError) -> str:
    problems = []
    for item in error.errors(include_url=False, include_input=False):
        if item["type"] == "json_invalid":
            return f"not JSON: {item['msg'].removeprefix('Invalid JSON: ')}"
        where = ".".join(str(part) for part in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        problems.append(f"{where}: {message}" if where else message)
    return "; ".join(problems)


__all__ = [
    "DEFAULT_TOPIC",
    "ITEM_FIELDS",
    "AiGenerated",
    "EpochMs",
    "ItemMessage",
    "epoch_ms",
    "iso_ms",
    "parse_message",
]
