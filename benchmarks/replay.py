"""Replay: searches per second from Parquet to metrics, against plain numpy, the live cluster and itself.

Every part is compared with a peer in the same run, because machines differ and are shared:
numpy      the formula and a full sort on arrays in memory, one thread: what the arithmetic alone costs
live       the same searches asked of Elasticsearch
`N_DOCS=30000 N_TILED=1000 N_MILLION=20000 python -m benchmarks replay` is a quick look.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import corpus, tiled_log
from ranking.capture import write_captures
from ranking.clock import DAY_MS
from ranking.es import connect
from ranking.profile import builtin_profiles
from ranking.search import Searcher
from replay import rank, read_log, verify
from replay.evaluation import Question, evaluate, verify_folder
from replay.judgments import read_judgments, write_judgments
from replay.log import CaptureLog
from replay.measures import measure
from replay.sweep import Bench, Range, Space
from replay.sweep.space import candidate

N_DOCS = int(os.environ.get("N_DOCS", "1000000"))
N_SEARCHES = 400
N_TILED = int(os.environ.get("N_TILED", "40000"))
N_MILLION = int(os.environ.get("N_MILLION", "1000000"))
BLOCK = 5_000
BASELINE, SERVED = builtin_profiles()["control"], builtin_profiles()["additive"]
CONTENDER = builtin_profiles()["multiplicative"]


def run() -> dict[str, Any]:
    return {
        "what": "searches per second; ratios are to a peer in the same run",
        "load_average_at_start": round(os.getloadavg()[0], 1),
        "live": _live(),
        "from_parquet": _from_parquet(),
        "million": _million(),
    }


def _live() -> dict[str, Any]:
    """The same searches from a capture and from the cluster, and what a capture costs."""
    es = connect()
    profile = SERVED.model_copy(update={"k": 50, "window": 200})
    rng = np.random.default_rng(4)
    texts = [" ".join(f"w{int(w)}" for w in rng.integers(20, 800, size=2)) for _ in range(N_SEARCHES)]
    with corpus.index(es, N_DOCS, "bench-replay") as index, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        searcher, other = Searcher(es, index, profile), Searcher(es, index, CONTENDER)
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
        read_s, log = _best(lambda: read_log(folder))
        verify_s, parity = _best(lambda: verify(log))
        rank_s, _ = _best(lambda: rank(log, CONTENDER))
    return {
        "documents": N_DOCS,
        "searches": N_SEARCHES,
        "candidates_per_search": round(log.n_candidates / N_SEARCHES, 1),
        "parity": {"scores": parity.scores, "bit_equal": parity.bit_equal},
        "verify_searches_per_s": round(N_SEARCHES / verify_s),
        "rank_searches_per_s": round(N_SEARCHES / rank_s),
        "read_searches_per_s": round(N_SEARCHES / read_s),
        "live_searches_per_s": round(N_SEARCHES / sum(live_s)),
        "rank_to_live_ratio": round(sum(live_s) / rank_s, 1),
        "read_and_rank_to_live_ratio": round(sum(live_s) / (read_s + rank_s), 1),
        "capture_to_search_latency_ratio": round(float(np.median(captured_s) / np.median(served_s)), 2),
        "bytes_per_search": round(size / N_SEARCHES),
    }


def _from_parquet() -> dict[str, Any]:
    """Files of 200 candidates a search: verification, one profile to metrics, and a sweep of a hundred."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        block = tiled_log.block(SERVED, min(BLOCK, N_TILED))
        n = tiled_log.write(folder, block, SERVED, max(1, N_TILED // BLOCK))
        one = Question(baseline=CONTENDER, contenders=(), verify=False)  # image score, freshness, age at 10
        two = Question(baseline=BASELINE, contenders=(CONTENDER,), verify=False)
        seconds = _interleaved(
            {
                "verify": lambda: verify_folder(folder),
                "one_profile_to_measures": lambda: evaluate(folder, one),
                "two_profiles_to_measures": lambda: evaluate(folder, two),
            }
        )
        write_judgments(folder, block.judgments, "simulated-benchmark")
        judged = _interleaved(
            {
                "one_profile_with_ndcg": lambda: evaluate(folder, one),
                "two_profiles_with_ndcg": lambda: evaluate(folder, two),
            }
        )
        log = read_log(folder).pick(np.arange(min(n, 10_000)))
        numpy_s, _ = _best(lambda: plain_numpy(log))
        in_memory = _interleaved({"verify": lambda: verify(log), "rank": lambda: rank(log, CONTENDER)})
        sweep_s = _sweep(log, folder)
    peer = len(log) / numpy_s
    rates = {name: _rate(n, *pair, peer) for name, pair in (seconds | judged).items()}
    return {
        "searches": n,
        "candidates_per_search": 200,
        "plain_numpy_searches_per_s": round(peer),
        "from_parquet_to_figures": rates,
        "in_memory": {name: _rate(len(log), *pair, peer) for name, pair in in_memory.items()},
        "sweep": {"profiles": 100, "searches": len(log), "measure": "nDCG@10", "seconds": round(sweep_s, 2)},
    }


def _rate(n: int, wall_s: float, cpu_s: float, peer: float) -> dict[str, float]:
    return {
        "searches_per_s": round(n / wall_s),
        "searches_per_cpu_s": round(n / cpu_s),
        "to_plain_numpy": round(n / wall_s / peer, 2),
    }


def plain_numpy(log: CaptureLog) -> np.ndarray:
    """The multiplicative formula with a gauss decay, and a full sort, as anybody would write them."""
    n, width = len(log), log.n_candidates // len(log)
    rel, image, created = (
        column.reshape(n, width)
        for column in (log.docs.rel, np.nan_to_num(log.docs.image_score), log.docs.created_ms)
    )
    now_ms = log.searches["now_ms"].astype(np.float64)[:, None]
    scale = -0.5 * (14.0 * DAY_MS) ** 2 / np.log(0.5)
    order = np.empty((n, width), dtype=np.int64)
    for start in range(0, n, 256):
        rows = slice(start, start + 256)
        age = np.maximum(0.0, np.abs(created[rows] - now_ms[rows]) - DAY_MS)
        scores = rel[rows].astype(np.float64) * image[rows] * np.exp(-0.5 * age * age / scale)
        order[rows] = np.argsort(-scores.astype(np.float32), axis=1)
    return order


def _sweep(log: CaptureLog, folder: Path) -> float:
    space = Space(
        {
            "image.mode": ["additive"],
            "image.weight": Range(0.125, 3.125, 0.125),
            "freshness.scale": ["7d", "14d", "30d", "60d"],
        }
    )
    points = [(point, made) for point in space.grid() if (made := candidate(BASELINE, point)) is not None][
        :100
    ]
    judgments = read_judgments(folder)

    def work() -> int:
        bench = Bench(log, BASELINE, [measure("nDCG@10")], judgments, 10)
        return len(list(bench.try_all(iter(points), [])))

    seconds, tried = _best(work, rounds=3)
    if tried != 100:
        raise RuntimeError(f"{tried} profiles tried")
    return seconds


def _million() -> dict[str, Any]:
    """A long log in a process of its own, whose memory the system measures."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        block = tiled_log.block(SERVED, BLOCK)
        n = tiled_log.write(folder, block, SERVED, max(1, N_MILLION // BLOCK))
        write_judgments(folder, block.judgments, "simulated-benchmark")
        size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.replay", str(folder)],
            check=True,
            capture_output=True,
            text=True,
        )
    return {"searches": n, "gigabytes_on_disk": round(size / 1e9, 2), **json.loads(done.stdout)}


def _evaluate_million(folder: Path) -> dict[str, Any]:
    began = time.perf_counter()
    found = evaluate(folder, Question(baseline=BASELINE, contenders=(CONTENDER,)))
    (comparison,) = found.compare()
    seconds = time.perf_counter() - began
    if found.parity is None or not found.parity.holds:
        raise RuntimeError("the log does not verify")
    return {
        "what": "verify, two profiles, nDCG, image score, freshness, age, agreement, intervals by platform",
        "seconds": round(seconds, 1),
        "searches_per_s": round(len(found) / seconds),
        "figures": len(comparison.differences),
        "peak_memory_megabytes": _peak_memory_kb() // 1024,
    }


def _peak_memory_kb() -> int:
    """Of this program alone: the rusage of a child begins with what its parent held."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def _interleaved(work: dict[str, Callable[[], Any]], rounds: int = 4) -> dict[str, tuple[float, float]]:
    """The best wall and the best processor seconds of each."""
    best = dict.fromkeys(work, (np.inf, np.inf))
    for _ in range(rounds):
        for name, do in work.items():
            wall, cpu = time.perf_counter(), time.process_time()
            do()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            best[name] = (min(best[name][0], wall), min(best[name][1], cpu))
    return best


def _best(work: Callable[[], Any], rounds: int = 5) -> tuple[float, Any]:
    times, found = [], None
    for _ in range(rounds):
        began = time.perf_counter()
        found = work()
        times.append(time.perf_counter() - began)
    return min(times), found


if __name__ == "__main__":
    print(json.dumps(_evaluate_million(Path(sys.argv[1]))))
