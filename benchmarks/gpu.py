"""ViT-B/16 and L/14 in bfloat16 on a GPU: the model alone, eager and compiled, and served through Triton.

Weights are random, which changes no product of matrices; photos are random pixels, already on the device for
the model alone, uint8 from the client for the server. Where there is no GPU the result says so and no more;
GPU_BENCH_DEVICE=cpu runs the same road on a processor, slowly, to see that it works.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.serving import BATCH, served_rate
from benchmarks.vit import random_tower, write_scorer
from scorer.serving import AsyncScoreClient, ServingOptions, write_repository

GFLOP = {"ViT-B-16": 35.13, "ViT-L-14": 162.03}  # a photo, of open_clip's model_profile.csv
TARGETS = {"ViT-B-16 photos_per_s": 11_000, "served_to_model_alone": 0.9}
BATCHES = (64, 256, 512)
ROUNDS = 20
N_SERVED = 20_000


def run() -> dict[str, Any]:
    device = os.environ.get("GPU_BENCH_DEVICE", "cuda" if torch.cuda.is_available() else "")
    if not device:
        return {"what": "ViT-B/16 and L/14 on a GPU", "skipped": "no GPU here"}
    on_gpu = device.startswith("cuda")
    alone = {shape: _alone(shape, device) for shape in (GFLOP if on_gpu else ["ViT-B-16"])}
    best = max(row["photos_per_s"] for row in alone["ViT-B-16"])
    served = _served(device)
    return {
        "what": "photos per second of ViT-B/16 and L/14 in bfloat16, random weights",
        "device": torch.cuda.get_device_name() if on_gpu else "a processor: figures mean nothing",
        "torch": torch.__version__,
        "targets": TARGETS,
        "model_alone": alone,
        "served": {
            "shape": "ViT-B-16",
            "photos_per_s": round(served, 1),
            "served_to_model_alone": round(served / best, 3),
        },
    }


def _alone(shape: str, device: str) -> list[dict[str, Any]]:
    on_gpu = device.startswith("cuda")
    rows = []
    for way in ("eager", "compiled"):
        if way == "compiled" and not on_gpu:
            continue
        model = random_tower(shape).visual.to(device, torch.bfloat16).eval()
        if way == "compiled":
            model = torch.compile(model, mode="max-autotune")
        for batch in BATCHES if on_gpu else (4,):
            photos = torch.randn(batch, 3, 224, 224, device=device, dtype=torch.bfloat16)
            rate = _rate(lambda model=model, photos=photos: model(photos), batch, on_gpu)
            rows.append(
                {
                    "way": way,
                    "batch": batch,
                    "photos_per_s": round(rate, 1),
                    "tflop_per_s": round(rate * GFLOP[shape] / 1000, 2),
                }
            )
    return rows


def _rate(work: Callable[[], Any], n: int, on_gpu: bool) -> float:
    wait: Callable[[], object] = torch.cuda.synchronize if on_gpu else (lambda: None)
    rounds = ROUNDS if on_gpu else 2
    with torch.inference_mode():
        for _ in range(5 if on_gpu else 1):
            work()
        wait()
        began = time.perf_counter()
        for _ in range(rounds):
            work()
        wait()
    return n * rounds / (time.perf_counter() - began)


def _served(device: str) -> float:
    """Photos per second from prepared pixels at the client to scores at the client."""
    on_gpu = device.startswith("cuda")
    rng = np.random.default_rng(0)
    batch = 64 if on_gpu else BATCH
    photos = rng.integers(0, 256, (N_SERVED if on_gpu else 4 * BATCH, 224, 224, 3), dtype=np.uint8)
    options = ServingOptions(
        device="gpu" if on_gpu else "cpu", precision="bfloat16", max_batch_size=512 if on_gpu else 2 * BATCH
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_scorer(folder / "vit", photos[: 2 * BATCH])
        exported = write_repository(folder / "models", str(folder / "vit"), options=options)
        return served_rate(
            exported, folder / "state", lambda url: asyncio.run(_ask(url, photos, batch)), len(photos)
        )


async def _ask(url: str, photos: NDArray[np.uint8], batch: int) -> None:
    async with AsyncScoreClient(url, deadline_s=300, concurrency=16) as asking:
        parts = np.split(photos, range(batch, len(photos), batch))
        await asyncio.gather(*(asking.score(part) for part in parts))
