"""How well a recipe scores photos of sellers that it has never seen.

Photos are clustered by set-up (setups.py) and whole clusters dealt into folds. For each fold, a scorer is
trained from nothing on the photos of the other folds, teacher and unlabelled photos included, and scores
the fold's photos. What counts is the order of the pairs within a page whose two photos both lie in the
held-out fold; they may be of one set-up or of two.

This says what the *recipe* is worth. The scorer that ships is trained on all folds, by the same recipe.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ranking.errors import InputError
from scorer.model.scorer import load_scorer
from scorer.training.baselines import STATISTICS_BASELINES
from scorer.training.compact import Material, train_compact
from scorer.training.config import COMPACT_MODEL, TrainConfig
from scorer.training.data import Photos, load_photos, statistics_of
from scorer.training.evaluate import score_pixels
from scorer.training.labels import Serp
from scorer.training.material import prepare
from scorer.training.measures import Interval, accuracy, pair_counts
from scorer.training.run import VIEWS_FOLDER, around, save_compact
from scorer.training.setups import N_SETUPS, deal, find_setups

MODEL: Final = "model"
Array = NDArray[np.float64]
Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BySetup:
    """OPA in percent on photos of held-out set-ups, with 95 % bootstrap intervals over pages."""

    n_setups: int
    n_folds: int
    n_photos: int
    model: Interval
    model_by_labels: dict[str, Interval]  # per label file
    model_same_setup: Interval  # pairs whose two photos are of one set-up
    model_other_setup: Interval  # pairs of two set-ups, neither seen
    baselines: dict[str, Interval]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def evaluate_by_setup(
    folder: Path,
    labels: Mapping[str, Sequence[Serp]],
    out: Path,
    config: TrainConfig | None = None,
    *,
    n_folds: int = 5,
    n_setups: int = N_SETUPS,
    note: Log = lambda _: None,
) -> BySetup:
    """Train one scorer a fold, and score what it has not seen.

    Args:
        folder: the photo folder.
        labels: pages by name of their file. The first ones are learned from (outside the held-out fold);
            pairs of all are counted.
        out: where views, fold scorers and the scores of each fold are kept; a stopped run goes on there.
        config: the recipe; only the compact tower is trained by folds.
        n_folds: folds of about the same number of labelled photos.
        n_setups: clusters.
        note: where lines for people go.

    Raises:
        InputError: labels or photos that cannot be used, or too few set-ups.
    """
    config = config or TrainConfig()
    torch.set_num_threads(config.threads)
    if n_folds < 2 or n_setups < n_folds:
        raise InputError(
            f"{n_setups} set-ups cannot be dealt into {n_folds} folds", hint="at least 2 folds of 1 set-up"
        )
    first, *others = labels.values()
    size = int(COMPACT_MODEL["vision_cfg"]["image_size"])
    learned = load_photos(folder, around(folder, first), size)
    extra = sorted({i for serps in others for s in serps for i in s.images} - set(learned.names))
    photos = _together(learned, load_photos(folder, extra, size) if extra else None)
    labelled = np.zeros(len(photos.names))
    for serps in labels.values():
        for serp in serps:
            labelled[photos.rows(serp.images)] = 1.0
    setups = find_setups(photos.pixels, n_setups)
    fold = deal(setups, labelled, n_folds)
    note(f"{len(photos.names)} photos in {setups.max() + 1} set-ups, {n_folds} folds")
    statistics = statistics_of(photos.pixels)
    material = prepare(folder, learned, first, config, out / VIEWS_FOLDER, log=lambda row: note(_said(row)))
    scores = {name: np.zeros(len(photos.names)) for name in (MODEL, *STATISTICS_BASELINES)}
    for held in range(n_folds):
        mine = fold == held
        keep = ~mine[: len(learned.names)]
        scores[MODEL][mine] = _fold(out / f"fold-{held}", material, keep, config, photos.pixels[mine])
        pages = _pages(photos, first, ~mine)
        for name, fit in STATISTICS_BASELINES.items():
            scores[name][mine] = fit(statistics, pages)[mine]
        note(f"fold {held}: {int(mine.sum())} photos held out, {int(labelled[mine].sum())} of them labelled")
    return _result(labels, photos, (setups, fold), scores)


def _said(row: Mapping[str, Any]) -> str:
    return "  ".join(str(value) for value in row.values())


def _fold(
    folder: Path,
    material: Material,
    keep: NDArray[np.bool_],
    config: TrainConfig,
    pixels: NDArray[np.uint8],
) -> Array:
    """Train without the fold's photos and score `pixels`, or read what an earlier run left."""
    key = hashlib.sha256(config.model_dump_json().encode() + keep.tobytes())
    key.update(np.ascontiguousarray(pixels).data)
    path = folder / "scores.json"
    if path.is_file():
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored.get("key") == key.hexdigest():
            return np.array(stored["scores"])
    kept = material.among(keep)
    if not kept.page_rows:
        raise InputError("a fold leaves no page to learn from", hint="ask for more set-ups or fewer folds")
    save_compact(train_compact(config, kept, log=lambda _: None), kept, folder)
    scores = score_pixels(load_scorer(folder), pixels)
    text = json.dumps({"key": key.hexdigest(), "scores": [round(float(v), 7) for v in scores]})
    path.write_text(text + "\n", encoding="utf-8")
    return scores


def _pages(
    photos: Photos, serps: Sequence[Serp], keep: NDArray[np.bool_]
) -> list[tuple[NDArray[np.int64], Array]]:
    """Rows and truth of each page's kept photos, where at least two are kept."""
    rows = [photos.rows(serp.images) for serp in serps]
    pairs = ((r[keep[r]], s.truth[keep[r]]) for r, s in zip(rows, serps, strict=True))
    return [(r, truth) for r, truth in pairs if len(r) >= 2]


def _result(
    labels: Mapping[str, Sequence[Serp]],
    photos: Photos,
    groups: tuple[NDArray[np.int64], NDArray[np.int64]],
    scores: Mapping[str, Array],
) -> BySetup:
    setups, fold = groups

    def opa(name: str, files: Iterable[str], same: bool | None = None) -> Interval:
        counts = []
        for serp in (s for file in files for s in labels[file]):
            rows = photos.rows(serp.images)
            among = fold[rows][:, None] == fold[rows][None, :]
            if same is not None:
                among &= (setups[rows][:, None] == setups[rows][None, :]) == same
            counts.append(pair_counts(serp.truth, scores[name][rows], among=among))
        return accuracy(counts)

    return BySetup(
        n_setups=int(setups.max()) + 1,
        n_folds=int(fold.max()) + 1,
        n_photos=len(photos.names),
        model=opa(MODEL, labels),
        model_by_labels={file: opa(MODEL, [file]) for file in labels},
        model_same_setup=opa(MODEL, labels, same=True),
        model_other_setup=opa(MODEL, labels, same=False),
        baselines={name: opa(name, labels) for name in scores if name != MODEL},
    )


def _together(a: Photos, b: Photos | None) -> Photos:
    if b is None:
        return a
    names = a.names + b.names
    return Photos(names, np.concatenate([a.pixels, b.pixels]), {name: i for i, name in enumerate(names)})


__all__ = ["BySetup", "evaluate_by_setup"]
