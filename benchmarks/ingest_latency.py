"""How long from publishing a message until a search finds the item, at a pace the ingest can keep.

Each item's title holds a word of its own round; a search for what is not found yet runs every few
milliseconds. A search sees a document after the index's refresh, so half of `refresh_interval` is in the
median, whatever the ingest does.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from benchmarks.ingest_writing import messages
from ranking.clock import now_ms
from ranking.kafka import PARTITIONS, ensure_topics, open_producer
from ranking.settings import get_settings
from scorer.ingest import PhotoSource, run_stream

N = 200
PER_S = 20.0
POLL_S = 0.02


def publish_to_searchable(es: Elasticsearch, index: str, fresh: Callable[[], None]) -> dict[str, Any]:
    """Percentiles for items whose photo is scored, and for deletes, which need no score."""
    folder = (get_settings().state_dir / "bench-photos").resolve()
    photos = sorted(path.name for path in folder.glob("*.jpg"))
    scored = [
        message | {"status": "on_sale", "image_url": photos[n % len(photos)]}
        for n, message in enumerate(messages(N))
    ]
    result: dict[str, Any] = {"items": N, "per_s": PER_S, "refresh_interval_s": 1.0}
    for name, sent in (("scored", scored), ("unscored", messages(N))):
        fresh()
        result[name] = _measure(es, index, sent, PhotoSource(root=folder))
    return result


def _measure(
    es: Elasticsearch, index: str, sent: list[dict[str, Any]], photos: PhotoSource
) -> dict[str, float]:

    bootstrap = get_settings().endpoint("Kafka")
    topic = f"{index}-latency-{now_ms()}"
    ensure_topics(bootstrap, {topic: PARTITIONS})
    stop, ready = threading.Event(), threading.Event()
    consuming = threading.Thread(
        target=run_stream,
        kwargs={"photos": photos, "topic": topic, "group": topic, "index": index, "stop": stop, "es": es},
    )
    consuming.start()
    at: dict[str, float] = {}
    found: dict[str, float] = {}

    def look() -> None:
        while len(found) < len(sent) and not stop.is_set():
            waiting = [item_id for item_id in list(at) if item_id not in found]
            answer = es.search(
                index=index,
                query={"terms": {"item_id": waiting}},
                size=len(waiting) or 1,
                source=False,
                docvalue_fields=["item_id"],
            )
            now = time.monotonic()
            for hit in answer["hits"]["hits"]:
                found[hit["fields"]["item_id"][0]] = now
                ready.set()
            time.sleep(POLL_S)

    looking = threading.Thread(target=look)
    looking.start()
    producer = open_producer(bootstrap)
    began = time.monotonic()
    try:
        for n, message in enumerate(sent):
            if n == 1:  # the first waits for the group to form, and counts for nothing
                ready.wait(60)
                began = time.monotonic()
            time.sleep(max(0.0, began + n / PER_S - time.monotonic()))
            at[message["item_id"]] = time.monotonic()
            producer.produce(topic, json.dumps(message), message["item_id"])
            producer.poll(0)
        producer.flush(10)
        looking.join(60)
    finally:
        stop.set()
        consuming.join()
        looking.join()
    took_ms = [1000 * (found[m["item_id"]] - at[m["item_id"]]) for m in sent[1:]]
    return {f"p{q}_ms": round(float(np.percentile(took_ms, q))) for q in (50, 99)}
