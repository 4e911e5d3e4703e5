"""A synthetic index for benchmarks: Zipf titles, image scores, ages; made once per run and removed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from elasticsearch import Elasticsearch, helpers

from index_templates import apply_steps, desired_state, plan_steps, read_live, removal_steps
from ranking.clock import DAY_MS

NOW = 1_795_000_000_000
VOCABULARY = 20_000
HEAD = (  # about a tenth of the documents
    *("w8 w11", "w9 w14", "w7 w20", "w12 w15", "w10 w25"),
    *("w8 w16", "w11 w13", "w7 w18", "w10 w17", "w9 w22"),
)
MID = (  # about four in a thousand
    *("w300 w410", "w350 w520", "w280 w610", "w450 w330", "w700 w390"),
    *("w310 w400", "w360 w510", "w290 w600", "w440 w340", "w690 w380"),
)


@contextmanager
def index(es: Elasticsearch, n_docs: int, name: str = "bench", *, keep: bool = False) -> Iterator[str]:
    """An index of `n_docs` documents in one segment, removed at the end.

    With `keep` it stays, under a name that holds its size or that CORPUS gives, and is used again by the
    next run that keeps.
    """
    if keep:
        name = os.environ.get("CORPUS") or f"{name}-{n_docs}"
        if es.indices.exists(index=f"{name}-000001") and _is_whole(es, f"{name}-000001", n_docs):
            yield f"{name}-000001"
            return
    wanted = desired_state(name)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    target = f"{name}-000001"
    es.options(ignore_status=404).indices.delete(index=target)
    es.indices.create(index=target, settings={"index.refresh_interval": "-1"})
    try:
        print(f"indexing {n_docs} documents", file=sys.stderr)
        for ok, info in helpers.parallel_bulk(es, _actions(target, n_docs), thread_count=2, chunk_size=2000):
            if not ok:
                raise RuntimeError(info)
        es.indices.refresh(index=target)
        es.options(request_timeout=600).indices.forcemerge(index=target, max_num_segments=1)
        yield target
    finally:
        if not keep:
            clean_up(es, name)


def _is_whole(es: Elasticsearch, target: str, n_docs: int) -> bool:
    segments = es.indices.segments(index=target)["indices"][target]["shards"]["0"][0]["num_search_segments"]
    return int(es.count(index=target)["count"]) == n_docs and int(segments) == 1


def clean_up(es: Elasticsearch, name: str) -> None:
    """Remove the indices of a family and its templates, as far as they are there."""
    for found in es.options(ignore_status=404).indices.get(index=f"{name}-0*"):
        es.options(ignore_status=404).indices.delete(index=found)
    wanted = desired_state(name)
    apply_steps(es, removal_steps(wanted, read_live(es, wanted)))


def _actions(target: str, n_docs: int) -> Iterator[dict[str, object]]:
    rng = np.random.default_rng(1)
    share = 1 / np.arange(1, VOCABULARY + 1) ** 0.9
    share /= share.sum()
    words = np.array([f"w{i}" for i in range(VOCABULARY)])
    for start in range(0, n_docs, 10_000):
        n = min(10_000, n_docs - start)
        titles = words[rng.choice(VOCABULARY, size=(n, 8), p=share)]
        image = rng.beta(5, 4, size=n)
        created = (NOW - rng.exponential(30 * DAY_MS, size=n)).astype(np.int64)
        for i in range(n):
            yield {
                "_index": target,
                "item_id": f"i{start + i:08d}",
                "title": " ".join(titles[i]),
                "status": "on_sale",
                "image_score": float(image[i]),
                "created_at": int(created[i]),
            }
