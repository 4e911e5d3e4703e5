"""Puts item messages on the topic, and returns once the brokers have them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ranking.errors import InputError, ServerError
from ranking.item_message import DEFAULT_TOPIC, ItemMessage, parse_message
from ranking.kafka import ENGINE, PARTITIONS, ensure_topics, open_producer


def publish(
    messages: Iterable[ItemMessage | Mapping[str, Any]],
    bootstrap: str,
    *,
    topic: str = DEFAULT_TOPIC,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """Publish messages keyed by `item_id`; how many the brokers confirmed.

    Args:
        messages: checked before they are sent.
        bootstrap: host:port, several with commas.
        topic: made where it is missing.
        on_progress: called with how many more were confirmed.

    Raises:
        InputError: a message is wrong; those before it may have been sent.
        ServerError: no broker answers, or a message was not taken.
    """
    ensure_topics(bootstrap, {topic: PARTITIONS})
    producer = open_producer(bootstrap)
    confirmed = 0
    refused: list[str] = []

    def delivered(error: Any, _message: Any) -> None:
        nonlocal confirmed
        if error is not None:
            refused.append(error.str())
            return
        confirmed += 1
        if on_progress:
            on_progress(1)

    try:
        for raw in messages:
            message = raw if isinstance(raw, ItemMessage) else parse_message(raw)
            while True:
                try:
                    producer.produce(
                        topic, message.to_json(), message.item_id.encode(), on_delivery=delivered
                    )
                except BufferError:  # the queue to the brokers is full
                    producer.poll(0.5)
                else:
                    break
            producer.poll(0)
            if refused:
                break
    finally:
        producer.flush()
    if refused:
        raise ServerError(
            ENGINE,
            f"{confirmed} messages were published, then one was not taken: {refused[0]}",
            hint="messages may be published twice; run the same command again",
        )
    return confirmed


def read_jsonl(path: Path, *, partial: bool = False) -> Iterator[ItemMessage]:
    """Item messages of a file with one JSON object per line; empty lines are passed over.

    Args:
        path: the file.
        partial: each line names only what changed, whether it says so itself or not.

    Raises:
        InputError: the file is not there, or a line is wrong; the line is named.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    message = parse_message(_marked(line) if partial else line)
                except InputError as e:
                    raise InputError(f"{path}, line {number}: {e}") from e
                yield message
    except OSError as e:
        raise InputError(f"{path} cannot be read: {e.strerror or e}") from e


def _marked(line: bytes) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except ValueError as e:
        raise InputError(f"not JSON: {e}") from e
    if not isinstance(data, dict):
        raise InputError("not a JSON object")
    return data | {"partial": True}


__all__ = ["publish", "read_jsonl"]
