"""What a capture costs: latency the user sees, and bytes on disk.

Each text is searched four ways, in random order: plain; captured as a pair in one `_msearch`; by a recorder
that samples everything; by one that samples nothing. A text's time is the best of three rounds. What a way
adds is the median, over the texts, of its time less that of the plain search; not_sampled is the noise of the
measurement. Between searches there is a pause, in which the recorder can ask for its window; `busy` is the
same without one.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import corpus
from ranking.capture import read_captures, write_captures
from ranking.es import connect
from ranking.profile import builtin_profiles
from ranking.recorder import Recorder
from ranking.search import Searcher

N_DOCS = 100_000
N_SEARCHES = 120
ROUNDS = 3
PAUSE_S = 0.02


def run() -> dict[str, Any]:
    es = connect()
    profile = builtin_profiles()["additive"].model_copy(update={"k": 50, "window": 200})
    rng = np.random.default_rng(4)
    texts = [" ".join(f"w{int(w)}" for w in rng.integers(20, 800, size=2)) for _ in range(N_SEARCHES)]
    with corpus.index(es, N_DOCS, "bench-capture") as index, tempfile.TemporaryDirectory() as temporary:
        searcher = Searcher(es, index, profile)
        calm = _measure(searcher, texts, Path(temporary) / "calm", PAUSE_S)
        busy = _measure(searcher, texts, Path(temporary) / "busy", 0.0)
        once = {record.query: record for record in read_captures(Path(temporary) / "calm")}
        records = list(once.values())  # of the rounds, one: a search is not captured three times
        write_captures(Path(temporary) / "whole", records, [profile])
        size = sum(path.stat().st_size for path in (Path(temporary) / "whole").rglob("*.parquet"))
    return {
        "what": "the same searches plain, captured in one msearch, and captured by a recorder, in one run",
        "searches": N_SEARCHES,
        "docs": N_DOCS,
        "candidates_per_search": round(sum(len(r.items) for r in records) / len(records), 1),
        "proven_records": sum(record.window > 0 for record in records),
        "bytes_per_search": round(size / len(records)),
        "with_pauses": calm,
        "busy": busy,
    }


def _measure(searcher: Searcher, texts: list[str], folder: Path, pause_s: float) -> dict[str, Any]:
    with (
        Recorder(searcher, folder / ".unused", sample=0.0) as idle,
        Recorder(searcher, folder, flush_count=10**6, flush_s=600, max_age_s=1.0) as recorder,
    ):
        ways: dict[str, Callable[[str, int], object]] = {
            "plain": lambda text, now: searcher.search(text, now_ms=now),
            "pair": lambda text, now: searcher.capture(text, now_ms=now),
            "recorder": lambda text, now: recorder.search(text, now_ms=now),
            "not_sampled": lambda text, now: idle.search(text, now_ms=now),
        }
        names = list(ways)
        rng = np.random.default_rng(5)
        seconds = {name: np.full((ROUNDS, len(texts)), np.inf) for name in names}
        for round_ in range(ROUNDS):
            for i, text in enumerate(texts):
                for name in rng.permutation(names):
                    began = time.perf_counter()
                    ways[name](text, corpus.NOW)
                    seconds[name][round_, i] = time.perf_counter() - began
                    time.sleep(pause_s)
        stats = recorder.close()
    best = {name: taken.min(axis=0) for name, taken in seconds.items()}
    plain = float(np.median(best["plain"]))
    added = {name: float(np.median(best[name] - best["plain"])) for name in names[1:]}
    return {
        "plain_ms": round(plain * 1e3, 2),
        **{f"{name}_adds_ms": round(more * 1e3, 2) for name, more in added.items()},
        **{f"{name}_to_plain": round(1 + more / plain, 2) for name, more in added.items()},
        "recorder_p95_to_plain_p95": round(
            float(np.quantile(seconds["recorder"], 0.95) / np.quantile(seconds["plain"], 0.95)),
            2,  # all rounds
        ),
        "written": stats.written,
        "page_only": stats.page_only,
        "dropped": stats.dropped,
    }
