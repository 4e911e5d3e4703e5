"""What the page may ask, and nothing more: every request's body is one of these."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ranking.clock import DAY_MS
from ranking.errors import InputError
from ranking.factors import FieldName
from ranking.image import Mode
from ranking.profile import Platform

MAX_K = 100
_FAR_MS = 4_102_444_800_000  # the year 2100
Key = Annotated[str, Field(min_length=1, max_length=200)]
Word = Annotated[str, Field(min_length=1, max_length=200)]
ItemId = Annotated[str, Field(min_length=1, max_length=512)]


class Asked(BaseModel):
    """Base of all."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Sliders(Asked):
    """What was moved of the contender; None keeps the profile's own value."""

    mode: Mode | None = None
    weight: float | None = Field(default=None, ge=0, le=1e6)
    scale_ms: int | None = Field(default=None, gt=0, le=3650 * DAY_MS)

    @property
    def moved(self) -> bool:
        """Whether anything was."""
        return any(value is not None for value in (self.mode, self.weight, self.scale_ms))


class _Pair(Asked):
    baseline: Key
    contender: Key
    sliders: Sliders = Sliders()
    k: int = Field(default=20, ge=1, le=MAX_K)
    shift_ms: int = Field(default=0, ge=-3650 * DAY_MS, le=3650 * DAY_MS)  # added to the clock, on both sides


class LiveSearch(_Pair):
    """One search on the cluster, under two profiles."""

    query: str = Field(max_length=1_000)
    platform: Platform | None = None
    at_ms: int | None = Field(default=None, ge=0, le=_FAR_MS)  # the clock; this moment where there is none
    filters: dict[FieldName, Word | list[Word]] = Field(default_factory=dict, max_length=20)


class CapturedSearch(_Pair):
    """One search of the capture folder, under two profiles."""

    search_id: Key


class Items(Asked):
    """Titles and prices of items."""

    ids: list[ItemId] = Field(max_length=2_500)


class Draft(Asked):
    """A profile with its sliders moved, as it would be saved."""

    contender: Key
    sliders: Sliders = Sliders()
    name: str = Field(max_length=64)


T = TypeVar("T", bound=Asked)


def read(kind: type[T], data: Any) -> T:
    """A request's body.

    Raises:
        InputError: names every wrong key.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as e:
        problems = [
            f"{'.'.join(str(part) for part in error['loc']) or 'request'}: {error['msg']}"
            for error in e.errors()[:5]
        ]
        raise InputError("; ".join(problems), hint="load the page again") from None


__all__ = ["MAX_K", "CapturedSearch", "Draft", "Items", "LiveSearch", "Sliders", "read"]
