"""The ingest against its slowest stage, its writing against `parallel_bulk`, its latency, and two workers.

Rates are items a second, the best of the rounds. Stages alone: `decode` loads and decodes photos in the
ingest's own threads, `triton` scores their pixels, `bulk` writes the messages with `helpers.bulk`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch, helpers

from benchmarks.corpus import clean_up
from benchmarks.ingest_latency import publish_to_searchable
from benchmarks.ingest_workers import by_workers
from benchmarks.ingest_writing import guard_costs, writing_rates
from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from marketplace import generate
from ranking.clock import now_ms
from ranking.es import connect
from ranking.settings import get_settings
from scorer.ingest import PhotoSource, publish, run_stream
from scorer.ingest.photos import PhotoLoader
from scorer.model import load_scorer
from scorer.serving import load_into, write_repository

N_ITEMS = 600
BATCH = 16
FAMILY = "bench-ingest"
SEED, SEED_MS = 3, 1_795_000_000_000  # of the items and their photos, which are drawn once


def run() -> dict[str, Any]:
    es, settings = connect(), get_settings()
    exported = write_repository(settings.state_dir / "triton" / "models", "compact")
    client = load_into(exported, settings.endpoint("Triton"))
    folder = (settings.state_dir / "bench-photos").resolve()
    market = generate(N_ITEMS, seed=SEED, now_ms=SEED_MS, photo_dir=folder)
    messages = [item.message() for item in market.items if item.image_path is not None]
    loader = PhotoLoader.for_size(PhotoSource(root=folder), client.image_size)

    def decode() -> list[Any]:
        futures = [loader.submit(str(message["image_url"])) for message in messages]
        wait(futures)
        return [future.result().pixels for future in futures]

    pixels = np.stack(decode())
    model = load_scorer("compact")
    rates = {
        "decode": _rate(len(messages), decode),
        "triton": _rate(len(messages), lambda: _in_batches(client.score, pixels)),
        "in_process": _rate(len(messages), lambda: _in_batches(_in_process(model), pixels)),
        "bulk": _bulk_rate(es, messages),
    }
    rates["end_to_end"] = _end_to_end(es, messages, folder)
    print(f"stages: {rates}", file=sys.stderr)
    loader.close()
    try:
        parts = {
            "writing": _noted("writing", lambda: writing_rates(es, FAMILY, lambda: fresh(es))),
            "guard": _noted("guard", lambda: guard_costs(es, FAMILY, lambda: fresh(es))),
            "publish_to_searchable": _noted(
                "latency", lambda: publish_to_searchable(es, FAMILY, lambda: fresh(es))
            ),
            "workers": _noted("workers", lambda: by_workers(es, FAMILY, lambda: fresh(es), messages, folder)),
        }
    finally:
        clean_up(es, FAMILY)
    slowest = min(rates[stage] for stage in ("decode", "triton", "bulk"))
    return {
        "what": "items per second through the whole ingest, against its slowest stage alone",
        "items": len(messages),
        "items_per_s": {name: round(rate, 1) for name, rate in rates.items()},
        "end_to_end_to_slowest_stage": round(rates["end_to_end"] / slowest, 2),
        "triton_to_in_process": round(rates["triton"] / rates["in_process"], 2),
        **parts,
    }


def _noted(what: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    result = measure()
    print(f"{what}: {result}", file=sys.stderr)
    return result


def fresh(es: Elasticsearch) -> None:
    """An empty index of the family, with its templates."""
    clean_up(es, FAMILY)
    wanted = desired_state(FAMILY)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, FAMILY)


def _in_batches(score: Callable[[Any], Any], pixels: Any) -> None:
    for start in range(0, len(pixels), BATCH):
        score(pixels[start : start + BATCH])


def _in_process(model: Any) -> Callable[[Any], Any]:
    import torch

    torch.set_num_threads(1)  # as Triton's instance

    def score(pixels: Any) -> Any:
        with torch.inference_mode():
            return model(torch.from_numpy(pixels))

    return score


def _rate(n: int, work: Callable[[], Any], rounds: int = 2) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return n / min(times)


def _bulk_rate(es: Elasticsearch, messages: list[dict[str, Any]]) -> float:
    fresh(es)
    actions = [{"_index": FAMILY, "_id": message["item_id"], "_source": message} for message in messages]
    return _rate(len(messages), lambda: helpers.bulk(es, actions, chunk_size=64))


def _end_to_end(es: Elasticsearch, messages: list[dict[str, Any]], folder: Path) -> float:
    rates = []
    for _ in range(2):
        fresh(es)
        topic = f"{FAMILY}-{now_ms()}"
        publish(messages, get_settings().endpoint("Kafka"), topic=topic)
        summary = run_stream(
            photos=PhotoSource(root=folder), topic=topic, group=topic, index=FAMILY, until_empty=True, es=es
        )
        if summary.scored != len(messages):
            raise RuntimeError(f"{summary.scored} of {len(messages)} scored")
        rates.append(summary.scored / summary.seconds)
    return max(rates)
