"""What an exact boosted top-50 costs: every strategy against plain BM25, interleaved rounds, lists compared.

Every way builds its body and reads its page with the same client code, plain BM25 too. A list is identical
when ids, scores and the order of ties are those of the full query. The planner plans on every second query;
what it picked is then measured on the others, against the best strategy there.

    python -m benchmarks boost                      one million documents, all strategies
    N_DOCS=100000 python -m benchmarks boost        a quick look
    N_DOCS=6000000 python -m benchmarks boost       the native query and the full one alone, and the growth

The corpus stays where `KEEP_CORPUS=1` is set, so that a second run starts at once.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch
from elasticsearch.dsl import query as q

from benchmarks import corpus
from ranking.clock import DAY_MS
from ranking.es import connect
from ranking.features import find_features
from ranking.planner import WINDOWS, Asked, plan_execution
from ranking.profile import Profile
from ranking.query import TIE_POLICY, Scripts, base_query, boosted, docvalue_fields
from ranking.search import Page, read_page
from ranking.topk import Strategy, TopK

N_DOCS = int(os.environ.get("N_DOCS", "1000000"))
MANY = 3_000_000  # documents from which on windows and the planner are left out
ROUNDS = 9
K = 50
FRESH = {"scale": "14d", "offset": "1d"}
FORMULAS: dict[str, dict[str, Any]] = {
    "additive with freshness": {"image": {"mode": "additive", "weight": 1.5}, "freshness": FRESH},
    "multiplicative with freshness": {"image": {"mode": "multiplicative", "weight": 1.0}, "freshness": FRESH},
    "multiplicative with a floor": {"image": {"mode": "multiplicative", "weight": 0.5}, "freshness": FRESH},
    "additive": {"image": {"mode": "additive", "weight": 1.5}},
}
FRESH_ONES = ("additive with freshness", "multiplicative with freshness")
LAST_30_DAYS = q.Range("created_at", {"gte": corpus.NOW - 30 * DAY_MS, "format": "epoch_millis"})
RESULTS = Path(__file__).parent / "results"

Way = Callable[[str], Page]


def run() -> dict[str, Any]:
    es = connect().options(request_timeout=300)
    if not find_features(es).rank_boost:
        raise SystemExit("this benchmark measures the plugin too: rank-cli plugin install")
    with corpus.index(es, N_DOCS, keep=bool(os.environ.get("KEEP_CORPUS"))) as index:
        classes = {
            "head": _class(es, index, corpus.HEAD, FORMULAS),
            "mid": _class(es, index, corpus.MID, FORMULAS),
            "head, all words": _class(es, index, corpus.HEAD, FRESH_ONES, {"operator": "and"}),
            "head, last 30 days": _class(es, index, corpus.HEAD, FRESH_ONES, filters=[LAST_30_DAYS]),
        }
    return {
        "what": "wall time of an exact boosted top-50 as a ratio to plain BM25, best of rounds",
        "documents": N_DOCS,
        "rounds": ROUNDS,
        "classes": classes,
        **_growth(classes),
    }


def profile(parts: dict[str, Any], execution: str, base: dict[str, Any]) -> Profile:
    return Profile.model_validate(
        {
            "name": "bench",
            "base_query": {"fields": {"title": 1.0}, **base},
            **parts,
            "execution": execution,
            "k": K,
        }
    )


def _class(
    es: Elasticsearch,
    index: str,
    queries: tuple[str, ...],
    formulas: Sequence[str] | dict[str, Any],
    base: dict[str, Any] | None = None,
    *,
    filters: Sequence[q.Query] = (),
) -> dict[str, Any]:
    plain = profile({}, "function_score", base or {})
    matches = {text: _count(es, index, plain, text, filters) for text in queries}
    every = filters == () and not base and N_DOCS < MANY
    return {
        "mean_matches": float(np.mean(list(matches.values()))),
        "formulas": {
            name: _formula(es, index, FORMULAS[name], plain, matches, filters=filters, every=every)
            for name in formulas
        },
    }


def _count(es: Elasticsearch, index: str, plain: Profile, text: str, filters: Sequence[q.Query]) -> int:
    base = base_query(plain.base_query, text, now_ms=corpus.NOW, filters=filters, named=False)
    return int(es.count(index=index, query=base.to_dict())["count"])


def _way(
    es: Elasticsearch, index: str, form: Profile, filters: Sequence[q.Query], scripts: Scripts = "constant"
) -> Way:
    """One search without a count of its matches, from text to page."""

    def search(text: str) -> Page:
        base = base_query(form.base_query, text, now_ms=corpus.NOW, filters=filters)
        response = es.search(
            index=index,
            query=boosted(form, base, now_ms=corpus.NOW, scripts=scripts).to_dict(),
            size=K,
            sort=TIE_POLICY,
            track_total_hits=False,
            docvalue_fields=docvalue_fields(form),
            stored_fields="_none_",
            include_named_queries_score=True,
        )
        return read_page(response.body, form)

    return search


def _formula(
    es: Elasticsearch,
    index: str,
    parts: dict[str, Any],
    plain: Profile,
    matches: dict[str, int],
    *,
    filters: Sequence[q.Query],
    every: bool,
) -> dict[str, Any]:
    queries, base = list(matches), plain.base_query.model_dump(exclude_defaults=True)
    forms = {name: profile(parts, name, base) for name in ("function_score", "script_score", "plugin")}
    server = TopK(es, index, profile(parts, "window", base))

    def window(n: int) -> Way:
        return lambda text: server.search(text, now_ms=corpus.NOW, strategy=Strategy("window", n))[0]

    ways: dict[str, Way] = {
        "plain": _way(es, index, plain, filters),
        "function_score": _way(es, index, forms["function_score"], filters),
        "full": _way(es, index, forms["script_score"], filters),
        "plugin": _way(es, index, forms["plugin"], filters),
        **({f"window {n}": window(n) for n in WINDOWS} if every else {}),
    }
    exact = [name for name in ways if name == "plugin" or name.startswith("window")]
    seconds = {name: np.full((ROUNDS, len(queries)), np.inf) for name in ways}
    identical = dict.fromkeys(exact, 0)
    for round_ in range(-1, ROUNDS):  # the first warms up, and compares
        for i, text in enumerate(queries):
            pages = {}
            for name, way in ways.items():
                began = time.perf_counter()
                pages[name] = way(text)
                if round_ >= 0:
                    seconds[name][round_, i] = time.perf_counter() - began
            if round_ < 0:
                full = [(item.item_id, item.score) for item in pages["full"].items]
                for name in exact:
                    identical[name] += [(one.item_id, one.score) for one in pages[name].items] == full
    best = {name: values.min(axis=0) for name, values in seconds.items()}
    found = {
        "plain_ms": round(float(best["plain"].mean() * 1000), 2),
        "ratio": {name: round(float((v / best["plain"]).mean()), 2) for name, v in best.items()},
        "identical_lists": {name: f"{n} of {len(queries)}" for name, n in identical.items()},
    }
    if every:
        found |= _planned(es, index, server, matches, best)
    server.point_in_time.close()
    return found


def _planned(
    es: Elasticsearch, index: str, server: TopK, matches: dict[str, int], best: dict[str, Any]
) -> dict[str, Any]:
    """The planner's pick on the queries it did not plan with, with the plugin and without."""
    queries = list(matches)
    asked = [Asked(text, corpus.NOW, {}, matches[text]) for text in queries[::2]]
    found: dict[str, Any] = {}
    for name, native in (("planner", True), ("planner_without_plugin", False)):
        plan = plan_execution(es, index, server.profile, asked, native=native)
        ways = {
            way: float(v[1::2].mean()) for way, v in best.items() if way not in {"plain", "function_score"}
        }
        if not native:
            del ways["plugin"]
        picked = np.mean([best[str(plan.strategy(matches[q]))][i] for i, q in enumerate(queries) if i % 2])
        found[name] = {
            "picked": sorted({str(part.strategy) for part in plan.classes}),
            "against_the_best": round(float(picked) / min(ways.values()), 2),
            "certified_in_one_pass": plan.classes[0].certified,
        }
    return found


def _growth(classes: dict[str, Any]) -> dict[str, Any]:
    """From the run over a million documents to this one: the plugin's growth, and plain BM25's."""
    path = RESULTS / "boost.json"
    if N_DOCS < MANY or not path.exists():
        return {}
    small = json.loads(path.read_text())
    growth = {}
    for name in FRESH_ONES:
        before, after = (one["head"]["formulas"][name] for one in (small["classes"], classes))
        plain = after["plain_ms"] / before["plain_ms"]
        native = plain * after["ratio"]["plugin"] / before["ratio"]["plugin"]
        growth[name] = {
            "plain": round(plain, 2),
            "plugin": round(native, 2),
            "against_plain": round(native / plain, 2),
        }
    return {"growth_on_head_queries": {"from_documents": small["documents"], **growth}}
