"""Copies one index into another along its sequence numbers, while the first is being written to.

Every write to an index, a full document as well as an update, gives the document the next sequence number of
its shard. So `_seq_no >= n` finds whatever changed since n, whoever wrote it, and a copy is a walk over the
numbers: in ranges first, then the tail again and again, until little is left. A copy keeps the version
(`version_type: external_gte`), so that writers with versions of their own can go on with theirs, and runs
without a pipeline: what is copied is what was stored. Deletes leave no number that can be searched;
`deletes` finds them by id.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from elasticsearch import Elasticsearch, helpers

from ranking.errors import BulkError, ServerError
from ranking.es import reason, server_errors

OnDocs = Callable[[int], None]
BATCH: Final = 2_000
_REINDEX: Final = "indices:data/write/reindex"
_FORGET_S: Final = (
    0.5  # with gc_deletes 0s, how long the server still knows the version of a deleted document
)


def horizon(es: Elasticsearch, index: str) -> tuple[int, int]:
    """How far an index has come: (every operation below this is done on every shard, operations at most).

    The first is what a copy may count as seen once it has refreshed and searched.
    """
    with server_errors(f"read sequence numbers of {index}"):
        stats = es.indices.stats(index=index, level="shards", metric="docs")["indices"][index]
    shards = [copy["seq_no"] for copies in stats["shards"].values() for copy in copies]
    return (
        min(int(shard["local_checkpoint"]) for shard in shards) + 1,
        max(int(shard["max_seq_no"]) for shard in shards) + 1,
    )


def copy_range(
    es: Elasticsearch,
    old: str,
    new: str,
    *,
    low: int,
    high: int | None = None,
    tag: str,
    on_docs: OnDocs = lambda _n: None,
) -> int:
    """Copy every document whose last write has a sequence number in [low, high); how many were copied.

    Args:
        es: a client.
        old: from where; what is refreshed is seen.
        new: where to; nobody else writes to it.
        low: the first number.
        high: the number after the last; None for all there are.
        tag: `X-Opaque-Id` of the task, by which it is found again after this process is gone.
        on_docs: told how many more are copied, as it goes on.

    Raises:
        BulkError: `new` refused documents, such as for its mapping.
        ServerError: the cluster refused, or the task is gone.
    """
    query = {"range": {"_seq_no": {"gte": low} | ({} if high is None else {"lt": high})}}
    copied, conflicts = _reindex(es, old, new, query, tag=tag, on_docs=on_docs)
    if conflicts:  # deleted and made again with a lower version, after the first one was copied
        _forget_higher_versions(es, old, new, query)
        copied, conflicts = _reindex(es, old, new, query, tag=tag, on_docs=lambda _n: None)
    if conflicts:
        raise ServerError(
            "Elasticsearch",
            f"{conflicts} documents of {old} are older than those in {new}",
            hint=f"somebody else writes to {new}; stop it, then `rank-cli index migrate --abort`",
        )
    return copied


def stop_copies(es: Elasticsearch, tag: str) -> int:
    """End the copies that a process with this tag left running, and wait until they are gone; how many."""
    running = _tagged(es, tag)
    for task in running:
        with server_errors(f"cancel task {task}"):
            es.options(ignore_status=404).tasks.cancel(task_id=task)
    while _tagged(es, tag):
        time.sleep(0.1)
    return len(running)


def count(es: Elasticsearch, index: str) -> int:
    """Documents in an index, after a refresh."""
    with server_errors(f"count {index}"):
        es.indices.refresh(index=index)
        return int(es.count(index=index)["count"])


def differing_sample(es: Elasticsearch, old: str, new: str, *, size: int, seed: int) -> tuple[int, list[str]]:
    """Compare documents drawn at random, source and version; (how many, ids of those that differ)."""
    draw = {"function_score": {"random_score": {"seed": seed, "field": "_seq_no"}}}
    with server_errors(f"compare {old} with {new}"):
        hits = es.search(index=old, query=draw, size=size, version=True)["hits"]["hits"]
        if not hits:
            return 0, []
        copies = es.mget(index=new, ids=[hit["_id"] for hit in hits])["docs"]
    return len(hits), [
        hit["_id"]
        for hit, copy in zip(hits, copies, strict=True)
        if (copy.get("_source"), copy.get("_version")) != (hit["_source"], hit["_version"])
    ]


def ids_with_versions(
    es: Elasticsearch, index: str, query: Mapping[str, Any], *, size: int = BATCH
) -> Iterator[dict[str, int]]:
    """Ids of what a query matches with their versions, in batches."""
    batch: dict[str, int] = {}
    with server_errors(f"read ids of {index}"):
        for hit in helpers.scan(
            es, index=index, query={"query": query, "_source": False, "version": True}, size=size
        ):
            batch[hit["_id"]] = hit["_version"]
            if len(batch) == size:
                yield batch
                batch = {}
    if batch:
        yield batch


def versions(es: Elasticsearch, index: str, ids: Iterable[str]) -> dict[str, int]:
    """The versions of those ids that exist, in real time."""
    with server_errors(f"read versions in {index}"):
        docs = es.mget(index=index, ids=list(ids), source=False)["docs"]
    return {doc["_id"]: int(doc["_version"]) for doc in docs if doc.get("found")}


def delete_versions(es: Elasticsearch, index: str, found: Mapping[str, int]) -> None:
    """Delete documents, each at the version at which it was found.

    Raises:
        BulkError: the server refused some.
    """
    if not found:
        return
    operations = [
        {"delete": {"_id": i, "version": version, "version_type": "external_gte"}}
        for i, version in found.items()
    ]
    with server_errors(f"remove documents of {index}"):
        items = es.bulk(index=index, operations=operations)["items"]
    failures = {
        item["delete"]["_id"]: str(reason(item["delete"]))
        for item in items
        if item["delete"]["status"] not in (200, 404)
    }
    if failures:
        raise BulkError(failures)


def _reindex(
    es: Elasticsearch, old: str, new: str, query: Mapping[str, Any], *, tag: str, on_docs: OnDocs
) -> tuple[int, int]:
    with server_errors(f"copy {old} to {new}"):
        task = es.options(opaque_id=tag).reindex(
            source={"index": old, "query": query, "size": BATCH},
            dest={"index": new, "version_type": "external_gte", "pipeline": "_none"},
            conflicts="proceed",
            slices="auto",
            wait_for_completion=False,
        )["task"]
        told, wait_s = 0, 0.01
        while True:
            state = es.tasks.get(task_id=task).body
            status = state["task"]["status"]
            copied = int(status["created"]) + int(status["updated"])
            on_docs(copied - told)
            told = copied
            if state["completed"]:
                break
            time.sleep(wait_s)
            wait_s = min(wait_s * 2, 0.5)
    _check_done(state, old, new)
    return copied, int(status["version_conflicts"])


def _check_done(state: Mapping[str, Any], old: str, new: str) -> None:
    if "error" in state:
        raise ServerError("Elasticsearch", f"copy {old} to {new}: {reason(state)}")
    answer = state.get("response", {})
    failures = answer.get("failures") or []
    if failures:
        causes = {f.get("id", "?"): reason({"error": f.get("cause", f.get("reason"))}) for f in failures}
        raise BulkError({name: str(why) for name, why in causes.items()})
    if answer.get("canceled"):
        raise ServerError(
            "Elasticsearch",
            f"copy {old} to {new}: cancelled ({answer['canceled']})",
            hint="run `rank-cli index migrate` again; it goes on where it stopped",
        )


def _forget_higher_versions(es: Elasticsearch, old: str, new: str, query: Mapping[str, Any]) -> None:
    for wanted in ids_with_versions(es, old, query):
        held = versions(es, new, wanted)
        delete_versions(es, new, {i: version for i, version in held.items() if version > wanted[i]})
    time.sleep(_FORGET_S)


def _tagged(es: Elasticsearch, tag: str) -> list[str]:
    with server_errors("list tasks"):
        nodes = es.tasks.list(actions=f"{_REINDEX}*", detailed=True)["nodes"]
    return [
        name
        for node in nodes.values()
        for name, task in node["tasks"].items()
        if task["headers"].get("X-Opaque-Id") == tag
    ]
