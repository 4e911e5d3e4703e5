"""The head: embedding -> one number, and the calibration that turns the number into a score in [0, 1]."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

_SPREAD: Final = 1.702  # a normal variable times this, through the sigmoid, is uniform within 0.01


class HeadConfig(BaseModel):
    """Shape of the head."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embed_dim: int = Field(gt=0)
    hidden: tuple[int, ...] = (64,)
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)


class Calibration(BaseModel):
    """score = sigmoid((logit - center) * slope)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    center: float = 0.0  # the logit that scores 0.5
    slope: float = Field(default=1.0, gt=0.0)

    @classmethod
    def fit(cls, logits: Tensor) -> Calibration:
        """Spread the scores of these photos over the range: normal logits become uniform scores.

        Args:
            logits: raw outputs on the training photos, shape (n,).
        """
        center = float(logits.median())
        spread = float(logits.std())
        return cls(center=center, slope=_SPREAD / spread if math.isfinite(spread) and spread > 1e-6 else 1.0)


class ScoreMap(BaseModel):
    """A monotone, piecewise linear map of scores; flat beyond its ends. `scorer.calibration` fits it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    x: tuple[float, ...] = Field(min_length=2)
    y: tuple[float, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _monotone(self) -> ScoreMap:
        if len(self.x) != len(self.y):
            raise ValueError(f"x has {len(self.x)} knots and y {len(self.y)}")
        if any(b <= a for a, b in pairwise(self.x)) or any(b < a for a, b in pairwise(self.y)):
            raise ValueError("x must rise and y must not fall")
        if not all(0.0 <= v <= 1.0 for v in (*self.x, *self.y)):
            raise ValueError("knots must be in [0, 1]")
        return self

    def __call__(self, scores: Tensor) -> Tensor:
        """Mapped scores in [0, 1], same shape: y0 plus the rise of each piece that lies below the score."""
        found = torch.full_like(scores, self.y[0])
        for (a, b), (low, high) in zip(pairwise(self.x), pairwise(self.y), strict=True):
            found = found + (scores.clamp(a, b) - a) * ((high - low) / (b - a))
        return found.clamp(0.0, 1.0)


class Head(nn.Module):
    """A multi-layer perceptron over the L2-normalised embedding."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        width = config.embed_dim
        for hidden in config.hidden:
            layers += [nn.Linear(width, hidden), nn.GELU(), nn.Dropout(config.dropout)]
            width = hidden
        layers.append(nn.Linear(width, 1))
        self.layers = nn.Sequential(*layers)

    def forward(self, embedding: Tensor) -> Tensor:
        """Raw score of each photo.

        Args:
            embedding: shape (n, embed_dim), of any length.

        Returns:
            Logits, shape (n,); higher is better, unbounded.
        """
        # Scaled so that each input has variance near one, whatever the embedding's length.
        x = functional.normalize(embedding.float(), dim=1) * math.sqrt(self.config.embed_dim)
        logits: Tensor = self.layers(x).squeeze(1)
        return logits


def scores_from_logits(logits: Tensor, calibration: Calibration) -> Tensor:
    """Scores in [0, 1], same shape; higher is better."""
    return torch.sigmoid((logits - calibration.center) * calibration.slope)


__all__ = ["Calibration", "Head", "HeadConfig", "ScoreMap", "scores_from_logits"]
