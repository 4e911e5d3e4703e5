"""One and two consumer processes of one group: how the ingest scales on this machine.

The processes are those of the command line. The clock runs from the first message to the last commit, with
all workers in the group before, so that the start of Python and the forming of the group are not in it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from elasticsearch import Elasticsearch

from benchmarks.ingest_writing import N, messages
from ranking.clock import now_ms
from ranking.kafka import PARTITIONS, open_consumer
from ranking.settings import get_settings
from scorer.ingest import publish

RANK_CLI = (sys.executable, "-c", "from ranking.cli import main; main()")
GIVE_UP_S = 180.0


def by_workers(
    es: Elasticsearch,
    index: str,
    fresh: Callable[[], None],
    scored: list[dict[str, Any]],
    photos: Path,
) -> dict[str, Any]:
    """Items a second with one and with two workers, scored and unscored."""
    rates: dict[str, float] = {}
    for name, sent in (("scored", scored), ("unscored", messages(N))):
        for n_workers in (1, 2):
            fresh()
            rates[f"{name}_{n_workers}"] = _rate(index, sent, photos, n_workers)
    return {
        "items_per_s": {name: round(rate, 1) for name, rate in rates.items()},
        "scored_2_to_1": round(rates["scored_2"] / rates["scored_1"], 2),
        "unscored_2_to_1": round(rates["unscored_2"] / rates["unscored_1"], 2),
    }


def _rate(index: str, sent: list[dict[str, Any]], photos: Path, n_workers: int) -> float:
    topic = f"{index}-workers-{now_ms()}"
    bootstrap = get_settings().endpoint("Kafka")
    words = ["--photos-root", str(photos), "--topic", topic, "--group", topic, "--index", index]
    # All are in the group before the first message comes: members that join later interrupt the others.
    publish([], bootstrap, topic=topic)
    workers = [
        subprocess.Popen(
            [*RANK_CLI, "ingest", "stream", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(n_workers)
    ]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    try:
        _wait_for_members(admin, topic, n_workers)
        began = time.monotonic()
        publish(sent, bootstrap, topic=topic)
        return len(sent) / (_all_committed(bootstrap, topic, len(sent)) - began)
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()


def _wait_for_members(admin: AdminClient, group: str, n: int) -> None:
    until = time.monotonic() + GIVE_UP_S
    while time.monotonic() < until:
        (described,) = admin.describe_consumer_groups([group]).values()
        try:
            members = described.result().members
        except Exception:  # no such group yet
            members = []
        if len(members) == n and all(member.assignment.topic_partitions for member in members):
            return
        time.sleep(0.2)
    raise RuntimeError(f"no {n} workers in the group after {GIVE_UP_S:g} s")


def _all_committed(bootstrap: str, topic: str, n: int) -> float:
    """When the group had committed everything, by the monotonic clock."""
    parts = [TopicPartition(topic, p) for p in range(PARTITIONS)]
    asking = open_consumer(bootstrap, topic)  # never subscribed
    try:
        until = time.monotonic() + GIVE_UP_S
        while time.monotonic() < until:
            if sum(max(0, part.offset) for part in asking.committed(parts, timeout=5)) == n:
                return time.monotonic()
            time.sleep(0.05)
    finally:
        asking.close()
    raise RuntimeError(f"not all of {n} items are committed after {GIVE_UP_S:g} s")
