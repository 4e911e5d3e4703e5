"""The servers' own view of a round: what their counters grew by.

Elasticsearch's are sums over all data nodes and cover whatever else the cluster did meanwhile; Triton's are
of one model.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

Counters = dict[str, int | None]
Watch = Callable[[], AbstractContextManager[Counters]]

_EVERY_S = 0.5
_NODES: dict[str, tuple[str, ...]] = {
    "searches": ("indices", "search", "query_total"),
    "search_ms": ("indices", "search", "query_time_in_millis"),
    "rejected": ("thread_pool", "search", "rejected"),
    "query_cache_hits": ("indices", "query_cache", "hit_count"),
    "query_cache_misses": ("indices", "query_cache", "miss_count"),
    "request_cache_hits": ("indices", "request_cache", "hit_count"),
    "request_cache_misses": ("indices", "request_cache", "miss_count"),
    "indexed": ("indices", "indexing", "index_total"),
    "indexing_ms": ("indices", "indexing", "index_time_in_millis"),
    "write_rejected": ("thread_pool", "write", "rejected"),
    "merge_ms": ("indices", "merges", "total_time_in_millis"),
    "gc_young": ("jvm", "gc", "collectors", "young", "collection_count"),
    "gc_young_ms": ("jvm", "gc", "collectors", "young", "collection_time_in_millis"),
    "gc_old": ("jvm", "gc", "collectors", "old", "collection_count"),
    "gc_old_ms": ("jvm", "gc", "collectors", "old", "collection_time_in_millis"),
}
GAUGES = ("queue_max",)  # of these the highest counts; counters add up


def read_nodes(es: Elasticsearch) -> dict[str, int] | None:
    """The counters now, summed over nodes; None where the login may not see them (privilege `monitor`)."""
    from elasticsearch import AuthorizationException

    try:
        nodes = es.nodes.stats(metric="indices,jvm,thread_pool")["nodes"]
    except AuthorizationException:
        return None
    return {name: sum(_at(node, path) for node in nodes.values()) for name, path in _NODES.items()}


@contextmanager
def watched_nodes(es: Elasticsearch) -> Iterator[Counters]:
    """A mapping that holds, after the block, what each counter grew by, and `queue_max`.

    The queue is a gauge: it is looked at twice a second, so a shorter one may be missed. The mapping stays
    empty where the login may not see counters.
    """
    from elasticsearch import ApiError, TransportError

    found: Counters = {}
    before = read_nodes(es)
    over = threading.Event()
    longest = 0

    def look() -> None:
        nonlocal longest
        while not over.wait(_EVERY_S):
            try:
                nodes = es.nodes.stats(metric="thread_pool")["nodes"]
            except (ApiError, TransportError):  # too busy to say: the round itself shows it
                continue
            longest = max(
                longest, *(_at(node, ("thread_pool", "search", "queue")) for node in nodes.values())
            )

    looking = threading.Thread(target=look, daemon=True)
    if before is not None:
        looking.start()
    try:
        yield found
    finally:
        over.set()
        if before is not None:
            looking.join()
    after = read_nodes(es) if before is not None else None
    if before is not None and after is not None:
        found |= {name: after[name] - before[name] for name in _NODES}
        found["queue_max"] = longest


@contextmanager
def watched_model(addresses: Sequence[str], model: str) -> Iterator[Counters]:
    """As `watched_nodes`, of a model on one or several Tritons: what it computed, and how long that waited.

    Empty where a server does not say.
    """
    found: Counters = {}
    before = _read_model(addresses, model)
    yield found
    after = _read_model(addresses, model)
    if before is not None and after is not None:
        found |= {name: after[name] - before[name] for name in before}


def _read_model(addresses: Sequence[str], model: str) -> dict[str, int] | None:
    from tritonclient import grpc
    from tritonclient.utils import InferenceServerException

    total: dict[str, int] = {}
    for address in addresses:
        try:
            with grpc.InferenceServerClient(address) as client:
                said = client.get_inference_statistics(model, as_json=True, client_timeout=5)
        except InferenceServerException:
            return None
        for one in said.get("model_stats", []):
            stats = one.get("inference_stats", {})
            read = {
                "requests": _at(stats, ("success", "count")),
                "failed": _at(stats, ("fail", "count")),
                "photos": int(one.get("inference_count", 0)),
                "batches": int(one.get("execution_count", 0)),
                "queue_ms": _at(stats, ("queue", "ns")) // 1_000_000,
                "compute_ms": _at(stats, ("compute_infer", "ns")) // 1_000_000,
            }
            total = {name: total.get(name, 0) + value for name, value in read.items()}
    return total


def _at(node: Mapping[str, Any], path: tuple[str, ...]) -> int:
    value: Any = node
    for key in path:
        value = value.get(key, {})
    return int(value) if value else 0
