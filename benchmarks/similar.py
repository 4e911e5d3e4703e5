"""kNN on the real server: exact search against HNSW, plain and quantised, over one set of vectors.

The vectors are simulated: overlapping clusters, drawn anew, so that the benchmark needs no data. Recall is
against exact search; times are the client's, rounds interleaved, and ratios are within the run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch, helpers

from ranking.es import connect

N_ITEMS = 20_000
N_QUERIES = 100
DIMS = (256, 512)
K = 10
ROUNDS = 3
FAMILY = "bench-similar"
KINDS = ("hnsw", "int8_hnsw", "int4_hnsw", "bbq_hnsw")
CANDIDATES = (50, 200)


def run() -> dict[str, Any]:
    es = connect()
    return {
        "what": f"the {K} nearest of {N_ITEMS} vectors, on sale: recall against exact search, and ms",
        "items": N_ITEMS,
        "queries": N_QUERIES,
        "vectors": "simulated: 2,000 overlapping clusters, item-to-center cosine about 0.55",
        "rows": [row for dims in DIMS for row in _compare(es, dims)],
    }


def _vectors(dims: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(dims)
    centers = rng.normal(size=(2_000, dims))

    def near(n: int) -> Any:
        x = centers[rng.integers(0, len(centers), n)] + rng.normal(size=(n, dims)) * 1.5
        return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)

    return near(N_ITEMS), near(N_QUERIES)


def _compare(es: Elasticsearch, dims: int) -> list[dict[str, Any]]:
    items, queries = _vectors(dims)
    rows: list[dict[str, Any]] = []
    for kind in KINDS:
        index = f"{FAMILY}-{kind}-{dims}"
        es.options(ignore_status=404).indices.delete(index=index)
        try:
            filled = _fill(es, index, items, kind)
            about = {"dims": dims, "index": kind} | filled
            rows += [about | row for row in _measure(es, index, queries, kind)]
        finally:
            es.options(ignore_status=404).indices.delete(index=index)
    return rows


def _fill(es: Elasticsearch, index: str, items: Any, kind: str) -> dict[str, float]:
    print(f"indexing {len(items)} vectors for {index}", file=sys.stderr)
    vector = {"type": "dense_vector", "dims": items.shape[1], "index_options": {"type": kind}}
    es.indices.create(
        index=index,
        settings={"index.number_of_shards": 1, "index.number_of_replicas": 0, "index.refresh_interval": "-1"},
        mappings={"dynamic": False, "properties": {"status": {"type": "keyword"}, "v": vector}},
    )

    def actions() -> Iterator[dict[str, Any]]:
        for i, item in enumerate(items):
            status = "sold" if i % 20 == 0 else "on_sale"
            yield {"_index": index, "_id": str(i), "_source": {"status": status, "v": item.tolist()}}

    began = time.perf_counter()
    helpers.bulk(es.options(request_timeout=600), actions(), chunk_size=500)
    patient = es.options(request_timeout=1800)
    patient.indices.refresh(index=index)
    patient.indices.forcemerge(index=index, max_num_segments=1)
    seconds = time.perf_counter() - began
    size = int(es.indices.stats(index=index)["_all"]["primaries"]["store"]["size_in_bytes"])
    return {"index_mb": round(size / 1e6, 1), "index_s": round(seconds, 1)}


def _measure(es: Elasticsearch, index: str, queries: Any, kind: str) -> list[dict[str, Any]]:
    ways: dict[str, dict[str, Any]] = {"exact": {}}
    for n in CANDIDATES:
        ways[f"{n} candidates"] = {"num_candidates": n}
        if kind != "hnsw":
            ways[f"{n} candidates, oversample 3"] = {"num_candidates": n, "oversample": 3.0}
    best = dict.fromkeys(ways, float("inf"))
    found: dict[str, list[list[str]]] = {}
    for _ in range(ROUNDS):
        for way, options in ways.items():
            began = time.perf_counter()
            found[way] = [_search(es, index, q, options) for q in queries]
            best[way] = min(best[way], (time.perf_counter() - began) / len(queries) * 1000)

    def recall(way: str) -> float:
        pairs = zip(found[way], found["exact"], strict=True)
        return round(float(np.mean([len(set(a) & set(b)) / K for a, b in pairs])), 4)

    return [
        {
            "search": way,
            f"recall@{K}": recall(way),
            "ms": round(best[way], 2),
            "times_as_fast_as_exact": round(best["exact"] / best[way], 1),
        }
        for way in ways
    ]


def _search(es: Elasticsearch, index: str, query: Any, options: dict[str, Any]) -> list[str]:
    on_sale = {"term": {"status": "on_sale"}}
    body: dict[str, Any]
    if options:
        knn: dict[str, Any] = {
            "field": "v",
            "query_vector": query.tolist(),
            "k": K,
            "num_candidates": options["num_candidates"],
            "filter": on_sale,
        }
        if kept := options.get("oversample"):
            knn["rescore_vector"] = {"oversample": kept}
        body = {"knn": knn}
    else:
        script = {"source": "(1.0 + cosineSimilarity(params.v, 'v')) / 2.0", "params": {"v": query.tolist()}}
        body = {"query": {"script_score": {"query": {"bool": {"filter": on_sale}}, "script": script}}}
    answer = es.options(request_timeout=120).search(
        index=index, size=K, source=False, track_total_hits=False, **body
    )
    return [hit["_id"] for hit in answer["hits"]["hits"]]
