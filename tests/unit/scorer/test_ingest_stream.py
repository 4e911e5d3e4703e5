"""What is committed, and when: the stream over a consumer that remembers."""

import threading
import time

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, TopicPartition

from ranking.errors import ServerError
from scorer.ingest.analyzer import Analysis, Document
from scorer.ingest.feeder import FeedResult
from scorer.ingest.stream import Stream


class Message:
    def __init__(self, offset, value=b"x", error=None, partition=0):
        self._offset, self._value, self._error, self._partition = offset, value, error, partition

    def error(self):
        return self._error

    def value(self):
        return self._value

    def key(self):
        return b"k"

    def topic(self):
        return "items"

    def partition(self):
        return self._partition

    def offset(self):
        return self._offset

    def timestamp(self):
        return 1, 1767323045678

    def headers(self):
        return None


class Consumer:
    """Hands out `polls` one by one, then the end of the partition."""

    def __init__(self, polls):
        self.polls = list(polls)
        self.end = sum(len(poll) for poll in self.polls)  # offset after the last message
        self.commits = []  # sent off
        self.last_commits = []  # waited for, at the end
        self.mine = []
        self.asked = []  # how many messages, each time
        self.closed = False

    def subscribe(self, topics, on_assign, on_revoke, on_lost):
        self.on_assign, self.on_revoke = on_assign, on_revoke

    def consume(self, n, timeout):
        self.asked.append(n)
        if not self.mine:
            self.mine = [TopicPartition("items", 0)]
            self.on_assign(self, self.mine)
        if self.polls:
            return self.polls.pop(0)
        time.sleep(0.01)
        return [Message(None, error=KafkaError(KafkaError._PARTITION_EOF))]

    def assign(self, parts):
        assert parts == self.mine

    def assignment(self):
        return self.mine

    def committed(self, parts, timeout):
        return [TopicPartition(part.topic, part.partition, OFFSET_INVALID) for part in parts]  # a new group

    def get_watermark_offsets(self, part, cached):
        assert cached  # the brokers are not asked for each batch
        return 0, self.end

    def poll(self, timeout):
        time.sleep(0.01)

    def pause(self, parts):
        self.paused = True

    def resume(self, parts):
        self.paused = False

    def commit(self, offsets, asynchronous):
        offsets = [(part.partition, part.offset) for part in offsets]
        (self.commits if asynchronous else self.last_commits).extend(offsets)

    def close(self):
        self.closed = True


class Analyzer:
    def analyze(self, records):
        source = {"status": "on_sale"}
        return Analysis(documents=[Document(str(r.offset), 1, dict(source), r) for r in records])


class Feeder:
    """Takes everything; documents named in `wait_for` only once their event is set."""

    def __init__(self, wait_for=None, fail=()):
        self.wait_for = wait_for or {}
        self.fail = set(fail)
        self.written = []

    def write(self, documents):
        for document in documents:
            if document.item_id in self.wait_for:
                assert self.wait_for[document.item_id].wait(10)
            if document.item_id in self.fail:
                raise ServerError("Elasticsearch", "gone")
            self.written.append(document.item_id)
        return FeedResult(written=list(documents))


class DeadLetters:
    def put(self, letters):
        return len(letters)


def stream(consumer, feeder, **options):
    return Stream(
        consumer, "items", analyzer=Analyzer(), feeder=feeder, dead_letters=DeadLetters(), **options
    )


def batches(*sizes):
    offsets = iter(range(sum(sizes)))
    return [[Message(next(offsets)) for _ in range(size)] for size in sizes]


def test_offsets_are_committed_batch_by_batch_once_written():
    consumer, feeder = Consumer(batches(3, 2, 4)), Feeder()
    summary = stream(consumer, feeder).run(until_empty=True)
    assert consumer.commits == [(0, 3), (0, 5), (0, 9)]
    assert consumer.last_commits == [(0, 9)]
    assert (summary.received, summary.indexed, summary.unscored) == (9, 9, 9)
    assert consumer.closed


def test_more_is_taken_at_a_time_while_batches_are_full_and_soon_done():
    consumer = Consumer(batches(4, 4, 8, 3))
    summary = stream(consumer, Feeder(), batch=4).run(until_empty=True)
    assert (summary.received, consumer.last_commits) == (19, [(0, 19)])
    assert consumer.asked[0] == 4
    assert set(consumer.asked) <= {4, 8, 16}
    assert max(consumer.asked) in (8, 16), "8 is passed over where two batches are done before it asks again"


def test_a_batch_that_is_done_early_is_not_committed_before_the_one_ahead_of_it():
    ahead = threading.Event()
    consumer, feeder = Consumer(batches(2, 2)), Feeder(wait_for={"0": ahead})

    def watch():
        while "3" not in feeder.written:
            time.sleep(0.005)
        assert consumer.commits == []
        ahead.set()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    stream(consumer, feeder, in_flight=2).run(until_empty=True)
    watcher.join()
    assert consumer.commits == [(0, 2), (0, 4)]


def test_nothing_at_or_behind_a_failed_batch_is_committed():
    consumer, feeder = Consumer(batches(2, 2, 2)), Feeder(fail={"2"})
    with pytest.raises(ServerError, match="gone"):
        stream(consumer, feeder).run(until_empty=True)
    assert consumer.commits in ([(0, 2)], [])
    assert consumer.last_commits == consumer.commits
    assert consumer.closed


def test_told_to_stop_it_finishes_what_it_has_read():
    stop = threading.Event()
    consumer, feeder = Consumer(batches(2, 2, 2)), Feeder()
    summary = stream(consumer, feeder, stop=stop).run(on_progress=lambda _: stop.set())
    assert consumer.commits[-1] == (0, summary.received)
    assert summary.received < 6
    assert summary.interrupted is False


def test_told_to_stop_while_an_engine_is_gone_it_ends_without_an_error():
    stop = threading.Event()
    stop_then_fail = threading.Event()
    consumer, feeder = Consumer(batches(2)), Feeder(wait_for={"0": stop_then_fail}, fail={"0"})

    def tell():
        time.sleep(0.1)
        stop.set()
        stop_then_fail.set()

    threading.Thread(target=tell, daemon=True).start()
    summary = stream(consumer, feeder, stop=stop).run()
    assert summary.interrupted is True
    assert consumer.commits == []


def test_partitions_that_went_to_another_member_are_not_committed():
    lost = threading.Event()
    consumer, feeder = Consumer(batches(2)), Feeder(wait_for={"0": lost})
    consume = consumer.consume

    def consume_and_lose(n, timeout):
        if not consumer.polls and not lost.is_set():
            gone, consumer.mine = consumer.mine, [TopicPartition("items", 1)]
            consumer.on_revoke(consumer, gone)
            lost.set()
            return []
        return consume(n, timeout)

    consumer.consume = consume_and_lose
    stream(consumer, feeder).run(stop_after_idle_s=0.3)
    assert feeder.written == ["0", "1"]
    assert consumer.commits == consumer.last_commits == []


def test_an_idle_stream_ends_after_its_time():
    began = time.monotonic()
    summary = stream(Consumer([]), Feeder()).run(stop_after_idle_s=0.3)
    assert 0.3 <= time.monotonic() - began < 5
    assert summary.received == 0
