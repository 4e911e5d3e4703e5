"""The dead letters of one topic on Redis, NATS or RabbitMQ, through each broker's own client.

Redis      entries of the stream `{topic}.dlq`, by entry id
NATS       messages of the JetStream subject, by sequence number
RabbitMQ   messages of the queue, by their place in it; a queue shows a message only by handing it out, so
           they are given back when the connection closes, and stay in their order
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from ranking.errors import InputError, RankError, ServerError
from ranking.refusal import without_login

_CONNECT_S: Final = 10.0
_PAGE: Final = 500


class LetterBox(ABC):
    """The dead letters of one topic."""

    name: str

    def __init__(self, url: str, dlq: str) -> None:
        self.url = url
        self.dlq = dlq

    @abstractmethod
    async def connect(self) -> None:
        """Connect; nothing is made."""

    @abstractmethod
    async def count(self) -> int:
        """How many there are; 0 where there is no such stream or queue."""

    @abstractmethod
    def each(self) -> AsyncIterator[tuple[str, bytes]]:
        """Id and value of those that are there now, oldest first."""

    async def newest(self, limit: int) -> list[tuple[str, bytes]]:
        """The last `limit` of them, oldest first."""
        last: deque[tuple[str, bytes]] = deque(maxlen=limit)
        async for letter in self.each():
            last.append(letter)
        return list(last)

    @abstractmethod
    async def put_back(self, topic: str, value: bytes, headers: dict[str, str]) -> None:
        """Publish one message; it is safe once this returns."""

    @abstractmethod
    async def delete(self, through: str | None) -> None:
        """Delete those up to an id, or all."""

    @abstractmethod
    async def close(self) -> None:
        """Disconnect."""


class _RedisBox(LetterBox):
    name = "Redis"

    async def connect(self) -> None:
        from redis.asyncio import Redis

        self._redis: Any = Redis.from_url(self.url, socket_connect_timeout=_CONNECT_S)
        await self._redis.ping()

    async def count(self) -> int:
        return int(await self._redis.xlen(self.dlq))

    async def each(self) -> AsyncIterator[tuple[str, bytes]]:
        newest = await self._redis.xrevrange(self.dlq, count=1)
        after = "-"
        while newest:
            page = await self._redis.xrange(self.dlq, after, newest[0][0], count=_PAGE)
            for entry, data in page:
                yield entry.decode(), data.get(b"data", b"")
            if len(page) < _PAGE:
                return
            after = f"({page[-1][0].decode()}"

    async def newest(self, limit: int) -> list[tuple[str, bytes]]:
        found = await self._redis.xrevrange(self.dlq, count=limit)
        return [(entry.decode(), data.get(b"data", b"")) for entry, data in reversed(found)]

    async def put_back(self, topic: str, value: bytes, headers: dict[str, str]) -> None:
        await self._redis.xadd(topic, {"data": value, **headers})

    async def delete(self, through: str | None) -> None:
        if through is None:
            await self._redis.xtrim(self.dlq, maxlen=0, approximate=False)
        else:
            ms, _, number = through.partition("-")
            await self._redis.xtrim(self.dlq, minid=f"{ms}-{int(number) + 1}", approximate=False)

    async def close(self) -> None:
        await self._redis.aclose()


class _NatsBox(LetterBox):
    name = "NATS"

    async def connect(self) -> None:
        import nats
        from nats.js.errors import NotFoundError

        self._connection = await nats.connect(
            self.url, allow_reconnect=False, connect_timeout=int(_CONNECT_S), error_cb=_quiet
        )
        self._js = self._connection.jetstream()
        try:
            self._stream: str | None = await self._js.find_stream_name_by_subject(self.dlq)
        except NotFoundError:
            self._stream = None

    async def count(self) -> int:
        if self._stream is None:
            return 0
        info = await self._js.stream_info(self._stream, subjects_filter=self.dlq)
        return int((info.state.subjects or {}).get(self.dlq, 0))

    async def each(self) -> AsyncIterator[tuple[str, bytes]]:
        from nats.js.errors import NotFoundError

        if self._stream is None:
            return
        state = (await self._js.stream_info(self._stream)).state
        sequence = state.first_seq
        while sequence <= state.last_seq:
            try:
                found = await self._js.get_msg(self._stream, seq=sequence, subject=self.dlq, next=True)
            except NotFoundError:
                return
            if found.seq is None or found.seq > state.last_seq:
                return
            yield str(found.seq), found.data or b""
            sequence = found.seq + 1

    async def put_back(self, topic: str, value: bytes, headers: dict[str, str]) -> None:
        await self._js.publish(topic, value, headers=dict(headers))

    async def delete(self, through: str | None) -> None:
        if self._stream is not None:
            before = None if through is None else int(through) + 1
            await self._js.purge_stream(self._stream, seq=before, subject=self.dlq)

    async def close(self) -> None:
        await self._connection.close()


class _RabbitBox(LetterBox):
    name = "RabbitMQ"

    async def connect(self) -> None:
        import aio_pika
        from aio_pika.exceptions import ChannelNotFoundEntity

        self._held: list[Any] = []  # handed out, and neither deleted nor given back
        self._connection = await aio_pika.connect(self.url, timeout=_CONNECT_S)
        self._channel = await self._connection.channel()
        try:
            self._queue: Any = await self._channel.get_queue(self.dlq)
        except ChannelNotFoundEntity:
            self._queue = None

    async def count(self) -> int:
        if self._queue is None:
            return 0
        return int((await self._queue.declare()).message_count)

    async def each(self) -> AsyncIterator[tuple[str, bytes]]:
        for place in range(1, await self.count() + 1):
            message = await self._queue.get(fail=False)
            if message is None:
                return
            self._held.append(message)
            yield str(place), message.body

    async def put_back(self, topic: str, value: bytes, headers: dict[str, str]) -> None:
        import aio_pika

        message = aio_pika.Message(
            value, headers=dict(headers), delivery_mode=aio_pika.DeliveryMode.PERSISTENT
        )
        await self._channel.default_exchange.publish(message, topic, mandatory=True)

    async def delete(self, through: str | None) -> None:
        if self._queue is None:
            return
        if through is None:
            await self._queue.purge()
            return
        for message in self._held[: int(through)]:
            await message.ack()

    async def close(self) -> None:
        await self._connection.close()


_KINDS: Final[dict[str, type[LetterBox]]] = {
    "redis": _RedisBox,
    "rediss": _RedisBox,
    "nats": _NatsBox,
    "tls": _NatsBox,
    "amqp": _RabbitBox,
    "amqps": _RabbitBox,
}


@asynccontextmanager
async def opened(url: str, dlq: str) -> AsyncIterator[LetterBox]:
    """The dead letters called `dlq` at a broker's address.

    Raises:
        InputError: an address of another kind, or its client is not installed.
        ServerError: the broker is not there, or refuses.
    """
    kind = _KINDS.get(urlsplit(url).scheme.lower())
    if kind is None:
        raise InputError(
            f"{without_login(url)!r} is no broker whose dead letters can be read",
            hint="give redis://, nats:// or amqp://, or leave the address out for Kafka",
        )
    box = kind(url, dlq)
    try:
        await asyncio.wait_for(box.connect(), _CONNECT_S)
    except ImportError as e:
        hint = "run `pip install 'rank-toolkit[brokers]'`"
        raise InputError(f"the client of {box.name} is not installed", hint=hint) from e
    except Exception as e:
        why = str(e) or type(e).__name__
        raise ServerError(box.name, f"nothing answers at {without_login(url)} ({why})") from e
    try:
        yield box
    except RankError:
        raise
    except Exception as e:
        raise ServerError(box.name, f"the dead letters in {dlq!r}: {e or type(e).__name__}") from e
    finally:
        await box.close()


async def _quiet(_error: Exception) -> None:
    """What goes wrong is raised; the client's own log says nothing beside it."""


__all__ = ["LetterBox", "opened"]
