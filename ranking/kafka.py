"""Opens Kafka clients, and turns what they say into sentences."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ranking.errors import ServerError
from ranking.settings import Settings, get_settings

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Producer
    from confluent_kafka.admin import AdminClient

ENGINE: Final = "Kafka"
PARTITIONS: Final = 4  # of a topic that is made here: consumers of one group that can share the work
_HINT: Final = "run `rank-cli stack up kafka`, or check KAFKA_BOOTSTRAP"


def bootstrap_of(bootstrap: str | None = None, settings: Settings | None = None) -> str:
    """The brokers' address: as given, or as the settings name it."""
    return bootstrap or (settings or get_settings()).endpoint(ENGINE)


def _common(bootstrap: str) -> dict[str, Any]:
    # librdkafka writes each lost connection to stderr; it tries again by itself, and we say so ourselves.
    quiet = logging.getLogger("rank.kafka")
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False
    return {
        "bootstrap.servers": bootstrap,
        "logger": quiet,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 5_000,
        "topic.metadata.refresh.interval.ms": 30_000,
    }


def open_producer(bootstrap: str, *, give_up_s: float | None = 30.0) -> Producer:
    """A producer that writes each message once and in order.

    Args:
        bootstrap: host:port, several with commas.
        give_up_s: how long one message is tried; None tries for ever.
    """
    from confluent_kafka import Producer

    return Producer(
        {
            **_common(bootstrap),
            "enable.idempotence": True,
            "linger.ms": 20,
            "compression.type": "lz4",
            "message.timeout.ms": 0 if give_up_s is None else int(give_up_s * 1000),
        }
    )


def open_consumer(bootstrap: str, group: str, options: Mapping[str, Any] | None = None) -> Consumer:
    """A consumer that commits only what it is told to, from the beginning where its group is new."""
    from confluent_kafka import Consumer

    return Consumer(
        {
            **_common(bootstrap),
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "queued.max.messages.kbytes": 16_384,  # read ahead of a partition at most; photos may ride inside
            "session.timeout.ms": 10_000,  # a member that died is replaced after this
            **(options or {}),
        }
    )


def open_admin(bootstrap: str) -> AdminClient:
    """A client that makes topics and deletes records."""
    from confluent_kafka.admin import AdminClient

    return AdminClient(_common(bootstrap))


def ensure_topics(bootstrap: str, partitions: Mapping[str, int], *, timeout_s: float = 10.0) -> None:
    """Make the topics that are missing, with the broker's own replication factor.

    Raises:
        ServerError: no broker answers, or it refuses.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka.cimpl import NewTopic

    admin = open_admin(bootstrap)
    try:
        there = admin.list_topics(timeout=timeout_s).topics
    except KafkaException as e:
        raise ServerError(ENGINE, f"nothing answers at {bootstrap} ({_text(e)})", hint=_HINT) from e
    missing = [NewTopic(name, n, -1) for name, n in partitions.items() if name not in there]
    for name, made in (admin.create_topics(missing) if missing else {}).items():
        try:
            made.result(timeout_s)
        except KafkaException as e:
            if "TOPIC_ALREADY_EXISTS" not in repr(e):
                raise ServerError(ENGINE, f"the topic {name!r} cannot be made: {_text(e)}") from e


def explain(error: KafkaError) -> ServerError:
    """A fatal error of a client as ours."""
    return ServerError(ENGINE, error.str(), hint=_HINT)


def _text(error: Exception) -> str:
    with contextlib.suppress(Exception):
        return str(error.args[0].str())
    return str(error)


__all__ = [
    "ENGINE",
    "PARTITIONS",
    "bootstrap_of",
    "ensure_topics",
    "explain",
    "open_admin",
    "open_consumer",
    "open_producer",
]
