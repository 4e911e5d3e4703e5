"""One training run: photos and labels in, a scorer folder out, with the config and metrics beside it.

scorer.json, head.safetensors    the head; a compact run also leaves open_clip_config.json and
                                 open_clip_model.safetensors, the tower
domain.safetensors               what the labelled photos are like, so that a strange one is told
config.json     the TrainConfig
losses.jsonl    one line per epoch
metrics.json    counts, time, version; what the validation pages say, where they are given
grid.json       of a grid search: each combination and its validation OPA; each has a run folder below grid/
MODEL_CARD.md   the same for people

A run into the folder of a stopped one goes on from there: views and embeddings are found again, a head goes
on from its checkpoint, and a finished combination of a grid is not trained twice.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from ranking.errors import InputError
from scorer.calibration.domain import FEWEST
from scorer.calibration.domain_file import DOMAIN_FILE, save_domain
from scorer.calibration.reference import take
from scorer.model.head import Calibration
from scorer.model.scorer import HEAD_FILE, HERE, SCORER_FILE, ImageScorer, ScorerConfig, load_scorer
from scorer.model.tower import COMPACT, load_tower, save_tower
from scorer.training.card import write_card
from scorer.training.compact import Material, Student, train_compact, trunk_of
from scorer.training.config import COMPACT_MODEL, COMPACT_PREPROCESS, TrainConfig
from scorer.training.data import list_photos, load_photos
from scorer.training.evaluate import at_even_steps, evaluate
from scorer.training.frozen import CHECKPOINT, HeadMaterial, head_material, train_head
from scorer.training.labels import Serp, read_labels
from scorer.training.material import prepare

Log = Callable[[str], None]
VIEWS_FOLDER: Final = "views"  # below the run: what a stopped run finds again
EMBEDDINGS_FOLDER: Final = "embeddings"
MOST_FOR_DOMAIN: Final = 1_200  # photos that are scored once more, to say what is usual


@dataclass(frozen=True, slots=True)
class Run:
    """What a run left."""

    folder: Path
    version: str
    seconds: float
    validation_opa: float | None = None  # percent
    validation_ca: float | None = None  # percent; None where the pages have no clicks


def train(
    photos: Path,
    labels: Path,
    out: Path,
    config: TrainConfig | None = None,
    *,
    validation: Path | None = None,
    grid: Sequence[TrainConfig] = (),
    cache: Path | None = None,
    note: Log = lambda _: None,
) -> Run:
    """Train a scorer and write its folder.

    Args:
        photos: the photo folder; the labels name photos below it. The compact tower also learns from the
            unlabelled photos beside the labelled ones (below the same first folder name).
        labels: a label file, as `read_labels` takes it.
        out: the folder to write; its scorer files are overwritten.
        config: the run; the defaults give the shipped model.
        validation: pages that a frozen tower's head stops early by, and that the run is measured on.
        grid: configs to choose from by validation OPA, for a frozen tower.
        cache: where embeddings of a frozen tower are kept; in `out` without it.
        note: where lines for people go.

    Raises:
        InputError: photos or labels that cannot be used; a grid without validation pages.
    """
    config = config or TrainConfig()
    _check(config, grid, validation)
    started = time.monotonic()
    torch.set_num_threads(config.threads)
    serps = read_labels(labels, note=note)
    held_out = read_labels(validation, note=note) if validation else []
    if shared := {i for s in serps for i in s.images} & {i for s in held_out for i in s.images}:
        raise InputError(f"{len(shared)} photos are in both label files, {min(shared)} among them")
    out.mkdir(parents=True, exist_ok=True)
    if config.tower == COMPACT:
        with _Journal(out, note) as log:
            _train_compact(photos, serps, out, config, log)
    else:
        tower = load_tower(config.tower)
        material = head_material(photos, serps, tower, cache or out / EMBEDDINGS_FOLDER, validation=held_out)
        config = _search(material, out, config, grid, note)
    _write_json(out / "config.json", config.model_dump(mode="json"))
    scorer = load_scorer(out)
    _write_domain(scorer, photos, serps, out, note)
    seconds = time.monotonic() - started
    metrics: dict[str, Any] = {
        "version": scorer.version,
        "seconds": round(seconds, 1),
        "n_serps": len(serps),
        "n_photos": len({i for s in serps for i in s.images}),
    }
    measured = evaluate(scorer, photos, held_out) if held_out else None
    if measured:
        metrics["validation"] = {
            "n_serps": measured.n_serps,
            "opa": asdict(measured.overall),
            "ca": asdict(measured.clicks) if measured.clicks else None,
        }
    _write_json(out / "metrics.json", metrics)
    write_card(out, scorer, config, metrics)
    return Run(
        out,
        scorer.version,
        seconds,
        measured.overall.value if measured else None,
        measured.clicks.value if measured and measured.clicks else None,
    )


def _write_domain(scorer: ImageScorer, photos: Path, serps: Sequence[Serp], out: Path, note: Log) -> None:
    names = sorted({image for serp in serps for image in serp.images})
    (out / DOMAIN_FILE).unlink(missing_ok=True)  # of the weights before
    if len(names) < FEWEST:
        note(f"no domain: {len(names)} labelled photos are too few to say which photos are strange")
        return
    save_domain(take(scorer, photos, at_even_steps(names, MOST_FOR_DOMAIN)), out)


def _check(config: TrainConfig, grid: Sequence[TrainConfig], validation: Path | None) -> None:
    if grid and validation is None:
        raise InputError("a grid is chosen from by validation pages", hint="name them with --validation")
    if grid and config.tower == COMPACT:
        raise InputError("a grid is for the head of a frozen tower", hint="name the tower with --tower")


def _search(
    material: HeadMaterial, out: Path, config: TrainConfig, grid: Sequence[TrainConfig], note: Log
) -> TrainConfig:
    """Train one head, or one a combination and copy the best."""
    if not grid:
        with _Journal(out, note) as log:
            train_head(material, out, config, log)
        (out / CHECKPOINT).unlink(missing_ok=True)
        return config
    tried: list[dict[str, Any]] = []
    for number, candidate in enumerate(grid):
        folder = out / "grid" / f"{number:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        with _Journal(folder, lambda _: None) as log:
            found = train_head(material, folder, candidate, log)
        named = candidate.model_dump(mode="json")
        changed = {k: v for k, v in named.items() if v != config.model_dump(mode="json")[k]}
        tried.append({"folder": folder.name, "changed": changed, "validation_opa": round(found, 2)})
        note(f"{number + 1} of {len(grid)}  {changed or 'as configured'}  validation OPA {found:.1f} %")
    best = max(range(len(grid)), key=lambda i: (tried[i]["validation_opa"], -i))
    chosen = out / "grid" / f"{best:03d}"
    for name in (SCORER_FILE, HEAD_FILE, LOSSES):
        shutil.copyfile(chosen / name, out / name)
    _write_json(out / "grid.json", {"chosen": best, "runs": tried})
    return grid[best]


LOSSES: Final = "losses.jsonl"


class _Journal:
    """Lines of `losses.jsonl`, and the same for people. A resumed run's lines follow the old ones."""

    def __init__(self, out: Path, note: Log) -> None:
        resumed = (out / CHECKPOINT).is_file()
        self.file = (out / LOSSES).open("a" if resumed else "w", encoding="utf-8")
        self.note = note

    def __enter__(self) -> Callable[[dict[str, Any]], None]:
        return self.log

    def log(self, row: dict[str, Any]) -> None:
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()
        self.note("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))

    def __exit__(self, *_: object) -> None:
        self.file.close()


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
    material = prepare(folder, photos, serps, config, out / VIEWS_FOLDER, log=log)
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


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


__all__ = ["EMBEDDINGS_FOLDER", "VIEWS_FOLDER", "Run", "around", "save_compact", "train"]
