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


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """Weights ready to score."""

    model: ImageScorer
    version: str  # bfloat16 weights score a little differently, so they have a version of their own

    def score(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scores in [0, 1], shape (n,), of uint8 [n, height, width, 3]."""
        import torch

        with torch.inference_mode():
            scores: NDArray[np.float32] = self.model(torch.from_numpy(images)).float().cpu().numpy()
        return scores


def load_weights(folder: Path, *, device: str = "cpu", precision: Precision = "float32") -> LoadedWeights:
    """Load what `export_weights` wrote.

    Args:
        folder: a scorer folder.
        device: as torch names it.
        precision: of the tower's weights; bfloat16 is faster on a GPU and on CPUs with AVX512-BF16.
    """
    import torch

    from scorer.model.scorer import load_scorer

    if precision == "int8":
        raise InputError("torch runs no int8 weights here", hint="use --backend python-onnx")
    model = load_scorer(folder, device=device)
    if precision == "bfloat16":
        model.visual.to(torch.bfloat16)
    return LoadedWeights(model, served_version(model.version, precision))


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
