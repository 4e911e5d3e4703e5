"""The consumer for brokers other than Kafka: the same analyzer, feeder and dead letters behind another door.

Messages are taken in batches by size and time; each is acknowledged by itself once its batch is in the
index, or in the dead letters, which go to `{topic}.dlq` on the same broker. A message that was not
acknowledged (the process died, an engine refused) is delivered again, and the versions of the documents
make that harmless. Back-pressure: no more messages are taken than two batches more than are at work.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from ranking.errors import RankError, ServerError
from ranking.item_message import DEFAULT_TOPIC, ItemMessage, parse_message
from ranking.own_loop import run_to_end
from scorer.ingest.analyzer import Analyzer
from scorer.ingest.doors import KEEP_S, Delivery, Door, door
from scorer.ingest.feeder import Feeder
from scorer.ingest.health import Health
from scorer.ingest.observe import Observer
from scorer.ingest.records import DeadLetter
from scorer.ingest.work import IngestSummary, Worker

_LINGER_S: Final = 0.2  # how long a batch may wait to be full
_TURN_S: Final = 0.1


@dataclass(eq=False, slots=True)
class _Waiting:
    delivery: Delivery
    safe: asyncio.Future[bool]


class BrokerDeadLetters:
    """Dead letters on the same broker; `put` is called from the threads that work."""

    def __init__(self, at: Door, loop: asyncio.AbstractEventLoop) -> None:
        self._door = at
        self._loop = loop

    def put(self, letters: Iterable[DeadLetter]) -> int:
        """Write `letters`; how many they were.

        Raises:
            ServerError: the broker did not take one.
        """
        n = 0
        for letter in letters:
            text = json.dumps(letter.to_dict(), ensure_ascii=False).encode()
            written = asyncio.run_coroutine_threadsafe(
                self._door.publish(self._door.dlq, text, {}), self._loop
            )
            try:
                written.result(30)
            except RankError:
                raise
            except Exception as e:
                raise ServerError(
                    self._door.name, f"a dead letter was not taken: {e or type(e).__name__}"
                ) from e
            n += 1
        return n


class _Loop:
    """Between the door and the worker."""

    def __init__(
        self,
        at: Door,
        *,
        batch: int,
        in_flight: int,
        health: Health,
        on_progress: Callable[[IngestSummary], None] | None,
    ) -> None:
        self._door = at
        self._batch = batch
        self._in_flight = in_flight
        self._health = health
        self._on_progress = on_progress
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._at_work: set[_Waiting] = set()
        self._known: set[object] = set()  # of what is here, so that a claim of our own is seen
        self._closing = False
        self.summary = IngestSummary()
        self.failed: ServerError | None = None
        self.last_busy = time.monotonic()

    async def take(self, delivery: Delivery) -> None:
        """Called by the door for each message; returns once it is acknowledged or put back."""
        if self._closing:
            await delivery.put_back()
            return
        if isinstance(delivery.id, bytes):
            if delivery.id in self._known:
                return  # delivered again while it is still at work here
            self._known.add(delivery.id)
        waiting = _Waiting(delivery, asyncio.get_running_loop().create_future())
        self._at_work.add(waiting)
        self._queue.put_nowait(waiting)
        try:
            if await waiting.safe:
                await delivery.ack()
            else:
                await delivery.put_back()
        finally:
            self._at_work.discard(waiting)
            self._known.discard(delivery.id)

    async def work(self, worker: Worker, pool: ThreadPoolExecutor, over: asyncio.Event) -> None:
        """Make batches and work on them until it is over and nothing is left."""
        room = asyncio.Semaphore(self._in_flight)
        async with asyncio.TaskGroup() as group:
            while self.failed is None and not (over.is_set() and self._queue.empty()):
                batch = await self._next_batch()
                if batch:
                    await room.acquire()
                    group.create_task(self._one(worker, pool, batch, room))

    async def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        until = time.monotonic() + _LINGER_S
        while len(batch) < self._batch and (left := until - time.monotonic()) > 0:
            try:
                batch.append(await asyncio.wait_for(self._queue.get(), left))
            except TimeoutError:
                break
        return batch

    async def _one(
        self, worker: Worker, pool: ThreadPoolExecutor, batch: list[_Waiting], room: asyncio.Semaphore
    ) -> None:
        safe = False
        try:
            records = [waiting.delivery.record for waiting in batch]
            done = await asyncio.get_running_loop().run_in_executor(pool, worker, records)
            safe = True
            self.summary.add(done)
            self._health.working()
            if self._on_progress:
                self._on_progress(self.summary)
        except ServerError as e:
            self.failed = e
        finally:
            self.last_busy = time.monotonic()
            room.release()
            for waiting in batch:
                if not waiting.safe.done():
                    waiting.safe.set_result(safe)

    async def keep(self) -> None:
        """Say now and then that what is here is still worked on."""
        while True:
            await asyncio.sleep(KEEP_S)
            here = [waiting.delivery for waiting in self._at_work if not waiting.safe.done()]
            if here:
                with contextlib.suppress(Exception):  # a broker that is gone; it is delivered again then
                    await self._door.keep(here)

    @property
    def idle(self) -> bool:
        """Whether nothing is here."""
        return not self._at_work

    async def let_go(self) -> None:
        """Put back what is still here, and what still comes."""
        self._closing = True
        for waiting in list(self._at_work):
            if not waiting.safe.done():
                waiting.safe.set_result(False)
        until = time.monotonic() + 2
        while self._at_work and time.monotonic() < until:
            await asyncio.sleep(0.02)


def run_broker(
    at: Door,
    *,
    analyzer: Analyzer,
    feeder: Feeder,
    batch: int = 64,
    in_flight: int = 3,
    until_empty: bool = False,
    stop_after_idle_s: float | None = None,
    stop: threading.Event | None = None,
    stop_deadline_s: float | None = None,
    on_progress: Callable[[IngestSummary], None] | None = None,
    observer: Observer | None = None,
    health: Health | None = None,
) -> IngestSummary:
    """Consume item messages from Redis, NATS or RabbitMQ until stopped, empty or idle; as `run_stream`.

    Raises:
        InputError: a Redis key that is no stream.
        ServerError: the broker is not there, or an engine refuses for good.
    """
    stop, health = stop or threading.Event(), health or Health()
    began = time.monotonic()

    async def run() -> IngestSummary:
        await at.connect()
        loop = _Loop(at, batch=batch, in_flight=in_flight, health=health, on_progress=on_progress)
        letters = BrokerDeadLetters(at, asyncio.get_running_loop())
        worker = Worker(analyzer, feeder, letters, observer=observer)
        pool = ThreadPoolExecutor(in_flight, thread_name_prefix="ingest")
        over = asyncio.Event()
        working = asyncio.create_task(loop.work(worker, pool, over))
        keeping = asyncio.create_task(loop.keep())
        try:
            await at.listen(loop.take)
            loop.last_busy = time.monotonic()
            n_empty = 0
            while not stop.is_set() and loop.failed is None and not working.done():
                health.beat()
                await asyncio.sleep(_TURN_S)
                quiet = loop.idle and time.monotonic() - loop.last_busy > (stop_after_idle_s or 0)
                if stop_after_idle_s is not None and quiet:
                    break
                if until_empty:  # twice, since a message may be on its way from there to here
                    n_empty = n_empty + 1 if loop.idle and await _nothing_left(at) and loop.idle else 0
                    if n_empty == 2:
                        break
            health.stopping()
            over.set()
            _, late = await asyncio.wait([working], timeout=stop_deadline_s)
            loop.summary.interrupted = bool(late) or (loop.failed is not None and stop.is_set())
        finally:
            stop.set()  # ends the waiting of what is still at work after an error
            keeping.cancel()
            await loop.let_go()
            await at.close()
            working.cancel()
            pool.shutdown(wait=False, cancel_futures=True)
        if loop.failed is not None and not loop.summary.interrupted:
            raise loop.failed
        loop.summary.seconds = time.monotonic() - began
        return loop.summary

    return run_to_end(run)


async def _nothing_left(at: Door) -> bool:
    try:
        return await at.left() == 0
    except Exception:  # it is gone for the moment, and will be asked again
        return False


def publish_to(
    url: str,
    messages: Iterable[ItemMessage | Mapping[str, Any]],
    *,
    topic: str = DEFAULT_TOPIC,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """Publish messages; how many the broker confirmed.

    Raises:
        InputError: an address of another kind, or a message that is wrong; those before it were sent.
        ServerError: the broker is not there, or did not take a message.
    """
    at = door(url, topic=topic, group="publisher", at_once=1)

    async def run() -> int:
        await at.connect()
        n = 0
        try:
            for raw in messages:
                message = raw if isinstance(raw, ItemMessage) else parse_message(raw)
                await at.publish(topic, message.to_json(), {})
                n += 1
                if on_progress:
                    on_progress(1)
        except RankError:
            raise
        except Exception as e:
            raise ServerError(at.name, f"{n} messages were published, then one was not taken: {e}") from e
        finally:
            await at.close()
        return n

    return run_to_end(run)


__all__ = ["BrokerDeadLetters", "publish_to", "run_broker"]
