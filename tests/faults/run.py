"""One run: a stream of messages, consumers as processes, a fault in the middle, and the audit at the end."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from elasticsearch import Elasticsearch, helpers

from ranking.kafka import PARTITIONS, open_consumer
from ranking.settings import get_settings
from scorer.ingest import dead_letter_topic
from scorer.model.photo import read_photo
from scorer.serving import ScoreClient, load_into, write_repository
from tests.faults.audit import Figures, compare_items, compare_letters, compare_scores
from tests.faults.doors import BulkDoor, Door
from tests.faults.family import index_family, n_writes
from tests.faults.messages import Workload, make_workload
from tests.faults.processes import Consumer, Engines, Publisher, cli_json, wait_until

MAX_RESTARTS: Final = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, and how to make it so.

    `inject` is called once a quarter of the messages is done, and returns when the fault is over.
    """

    name: str
    what: str  # for the table
    inject: Callable[[Run], None]
    kills: Sequence[str] = ()  # engines that must be local, because they are killed or frozen
    skew: bool = False  # producers' clocks are off by 50 minutes, the consumers' by two hours
    supervised: bool = False  # a consumer that ends by itself is started again, as systemd would
    pace: float = 1.0  # of the producer's usual one
    env: dict[str, str] = field(default_factory=dict)  # of the consumers


class Ground:
    """What every run stands on: the engines, with the model loaded, and the photos' own scores."""

    def __init__(self) -> None:
        self.engines = Engines()
        settings = get_settings()
        self.folder = (settings.state_dir / "faults").resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        exported = write_repository(settings.state_dir / "triton" / "models", "compact")
        load_into(exported, self.engines.addresses["triton"])
        self.es = Elasticsearch(self.engines.addresses["elasticsearch"], request_timeout=60)
        self._scores: dict[Path, float] = {}

    def scores(self, root: Path, names: Sequence[str]) -> list[float]:
        """Scores of photos, asked for one batch after the other of a Triton that nothing is wrong with."""
        missing = sorted({root / name for name in names} - self._scores.keys())
        client = ScoreClient(self.engines.addresses["triton"])
        for start in range(0, len(missing), 16):
            part = missing[start : start + 16]
            pixels = np.stack([read_photo(path.read_bytes(), client.image_size) for path in part])
            self._scores |= dict(zip(part, map(float, client.score(pixels).scores), strict=True))
        return [self._scores[root / name] for name in names]


