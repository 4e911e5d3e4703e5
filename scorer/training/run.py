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
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ranking.errors import InputError
from scorer.model.head import Calibration
from scorer.model.scorer import HERE, ImageScorer, ScorerConfig, load_scorer
from scorer.model.tower import COMPACT, Tower, load_tower, save_tower
from scorer.training.compact import Material, train_compact
from scorer.training.config import COMPACT_MODEL, COMPACT_PREPROCESS, TrainConfig
from scorer.training.data import Photos, list_photos, load_photos
from scorer.training.frozen import train_head
from scorer.training.labels import Serp, read_labels
from scorer.training.teacher import Standard, Teacher
from scorer.training.views import make_views

Log = Callable[[str], None]


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
    if len({len(serp.images) for serp in serps}) > 1:
        raise InputError(f"{labels}: all pages need the same number of photos")
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
    photos = load_photos(folder, _around(folder, serps), size)
    log({"phase": "photos", "n_photos": len(photos.names), "n_serps": len(serps)})
    material = prepare(photos, serps, config)
    log({"phase": "views", "n_views": len(material.views.pixels)})
    student = train_compact(config, material, log=log)
    save_tower(student.visual, out, COMPACT_MODEL, COMPACT_PREPROCESS)
    tower = load_tower(f"local-dir:{out}")  # from the file: scores are calibrated on what is shipped
    scorer = _calibrated(
        tower,
        student.head,
        photos.pixels,
        ScorerConfig(name=COMPACT, tower=HERE, head=student.head.config, mirror=True),
    )
    scorer.save_head(out)


def prepare(photos: Photos, serps: Sequence[Serp], config: TrainConfig) -> Material:
    """Views, targets and pages for the compact tower."""
    views = make_views(
        photos.pixels,
        np.random.default_rng(config.seed),
        n_crops=config.n_crops,
        n_varied=config.n_varied,
        n_degraded=config.n_degraded,
    )
    standard = Standard.fit(views.statistics[0])
    page_rows = [photos.rows(serp.images) for serp in serps]
    teacher = Teacher.fit(
        standard, [(views.statistics[0][rows], s.truth) for rows, s in zip(page_rows, serps, strict=True)]
    )
    names = [Path(name).parent.as_posix() for name in photos.names]
    categories = sorted(set(names))
    return Material(
        views=views,
        standard=standard,
        category=np.array([categories.index(name) for name in names], dtype=np.int64),
        n_categories=len(categories),
        teacher=np.stack([teacher.predict(statistics) for statistics in views.statistics]),
        page_rows=page_rows,
        page_truth=[serp.truth for serp in serps],
    )


def _around(folder: Path, serps: Sequence[Serp]) -> list[str]:
    """The labelled photos, and all photos below the same top folders: never those of another split."""
    labelled = {image for serp in serps for image in serp.images}
    tops = {image.split("/")[0] for image in labelled if "/" in image}
    beside = {name for top in tops for name in list_photos(folder, top)}
    return sorted(labelled | beside)


def _calibrated(
    tower: Tower, head: torch.nn.Module, pixels: NDArray[np.uint8], config: ScorerConfig
) -> ImageScorer:
    scorer = ImageScorer(tower, head, config).eval()  # type: ignore[arg-type]
    with torch.inference_mode():
        logits = torch.cat(
            [scorer.logits(torch.from_numpy(pixels[i : i + 64])) for i in range(0, len(pixels), 64)]
        )
    calibrated = config.model_copy(update={"calibration": Calibration.fit(logits)})
    return ImageScorer(tower, head, calibrated).eval()  # type: ignore[arg-type]


__all__ = ["Run", "prepare", "train"]
