"""`ImageScorer`: photos in, scores in [0, 1] out; and the folder that it is kept in.

A scorer folder holds

    scorer.json                  name, tower, shape of the head, calibration
    head.safetensors             weights of the head
    open_clip_config.json        with open_clip_model.safetensors: the tower, where it was trained with the
                                 head (`tower` is then "local-dir:."); else `tower` names it as in `tower.py`
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn
from torch.nn import functional

from ranking.errors import ConfigError, InputError
from scorer.model.fuse import fold_batch_norm
from scorer.model.head import Calibration, Head, HeadConfig, ScoreMap, scores_from_logits
from scorer.model.photo import preprocess
from scorer.model.tower import COMPACT, COMPACT_FOLDER, Tower, embedding_of, load_tower

SCORER_FILE: Final = "scorer.json"
HEAD_FILE: Final = "head.safetensors"
HERE: Final = "local-dir:."  # the tower lies in the scorer folder itself


class ScorerConfig(BaseModel):
    """`scorer.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    tower: str
    head: HeadConfig
    calibration: Calibration = Calibration()
    map: ScoreMap | None = None  # to the scale of an earlier model
    mirror: bool = False  # the embedding is the mean over the photo and its mirror image; costs twice


class Normalise(nn.Module):
    """Pixels as a tower takes them.

    Args:
        mean: of the channels, of 1.
        std: likewise.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255.0, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255.0, persistent=False)

    def forward(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        """uint8 [n, 3, size, size] to floats of `dtype`."""
        return ((pixels.to(torch.float32) - self.mean) / self.std).to(dtype)


class ImageScorer(nn.Module):
    """An image tower and a head. Normalisation is inside, so the input is plain uint8 pixels.

    `image_size` is the side of the square input in pixels; `version` changes whenever the weights or the
    configuration do, and goes into `image_score_version`.
    """

    def __init__(self, tower: Tower, head: Head, config: ScorerConfig) -> None:
        super().__init__()
        if head.config.embed_dim != tower.embed_dim:
            raise ValueError(
                f"the head takes embeddings of {head.config.embed_dim}, "
                f"tower {tower.spec!r} gives {tower.embed_dim}"
            )
        self.visual = tower.visual
        self.head = head
        self.config = config
        self.image_size = tower.image_size
        self.embed_dim = tower.embed_dim
        self.normalise: nn.Module = Normalise(tower.mean, tower.std)
        self.version = _version(self, tower)

    def embed_raw(self, pixels: Tensor) -> Tensor:
        """Embeddings before normalization; `pixels` as in `forward`. float, shape (n, embed_dim)."""
        weight = next(self.visual.parameters())
        x = self.normalise(pixels.to(weight.device).permute(0, 3, 1, 2), weight.dtype)
        embedding = embedding_of(self.visual, x)
        if self.config.mirror:
            embedding = (embedding + embedding_of(self.visual, x.flip(3))) / 2
        return embedding

    def logits(self, pixels: Tensor) -> Tensor:
        """Raw scores before calibration, shape (n,), unbounded; `pixels` as in `forward`."""
        logits: Tensor = self.head(self.embed_raw(pixels))
        return logits

    def forward(self, pixels: Tensor) -> Tensor:
        """Score photos.

        Args:
            pixels: uint8 RGB, shape (n, image_size, image_size, 3), from `preprocess`; n at least 1.

        Returns:
            float32 scores in [0, 1], shape (n,); higher is better.
        """
        return self.score_and_embed(pixels)[0]

    def score_and_embed(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Scores as `forward` gives them, and L2-normalised float32 embeddings, shape (n, embed_dim)."""
        raw = self.embed_raw(pixels)
        scores = scores_from_logits(self.head(raw), self.config.calibration)
        if self.config.map is not None:
            scores = self.config.map(scores)
        return scores, functional.normalize(raw.float(), dim=1)

    def preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        """A decoded photo as this model's input, shape (image_size, image_size, 3)."""
        return preprocess(image, self.image_size)

    @torch.inference_mode()
    def score_images(self, images: list[Image.Image]) -> NDArray[np.float32]:
        """Score decoded photos in one batch: float32 in [0, 1], shape (n,)."""
        if not images:
            return np.zeros(0, dtype=np.float32)
        batch = torch.from_numpy(np.stack([self.preprocess(image) for image in images]))
        scores: NDArray[np.float32] = self(batch).float().cpu().numpy()
        return scores

    def save_head(self, folder: Path) -> None:
        """Write `scorer.json` and `head.safetensors`; the tower's own files are written by `save_tower`."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.config.model_dump(mode="json", exclude_none=True), indent=2)
        (folder / SCORER_FILE).write_text(text + "\n", encoding="utf-8")
        weights = {k: v.detach().cpu().contiguous() for k, v in self.head.state_dict().items()}
        save_file(weights, folder / HEAD_FILE)
        (folder / HEAD_FILE).chmod(0o644)  # safetensors writes for the owner only


def load_scorer(model: str | Path = COMPACT, *, head: Path | None = None, device: str = "cpu") -> ImageScorer:
    """Load a scorer, ready to score.

    Args:
        model: "compact" (shipped), a scorer folder, or a tower as `load_tower` takes it.
        head: the scorer folder to take the head from; needed where `model` names a bare tower.
        device: as torch names it.

    Raises:
        InputError: no such model, or a tower without a head.
        ConfigError: `scorer.json` is wrong.
        ServerError: the hub cannot be reached.
    """
    folder = COMPACT_FOLDER if model == COMPACT else Path(model)
    if head is None:
        if not (folder / SCORER_FILE).is_file():
            raise InputError(
                f"{model!s} has no head that scores: it is no folder with {SCORER_FILE}",
                hint="train a head with `rank-cli scorer train --tower TOWER`, and name its folder",
            )
        config = _read_config(folder)
        tower = load_tower(f"local-dir:{folder}" if config.tower == HERE else config.tower)
    else:
        folder = head
        config = _read_config(folder)
        tower = load_tower(str(model))
    try:
        scorer = ImageScorer(tower, _read_head(folder, config.head), config)
    except ValueError as e:
        raise InputError(f"{folder}: {e}") from e
    scorer.eval().requires_grad_(False)
    fold_batch_norm(scorer.visual)
    return scorer.to(device)


def tower_named(model: str | Path = COMPACT) -> str:
    """The tower of a model, as `load_tower` takes it: "compact", a scorer folder, or a tower itself."""
    folder = COMPACT_FOLDER if model == COMPACT else Path(model)
    if not (folder / SCORER_FILE).is_file():
        return str(model)
    named = _read_config(folder).tower
    return f"local-dir:{folder}" if named == HERE else named


def _read_config(folder: Path) -> ScorerConfig:
    path = folder / SCORER_FILE
    try:
        return ScorerConfig.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise InputError(f"{path} cannot be read: {e.strerror}") from None
    except ValidationError as e:
        problems = [f"{'.'.join(map(str, p['loc'])) or 'file'}: {p['msg']}" for p in e.errors()]
        raise ConfigError(path, problems) from None


def _read_head(folder: Path, config: HeadConfig) -> Head:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    head = Head(config)
    try:
        head.load_state_dict(load_file(folder / HEAD_FILE))
    except (OSError, SafetensorError, RuntimeError) as e:
        raise InputError(f"{folder / HEAD_FILE} cannot be loaded: {str(e).splitlines()[0]}") from e
    return head


def _version(scorer: ImageScorer, tower: Tower) -> str:
    """`<name>-<8 hex digits>` over weights, calibration and input: the same wherever the folder lies."""
    digest = hashlib.sha256()
    facts = scorer.config.model_dump(mode="json", exclude={"tower", "name"}, exclude_none=True)
    digest.update(json.dumps([facts, tower.image_size, tower.mean, tower.std], sort_keys=True).encode())
    for name, value in sorted(scorer.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return f"{scorer.config.name}-{digest.hexdigest()[:8]}"


__all__ = ["HEAD_FILE", "HERE", "SCORER_FILE", "ImageScorer", "ScorerConfig", "load_scorer", "tower_named"]