class Run:
    """One stream into an index of its own, with doors before Elasticsearch and Triton."""

    def __init__(self, ground: Ground, fault: Fault, work: Workload, per_s: float, folder: Path) -> None:
        self.engines = ground.engines
        self.work = work
        self.name = f"faults-{secrets.token_hex(4)}"
        self.consumers: list[Consumer] = []
        self.bulk = BulkDoor(self.engines.port("elasticsearch"))
        self.es_door = Door(self.bulk.port)
        self.triton_door = Door(self.engines.port("triton"))
        self.es = ground.es
        self._ground = ground
        self._folder = folder
        self.bootstrap = self.engines.addresses["kafka"]
        self._admin = AdminClient({"bootstrap.servers": self.bootstrap})
        # Never subscribed. The admin client's own question about a group's offsets ends the process where the
        # cluster has no coordinator yet (librdkafka 2.16, in rd_kafka_cgrp_op).
        self._asking = open_consumer(self.bootstrap, self.name)
        self._fault = fault
        self._per_s = per_s
        self._committed: tuple[int, float] = (0, time.monotonic())
        self.stall_s = 0.0
        self.restarts = 0

    def consume(self) -> Consumer:
        """Start one more consumer of the group."""
        words = ["--photos-root", str(self.work.root), "--topic", self.name, "--group", self.name]
        words += ["--index", self.name, "--batch", "32"]
        addresses = {
            "ELASTICSEARCH_URL": f"http://127.0.0.1:{self.es_door.port}",
            "TRITON_URL": f"127.0.0.1:{self.triton_door.port}",
            "KAFKA_BOOTSTRAP": self.bootstrap,
        }
        name = f"consumer-{len(self.consumers)}"
        env = {**addresses, **self._fault.env}
        consumer = Consumer(words, env, self._folder, name, ahead=self._fault.skew)
        self.consumers.append(consumer)
        return consumer

    def committed(self) -> int:
        """Messages that the group is done with; the last known number while no broker answers."""
        parts = [TopicPartition(self.name, n) for n in range(PARTITIONS)]
        known, since = self._committed
        with contextlib.suppress(KafkaException):
            now = sum(max(0, part.offset) for part in self._asking.committed(parts, timeout=3))
            if now != known:
                self._committed = now, time.monotonic()
        if 0 < known < len(self.work.messages):
            self.stall_s = max(self.stall_s, time.monotonic() - since)
        return self._committed[0]

    def on_topic(self) -> int:
        """Messages that the topic holds."""
        asked = {TopicPartition(self.name, n): OffsetSpec.latest() for n in range(PARTITIONS)}
        ends = self._admin.list_offsets(asked, request_timeout=10).values()
        return sum(end.result().offset for end in ends)

    def wait_members(self, n: int) -> None:
        """Wait until the group has so many members: a consumer takes some seconds to start."""

        def enough() -> bool:
            (described,) = self._admin.describe_consumer_groups([self.name]).values()
            return len(described.result().members) >= n

        wait_until(enough, 60, lambda: f"{n} consumers are not in the group")

    def wait_done(self, share: float = 1.0, timeout_s: float = 240.0) -> None:
        """Wait until this share of the messages is committed.

        Raises:
            RuntimeError: a consumer ended by itself that nobody starts again.
            TimeoutError: it takes too long.
        """

        def enough() -> bool:
            self._look_after_consumers()
            return self.committed() >= share * len(self.work.messages)

        n = len(self.work.messages)
        wait_until(
            enough, timeout_s, lambda: f"{self._committed[0]} of {n} messages committed, {share:.0%} wanted"
        )

    def _look_after_consumers(self) -> None:
        for consumer in list(self.consumers):
            if consumer.alive or consumer.told_to_end:
                continue
            if not self._fault.supervised or self.restarts == MAX_RESTARTS:
                raise RuntimeError(f"{consumer.name} ended by itself: {consumer.last_words()}")
            consumer.told_to_end = True
            self.restarts += 1
            self.consume()

    def go(self) -> Figures:
        """The whole run; its figures."""
        began = time.monotonic()
        figures = Figures(duplicates=self.work.n_duplicates, out_of_order=self.work.n_out_of_order)
        publisher = Publisher(self.bootstrap, self.name, self.work.messages, self._per_s)
        self.consume()
        self.wait_done(0.25)
        self._fault.inject(self)
        wait_until(lambda: publisher.done, 120, lambda: f"{publisher.confirmed} messages published")
        if publisher.refused:
            raise RuntimeError(
                f"{len(publisher.refused)} messages refused by the brokers: {publisher.refused[0]}"
            )
        self.wait_done()
        figures.seconds = time.monotonic() - began
        figures.stall_s, figures.restarts = self.stall_s, self.restarts
        for consumer in self.consumers:
            if consumer.alive and consumer.stop() is None:
                raise RuntimeError(f"{consumer.name} did not end well: {consumer.last_words()}")
        figures.published = publisher.confirmed
        self._audit(figures)
        return figures

    def _audit(self, figures: Figures) -> None:
        figures.uncommitted = self.on_topic() - self.committed()
        figures.rss_peak_mb = max(consumer.peak_rss_mb for consumer in self.consumers)
        self.es.indices.refresh(index=self.name)
        hits = list(helpers.scan(self.es, index=self.name, query={"query": {"match_all": {}}}))
        compare_items(self.work, hits, self.bulk.written, figures)
        compare_scores(self.work, hits, lambda names: self._ground.scores(self.work.root, names), figures)
        answer = cli_json("ingest", "dlq", "list", "--topic", self.name, "--limit", "100000")
        compare_letters(self.work, answer["dead_letters"], figures)
        figures.writes = n_writes(self.es, self.name)
        figures.duplicated_writes = figures.writes - len(self.bulk.written)

    @contextmanager
    def in_place(self) -> Iterator[Run]:
        """An index before the run; nothing of it after."""
        with index_family(self.es, self.name):
            try:
                yield self
            finally:
                self._end()

    def _end(self) -> None:
        for consumer in self.consumers:
            if consumer.alive:
                consumer.kill()
        for door in (self.es_door, self.triton_door):
            door.mend()
            door.close()
        self.bulk.close()
        self._asking.close()
        for deleted in self._admin.delete_topics([self.name, dead_letter_topic(self.name)]).values():
            with contextlib.suppress(KafkaException):
                deleted.result(10)


def run_fault(ground: Ground, fault: Fault, *, n_messages: int = 600, per_s: float = 80.0) -> Figures:
    """Run one stream under one fault.

    Args:
        ground: engines.
        fault: what goes wrong.
        n_messages: length of the stream, without its poison.
        per_s: pace of the producer, messages a second.
    """
    work = make_workload(ground.folder, n_messages, skew=fault.skew)
    logs = ground.folder / "logs" / fault.name
    logs.mkdir(parents=True, exist_ok=True)
    with Run(ground, fault, work, fault.pace * per_s, logs).in_place() as run:
        return run.go()


__all__ = ["Fault", "Ground", "Run", "run_fault"]
