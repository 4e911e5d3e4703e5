"""How fast the ingest writes what needs no score, against `helpers.parallel_bulk`; what each guard costs.

Same documents, chunk size and threads; `parallel_bulk` is given finished documents under external versions.
`feeder` is the ingest's writer alone; `stream` is the whole path from Kafka: read, parse, check, write,
commit. `known` are newer messages of the same items: there `parallel_bulk` sends the same scripted updates.
Messages mark items as deleted, since an item on the shelf without a photo is also told to the dead letters.
The last twentieth of a stream is left out: it waits for batches that nothing fills any more.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

from elasticsearch import Elasticsearch, helpers

from index_templates.desired import ITEM_UPDATE
from ranking.clock import now_ms
from ranking.item_message import parse_message
from ranking.settings import get_settings
from scorer.ingest import publish, run_stream
from scorer.ingest.analyzer import Document
from scorer.ingest.feeder import Feeder
from scorer.ingest.records import Record
from scorer.ingest.run import collect_less

N = 100_000
N_GUARD = 20_000
CHUNK = 500
THREADS = 2
ROUNDS = 3
T0 = 1_795_000_000_000


def messages(n: int = N, *, later_ms: int = 0) -> list[dict[str, Any]]:
    """Deleted items, as large as others: they need no photo and no score."""
    return [
        {
            "item_id": f"item-{number:07d}",
            "title": f"cotton summer dress number {number}, worn twice, size M",
            "description": "From a smoke-free home. Small mark on the left sleeve, see the last photo.",
            "category": "dress",
            "price": 1000 + number % 500,
            "status": "deleted",
            "created_at": T0,
            "updated_at": T0 + number + later_ms,
        }
        for number in range(n)
    ]


def writing_rates(es: Elasticsearch, index: str, fresh: Callable[[], None]) -> dict[str, Any]:
    """Documents a second by `parallel_bulk`, by the feeder, and through the whole stream."""
    documents = _documents()
    chunks = [documents[start : start + CHUNK] for start in range(0, N, CHUNK)]
    changes = _documents(later_ms=1)
    collect_less()  # as `rank-cli ingest stream` does; it helps both sides

    def feeder() -> None:
        writer = Feeder(es, index, max_docs=CHUNK)
        writer.check()
        with ThreadPoolExecutor(THREADS) as pool:
            if sum(len(result.written) for result in pool.map(writer.write, chunks)) != N:
                raise RuntimeError("not all were written")

    def new(document: Document) -> dict[str, Any]:
        guard = {"version": document.version, "version_type": "external_gte"}
        return {"_index": index, "_id": document.item_id, **guard, "_source": document.source}

    def change(document: Document) -> dict[str, Any]:
        action = {"_op_type": "update", "_index": index, "_id": document.item_id, "scripted_upsert": True}
        script = {"id": ITEM_UPDATE, "params": {"doc": document.merged}}
        return action | {"script": script, "upsert": {"item_id": document.item_id}}

    rounds: list[dict[str, float]] = []
    for _ in range(ROUNDS):  # in turn, so that a slow minute of the machine meets each
        rates: dict[str, float] = {}
        fresh()
        rates["parallel_bulk"] = _rate(lambda: _parallel_bulk(es, map(new, documents)))
        fresh()
        rates["feeder"] = _rate(feeder)
        fresh()
        rates["stream"] = _stream(es, index, messages())
        rates["known_parallel_bulk"] = _rate(lambda: _parallel_bulk(es, map(change, changes)))
        rates["known_stream"] = _stream(es, index, messages(later_ms=2))
        rounds.append(rates)
        print(f"writing: {rates}", file=sys.stderr)

    def ratio(ours: str, theirs: str) -> float:
        return round(median(rates[ours] / rates[theirs] for rates in rounds), 2)

    return {
        "documents": N,
        "chunk": CHUNK,
        "threads": THREADS,
        "documents_per_s": {name: round(median(one[name] for one in rounds)) for name in rounds[0]},
        "feeder_to_parallel_bulk": ratio("feeder", "parallel_bulk"),
        "stream_to_parallel_bulk": ratio("stream", "parallel_bulk"),
        "stream_to_parallel_bulk_of_rounds": [
            round(one["stream"] / one["parallel_bulk"], 2) for one in rounds
        ],
        "known_stream_to_parallel_bulk": ratio("known_stream", "known_parallel_bulk"),
    }


def _documents(*, later_ms: int = 0) -> list[Document]:
    parsed = [parse_message(message) for message in messages(later_ms=later_ms)]
    return [
        Document(
            m.item_id, m.updated_at, m.to_document(), Record(value=None), m.speaks_of - m.to_document().keys()
        )
        for m in parsed
    ]


def _rate(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return N / (time.perf_counter() - began)


def _parallel_bulk(es: Elasticsearch, actions: Iterable[dict[str, Any]]) -> None:
    for ok, info in helpers.parallel_bulk(es, actions, thread_count=THREADS, chunk_size=CHUNK):
        if not ok:
            raise RuntimeError(info)


def _stream(es: Elasticsearch, index: str, news: list[dict[str, Any]]) -> float:
    topic = f"{index}-writing-{now_ms()}"
    publish(news, get_settings().endpoint("Kafka"), topic=topic)
    seen: list[tuple[int, float]] = []  # received, seconds: joining the group is not writing
    summary = run_stream(
        topic=topic,
        group=topic,
        index=index,
        batch=CHUNK,
        in_flight=THREADS + 1,  # one is read and checked while two are written
        bulk_requests=THREADS,
        until_empty=True,
        es=es,
        on_progress=lambda summary: seen.append((summary.received, time.perf_counter())),
    )
    if summary.deleted != len(news):
        raise RuntimeError(f"{summary.deleted} of {len(news)} written")
    (first, began), (last, ended) = seen[0], next(one for one in seen if one[0] >= 0.95 * len(news))
    return (last - first) / (ended - began)


def guard_costs(es: Elasticsearch, index: str, fresh: Callable[[], None]) -> dict[str, Any]:
    """Documents a second by the way in which a write is kept from overwriting newer data."""
    listed = [parse_message(message) for message in messages(N_GUARD)]
    newer = [m.model_copy(update={"updated_at": m.updated_at + 1, "price": 1.0}) for m in listed]

    def actions(kind: str, step: str) -> Iterator[dict[str, Any]]:
        for m in newer if step == "again" else listed:
            source = m.to_document()
            action: dict[str, Any] = {"_index": index, "_id": m.item_id}
            match kind:
                case "plain":
                    yield action | {"_source": source}
                case "external_gte":
                    versioned = {"version": m.updated_at, "version_type": "external_gte"}
                    yield action | versioned | {"_source": source}
                case "script" if step == "new":
                    yield action | {"_op_type": "create", "_source": source}
                case "script":
                    script = {"id": ITEM_UPDATE, "params": {"doc": source}}
                    yield action | {
                        "_op_type": "update",
                        "script": script,
                        "scripted_upsert": True,
                        "upsert": {"item_id": m.item_id},
                    }
                case "partial":  # over whole items, the price alone
                    kept = ("item_id", "updated_at", "price") if step == "again" else tuple(source)
                    changed = {name: source[name] for name in kept}
                    script = {"id": ITEM_UPDATE, "params": {"doc": changed}}
                    yield action | {"_op_type": "update", "script": script, "upsert": source}

    rates: dict[str, float] = {}
    for _ in range(ROUNDS):
        for kind in ("plain", "external_gte", "script", "partial"):
            fresh()
            for step in ("new", "again"):  # each item for the first time, then over what is there
                began = time.perf_counter()
                helpers.bulk(es, actions(kind, step), chunk_size=CHUNK)
                rate = N_GUARD / (time.perf_counter() - began)
                rates[f"{kind}_{step}"] = max(rates.get(f"{kind}_{step}", 0.0), rate)
    return {
        "documents_per_s": {name: round(rate) for name, rate in rates.items()},
        "external_gte_to_plain": round(rates["external_gte_again"] / rates["plain_again"], 2),
        "script_to_plain": round(rates["script_again"] / rates["plain_again"], 2),
        "partial_to_plain": round(rates["partial_again"] / rates["plain_again"], 2),
    }
