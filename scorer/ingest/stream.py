"""The consumer: Kafka -> analyzer -> Elasticsearch, with nothing lost and nothing overwritten by older data.

A batch's offsets are committed only when each of its records is in the index, refused as stale, or in the
dead letter topic. Whatever happens in between (Triton, Elasticsearch or this process goes away), the batch
is delivered again, and the document versions make that harmless. While a batch waits for an engine, the
partitions are paused and the brokers still polled, so the group keeps its members through a stall of any
length. docs/decisions/0005-kafka-consumer.md says why this is confluent_kafka and not a framework.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ranking.errors import ServerError
from ranking.kafka import explain
from scorer.ingest.analyzer import Analyzer
from scorer.ingest.batch_size import BatchSize
from scorer.ingest.feeder import Feeder
from scorer.ingest.health import Health
from scorer.ingest.observe import Observer
from scorer.ingest.records import Record
from scorer.ingest.work import DeadLetters, IngestSummary, Worker

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

Progress = Callable[["IngestSummary"], None]
_STALL_S: Final = 5.0  # a batch that takes longer has its partitions paused
_ASK_S: Final = 10.0  # for the brokers' answer about offsets
_LINGER_S: Final = 0.2  # how long a batch may wait to be full


@dataclass(slots=True)
class _Batch:
    """Records on their way, and the offsets to commit once they have arrived."""

    work: Future[IngestSummary]
    n_bytes: int = 0
    next_offsets: dict[tuple[str, int], int] = field(default_factory=dict)


class Stream:
    """Consumes one topic until it is told to stop.

    Args:
        consumer: not yet subscribed.
        topic: the topic of item messages.
        analyzer: records to documents.
        feeder: documents to the index.
        dead_letters: where records go that cannot be used.
        batch: records taken at a time, at the least; see `BatchSize`.
        in_flight: batches worked on at a time, so that photos load while others are scored; one more is read
            ahead.
        stop: set it to finish what was read, commit and return.
        stop_deadline_s: how long that may take; what is not finished then is delivered again.
        observer: told of batches and of what waits.
        health: told that this loop turns.
        on_note: told what somebody should know.
    """

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        *,
        analyzer: Analyzer,
        feeder: Feeder,
        dead_letters: DeadLetters,
        batch: int = 64,
        in_flight: int = 3,
        stop: threading.Event | None = None,
        stop_deadline_s: float | None = None,
        observer: Observer | None = None,
        health: Health | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> None:
        self._consumer = consumer
        self._note_of = on_note or (lambda _: None)
        self._topic = topic
        self._observer = observer or Observer()
        self._work = Worker(analyzer, feeder, dead_letters, observer=self._observer)
        self._health = health or Health()
        self._stop_deadline_s = stop_deadline_s
        self._give_up_at: float | None = None  # monotonic; set once it was told to stop
        self._take = BatchSize(batch)
        self._in_flight = in_flight
        self._stop = stop or threading.Event()
        self._at_end: dict[int, bool] = {}  # assigned partition -> nothing left to read
        self._assigned = False
        self._last_busy = 0.0  # monotonic; a rebalance counts as busy
        self._batches: deque[_Batch] = deque()
        self._next_offsets: dict[tuple[str, int], int] = {}  # of what is finished
        self._summary = IngestSummary()

    def run(
        self,
        *,
        until_empty: bool = False,
        stop_after_idle_s: float | None = None,
        on_progress: Progress | None = None,
    ) -> IngestSummary:
        """Consume until stopped; with `until_empty` until the topic is drained.

        Args:
            until_empty: return when every assigned partition has been read to its end.
            stop_after_idle_s: return when nothing came for so long.
            on_progress: called with the summary so far, after each batch.

        Raises:
            ServerError: an engine refuses for good. What was not finished is delivered again.
        """
        began = self._last_busy = time.monotonic()
        self._consumer.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_lost, on_lost=self._on_lost
        )
        pool = ThreadPoolExecutor(self._in_flight, thread_name_prefix="ingest")
        try:
            while not self._stop.is_set():
                self._health.beat()
                self._read(pool)
                self._finish(on_progress, began, room=self._in_flight)  # one is read ahead
                if self._batches:
                    self._last_busy = time.monotonic()
                if until_empty and self._drained():
                    break
                if stop_after_idle_s is not None and time.monotonic() - self._last_busy > stop_after_idle_s:
                    break
            self._health.stopping()
            self._finish(on_progress, began, room=0)
        finally:
            self._stop.set()  # ends the waiting of what is still at work after an error
            pool.shutdown(wait=not self._late(), cancel_futures=True)
            self._commit_last()
            self._consumer.close()
        self._summary.seconds = time.monotonic() - began
        return self._summary

    def _read(self, pool: ThreadPoolExecutor) -> None:
        messages = self._consumer.consume(self._take.now, timeout=_LINGER_S)
        records: list[Record] = []
        offsets: dict[tuple[str, int], int] = {}
        for message in messages:
            if (error := message.error()) is not None:
                self._note(error, message.partition())
                continue
            record = _record(message)
            records.append(record)
            if record.partition in self._at_end:  # else lost while it was on its way here
                self._at_end[record.partition] = False
                offsets[record.topic, record.partition] = record.offset + 1
        if records:
            n_bytes = sum(len(record.value or b"") for record in records)
            self._batches.append(_Batch(pool.submit(self._work, records), n_bytes, offsets))
            self._last_busy = time.monotonic()

    def _note(self, error: KafkaError, partition: int | None) -> None:
        from confluent_kafka import KafkaError

        refused = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED)
        if error.code() == KafkaError._PARTITION_EOF and partition is not None:
            self._at_end[partition] = True
        elif error.fatal() or error.code() in refused:
            raise explain(error)
        # Anything else (a broker that is gone, a leader that moves) librdkafka tries again by itself.

    def _finish(self, on_progress: Progress | None, began: float, *, room: int) -> None:
        """Commit finished batches in the order they were read, until at most `room` are at work."""
        while self._batches and (len(self._batches) > room or self._batches[0].work.done()):
            batch = self._batches[0]
            if not self._await(batch.work):
                self._summary.interrupted = True  # told to stop, and out of time
                self._batches.clear()
                return
            try:
                done = batch.work.result()
            except ServerError:
                if not self._stop.is_set():
                    raise
                self._summary.interrupted = True  # told to stop while an engine was gone
                self._batches.clear()
                return
            self._batches.popleft()
            self._summary.add(done)
            self._take.done(done.received, batch.n_bytes, done.seconds)
            self._next_offsets.update(batch.next_offsets)
            if batch.next_offsets:
                self._commit()
            self._health.working()
            self._tell_lag()
            self._summary.seconds = time.monotonic() - began
            if on_progress:
                on_progress(self._summary)

    def _await(self, work: Future[IngestSummary]) -> bool:
        """Wait for a batch; in a long wait, keep this member in its group without reading on.

        False where it was told to stop and its time is over before the batch is finished.
        """
        stalled_at = time.monotonic() + _STALL_S
        while time.monotonic() < stalled_at:
            if wait_for([work], timeout=0.25).done:
                return True
            if self._late():
                return False
        paused = self._consumer.assignment()
        self._consumer.pause(paused)
        while not wait_for([work], timeout=0.5).done:
            if self._late():
                return False
            self._health.beat()
            message = self._consumer.poll(0)  # serves the group; hands out nothing while paused
            if message is None:
                continue
            if (error := message.error()) is not None:
                self._note(error, message.partition())
            else:
                self._consumer.seek(_position(message))  # of a partition assigned during the wait
                self._consumer.pause([_position(message)])
        self._consumer.resume(self._consumer.assignment())
        return True

    def _late(self) -> bool:
        """Whether it was told to stop, longer ago than it may take."""
        if self._stop_deadline_s is None or not self._stop.is_set():
            return False
        if self._give_up_at is None:
            self._give_up_at = time.monotonic() + self._stop_deadline_s
        return time.monotonic() >= self._give_up_at

    def _tell_lag(self) -> None:
        """Records behind what is finished, by partition, as the brokers last said without being asked."""
        from confluent_kafka import KafkaException, TopicPartition

        lag = {}
        for (topic, partition), offset in self._next_offsets.items():
            with contextlib.suppress(KafkaException):
                _, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
                if high >= offset:
                    lag[partition] = high - offset
        self._observer.lag(lag)

    def _commit(self) -> None:
        """Send off the offsets of what is finished.

        Not waited for: in the middle of a rebalance a commit is answered only after this thread has polled.
        One that fails is covered by the next, and the last one is waited for.
        """
        from confluent_kafka import KafkaException

        with contextlib.suppress(KafkaException):  # not sent now, so sent with the next
            self._consumer.commit(offsets=self._finished(), asynchronous=True)

    def _commit_last(self) -> None:
        from confluent_kafka import KafkaException

        # Not committed means delivered again, which the versions make harmless.
        with contextlib.suppress(KafkaException):
            if self._finished():
                self._consumer.commit(offsets=self._finished(), asynchronous=False)

    def _finished(self) -> list[TopicPartition]:
        from confluent_kafka import TopicPartition

        return [TopicPartition(*part, offset) for part, offset in self._next_offsets.items()]

    def _on_assign(self, consumer: Consumer, partitions: list[Any]) -> None:
        # librdkafka keeps a pause with the partition, beyond the assignment: one that was paused in a stall,
        # lost in it and assigned again would stand still for ever.
        consumer.assign(partitions)
        consumer.resume(partitions)
        self._assigned = True
        self._last_busy = time.monotonic()
        for part in partitions:
            self._at_end[part.partition] = False
        self._look_for_deleted(consumer, partitions)

    def _look_for_deleted(self, consumer: Consumer, partitions: list[Any]) -> None:
        """Say so where Kafka's retention has deleted what this group had not read yet.

        librdkafka goes on with the oldest message that is left, without a word.
        """
        from confluent_kafka import KafkaException

        with contextlib.suppress(KafkaException):  # a broker that is gone; asked again at the next assignment
            for part in consumer.committed(partitions, timeout=_ASK_S):
                if part.offset < 0:
                    continue  # a new group
                oldest, _ = consumer.get_watermark_offsets(part, timeout=_ASK_S)
                if (gone := oldest - part.offset) > 0:
                    self._observer.error("deleted_unread", gone)
                    self._note_of(
                        f"{gone} messages of {part.topic}, partition {part.partition}, were deleted by the "
                        "topic's retention before they were read: publish those items again, or raise "
                        "retention.ms"
                    )

    def _on_lost(self, _consumer: Consumer, partitions: list[Any]) -> None:
        """Another member reads these on from what is committed; what is at work is not ours to commit."""
        self._last_busy = time.monotonic()
        for lost in partitions:
            part = (lost.topic, lost.partition)
            self._at_end.pop(lost.partition, None)
            self._next_offsets.pop(part, None)
            for batch in self._batches:
                batch.next_offsets.pop(part, None)

    def _drained(self) -> bool:
        return self._assigned and all(self._at_end.values()) and not self._batches


def _record(message: Message) -> Record:
    kind, timestamp_ms = message.timestamp()
    return Record(
        message.value(),
        message.key(),
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        timestamp_ms if kind else None,
        _headers(message),
    )


def _headers(message: Message) -> tuple[tuple[str, bytes], ...]:
    found: Any = message.headers() or ()  # a list of pairs when it was consumed
    return tuple((name, value) for name, value in found if value is not None)


def _position(message: Message) -> TopicPartition:
    from confluent_kafka import TopicPartition

    record = _record(message)
    return TopicPartition(record.topic, record.partition, record.offset)


__all__ = ["IngestSummary", "Progress", "Stream"]
