"""Elasticsearch's own view of a round: what its counters grew by, all data nodes together."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from elasticsearch import ApiError, AuthorizationException, Elasticsearch, TransportError

_EVERY_S = 0.5
_COUNTERS: dict[str, tuple[str, ...]] = {
    "searches": ("indices", "search", "query_total"),
    "search_ms": ("indices", "search", "query_time_in_millis"),
    "rejected": ("thread_pool", "search", "rejected"),
    "query_cache_hits": ("indices", "query_cache", "hit_count"),
    "query_cache_misses": ("indices", "query_cache", "miss_count"),
    "request_cache_hits": ("indices", "request_cache", "hit_count"),
    "request_cache_misses": ("indices", "request_cache", "miss_count"),
    "gc_young": ("jvm", "gc", "collectors", "young", "collection_count"),
    "gc_young_ms": ("jvm", "gc", "collectors", "young", "collection_time_in_millis"),
    "gc_old": ("jvm", "gc", "collectors", "old", "collection_count"),
    "gc_old_ms": ("jvm", "gc", "collectors", "old", "collection_time_in_millis"),
}


def read_counters(es: Elasticsearch) -> dict[str, int] | None:
    """The counters now, summed over nodes; None where the login may not see them (privilege `monitor`)."""
    try:
        nodes = es.nodes.stats(metric="indices,jvm,thread_pool")["nodes"]
    except AuthorizationException:
        return None
    return {name: sum(_at(node, path) for node in nodes.values()) for name, path in _COUNTERS.items()}


@contextmanager
def watched(es: Elasticsearch) -> Iterator[dict[str, int | None]]:
    """A mapping that holds, after the block, what each counter grew by, and `queue_max`.

    The queue is a gauge: it is looked at twice a second, so a shorter one may be missed. The mapping stays
    empty where the login may not see counters.
    """
    found: dict[str, int | None] = {}
    before = read_counters(es)
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
    after = read_counters(es) if before is not None else None
    if before is not None and after is not None:
        found |= {name: after[name] - before[name] for name in _COUNTERS}
        found["queue_max"] = longest


def _at(node: Mapping[str, Any], path: tuple[str, ...]) -> int:
    value: Any = node
    for key in path:
        value = value.get(key, {})
    return int(value) if value else 0
