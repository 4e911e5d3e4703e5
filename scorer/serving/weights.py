"""The weights of one served version: a scorer folder that stands by itself, and how it is run.

A tower in a local folder (the shipped one among them) is copied in. A tower that `scorer.json` names by an
open_clip tag or a hub repository stays a name: the server's machine fetches it into its own cache.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError

if TYPE_CHECKING:
    from scorer.model.scorer import ImageScorer

Precision = Literal["float32", "bfloat16", "int8"]
_LOCAL: Final = "local-dir:"
# On a CPU: their activations stay in the cache, and malloc keeps the memory. Of 16 at once, each is a tenth
# slower (ViT-B/16).
_PHOTOS_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """Weights ready to score."""

    model: ImageScorer
    version: str  # bfloat16 weights score a little differently, so they have a version of their own
    at_once: int | None = None  # photos; a larger batch is scored in parts

    def score(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scores in [0, 1], shape (n,), of uint8 [n, height, width, 3]."""
        import torch

        step = self.at_once or len(images)
        with torch.inference_mode():
            parts = [torch.from_numpy(images[at : at + step]) for at in range(0, len(images), step)]
            found = torch.cat([self.model(part) for part in parts])
        scores: NDArray[np.float32] = found.float().cpu().numpy()
        return scores


def load_weights(folder: Path, *, device: str = "cpu", precision: Precision = "float32") -> LoadedWeights:
    """Load what `export_weights` wrote.

    Args:
        folder: a scorer folder.
        device: as torch names it.
        precision: of the tower's weights; bfloat16 is faster on a GPU and on CPUs with AVX512-BF16. int8 is
            for a CPU, and for weights exported with photos.

    Raises:
        InputError: int8 without what it needs.
    """
    import torch

    from scorer.model.scorer import load_scorer

    if precision == "int8" and device != "cpu":
        raise InputError("int8 in torch is for CPUs", hint="use --precision bfloat16 on a GPU")
    model = load_scorer(folder, device=device)
    match precision:
        case "bfloat16":
            model.visual.to(torch.bfloat16)
        case "int8":
            from scorer.serving.cpu import multiplies_bfloat16
            from scorer.serving.int8 import read_scales, to_int8

            to_int8(model, read_scales(folder), bfloat16=multiplies_bfloat16())
    in_parts = device == "cpu" and precision != "float32"  # float32 stays bit for bit that of a notebook
    version = served_version(model.version, precision)
    return LoadedWeights(model, version, _PHOTOS_AT_ONCE if in_parts else None)


def served_version(version: str, precision: Precision) -> str:
    """What goes into `image_score_version` for these weights at this precision."""
    if precision not in get_args(Precision):
        raise InputError(f"precision must be one of {', '.join(get_args(Precision))}, got {precision!r}")
    return version if precision == "float32" else f"{version}+{precision}"


def export_weights(model_name: str, folder: Path) -> ImageScorer:
    """Write a model into `folder` so that `load_weights` needs nothing else, and return it.

    Args:
        model_name: "compact", or a scorer folder.
        folder: exists and is empty.
    """
    from scorer.model.scorer import HERE, SCORER_FILE, load_scorer
    from scorer.model.tower import CONFIG_FILE, WEIGHTS_FILE

    model = load_scorer(model_name)
    model.save_head(folder)
    tower = _tower_folder(model.config.tower, model_name)
    if tower is not None:
        for name in (CONFIG_FILE, WEIGHTS_FILE):
            shutil.copyfile(tower / name, folder / name)
        config = model.config.model_copy(update={"tower": HERE})
        (folder / SCORER_FILE).write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors writes for its owner only; the server may be someone else
    return model


def _tower_folder(named: str, model_name: str) -> Path | None:
    """The folder that holds the tower's files, where there is one."""
    from scorer.model.scorer import HERE
    from scorer.model.tower import COMPACT, COMPACT_FOLDER

    if named == COMPACT or (named == HERE and model_name == COMPACT):
        return COMPACT_FOLDER
    if named == HERE:
        return Path(model_name)
    return Path(named.removeprefix(_LOCAL)) if named.startswith(_LOCAL) else None


__all__ = ["LoadedWeights", "Precision", "export_weights", "load_weights", "served_version"]
