"""Everything that decides a training run, in one frozen record that is written into its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ranking.errors import ConfigError, InputError
from scorer.training.start import Network

COMPACT_MODEL: Final[dict[str, Any]] = {
    "embed_dim": 256,
    "vision_cfg": {
        "image_size": 160,
        "timm_model_name": "efficientnet_lite0_readings",  # scorer/model/levels.py
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "",  # the network's own classifier is the projection
    },
    # open_clip builds a text side always; this one is as small as can be and never used
    "text_cfg": {"context_length": 1, "vocab_size": 2, "width": 8, "heads": 1, "layers": 1},
}
COMPACT_PREPROCESS: Final[dict[str, Any]] = {
    "size": [160, 160],
    "mode": "RGB",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "interpolation": "bicubic",
    "resize_mode": "squash",
}


class TrainConfig(BaseModel):
    """One training run. The defaults give the shipped compact model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tower: str = "compact"  # "compact": the projection is trained too; any other tower is frozen
    seed: int = 0
    threads: int = Field(default=1, ge=1)  # more help only on cores that nothing else uses
    hidden: tuple[int, ...] = (64,)
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    focal_gamma: float = Field(default=2.0, ge=0)

    # the compact tower: where it starts, and the views of each photo that are made once
    start: Literal["imagenet", "random"] = "imagenet"
    onlookers: tuple[Network, ...] = ("lite0", "lite1", "lite2")  # teach; none where the start is random
    n_crops: int = Field(default=1, ge=0)  # mildly cropped and mirrored
    n_degraded: int = Field(default=2, ge=1)

    # its training: all photos beside the pages
    epochs: int = Field(default=8, ge=1)
    batch: int = Field(default=64, ge=2)  # photos; a second view and a degraded one of each come on top
    input_dropout: float = Field(default=0.3, ge=0.0, lt=1.0)  # of what the projection reads
    serps: int = Field(default=8, ge=1)  # pages per batch
    lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    ema_decay: float = Field(default=0.99, ge=0, lt=1)  # of the weights, per step
    rank_weight: float = Field(default=0.3, ge=0)
    teacher_weight: float = Field(default=1.0, ge=0)  # regression on the teacher's score
    degraded_weight: float = Field(default=1.0, ge=0)  # a photo beats its degraded copy ...
    degraded_margin: float = Field(default=0.5, gt=0)  # ... by this in logits; more earns nothing
    category_weight: float = Field(default=0.1, ge=0)  # keeps in the embedding what is shown

    # a frozen tower: the head alone, as in the Image Score paper, section 4.1
    head_epochs: int = Field(default=100, ge=1)
    head_lr: float = Field(default=1e-4, gt=0)
    head_weight_decay: float = Field(default=1e-3, ge=0)
    head_batch: int = Field(default=128, ge=1)  # pairs
    head_patience: int = Field(default=20, ge=1)  # epochs without a better validation OPA, then stop


def read_config(path: Path | None, **overrides: Any) -> TrainConfig:
    """The config of a run: fields from a JSON file, then overrides, then defaults.

    An override that equals the default leaves the file's value.

    Raises:
        InputError: the file cannot be read.
        ConfigError: a field is unknown or out of range; all of them are named.
    """
    try:
        text = path.read_text(encoding="utf-8") if path else "{}"
    except OSError as e:
        raise InputError(f"{path} cannot be read: {e.strerror}") from None
    try:
        from_file = TrainConfig.model_validate_json(text)
    except ValidationError as e:
        problems = [f"{'.'.join(map(str, p['loc'])) or 'file'}: {p['msg']}" for p in e.errors()]
        raise ConfigError(path or "config", problems) from None
    defaults = TrainConfig()
    chosen = {name: value for name, value in overrides.items() if value != getattr(defaults, name)}
    return TrainConfig.model_validate(from_file.model_dump() | chosen)


__all__ = ["COMPACT_MODEL", "COMPACT_PREPROCESS", "TrainConfig", "read_config"]
