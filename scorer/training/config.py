"""Everything that decides a training run, in one frozen record that is written into its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ranking.errors import ConfigError, InputError

COMPACT_MODEL: Final[dict[str, Any]] = {
    "embed_dim": 256,
    "vision_cfg": {
        "image_size": 128,
        "timm_model_name": "mobilenetv3_small_100",
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "",  # the network's own classifier is the projection
    },
    # open_clip builds a text side always; this one is as small as can be and never used
    "text_cfg": {"context_length": 1, "vocab_size": 2, "width": 8, "heads": 1, "layers": 1},
}
COMPACT_PREPROCESS: Final[dict[str, Any]] = {
    "size": [128, 128],
    "mode": "RGB",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "interpolation": "bicubic",
    "resize_mode": "squash",
}


class TrainConfig(BaseModel):
    """One training run. The defaults give the shipped compact model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tower: str = "compact"  # "compact": the tower is trained too; any other tower is frozen
    seed: int = 0
    threads: int = Field(default=1, ge=1)  # more help only on cores that nothing else uses
    hidden: tuple[int, ...] = (64,)
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)

    # pretraining: all photos of the training folder, each seen whole and degraded
    pretrain_epochs: int = Field(default=20, ge=0)
    pretrain_batch: int = Field(default=48, ge=2)  # photos; a varied and a degraded view of each come on top
    pretrain_lr: float = Field(default=2e-3, gt=0)
    statistics_weight: float = Field(default=1.0, ge=0)
    category_weight: float = Field(default=0.1, ge=0)
    kind_weight: float = Field(default=0.2, ge=0)
    degraded_weight: float = Field(default=1.0, ge=0)  # pairwise: a photo beats its degraded copy
    teacher_weight: float = Field(default=1.0, ge=0)  # regression on the teacher's score

    n_crops: int = Field(default=1, ge=0)  # mildly cropped views of each photo, made once
    n_varied: int = Field(default=4, ge=0)  # views in other light and framing, which the teacher scores
    n_degraded: int = Field(default=4, ge=1)  # degraded views of each photo, made once

    # ranking: pairs within a SERP, the losses above continue beside it
    rank_epochs: int = Field(default=20, ge=0)
    rank_serps: int = Field(default=8, ge=1)  # SERPs per batch
    rank_beside: int = Field(default=24, ge=2)  # photos per batch for the other losses
    rank_lr: float = Field(default=6e-4, gt=0)
    rank_weight: float = Field(default=1.0, ge=0)
    focal_gamma: float = Field(default=2.0, ge=0)
    weight_decay: float = Field(default=0.02, ge=0)
    ema_decay: float = Field(default=0.99, ge=0, lt=1)  # of the weights, per step

    # a frozen tower: the head alone, as in the Image Score paper, section 4.1
    head_epochs: int = Field(default=100, ge=1)
    head_lr: float = Field(default=1e-4, gt=0)
    head_weight_decay: float = Field(default=1e-3, ge=0)


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
