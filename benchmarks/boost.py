"""What a boost costs on the server: each execution's `took` against plain BM25, interleaved rounds."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from benchmarks import corpus
from ranking.es import connect
from ranking.profile import Profile
from ranking.query import search_body, window_body

N_DOCS = 300_000
ROUNDS = 7
FRESH = {"scale": "14d", "offset": "1d"}


def profiles() -> dict[str, Profile]:
    found = {}
    for execution in ("function_score", "script_score"):
        for mode, weight in (("additive", 3.0), ("multiplicative", 0.5)):
            found[f"{mode} x freshness, {execution}"] = Profile.model_validate(
                {
                    "name": f"{mode}-{execution}".replace("_", "-"),
                    "base_query": {"fields": {"title": 1.0}},
                    "image": {"mode": mode, "weight": weight},
                    "freshness": FRESH,
                    "execution": execution,
                }
            )
    return found


def run() -> dict[str, Any]:
    es = connect()
    with corpus.index(es, N_DOCS) as index:
        return {
            "what": "wall time of a top-50 search as a ratio to plain BM25, best of interleaved rounds",
            "documents": N_DOCS,
            "rounds": ROUNDS,
            "classes": {
                "head": _class(es, index, corpus.HEAD),
                "mid": _class(es, index, corpus.MID),
            },
        }


def _class(es: Elasticsearch, index: str, queries: tuple[str, ...]) -> dict[str, Any]:
    plain = Profile.model_validate({"name": "plain", "base_query": {"fields": {"title": 1.0}}})
    bodies = {
        "plain": [window_body(plain, query, now_ms=corpus.NOW, size=50) for query in queries],
        **{
            name: [
                {**search_body(p, query, now_ms=corpus.NOW, scripts="stored"), "track_total_hits": False}
                for query in queries
            ]
            for name, p in profiles().items()
        },
    }
    seconds = {name: np.full((ROUNDS, len(queries)), np.inf) for name in bodies}
    for round_ in range(ROUNDS):
        for name, found in bodies.items():
            for i, body in enumerate(found):
                began = time.perf_counter()
                es.search(index=index, **body)
                seconds[name][round_, i] = time.perf_counter() - began
    best = {name: values.min(axis=0) for name, values in seconds.items()}
    matches = [es.count(index=index, query=bodies["plain"][i]["query"])["count"] for i in range(len(queries))]
    return {
        "mean_matches": float(np.mean(matches)),
        "plain_ms": float(best["plain"].mean() * 1000),
        "ratio": {name: round(float((v / best["plain"]).mean()), 2) for name, v in best.items()},
    }
