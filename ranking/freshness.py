"""Freshness: the decay curves of Elasticsearch, computed here as the server computes them.

`Freshness.score` is the curve in numpy; `Freshness.shape` is the one number that the server derives from
scale and decay, and that our scripts are handed. tests/integration/test_parity.py holds curve, script and
`function_score` together, bit for bit.

Source: Elasticsearch reference, "Function score query", section "Decay functions"; the order of the
operations is that of the server's decay functions, measured equal on over a million values.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from ranking.clock import format_duration, parse_duration

Curve = Literal["gauss", "exp", "linear"]
DurationMs = Annotated[
    int,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    Field(json_schema_extra={"type": "string", "pattern": "^[0-9]+ ?(ms|s|m|h|d)$"}),
]


class Freshness(BaseModel):
    """How an item's age lowers its score.

    A document without `created_at` gets `missing`: 1 by default, perfectly fresh, as the server's own decay
    functions take it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    curve: Curve = "gauss"
    scale: DurationMs = Field(
        description="Age past `offset` at which the factor equals `decay`, such as 14d."
    )
    offset: DurationMs = Field(default=0, description="No decay within this age of the clock, such as 1d.")
    decay: float = Field(default=0.5, gt=0, lt=1, description="Factor at `offset + scale`.")
    missing: float = Field(default=1.0, ge=0, le=1, description="Factor of a document without a date.")

    def model_post_init(self, _context: object) -> None:
        """Refuse a scale of zero, which the server refuses too."""
        if self.scale <= 0:
            raise ValueError(f"scale must be longer than 0, got {format_duration(self.scale)}")

    @property
    def shape(self) -> float:
        """The server's own constant of the curve: gauss in ms², exp in 1/ms, linear in ms."""
        scale = float(self.scale)
        match self.curve:
            case "gauss":
                return 0.5 * (scale * scale) / math.log(self.decay)
            case "exp":
                return math.log(self.decay) / scale
            case "linear":
                return scale / (1.0 - self.decay)

    def score(self, created_ms: NDArray[np.float64], now_ms: int | NDArray[np.int64]) -> NDArray[np.float64]:
        """The freshness factor of each document.

        Args:
            created_ms: creation times in epoch ms, shape (n_docs,); NaN where a document has none.
            now_ms: the request's clock in epoch ms; one for all, or one per document.

        Returns:
            Factors in [0, 1], shape (n_docs,), float64. A document newer than the clock decays by its
            distance from it, as on the server.
        """
        distance = np.maximum(
            0.0, np.abs(created_ms - np.asarray(now_ms, dtype=np.float64)) - float(self.offset)
        )
        distance = np.where(np.isnan(created_ms), 0.0, distance)
        factor: NDArray[np.float64]
        with np.errstate(under="ignore"):
            match self.curve:
                case "gauss":
                    factor = np.exp(0.5 * (distance * distance) / self.shape)
                case "exp":
                    factor = np.exp(self.shape * distance)
                case "linear":
                    factor = np.maximum(0.0, (self.shape - distance) / self.shape)
        return factor if self.missing == 1 else np.where(np.isnan(created_ms), self.missing, factor)
