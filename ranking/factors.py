"""Factors: what else multiplies a score. Each has a maximum, so that a bound on the score exists.

A factor reads doc values by field name. The server meets it as a filtered weight or as a script; `values`
is its twin in numpy. A weight that stands in a `function_score` is float32 on the server (`f32_weights`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

F64 = NDArray[np.float64]
Weight = Annotated[float, Field(ge=0, le=1e6)]
FieldName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]{0,127}$")]
Modifier = Literal["none", "log1p", "ln1p", "log2p", "sqrt", "square", "reciprocal"]
Kind = Literal["keyword", "number"]
Columns = Mapping[str, NDArray[Any]]


class _Factor(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CategoryWeights(_Factor):
    """A weight by the value of a keyword field, such as `category`."""

    type: Literal["category"]
    field: FieldName = "category"
    weights: dict[str, Weight] = Field(min_length=1, max_length=200)
    default: Weight = Field(default=1.0, description="Weight of any other value, and of none.")

    @property
    def kind(self) -> Kind:
        """What its doc values are."""
        return "keyword"

    @property
    def highest(self) -> float:
        """The greatest value."""
        return max(self.default, *self.weights.values())

    def highest_served(self, *, f32_weights: bool) -> float:
        """The greatest value as the server holds it: a weight of a `function_score` is float32."""
        return _f32(self.highest) if f32_weights else self.highest

    def values(self, columns: Columns, *, f32_weights: bool) -> F64:
        """The factor of each document, shape (n_docs,)."""
        column = columns[self.field]
        cast = _f32 if f32_weights else float
        table = {value: cast(weight) for value, weight in self.weights.items()}
        default = cast(self.default)
        return np.fromiter((table.get(v, default) for v in column), dtype=np.float64, count=len(column))


class NumericFactor(_Factor):
    """A number, modified as `field_value_factor` does, and clamped: clamp(modifier(factor * value))."""

    type: Literal["numeric"]
    field: FieldName
    modifier: Modifier = "none"
    factor: float = Field(default=1.0, ge=0, le=1e9)
    missing: float = Field(description="Value of a document without the field, before the modifier.", ge=0)
    min: Weight = 0.0
    max: Weight = Field(description="Upper clamp: without one, no bound on the score exists.")

    @model_validator(mode="after")
    def _clamp_is_a_range(self) -> NumericFactor:
        if self.min > self.max:
            raise ValueError(f"min ({self.min}) must not exceed max ({self.max})")
        return self

    @property
    def kind(self) -> Kind:
        """What its doc values are."""
        return "number"

    @property
    def highest(self) -> float:
        """The greatest value."""
        return self.max

    def highest_served(self, *, f32_weights: bool) -> float:
        """The greatest value as the server holds it: the clamp is in a script, so it is double everywhere."""
        return self.max

    def values(self, columns: Columns, *, f32_weights: bool) -> F64:
        """The factor of each document, shape (n_docs,); the script that computes it is double throughout."""
        column = columns[self.field].astype(np.float64)
        x = np.maximum(np.where(np.isnan(column), self.missing, column) * self.factor, 0.0)
        with np.errstate(divide="ignore", over="ignore"):
            match self.modifier:
                case "log1p":
                    x = np.log10(x + 1.0)
                case "ln1p":
                    x = np.log1p(x)
                case "log2p":
                    x = np.log10(x + 2.0)
                case "sqrt":
                    x = np.sqrt(x)
                case "square":
                    x = x * x
                case "reciprocal":
                    x = 1.0 / x
                case "none":
                    pass
        return np.asarray(np.minimum(np.maximum(x, self.min), self.max), dtype=np.float64)


class Rule(_Factor):
    """A weight for documents whose field has one of some values, or lies in a range."""

    type: Literal["rule"]
    field: FieldName
    any_of: tuple[str, ...] | None = Field(default=None, min_length=1, max_length=200)
    gte: float | None = None
    lt: float | None = None
    weight: Weight

    @model_validator(mode="after")
    def _one_condition(self) -> Rule:
        ranged = self.gte is not None or self.lt is not None
        if ranged == (self.any_of is not None):
            raise ValueError("give any_of, or gte and lt (one or both)")
        return self

    @property
    def kind(self) -> Kind:
        """What its doc values are."""
        return "keyword" if self.any_of is not None else "number"

    @property
    def highest(self) -> float:
        """The greatest value."""
        return max(1.0, self.weight)

    def highest_served(self, *, f32_weights: bool) -> float:
        """The greatest value as the server holds it: a weight of a `function_score` is float32."""
        return _f32(self.highest) if f32_weights else self.highest

    def values(self, columns: Columns, *, f32_weights: bool) -> F64:
        """The factor of each document, shape (n_docs,): the weight, or 1 where the rule does not apply."""
        column = columns[self.field]
        if self.any_of is not None:
            applies = np.isin(column.astype(object), np.array(self.any_of, dtype=object))
        else:
            number = column.astype(np.float64)
            applies = ~np.isnan(number)
            if self.gte is not None:
                applies &= number >= self.gte
            if self.lt is not None:
                applies &= number < self.lt
        return np.where(applies, _f32(self.weight) if f32_weights else self.weight, 1.0)


Factor = Annotated[CategoryWeights | NumericFactor | Rule, Field(discriminator="type")]


def _f32(value: float) -> float:
    return float(np.float32(value))
