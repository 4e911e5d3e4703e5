"""The dead letter topic: each record that could not be used, with the reason and where it came from."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

from ranking.errors import ServerError
from ranking.item_message import DEFAULT_TOPIC
from ranking.kafka import ENGINE, ensure_topics, open_producer
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


__all__ = ["DeadLetterQueue", "dead_letter_topic"]
