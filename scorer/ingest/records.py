"""What passes through the ingest: a record as Kafka delivered it, and why one was set aside."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

REPLAYS: Final = "rank-replays"  # header: how often `ingest dlq replay` put the message back
Stage = Literal["parse", "photo", "score", "write"]


class Record(NamedTuple):
    """One message, from Kafka or from another broker."""

    value: bytes | None  # None is a tombstone: the key's item is gone
    key: bytes | None = None
    topic: str = ""
    partition: int = 0
    offset: int = 0
    timestamp_ms: int | None = None  # as the broker or the producer stamped it
    headers: tuple[tuple[str, bytes], ...] = ()

    def header(self, name: str) -> str | None:
        """The last header of that name, as text."""
        found = [value for key, value in self.headers if key.lower() == name]
        return found[-1].decode(errors="replace") if found else None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be used, or not wholly, and why."""

    record: Record
    stage: Stage
    reason: str
    at: str  # ISO 8601
    item_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As it travels. `original` is text, or `original_base64` where it is not UTF-8."""
        value = self.record.value or b""
        try:
            original: Mapping[str, str] = {"original": value.decode()}
        except UnicodeDecodeError:
            original = {"original_base64": base64.b64encode(value).decode()}
        key = {} if self.record.key is None else {"key_base64": base64.b64encode(self.record.key).decode()}
        times = self.record.header(REPLAYS)
        replays = {"replays": int(times)} if times is not None and times.isdigit() else {}
        if self.record.value is None:
            original = {}  # a tombstone
        return {
            "reason": self.reason,
            "stage": self.stage,
            "item_id": self.item_id,
            "topic": self.record.topic,
            "partition": self.record.partition,
            "offset": self.record.offset,
            "at": self.at,
            **key,
            **replays,
            **original,
        }


__all__ = ["REPLAYS", "DeadLetter", "Record", "Stage"]
