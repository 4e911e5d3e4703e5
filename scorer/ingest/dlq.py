"""Dead letters put back on their topic, or dropped.

A replay reads what is in the dead letter topic at its start, no further: a message that fails again comes
back as one new dead letter and is not replayed a second time by the same run. Its `replays` header counts
how often it was put back, and `max_replays` leaves alone what has failed that often.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ranking.errors import InputError, ServerError
from ranking.kafka import ENGINE, open_admin, open_consumer, open_producer
from scorer.ingest.records import REPLAYS

if TYPE_CHECKING:
    from confluent_kafka import Message

_READER: Final = "rank-dlq-reader"  # never commits


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which dead letters are meant; what is None is not asked about."""

    stage: str | None = None
    item_id: str | None = None
    reason: str | None = None  # a part of it, case ignored
    max_replays: int | None = None  # of letters that came back so often already, none

    def takes(self, letter: Mapping[str, Any]) -> bool:
        """Whether a letter is meant."""
        return (
            (self.stage is None or letter.get("stage") == self.stage)
            and (self.item_id is None or letter.get("item_id") == self.item_id)
            and (self.reason is None or self.reason.lower() in str(letter.get("reason", "")).lower())
            and (self.max_replays is None or int(letter.get("replays", 0)) < self.max_replays)
        )


@dataclass(slots=True)
class Replayed:
    """What one replay did."""

    read: int = 0
    matched: int = 0
    published: int = 0  # put back, and confirmed by the brokers
    unusable: int = 0  # matched, and not a letter of this toolkit, so there is no message to put back

    def to_dict(self) -> dict[str, int]:
        """For printing."""
        return {
            "n_read": self.read,
            "n_matched": self.matched,
            "n_published": self.published,
            "n_unusable": self.unusable,
        }


def replay(
    bootstrap: str,
    dlq_topic: str,
    *,
    only: Filter | None = None,
    dry_run: bool = False,
    limit: int | None = None,
    timeout_s: float = 30.0,
    on_letter: Callable[[Mapping[str, Any]], None] | None = None,
) -> Replayed:
    """Put the original messages of dead letters back on the topics that they came from.

    Args:
        bootstrap: host:port, several with commas.
        dlq_topic: the dead letter topic; its letters stay, `drop` takes them away.
        only: which ones.
        dry_run: count only.
        limit: at most so many, the oldest first.
        timeout_s: how long nothing may come while there should be more.
        on_letter: shown each letter that matched.

    Raises:
        ServerError: no broker answers, or a message was not taken.
    """
    done = Replayed()
    only = only or Filter()
    refused: list[str] = []
    producer = None if dry_run else open_producer(bootstrap)

    def delivered(error: Any, _message: Any) -> None:
        if error is None:
            done.published += 1
        else:
            refused.append(error.str())

    found = letters(bootstrap, dlq_topic, timeout_s=timeout_s)
    for letter, topic, original in chosen(found, done, only=only, limit=limit):
        if on_letter:
            on_letter(letter)
        if producer is None or original is None:
            continue
        key = _key(letter)
        headers: dict[str, str | bytes | None] = {REPLAYS: str(int(letter.get("replays", 0)) + 1).encode()}
        while True:
            try:
                producer.produce(topic, original, key, headers=headers, on_delivery=delivered)
            except BufferError:
                producer.poll(0.5)
            else:
                break
        producer.poll(0)
    if producer is not None:
        producer.flush()
    if refused:
        raise ServerError(
            ENGINE,
            f"{done.published} messages were put back, then one was not taken: {refused[0]}",
            hint="messages may be put back twice; run the same command again",
        )
    return done


def chosen(
    found: Iterable[Mapping[str, Any]], done: Replayed, *, only: Filter, limit: int | None
) -> Iterator[tuple[Mapping[str, Any], str, bytes | None]]:
    """Each letter that is meant, the topic it goes back to and its message; None where it holds none.

    Counts what it reads, passes over and finds unusable in `done`.
    """
    for letter in found:
        done.read += 1
        if limit is not None and done.matched >= limit:
            return
        if not only.takes(letter):
            continue
        done.matched += 1
        original, topic = _original(letter), letter.get("topic")
        if original is None or not isinstance(topic, str) or not topic:
            done.unusable += 1
            original, topic = None, ""
        yield letter, topic, original


