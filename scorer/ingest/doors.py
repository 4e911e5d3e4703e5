"""Redis Streams, NATS JetStream and RabbitMQ, each as a door that messages come in by, through FastStream.

A door is told what to do with a message and does not acknowledge it by itself: `ack` is called once the
message is in the index or in the dead letters. All three deliver at least once. What cannot keep that
(Redis lists and pub/sub, NATS without JetStream) is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from ranking.errors import InputError, ServerError
from ranking.refusal import without_login
from scorer.ingest.records import Record

AGAIN_S: Final = 60.0  # what is not acknowledged for so long is delivered to someone else
KEEP_S: Final = 20.0  # how often it is said that a message is still worked on
_CONNECT_S: Final = 10.0
_LATER_S: Final = 1.0  # until NATS delivers again what was put back
_NO_LOGGER: Final[Any] = None  # FastStream's own is switched off: the analyzer's and our errors say it
_CLOSE_S: Final = 3.0  # for the last acknowledgements


@dataclass(eq=False, slots=True)
class Delivery:
    """One message that came in, and what may be said of it."""

    record: Record
    ack: Callable[[], Awaitable[None]]
    put_back: Callable[[], Awaitable[None]]  # let it be delivered again
    id: Any = None


Take = Callable[[Delivery], Awaitable[None]]


class Door(ABC):
    """One broker.

    Args:
        url: where it is.
        topic: stream, subject or queue of the item messages.
        group: consumer group or durable consumer; RabbitMQ has none, its queue is the group.
        at_once: messages that may be under way here at a time.
    """

    name: str

    def __init__(self, url: str, topic: str, group: str, at_once: int) -> None:
        self.url = url
        self.topic = topic
        self.group = group
        self.at_once = at_once
        self.dlq = f"{topic}.dlq"

    @abstractmethod
    async def connect(self) -> None:
        """Connect, and see that `topic` and its dead letters are there or make them."""

    @abstractmethod
    async def listen(self, take: Take) -> None:
        """Hand each message to `take`, up to `at_once` of them at a time."""

    @abstractmethod
    async def publish(self, name: str, value: bytes, headers: dict[str, str]) -> None:
        """Write one message; it is safe once this returns."""

    async def keep(self, _deliveries: Sequence[Delivery]) -> None:  # noqa: B027  (RabbitMQ needs none)
        """Say that these are still worked on."""

    @abstractmethod
    async def left(self) -> int:
        """Messages that this group has not finished, as far as the broker tells."""

    @abstractmethod
    async def close(self) -> None:
        """Disconnect. What is not acknowledged is delivered again."""


class RedisDoor(Door):
    """A Redis stream with a consumer group.

    A message is an entry with the JSON in its field `data` (`XADD items * data '{"item_id": ...}'`), or one
    that FastStream wrote. Entries that a dead consumer had taken are claimed after `AGAIN_S`.
    """

    name = "Redis"

    async def connect(self) -> None:
        """Connect; the group begins at the stream's first entry."""
        from faststream.redis import RedisBroker
        from redis.asyncio import Redis
        from redis.exceptions import RedisError, ResponseError

        self._consumer = f"{socket.gethostname()}-{os.getpid()}"
        self._redis: Any = Redis.from_url(self.url)
        try:
            found: Any = await self._redis.type(self.topic)
            kind = found.decode()
            if kind not in ("none", "stream"):
                raise InputError(
                    f"{self.topic!r} in Redis is a {kind}; only streams are read, since a {kind} loses "
                    "what a consumer had taken when it dies"
                )
            with contextlib.suppress(ResponseError):  # BUSYGROUP: it is there
                await self._redis.xgroup_create(self.topic, self.group, id="0", mkstream=True)
        except (RedisError, OSError) as e:
            raise _unreachable(self, e) from e
        self._broker = RedisBroker(self.url, apply_types=False, logger=_NO_LOGGER, graceful_timeout=_CLOSE_S)

    async def listen(self, take: Take) -> None:
        """New entries, and those that another consumer has left behind."""
        from faststream import AckPolicy
        from faststream.redis import StreamSub

        async def handle(message: Any) -> None:
            data = message.raw_message["fields"]
            entry = message.raw_message["message_ids"][0]
            written = data.get(b"data")
            headers = {key.decode(): value for key, value in data.items() if key != b"data"}
            if written is None:
                headers = {key: str(value).encode() for key, value in message.headers.items()}
            record = Record(
                value=message.body if written is None else written,
                topic=self.topic,
                offset=int(entry.partition(b"-")[0]),
                timestamp_ms=int(entry.partition(b"-")[0]),
                headers=tuple(headers.items()),
            )
            await take(Delivery(record, message.ack, _on_close, id=entry))

        for claimed in (None, int(AGAIN_S * 1000)):
            self._broker.subscriber(
                stream=StreamSub(
                    self.topic,
                    group=self.group,
                    consumer=self._consumer,
                    max_records=self.at_once,
                    min_idle_time=claimed,
                    polling_interval=200 if claimed is None else 1000,
                ),
                parser=_parse_entry,
                decoder=_as_it_is,
                ack_policy=AckPolicy.MANUAL,
                max_workers=self.at_once,
            )(handle)
        await self._broker.start()

    async def publish(self, name: str, value: bytes, headers: dict[str, str]) -> None:
        """Add one entry."""
        await self._redis.xadd(name, {"data": value, **headers})

    async def keep(self, deliveries: Sequence[Delivery]) -> None:
        """Claimed again by their own consumer, which sets their idle time to nothing."""
        ids = [delivery.id for delivery in deliveries]
        await self._redis.xclaim(self.topic, self.group, self._consumer, 0, ids, justid=True)

    async def left(self) -> int:
        """Entries that nobody of the group has taken yet, and those taken and not acknowledged."""
        groups = await self._redis.xinfo_groups(self.topic)
        (ours,) = [group for group in groups if group["name"].decode() == self.group]
        lag = ours.get("lag")
        if lag is None:  # entries were deleted in between, or a server before 7.0
            stream = await self._redis.xinfo_stream(self.topic)
            lag = int(ours["last-delivered-id"] != stream["last-generated-id"])
        return int(lag) + int(ours["pending"])

    async def close(self) -> None:
        """Disconnect, and leave the group where nothing of ours is pending."""
        with contextlib.suppress(Exception):
            await self._broker.stop()
        with contextlib.suppress(Exception):
            mine = await self._redis.xinfo_consumers(self.topic, self.group)
            if any(c["name"].decode() == self._consumer and c["pending"] == 0 for c in mine):
                await self._redis.xgroup_delconsumer(self.topic, self.group, self._consumer)
        await self._redis.aclose()


