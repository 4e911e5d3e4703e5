"""Item messages to Kafka: until the broker has each, and, for some, until a search finds the item.

librdkafka sends from threads of its own and stamps the time of each acknowledgement, so the greenlet here
that asks for them may be a little late without a time being wrong.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import gevent
import gevent.event

from loadtest.worker.searching import ClusterUser

if TYPE_CHECKING:
    from confluent_kafka import Producer

ASKED_S = 0.005  # how often the producer is asked what arrived
LOOKED_S = 0.1  # how often Elasticsearch is asked for items that no search has found yet
AT_ONCE = 500  # items that one search looks for


class Outbox:
    """A producer, and the greenlet that asks it what arrived."""

    def __init__(self, target: dict[str, Any]) -> None:
        from ranking.kafka import open_producer

        self._producer: Producer = open_producer(target["bootstrap"], give_up_s=target["timeout"])
        self._topic: str = target["topic"]
        gevent.spawn(self._ask)

    def _ask(self) -> None:
        while True:
            self._producer.poll(0)
            gevent.sleep(ASKED_S)

    def send(self, item_id: str, message: bytes) -> tuple[float, str]:
        """Send one message; the time of its acknowledgement (perf_counter), and the kind of error."""
        arrived = gevent.event.AsyncResult()
        while True:
            produced = time.perf_counter()
            try:
                self._producer.produce(
                    self._topic, message, item_id.encode(), on_delivery=lambda *got: arrived.set(got)
                )
                break
            except BufferError:  # librdkafka holds all it may: the message waits, and the wait counts
                gevent.sleep(ASKED_S)
        error, sent = arrived.get()
        if error is not None:
            return time.perf_counter(), error.name().strip("_").lower()
        took = sent.latency()
        return (time.perf_counter() if took is None else produced + took), ""


class PublishUser(ClusterUser):
    """Publishes item messages, and looks for a sample of them."""

    abstract = True

    @staticmethod
    def get_ready(target: dict[str, Any]) -> None:
        """Once, before the first round."""
        target["outbox"] = Outbox(target)

    def on_start(self) -> None:
        """Begin to look."""
        self.waiting: dict[str, tuple[float, float, int]] = {}  # by id: intended, started, version
        self.looking = gevent.spawn(self._look)

    def send(self, i: int, intended: float) -> None:
        """Publish message `i`, due at `intended` seconds of the round."""
        load = self.play.load
        item_id, version = load["names"][i], time.time_ns() // 1_000_000
        content = self.target["messages"][self.play.item(i)]
        message = json.dumps({"item_id": item_id, "updated_at": version, **content}).encode()
        started = time.perf_counter()
        if load["looked_for"][i]:
            self.waiting[item_id] = (intended, started, version)
        ended, error = self.target["outbox"].send(item_id, message)
        if error:
            self.waiting.pop(item_id, None)
        self.play.add(intended, started, ended, error)

    def finish(self) -> None:
        """Wait for what no search has found yet, as long as that may take."""
        until = time.perf_counter() + self.target["searchable_within"]
        while self.waiting and time.perf_counter() < until:
            gevent.sleep(LOOKED_S / 2)
        self.looking.kill()
        now = time.perf_counter()
        for intended, started, _ in self.waiting.values():
            limit = f"not searchable {self.target['searchable_within']:g} s after the round"
            self.play.add_as("searchable", intended, started, now, limit)

    def _look(self) -> None:
        while True:
            gevent.sleep(LOOKED_S)
            some = list(self.waiting)[:AT_ONCE]
            if some:
                for item_id, version in self._versions(some).items():
                    self._found(item_id, version)

    def _found(self, item_id: str, version: int) -> None:
        awaited = self.waiting.get(item_id)
        if awaited is not None and version >= awaited[2]:
            del self.waiting[item_id]
            self.play.add_as("searchable", awaited[0], awaited[1], time.perf_counter())

    def _versions(self, item_ids: list[str]) -> dict[str, int]:
        """`updated_at` (epoch ms) of those that a search finds; empty where it is not answered."""
        body = {
            "query": {"terms": {"item_id": item_ids}},
            "size": len(item_ids),
            "_source": False,
            "track_total_hits": False,
            "docvalue_fields": ["item_id", {"field": "updated_at", "format": "epoch_millis"}],
        }
        answer = self.client.post(
            self.target["path"], data=json.dumps(body), headers=self.target["headers"], name="look"
        )
        if answer.status_code != 200:
            return {}
        hits = json.loads(answer.content)["hits"]["hits"]
        return {hit["fields"]["item_id"][0]: int(hit["fields"]["updated_at"][0]) for hit in hits}
