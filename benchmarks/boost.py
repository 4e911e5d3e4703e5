"""What an exact boosted top-50 costs: every strategy against plain BM25, interleaved rounds, lists compared.

Every way builds its body and reads its page with the same client code, plain BM25 too. A list is identical
when ids, scores and the order of ties are those of the full query. The planner plans on every second query;
what it picked is then measured on the others, against the best strategy there.
`N_DOCS=100000 python -m benchmarks boost` is a quick look.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from benchmarks import corpus
from ranking.es import connect
from ranking.planner import WINDOWS, Asked, plan_execution
from ranking.profile import Profile
from ranking.query import search_body, window_body
from ranking.search import read_page
from ranking.topk import Strategy, TopK

N_DOCS = int(os.environ.get("N_DOCS", "1000000"))
ROUNDS = 7
K = 50
FRESH = {"scale": "14d", "offset": "1d"}
FORMULAS: dict[str, dict[str, Any]] = {
    "additive with freshness": {"image": {"mode": "additive", "weight": 1.5}, "freshness": FRESH},
    "multiplicative with freshness": {"image": {"mode": "multiplicative", "weight": 1.0}, "freshness": FRESH},
    "multiplicative with a floor": {"image": {"mode": "multiplicative", "weight": 0.5}, "freshness": FRESH},
    "additive": {"image": {"mode": "additive", "weight": 1.5}},
}


def run() -> dict[str, Any]:
    es = connect().options(request_timeout=120)
    with corpus.index(es, N_DOCS) as index:
        return {
            "what": "wall time of an exact boosted top-50 as a ratio to plain BM25, best of rounds",
            "documents": N_DOCS,
            "rounds": ROUNDS,
            "classes": {
                "head": _class(es, index, corpus.HEAD),
                "mid": _class(es, index, corpus.MID),
            },
        }


def profile(parts: dict[str, Any], execution: str) -> Profile:
    return Profile.model_validate(
        {"name": "bench", "base_query": {"fields": {"title": 1.0}}, **parts, "execution": execution, "k": K}
    )


def _class(es: Elasticsearch, index: str, queries: tuple[str, ...]) -> dict[str, Any]:
    plain = profile({}, "function_score")
    bodies = {text: window_body(plain, text, now_ms=corpus.NOW, size=K) for text in queries}
    matches = {
        text: int(es.count(index=index, query=body["query"])["count"]) for text, body in bodies.items()
    }

    def bm25(text: str) -> Any:
        body = window_body(plain, text, now_ms=corpus.NOW, size=K)
        return read_page(es.search(index=index, include_named_queries_score=True, **body).body, plain)

    formulas = {name: _formula(es, index, parts, bm25, matches) for name, parts in FORMULAS.items()}
    return {"mean_matches": float(np.mean(list(matches.values()))), "formulas": formulas}


def _formula(
    es: Elasticsearch,
    index: str,
    parts: dict[str, Any],
    plain: Callable[[str], Any],
    matches: dict[str, int],
) -> dict[str, Any]:
    queries = list(matches)
    nested, single = profile(parts, "function_score"), profile(parts, "window")
    server = TopK(es, index, single)

    def by(strategy: Strategy) -> Callable[[str], Any]:
        return lambda text: server.search(text, now_ms=corpus.NOW, strategy=strategy)

    def function_score(text: str) -> Any:
        body = search_body(nested, text, now_ms=corpus.NOW)
        body["track_total_hits"] = False
        return read_page(es.search(index=index, include_named_queries_score=True, **body).body, nested)

    ways: dict[str, Callable[[str], Any]] = {
        "plain": plain,
        "function_score": function_score,
        "full": by(Strategy("full")),
        **{f"window {n}": by(Strategy("window", n)) for n in WINDOWS},
    }
    seconds = {name: np.full((ROUNDS, len(queries)), np.inf) for name in ways}
    identical, certified_at_once = 0, dict.fromkeys(ways, 0)
    for round_ in range(ROUNDS):
        for i, text in enumerate(queries):
            pages = {}
            for name, way in ways.items():
                began = time.perf_counter()
                pages[name] = way(text)
                seconds[name][round_, i] = time.perf_counter() - began
            if round_:
                continue
            full = [(item.item_id, item.score) for item in pages["full"][0].items]
            for name in (f"window {n}" for n in WINDOWS):
                page, certificate = pages[name]
                identical += [(item.item_id, item.score) for item in page.items] == full
                certified_at_once[name] += certificate.passes == 1
    server.point_in_time.close()
    best = {name: values.min(axis=0) for name, values in seconds.items()}
    asked = [Asked(text, corpus.NOW, {}, matches[text]) for text in queries[::2]]
    plan = plan_execution(es, index, single, asked)
    exact = {name: float(values[1::2].mean()) for name, values in best.items() if name != "plain"}
    picked = np.mean([best[str(plan.strategy(matches[q]))][i] for i, q in enumerate(queries) if i % 2])
    return {
        "plain_ms": round(float(best["plain"].mean() * 1000), 2),
        "ratio": {name: round(float((v / best["plain"]).mean()), 2) for name, v in best.items()},
        "planner": {
            "picked": sorted({str(part.strategy) for part in plan.classes}),
            "against_the_best": round(float(picked) / min(exact.values()), 2),
        },
        "certified_in_one_pass": {
            name: f"{certified_at_once[name]} of {len(queries)}" for name in ways if name.startswith("window")
        },
        "identical_lists": f"{identical} of {len(queries) * len(WINDOWS)}",
    }
