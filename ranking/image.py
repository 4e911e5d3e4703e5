"""The image boost: what an image score becomes before it meets relevance, and how it meets it.

x        = image_score, or `missing` where unscored; the AI rule applied
image    = transform(x), in [0, 1]
additive:       rel + weight * image                       (paper, equation 3)
multiplicative: rel * (1 - weight + weight * image)        (weight 1: paper, equation 2)
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

F64 = NDArray[np.float64]
Mode = Literal["none", "additive", "multiplicative"]
Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Identity(_Part):
    """image = x."""

    type: Literal["identity"] = "identity"

    def apply(self, x: F64) -> F64:
        """Each score as it is."""
        return x


class Power(_Part):
    """image = x ** exponent: above 1 it favours the very best photos, below 1 it forgives."""

    type: Literal["power"]
    exponent: float = Field(gt=0, le=20)

    def apply(self, x: F64) -> F64:
        """Each score to the power."""
        return np.asarray(np.power(x, self.exponent), dtype=np.float64)


class Sigmoid(_Part):
    """image = 1 / (1 + exp(-steepness * (x - center))): a soft step."""

    type: Literal["sigmoid"]
    center: Share = 0.5
    steepness: float = Field(default=10.0, gt=0, le=200)

    def apply(self, x: F64) -> F64:
        """Each score through the step."""
        return np.asarray(1.0 / (1.0 + np.exp(-self.steepness * (x - self.center))), dtype=np.float64)


class Piecewise(_Part):
    """Straight lines between points, flat outside them; never falling, so that a bound stays a bound."""

    type: Literal["piecewise"]
    points: tuple[tuple[Share, Share], ...] = Field(min_length=2, max_length=20)

    @model_validator(mode="after")
    def _points_rise(self) -> Piecewise:
        for (x0, y0), (x1, y1) in pairwise(self.points):
            if x1 <= x0 or y1 < y0:
                raise ValueError(f"points must rise in x and not fall in y, got {(x0, y0)} then {(x1, y1)}")
        return self

    @property
    def pieces(self) -> list[tuple[float, float, float, float]]:
        """Each line as x0, y0, slope, x1; the slope is computed once, for server and client alike."""
        return [(x0, y0, (y1 - y0) / (x1 - x0), x1) for (x0, y0), (x1, y1) in pairwise(self.points)]

    def apply(self, x: F64) -> F64:
        """Each score on its line."""
        image = np.full(x.shape, self.points[-1][1])
        for x0, y0, slope, x1 in reversed(self.pieces):
            image = np.where(x < x1, y0 + slope * (x - x0), image)
        return np.where(x <= self.points[0][0], self.points[0][1], image)


Transform = Annotated[Identity | Power | Sigmoid | Piecewise, Field(discriminator="type")]


class AiRule(_Part):
    """What a photo that is probably AI-generated may score: at most `cap`, or `neutral` whatever it has."""

    above: Share = Field(default=0.5, description="Applies where the probability is greater than this.")
    cap: Share | None = None
    neutral: Share | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> AiRule:
        if (self.cap is None) == (self.neutral is None):
            raise ValueError("give one of cap and neutral")
        return self

    def apply(self, x: F64, ai_prob: F64) -> F64:
        """Scores after the rule; an unknown probability (NaN) is none."""
        limited = np.minimum(x, self.cap) if self.cap is not None else np.full(x.shape, self.neutral)
        return np.where(ai_prob > self.above, limited, x)


class ImageBoost(_Part):
    """How the image score enters the score."""

    mode: Mode = "none"
    weight: float = Field(
        default=1.0,
        ge=0,
        le=1e6,
        description="additive: points of score at image = 1; multiplicative: 0 to 1.",
    )
    missing: Share = Field(default=0.0, description="Image score of an unscored item.")
    transform: Transform = Identity()
    ai_generated: AiRule | None = None

    @model_validator(mode="after")
    def _multiplicative_weight_is_a_share(self) -> ImageBoost:
        if self.mode == "multiplicative" and self.weight > 1:
            raise ValueError(f"weight of a multiplicative boost must be in [0, 1], got {self.weight}")
        return self

    @property
    def is_plain(self) -> bool:
        """Whether the image is the indexed score itself, so that the server needs no script for it."""
        return self.transform.type == "identity" and self.ai_generated is None

    def image(self, image_score: F64, ai_prob: F64) -> F64:
        """The image term of each document, in [0, 1].

        Args:
            image_score: shape (n_docs,); NaN where unscored.
            ai_prob: shape (n_docs,); NaN where unknown.
        """
        x = np.where(np.isnan(image_score), self.missing, image_score)
        if self.ai_generated is not None:
            x = self.ai_generated.apply(x, ai_prob)
        return self.transform.apply(x)

    @property
    def highest(self) -> float:
        """The greatest image term any document can have."""
        return float(self.transform.apply(np.ones(1))[0])