class NatsDoor(Door):
    """A JetStream subject with a durable pull consumer."""

    name = "NATS"

    async def connect(self) -> None:
        """Connect; a stream is made for a subject that none holds yet."""
        from faststream.nats import NatsBroker
        from nats.errors import Error
        from nats.js.errors import APIError, NoStreamResponseError, NotFoundError, ServiceUnavailableError

        self._broker = NatsBroker(
            self.url,
            apply_types=False,
            logger=_NO_LOGGER,
            graceful_timeout=_CLOSE_S,
            max_reconnect_attempts=-1,
            connect_timeout=int(_CONNECT_S),
            allow_reconnect=True,
        )
        try:
            # Without a limit a server that is not there is tried for ever.
            connection = await asyncio.wait_for(self._broker.connect(), _CONNECT_S)
        except (Error, OSError, TimeoutError) as e:
            raise _unreachable(self, e) from e
        self._js = connection.jetstream()
        try:
            self._stream = await self._stream_of(self.topic, NotFoundError)
            await self._stream_of(self.dlq, NotFoundError)
        except (ServiceUnavailableError, NoStreamResponseError) as e:
            raise ServerError(
                self.name,
                "JetStream is off, and without it messages are lost whenever nobody listens",
                hint="start nats-server with --jetstream",
            ) from e
        except APIError as e:
            raise ServerError(self.name, f"no stream for {self.topic!r}: {e.description}") from e

    @property
    def _durable(self) -> str:
        return re.sub(r"[.*>\s]", "-", self.group)

    async def left(self) -> int:
        """Messages that the durable consumer has not handed out, and those not acknowledged."""
        info = await self._js.consumer_info(self._stream, self._durable)
        return int(info.num_pending or 0) + int(info.num_ack_pending or 0)

    async def _stream_of(self, subject: str, not_found: type[Exception]) -> str:
        try:
            return str(await self._js.find_stream_name_by_subject(subject))
        except not_found:
            name = "rank-" + re.sub(r"[.*>\s]", "-", subject)
            await self._js.add_stream(name=name, subjects=[subject])
            return name

    async def listen(self, take: Take) -> None:
        """Pull, from the first message of the stream where the durable consumer is new."""
        from faststream import AckPolicy
        from faststream.nats import JStream, PullSub
        from nats.js.api import AckPolicy as ServerAck
        from nats.js.api import ConsumerConfig, DeliverPolicy

        async def handle(message: Any) -> None:
            raw = message.raw_message
            record = Record(
                value=raw.data,
                topic=raw.subject,
                offset=raw.metadata.sequence.stream,
                timestamp_ms=int(raw.metadata.timestamp.timestamp() * 1000),
                headers=tuple((k, str(v).encode()) for k, v in (raw.headers or {}).items()),
            )
            # Later, so that it goes to another consumer and not back to this one.
            await take(Delivery(record, message.ack, partial(message.nack, delay=_LATER_S), id=raw))

        durable = self._durable
        self._broker.subscriber(
            self.topic,
            stream=JStream(self._stream, declare=False),
            pull_sub=PullSub(batch_size=max(1, self.at_once // 2), timeout=1.0),
            durable=durable,
            config=ConsumerConfig(
                durable_name=durable,
                filter_subject=self.topic,
                deliver_policy=DeliverPolicy.ALL,
                ack_policy=ServerAck.EXPLICIT,
                ack_wait=AGAIN_S,
                max_ack_pending=self.at_once * 8,  # of all consumers of this name together
            ),
            decoder=_as_it_is,
            ack_policy=AckPolicy.MANUAL,
            max_workers=self.at_once,
        )(handle)
        await self._broker.start()

    async def publish(self, name: str, value: bytes, headers: dict[str, str]) -> None:
        """Publish, and wait for the stream's acknowledgement."""
        await self._js.publish(name, value, headers=headers or None)

    async def keep(self, deliveries: Sequence[Delivery]) -> None:
        """In progress: the server's clock for the acknowledgement starts again."""
        for delivery in deliveries:
            with contextlib.suppress(Exception):
                await delivery.id.in_progress()

    async def close(self) -> None:
        """Disconnect."""
        with contextlib.suppress(Exception):
            await self._broker.stop()


class RabbitDoor(Door):
    """A durable RabbitMQ queue; its consumers share it."""

    name = "RabbitMQ"

    async def connect(self) -> None:
        """Connect, and declare the two queues."""
        from aiormq.exceptions import AMQPError
        from faststream.rabbit import Channel, RabbitBroker, RabbitQueue

        self._broker = RabbitBroker(
            self.url,
            apply_types=False,
            logger=_NO_LOGGER,
            graceful_timeout=_CLOSE_S,
            default_channel=Channel(prefetch_count=self.at_once),
        )
        self._queues = {name: RabbitQueue(name, durable=True) for name in (self.topic, self.dlq)}
        try:
            await asyncio.wait_for(self._broker.connect(), _CONNECT_S)
            for queue in self._queues.values():
                declared = await self._broker.declare_queue(queue)
                if queue.name == self.topic:
                    self._declared: Any = declared
        except (AMQPError, OSError, TimeoutError) as e:
            raise _unreachable(self, e) from e

    async def listen(self, take: Take) -> None:
        """Consume, with as many unacknowledged as may be under way."""
        from faststream import AckPolicy

        async def handle(message: Any) -> None:
            raw = message.raw_message
            record = Record(
                value=raw.body,
                topic=self.topic,
                offset=raw.delivery_tag or 0,
                timestamp_ms=None if raw.timestamp is None else int(raw.timestamp.timestamp() * 1000),
                headers=tuple((k, str(v).encode()) for k, v in raw.headers.items()),
            )
            await take(Delivery(record, message.ack, _on_close, id=raw))

        self._broker.subscriber(self._queues[self.topic], decoder=_as_it_is, ack_policy=AckPolicy.MANUAL)(
            handle
        )
        await self._broker.start()

    async def left(self) -> int:
        """Messages in the queue; those that other consumers hold are not told."""
        return int((await self._declared.declare()).message_count)

    async def publish(self, name: str, value: bytes, headers: dict[str, str]) -> None:
        """Publish to the queue, persistent, and wait for the server's confirmation."""
        if name not in self._queues:
            raise InputError(f"no queue {name!r}")
        await self._broker.publish(
            value, queue=self._queues[name], persist=True, mandatory=True, headers=dict(headers)
        )

    async def close(self) -> None:
        """Disconnect."""
        with contextlib.suppress(Exception):
            await self._broker.stop()


_DOORS: Final[dict[str, type[Door]]] = {
    "redis": RedisDoor,
    "rediss": RedisDoor,
    "nats": NatsDoor,
    "tls": NatsDoor,
    "amqp": RabbitDoor,
    "amqps": RabbitDoor,
}


def door(url: str, *, topic: str, group: str, at_once: int) -> Door:
    """The door of a broker, by its address.

    Raises:
        InputError: an address of another kind, or FastStream is not installed.
    """
    kind = urlsplit(url).scheme.lower()
    if kind not in _DOORS:
        raise InputError(
            f"{without_login(url)!r} is no broker that can be read: give redis://, nats:// or amqp://, or "
            "leave the address out for Kafka"
        )
    for name in ("aio_pika", "aiormq", "nats", "faststream"):  # they say each lost connection, and reconnect
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    try:
        import faststream  # noqa: F401
    except ImportError as e:
        hint = "run `pip install 'rank-toolkit[brokers]'`"
        raise InputError("FastStream is not installed", hint=hint) from e
    return _DOORS[kind](url, topic, group, at_once)


async def _on_close() -> None:
    """Nothing to say: what is not acknowledged is delivered again once the connection is closed."""


async def _parse_entry(message: Any, parse: Callable[[Any], Awaitable[Any]]) -> Any:
    """Around FastStream's parser, which drops an entry that is neither its own nor UTF-8."""
    given = message["data"]
    own = {b"__data__": given.get(b"__data__", b"{}")}
    return await parse({**message, "data": own, "fields": given})


async def _as_it_is(message: Any) -> Any:
    """Instead of FastStream's decoder: the analyzer parses, and poison goes to the dead letters."""
    return message


def _unreachable(at: Door, error: Exception) -> ServerError:
    why = str(error) or type(error).__name__
    return ServerError(at.name, f"nothing answers at {without_login(at.url)} ({why})", hint="check --from")


__all__ = ["AGAIN_S", "KEEP_S", "Delivery", "Door", "NatsDoor", "RabbitDoor", "RedisDoor", "Take", "door"]
