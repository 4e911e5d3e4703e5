"""The dead letter topic: each record that could not be used, with the reason and where it came from."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from ranking.errors import ServerError
from ranking.item_message import DEFAULT_TOPIC
from ranking.kafka import ENGINE, ensure_topics, open_consumer, open_producer
from scorer.ingest.dlq import readable
from scorer.ingest.records import DeadLetter


def dead_letter_topic(topic: str = DEFAULT_TOPIC) -> str:
    """Name of the dead letter topic that belongs to `topic`."""
    return f"{topic}.dlq"


class DeadLetterQueue:
    """Writes dead letters. `put` returns once the brokers have all of them."""

    def __init__(self, bootstrap: str, topic: str, *, stop: threading.Event | None = None) -> None:
        self.topic = topic
        self._stop = stop or threading.Event()
        ensure_topics(bootstrap, {topic: 1})
        self._producer = open_producer(bootstrap, give_up_s=None)

    def put(self, letters: Iterable[DeadLetter]) -> int:
        """Write `letters`; how many they were. Waits for a broker that is gone.

        Raises:
            ServerError: refused, or told to stop before the brokers had them.
        """
        refused: list[str] = []
        lock = threading.Lock()
        waiting = 0

        def delivered(error: Any, _message: Any) -> None:
            nonlocal waiting
            with lock:
                waiting -= 1
                if error is not None:
                    refused.append(error.str())

        n = 0
        for letter in letters:
            text = json.dumps(letter.to_dict(), ensure_ascii=False).encode()
            key = letter.item_id.encode() if letter.item_id else None
            with lock:
                waiting += 1
            self._produce(text, key, delivered)
            n += 1
        while waiting and not refused:
            self._producer.flush(1.0)
            if waiting and self._stop.is_set():
                raise ServerError(ENGINE, f"{waiting} dead letters are not written yet")
        if refused:
            raise ServerError(ENGINE, f"a dead letter was refused: {refused[0]}")
        return n

    def _produce(self, text: bytes, key: bytes | None, delivered: Callable[[Any, Any], None]) -> None:
        while True:
            try:
                self._producer.produce(self.topic, text, key, on_delivery=delivered)
            except BufferError:
                self._producer.poll(0.5)
            else:
                return

    def close(self) -> None:
        """Nothing is left behind: `put` has waited for its letters."""
        self._producer.flush(1.0)


def read_dead_letters(
    bootstrap: str, topic: str, *, limit: int = 100, timeout_s: float = 15.0
) -> tuple[list[dict[str, Any]], int]:
    """The newest dead letters, oldest first, and how many the topic holds.

    Raises:
        ServerError: no broker answers.
    """
    from confluent_kafka import KafkaException, TopicPartition

    consumer = open_consumer(bootstrap, "rank-dlq-reader")
    try:
        metadata = consumer.list_topics(topic, timeout=timeout_s).topics[topic]
        partitions = [] if metadata.error else sorted(metadata.partitions)
        starts, total = [], 0
        for partition in partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=timeout_s)
            total += high - low
            if high > low:
                starts.append(TopicPartition(topic, partition, max(low, high - limit)))
        found: list[tuple[int, dict[str, Any]]] = []
        open_ends = {start.partition for start in starts}
        consumer.assign(starts)
        until = time.monotonic() + timeout_s
        while open_ends and time.monotonic() < until:
            message = consumer.poll(0.5)
            if message is None:
                continue
            if message.error():
                open_ends.discard(message.partition())  # the end of this partition
            else:
                place = {"dlq_partition": message.partition(), "dlq_offset": message.offset()}
                found.append((message.timestamp()[1], {**readable(message.value()), **place}))
    except KafkaException as e:
        raise ServerError(
            ENGINE,
            f"the topic {topic!r} cannot be read ({e.args[0].str()})",
            hint="run `rank-cli stack status`",
        ) from e
    finally:
        consumer.close()
    found.sort(key=lambda pair: pair[0])
    return [letter for _, letter in found[-limit:]], total


__all__ = ["DeadLetterQueue", "dead_letter_topic", "read_dead_letters"]
