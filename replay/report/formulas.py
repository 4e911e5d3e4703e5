"""What the page's formula needs of a profile: its constants, cast as the profile's execution casts them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranking.factors import CategoryWeights, Factor, Kind, NumericFactor
from ranking.freshness import Freshness
from ranking.image import ImageBoost, Piecewise, Power, Sigmoid
from ranking.profile import Profile
from replay.report.columns import pack_codes, pack_floats


def formula(profile: Profile) -> dict[str, Any]:
    """The constants of a profile resolved for its platform; `formula.js` is their reader."""
    nested = profile.execution == "function_score"
    return {
        "execution": profile.execution,
        "mode": profile.image.mode,
        "weight": profile.image.weight,
        "missing": profile.image.missing,
        "transform": _transform(profile.image),
        "ai": None if profile.image.ai_generated is None else profile.image.ai_generated.model_dump(),
        "highest_image": profile.image.highest,
        "freshness": None if profile.freshness is None else curve(profile.freshness, nested=nested),
        "factors": [_factor(factor, nested=nested) for factor in profile.factors],
    }


def curve(fresh: Freshness, *, nested: bool = False) -> dict[str, Any]:
    """The constants of a decay curve."""
    return {
        "curve": fresh.curve,
        "scale_ms": fresh.scale,
        "offset_ms": fresh.offset,
        "decay": fresh.decay,
        "ln_decay": math.log(fresh.decay),
        "undated": _cast(fresh.missing, nested),
    }


def factor_columns(
    profiles: Iterable[Profile], columns: Mapping[str, NDArray[Any]], kept: NDArray[np.int64]
) -> dict[str, Any]:
    """The fields that factors read, of the candidates a report carries."""
    kinds: dict[str, Kind] = {}
    for profile in profiles:
        kinds |= profile.factor_fields
    return {
        name: pack_codes(columns[name][kept])
        if kind == "keyword"
        else pack_floats(columns[name][kept].astype(np.float64))
        for name, kind in kinds.items()
    }


def _cast(value: float, nested: bool) -> float:
    """A weight inside a function_score is float32 on the server."""
    return float(np.float32(value)) if nested else value


def _transform(image: ImageBoost) -> dict[str, Any]:
    match image.transform:
        case Power(exponent=exponent):
            return {"type": "power", "exponent": exponent}
        case Sigmoid(center=center, steepness=steepness):
            return {"type": "sigmoid", "center": center, "steepness": steepness}
        case Piecewise() as line:
            return {"type": "piecewise", "points": line.points, "pieces": line.pieces}
        case _:
            return {"type": "identity"}


def _factor(factor: Factor, *, nested: bool) -> dict[str, Any]:
    match factor:
        case CategoryWeights():
            return {
                "type": "category",
                "field": factor.field,
                "weights": {name: _cast(weight, nested) for name, weight in factor.weights.items()},
                "default": _cast(factor.default, nested),
                "highest": factor.highest_served(f32_weights=nested),
            }
        case NumericFactor():
            return {**factor.model_dump(mode="json"), "highest": factor.highest_served(f32_weights=nested)}
        case _:
            data = factor.model_dump(mode="json")
            return {
                **data,
                "weight": _cast(factor.weight, nested),
                "highest": factor.highest_served(f32_weights=nested),
            }
