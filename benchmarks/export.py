"""onnxruntime against torch on the same model: in this process, and inside Triton's Python backend."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ranking.settings import get_settings
from scorer.export import OnnxScorer, write_onnx, write_onnx_repository
from scorer.model import load_scorer
from scorer.serving import ScoreClient, load_into, write_repository

BATCHES = (1, 8, 32)
N_PHOTOS = 256
ROUNDS = 5


def run() -> dict[str, Any]:
    torch.set_num_threads(1)  # as a served instance
    scorer = load_scorer("compact")
    size = scorer.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (N_PHOTOS, size, size, 3), dtype=np.uint8)

    def in_torch(batch: Any) -> Any:
        with torch.inference_mode():
            return scorer(torch.from_numpy(batch)).numpy()

    with tempfile.TemporaryDirectory() as temporary:
        exported = OnnxScorer(write_onnx(scorer, Path(temporary) / "model.onnx"))
        in_process = {
            f"batch {n}": _rates({"torch": in_torch, "onnxruntime": exported.score}, pixels, n)
            for n in BATCHES
        }
        difference = float(np.abs(exported.score(pixels) - in_torch(pixels)).max())
    return {
        "what": "photos per second, one thread, one process; decoding apart; best of interleaved rounds",
        "model": scorer.version,
        "largest_score_difference": float(f"{difference:.2g}"),
        "in_process": in_process,
        "in_triton": _in_triton(pixels),
    }


def _in_triton(pixels: Any) -> dict[str, float]:
    settings = get_settings()
    repository = settings.state_dir / "triton" / "models"
    url = settings.endpoint("Triton")
    rates: dict[str, float] = {}
    try:
        for name, write in (
            ("torch", lambda: write_repository(repository, "compact")),
            ("onnxruntime", lambda: write_onnx_repository(repository, "compact", backend="python-onnx")),
        ):
            client: ScoreClient = load_into(write(), url)
            rates[name] = round(_rates({name: client.score}, pixels, 32)[name], 1)
    finally:
        load_into(write_repository(repository, "compact"), url)
    return rates | {"onnxruntime_to_torch": round(rates["onnxruntime"] / rates["torch"], 2)}


def _rates(scorers: dict[str, Callable[[Any], Any]], pixels: Any, batch: int) -> dict[str, float]:
    best = dict.fromkeys(scorers, float("inf"))
    for _ in range(ROUNDS):
        for name, score in scorers.items():
            began = time.perf_counter()
            for start in range(0, len(pixels), batch):
                score(pixels[start : start + batch])
            best[name] = min(best[name], time.perf_counter() - began)
    rates = {name: round(len(pixels) / seconds, 1) for name, seconds in best.items()}
    if {"torch", "onnxruntime"} <= rates.keys():
        rates["onnxruntime_to_torch"] = round(rates["onnxruntime"] / rates["torch"], 2)
    return rates