def drop(
    bootstrap: str, dlq_topic: str, *, through: Mapping[int, int] | None = None, dry_run: bool = False
) -> int:
    """Delete dead letters for good; how many.

    Args:
        bootstrap: host:port, several with commas.
        dlq_topic: the dead letter topic.
        through: the last offset to delete, by partition; all that is there by default.
        dry_run: count only.

    Raises:
        InputError: there is no such partition, or not so many letters.
        ServerError: no broker answers, or it refuses.
    """
    from confluent_kafka import KafkaException, TopicPartition

    ends = _spans(bootstrap, dlq_topic)
    for partition, offset in (through or {}).items():
        if partition not in ends:
            raise InputError(f"{dlq_topic} has no partition {partition}; it has {sorted(ends)}")
        if offset >= ends[partition][1]:
            raise InputError(f"partition {partition} of {dlq_topic} ends at offset {ends[partition][1] - 1}")
    wanted = (
        {partition: high for partition, (_, high) in ends.items()}
        if through is None
        else {partition: offset + 1 for partition, offset in through.items()}
    )
    wanted = {partition: end for partition, end in wanted.items() if end > ends[partition][0]}
    n = sum(end - ends[partition][0] for partition, end in wanted.items())
    if dry_run or not n:
        return n
    admin = open_admin(bootstrap)
    try:
        asked = admin.delete_records([TopicPartition(dlq_topic, p, end) for p, end in wanted.items()])
        for made in asked.values():
            made.result(30)
    except KafkaException as e:
        raise ServerError(ENGINE, f"dead letters cannot be deleted: {e.args[0].str()}") from e
    return n


def read_dead_letters(
    bootstrap: str, dlq_topic: str, *, limit: int = 100, timeout_s: float = 15.0
) -> tuple[list[dict[str, Any]], int]:
    """The newest dead letters, oldest first, and how many the topic holds.

    Raises:
        ServerError: no broker answers, or nothing comes for `timeout_s` while there should be more.
    """
    ends = _spans(bootstrap, dlq_topic)
    newest = {p: (max(low, high - limit), high) for p, (low, high) in ends.items()}
    found = sorted(_messages(bootstrap, dlq_topic, newest, timeout_s), key=lambda m: int(m.timestamp()[1]))
    return [_letter(message) for message in found[-limit:]], sum(high - low for low, high in ends.values())


def letters(bootstrap: str, dlq_topic: str, *, timeout_s: float = 30.0) -> Iterator[dict[str, Any]]:
    """Each dead letter that is in the topic now, with the `dlq_partition` and `dlq_offset` that it has there.

    Raises:
        ServerError: no broker answers, or nothing comes for `timeout_s` while there should be more.
    """
    yield from map(_letter, _messages(bootstrap, dlq_topic, _spans(bootstrap, dlq_topic), timeout_s))


def _messages(
    bootstrap: str, topic: str, spans: Mapping[int, tuple[int, int]], timeout_s: float
) -> Iterator[Message]:
    """The messages of each partition from its first offset up to its end."""
    from confluent_kafka import TopicPartition

    left = {p: high for p, (low, high) in spans.items() if high > low}
    consumer = open_consumer(bootstrap, _READER)
    try:
        consumer.assign([TopicPartition(topic, p, spans[p][0]) for p in left])
        until = time.monotonic() + timeout_s
        while left:
            message = consumer.poll(0.5)
            if message is None:
                if time.monotonic() > until:
                    raise ServerError(ENGINE, f"no more dead letters came from {topic!r}")
                continue
            partition = message.partition() or 0
            if message.error():
                left.pop(partition, None)  # the end of this partition
                continue
            until = time.monotonic() + timeout_s
            offset = message.offset() or 0
            if partition in left and offset < left[partition]:
                yield message
            if partition in left and offset >= left[partition] - 1:
                left.pop(partition)
    finally:
        consumer.close()


def _letter(message: Message) -> dict[str, Any]:
    place = {"dlq_partition": message.partition(), "dlq_offset": message.offset()}
    return {**readable(message.value()), **place}


def readable(value: bytes | None) -> dict[str, Any]:
    """A dead letter as it was written, or what else is found in its topic with a word on that."""
    try:
        letter = json.loads(value or b"")
    except (ValueError, RecursionError):
        letter = None
    if isinstance(letter, dict):
        return letter
    return {
        "reason": "not a dead letter of this toolkit",
        "original": (value or b"").decode(errors="replace"),
    }


def _spans(bootstrap: str, topic: str) -> dict[int, tuple[int, int]]:
    """First offset and end of each partition; none where there is no such topic."""
    from confluent_kafka import KafkaException, TopicPartition

    consumer = open_consumer(bootstrap, _READER)
    try:
        metadata = consumer.list_topics(topic, timeout=15).topics[topic]
        partitions = [] if metadata.error else sorted(metadata.partitions)
        return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=15) for p in partitions}
    except KafkaException as e:
        raise ServerError(
            ENGINE,
            f"the topic {topic!r} cannot be read ({e.args[0].str()})",
            hint="run `rank-cli stack status`",
        ) from e
    finally:
        consumer.close()


def _original(letter: Mapping[str, Any]) -> bytes | None:
    if "stage" not in letter:
        return None
    if isinstance(text := letter.get("original"), str):
        return text.encode()
    try:
        return base64.b64decode(letter["original_base64"], validate=True)
    except (KeyError, ValueError, TypeError):
        return None


def _key(letter: Mapping[str, Any]) -> bytes | None:
    """The key that the message had, so that it goes to its own partition, behind what came since."""
    if isinstance(key := letter.get("key_base64"), str):
        return base64.b64decode(key)
    item_id = letter.get("item_id")
    return str(item_id).encode() if item_id else None


__all__ = ["Filter", "Replayed", "chosen", "drop", "letters", "read_dead_letters", "readable", "replay"]
