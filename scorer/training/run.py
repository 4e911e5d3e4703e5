"""One training run: photos and labels in, a scorer folder out, with the config and metrics beside it.

scorer.json, head.safetensors, open_clip_config.json, open_clip_model.safetensors    the scorer
config.json     the TrainConfig
losses.jsonl    one line per epoch
metrics.json    counts, time, version; what the held-out pages say, where they are given
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from scorer.model.head import Calibration
from scorer.model.scorer import HERE, ImageScorer, ScorerConfig, load_scorer
from scorer.model.tower import COMPACT, load_tower, save_tower
from scorer.training.compact import Material, Student, train_compact, trunk_of
from scorer.training.config import COMPACT_MODEL, COMPACT_PREPROCESS, TrainConfig
from scorer.training.data import list_photos, load_photos
from scorer.training.frozen import train_head
from scorer.training.labels import Serp, read_labels
from scorer.training.material import prepare

Log = Callable[[str], None]
VIEWS_FOLDER: Final = "views"  # below the run: what a stopped run finds again


@dataclass(frozen=True, slots=True)
class Run:
    """What a run left."""

    folder: Path
    version: str
    seconds: float


def train(
    photos: Path, labels: Path, out: Path, config: TrainConfig | None = None, *, note: Log = lambda _: None
) -> Run:
    """Train a scorer and write its folder.

    Args:
        photos: the photo folder; the labels name photos below it. The compact tower also learns from the
            unlabelled photos beside the labelled ones (below the same first folder name).
        labels: a label file, as `read_labels` takes it.
        out: the folder to write; its scorer files are overwritten.
        config: the run; the defaults give the shipped model.
        note: where lines for people go.

    Raises:
        InputError: photos or labels that cannot be used.
    """
    config = config or TrainConfig()
    started = time.monotonic()
    torch.set_num_threads(config.threads)
    serps = read_labels(labels)
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    with (out / "losses.jsonl").open("w", encoding="utf-8") as file:

        def log(row: dict[str, Any]) -> None:
            file.write(json.dumps(row) + "\n")
            file.flush()
            note("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else str(v) for k, v in row.items()))

        if config.tower == COMPACT:
            _train_compact(photos, serps, out, config, log)
        else:
            train_head(photos, serps, out, config, log)
    version = load_scorer(out).version
    seconds = time.monotonic() - started
    metrics = {"version": version, "seconds": round(seconds, 1), "n_serps": len(serps)}
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    return Run(out, version, seconds)


def _train_compact(
    folder: Path,
    serps: Sequence[Serp],
    out: Path,
    config: TrainConfig,
    log: Callable[[dict[str, Any]], None],
) -> None:
    size = int(COMPACT_MODEL["vision_cfg"]["image_size"])
    photos = load_photos(folder, around(folder, serps), size)
    log({"phase": "photos", "n_photos": len(photos.names), "n_serps": len(serps)})
    material = prepare(photos, serps, config, out / VIEWS_FOLDER, log=log)
    save_compact(train_compact(config, material, log=log), material, out)


def save_compact(student: Student, material: Material, out: Path) -> None:
    """Write the scorer folder, with scores spread over the photos that it learned from."""
    save_tower(student.tower.visual, out, COMPACT_MODEL, COMPACT_PREPROCESS)
    tower = load_tower(f"local-dir:{out}")  # from the file: scores are calibrated on what is shipped
    settings = ScorerConfig(name=COMPACT, tower=HERE, head=student.head.config)
    with torch.inference_mode():
        levels = torch.from_numpy(material.levels[0].astype(np.float32))
        logits = student.head(trunk_of(tower).project(levels))
    calibrated = settings.model_copy(update={"calibration": Calibration.fit(logits)})
    ImageScorer(tower, student.head, calibrated).eval().save_head(out)


def around(folder: Path, serps: Sequence[Serp]) -> list[str]:
    """The labelled photos, and all photos below the same top folders: never those of another split."""
    labelled = {image for serp in serps for image in serp.images}
    tops = {image.split("/")[0] for image in labelled if "/" in image}
    beside = {name for top in tops for name in list_photos(folder, top)}
    return sorted(labelled | beside)


__all__ = ["VIEWS_FOLDER", "Run", "around", "save_compact", "train"]
