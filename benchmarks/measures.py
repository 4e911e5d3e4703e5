"""Our measures against ir_measures on the same rankings and judgments, in the same run, values compared.

Both sides get the input they like best, made before the clock runs: arrays here, dicts of dicts there.
`N_SEARCHES=1000 python -m benchmarks measures` is a quick look.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import ir_measures
import numpy as np
import pyarrow as pa

from ranking.formula import Candidates
from ranking.profile import Profile
from replay import rank
from replay.engine import Ranking
from replay.judgments import Judgments
from replay.log import CaptureLog
from replay.measures import measure

N_SEARCHES = int(os.environ.get("N_SEARCHES", "10000"))
CANDIDATES = 200
ITEMS = 50_000
ROUNDS = 3
SETS = {
    "nDCG@10": ["nDCG@10"],
    "six measures": ["nDCG@10", "RR@10", "P@10", "R@10", "AP@10", "Judged@10"],
}


def run() -> dict[str, Any]:
    log, judgments = _made()
    ranking = rank(log, Profile.model_validate({"name": "x", "image": {"mode": "additive", "weight": 1.0}}))
    theirs_run, theirs_qrels = _as_dicts(log, ranking, judgments)
    by_set = {}
    for name, spellings in SETS.items():
        ours = [measure(text) for text in spellings]
        theirs = [ir_measures.parse_measure(text) for text in spellings]

        def join_and_measure(ours: Any = ours) -> Any:
            fresh = _forgetful(judgments)
            return [one.values(log, ranking, fresh) for one in ours]

        def measure_again(ours: Any = ours) -> Any:
            return [one.values(log, ranking, judgments) for one in ours]

        joined_s = _best(join_and_measure)
        judgments.grades(log)
        again_s = _best(measure_again)
        began = time.perf_counter()
        found = list(ir_measures.iter_calc(theirs, theirs_qrels, theirs_run))
        theirs_s = time.perf_counter() - began
        by_set[name] = {
            "ir_measures_s": round(theirs_s, 2),
            "first_ranking_s": round(joined_s, 3),
            "each_further_ranking_s": round(again_s, 4),
            "times_faster_first": round(theirs_s / joined_s, 1),
            "times_faster_further": round(theirs_s / again_s),
            "largest_difference": _largest(found, theirs, measure_again(), log),
        }
    return {
        "what": "judged measures of one run, ours against ir_measures; the first ranking pays for the join",
        "searches": N_SEARCHES,
        "candidates_per_search": CANDIDATES,
        "judgments": len(judgments),
        "sets": by_set,
    }


def _made() -> tuple[CaptureLog, Judgments]:
    rng = np.random.default_rng(7)
    n = N_SEARCHES * CANDIDATES
    codes = (rng.integers(0, ITEMS, size=N_SEARCHES)[:, None] + np.arange(CANDIDATES) * 7).ravel() % ITEMS
    names = np.array([f"m{i:011}" for i in range(ITEMS)], dtype=object)
    queries = np.array([f"{i}" for i in range(N_SEARCHES)], dtype=object)
    nothing = np.full(n, np.nan)
    log = CaptureLog(
        searches={
            "query": queries,
            "now_ms": np.full(N_SEARCHES, 1_795_000_000_000),
            "platform": np.full(N_SEARCHES, "web", dtype=object),
            "rel_floor": np.full(N_SEARCHES, np.nan, dtype=np.float32),
        },
        offsets=np.arange(N_SEARCHES + 1) * CANDIDATES,
        owner=np.repeat(np.arange(N_SEARCHES), CANDIDATES),
        item_id=names[codes],
        item_code=codes,
        docs=Candidates(
            rel=rng.random(n).astype(np.float32),
            image_score=rng.random(n).astype(np.float32),
            created_ms=nothing,
        ),
        rank=np.zeros(n, dtype=np.int32),
        score=nothing.astype(np.float32),
        price=nothing,
        ai_prob=nothing.astype(np.float32),
        profiles={},
    )
    judged = np.flatnonzero(rng.random(n) < 0.2)
    grades = rng.integers(0, 4, size=len(judged)).astype(np.float64)
    grades[np.unique(log.owner[judged], return_index=True)[1]] = 3  # a relevant item for every query
    return log, Judgments.from_columns(
        pa.array(queries[log.owner[judged]], pa.string()),
        pa.array(log.item_id[judged], pa.string()),
        grades,
        ("random",),
    )


def _as_dicts(log: CaptureLog, ranking: Ranking, judgments: Judgments) -> tuple[Any, Any]:
    """The same for ir_measures: ranks as scores, so that both sides agree on ties."""
    queries, ranks = log.searches["query"], (-ranking.ranks.astype(np.float64)).tolist()
    run = {
        query: dict(zip(log.item_id[log.span(i)], ranks[log.span(i)], strict=True))
        for i, query in enumerate(queries)
    }
    qrels = {
        query: {item: int(grade) for item, grade in known.items()}
        for query, known in judgments.by_query.items()
    }
    return run, qrels


def _forgetful(judgments: Judgments) -> Judgments:
    judgments._join = None
    return judgments


def _best(work: Callable[[], Any]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def _largest(found: list[Any], theirs: list[Any], ours: list[Any], log: CaptureLog) -> float:
    at = {str(name): i for i, name in enumerate(theirs)}
    of = {query: i for i, query in enumerate(log.searches["query"])}
    return max(abs(ours[at[str(one.measure)]][of[one.query_id]] - one.value) for one in found)
