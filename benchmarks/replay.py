"""Replay against the live cluster on the same searches in the same run, and what a capture costs."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import corpus
from ranking.capture import write_captures
from ranking.clock import DAY_MS
from ranking.es import connect
from ranking.profile import builtin_profiles
from ranking.search import Searcher
from replay import rank, read_log, verify

N_DOCS = 100_000
N_SEARCHES = 400


def run() -> dict[str, Any]:
    es = connect()
    profile = builtin_profiles()["additive"].model_copy(update={"k": 50, "window": 200})
    contender = builtin_profiles()["multiplicative"]
    rng = np.random.default_rng(4)
    texts = [" ".join(f"w{int(w)}" for w in rng.integers(20, 800, size=2)) for _ in range(N_SEARCHES)]
    with corpus.index(es, N_DOCS) as index, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        searcher, other = Searcher(es, index, profile), Searcher(es, index, contender)
        served_s, captured_s, live_s, records = [], [], [], []
        for i, text in enumerate(texts):
            now_ms = corpus.NOW + (i % 7) * DAY_MS
            began = time.perf_counter()
            searcher.search(text, now_ms=now_ms)
            served = time.perf_counter()
            records.append(searcher.capture(text, now_ms=now_ms))
            captured = time.perf_counter()
            other.search(text, now_ms=now_ms)
            live_s.append(time.perf_counter() - captured)
            served_s.append(served - began)
            captured_s.append(captured - served)
        write_captures(folder, records, [profile])
        size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
        began = time.perf_counter()
        log = read_log(folder)
        read_s = time.perf_counter() - began
        verify_s, rank_s = _best(lambda: verify(log)), _best(lambda: rank(log, contender))
        parity = verify(log)
    n = len(texts)
    return {
        "what": "replaying captured searches against asking the live cluster, same searches, same run",
        "searches": n,
        "candidates_per_search": round(log.n_candidates / n, 1),
        "parity": {"scores": parity.scores, "bit_equal": parity.bit_equal},
        "verify_searches_per_s": round(n / verify_s),
        "rank_searches_per_s": round(n / rank_s),
        "read_searches_per_s": round(n / read_s),
        "live_searches_per_s": round(n / sum(live_s)),
        "rank_to_live_ratio": round(sum(live_s) / rank_s, 1),
        "capture_to_search_latency_ratio": round(float(np.median(captured_s) / np.median(served_s)), 2),
        "bytes_per_search": round(size / n),
    }


def _best(work: Any, rounds: int = 5) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)
