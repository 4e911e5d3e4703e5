"""Views of the training photos as the frozen network reads them: made once, kept on disk, taken up again.

Reading is nearly all of a training run's time, and does not depend on the labels. Each view is written to
the cache folder as soon as it is read, under a name that says what it was made of (photos, seed, network),
so a stopped run goes on where it was, and the runs of one evaluation by set-up share the views.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from scorer.model.fuse import fold_batch_norm
from scorer.model.levels import Levels
from scorer.model.tower import Tower
from scorer.training.compact import Material, compact_tower, trunk_of
from scorer.training.config import TrainConfig
from scorer.training.data import Photos
from scorer.training.labels import Serp
from scorer.training.onlookers import STAGES as ONLOOKER_STAGES
from scorer.training.onlookers import Cells, read_cells
from scorer.training.views import make_view

Kind = Literal["whole", "crop", "degraded"]
_BATCH = 32


def prepare(
    folder: Path,
    photos: Photos,
    serps: Sequence[Serp],
    config: TrainConfig,
    cache: Path,
    *,
    log: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Material:
    """What the compact tower learns from; what lies in `cache` is read from there.

    Args:
        folder: the photo folder, which the teacher's networks read at their own sizes.
        photos: its photos that take part.
        serps: the judged pages.
        config: how many views of each, and which networks teach.
        cache: a folder for views and cells.
        log: told of each that is ready.
    """
    tower = compact_tower(config)
    trunk = trunk_of(tower)
    wanted: dict[Kind, int] = {
        "whole": 1,
        "crop": config.n_crops,
        "degraded": config.n_degraded,
    }
    stem = _key(photos.pixels, trunk)
    fold_batch_norm(tower.visual)
    cache.mkdir(parents=True, exist_ok=True)
    levels = []
    for of, (kind, number) in enumerate((k, i) for k, n in wanted.items() for i in range(n)):
        path = cache / f"{stem}-{kind}-{config.seed}-{number}.npz"
        if not path.is_file():
            seed = (config.seed * len(wanted) + list(wanted).index(kind)) * 1000 + number
            pixels = make_view(photos.pixels, kind, seed).pixels
            _write(path, {"levels": read_levels(tower, pixels)})
        with np.load(path) as stored:
            levels.append(stored["levels"])
        log({"phase": "views", "view": float(of), "kind": kind})
    cells: list[Cells] = []
    for network in config.onlookers if config.start == "imagenet" else ():
        path = cache / f"{stem}-cells-{network}.npz"
        if not path.is_file():
            seen = read_cells(folder, photos.names, network)
            _write(path, {str(stage): found for stage, found in zip(ONLOOKER_STAGES, seen, strict=True)})
        with np.load(path) as stored:
            cells += [stored[str(stage)] for stage in ONLOOKER_STAGES]
        log({"phase": "onlookers", "network": network})
    names = [Path(name).parent.as_posix() for name in photos.names]
    categories = sorted(set(names))
    return Material(
        levels=np.stack(levels),
        cells=cells,
        n_good=1 + config.n_crops,
        category=np.array([categories.index(name) for name in names], dtype=np.int64),
        page_rows=[photos.rows(serp.images) for serp in serps],
        page_truth=[serp.truth for serp in serps],
    )


def read_levels(tower: Tower, pixels: NDArray[np.uint8]) -> NDArray[np.float16]:
    """What the network's stages say of photos (n, size, size, 3): shape (n, N_LEVELS)."""
    trunk = trunk_of(tower)
    mean = torch.tensor(tower.mean).view(1, 3, 1, 1) * 255.0
    std = torch.tensor(tower.std).view(1, 3, 1, 1) * 255.0
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pixels), _BATCH):
            batch = np.ascontiguousarray(pixels[start : start + _BATCH])
            x = torch.from_numpy(batch).permute(0, 3, 1, 2).float()
            parts.append(trunk.levels((x - mean) / std).half())
    found: NDArray[np.float16] = torch.cat(parts).numpy()
    return found


def _key(pixels: NDArray[np.uint8], trunk: Levels) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(pixels).data)
    for part in (trunk.conv_stem, trunk.blocks[-1]):
        value = next(part.parameters())
        digest.update(value.detach().numpy().tobytes())
    return digest.hexdigest()[:12]


def _write(path: Path, found: Mapping[str, NDArray[Any]]) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, **found)
    part.replace(path)  # never half a view under the name


__all__ = ["prepare", "read_levels"]
