"""What a sweep may change: keys of a profile, each with the values it may take.

    image.mode: [additive, multiplicative]
    image.weight: {low: 0, high: 3, step: 0.25}      # a search may leave out `step`, and take `log: true`
    image.transform: [identity, {type: power, exponent: 2}]
    freshness.scale: [7d, 14d, 30d]
    factors.0.weight: [1, 1.2]                       # of a factor that the baseline has

A key is a path into the profile. Values that make no valid profile together (a multiplicative weight above 1)
are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from ranking.errors import ConfigError, InputError
from ranking.profile import Profile
from ranking.yaml_file import read_yaml

Point = Mapping[str, Any]  # a value for each key, such as {"image.weight": 1.5}
_ROOTS = ("image", "freshness", "factors")
_MAX_GRID = 100_000


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from low to high, both included."""

    low: float
    high: float
    step: float | None = None  # None: any number, which only a search can draw
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"a range goes from low to high, got {self.low:g} to {self.high:g}")
        if self.step is not None and not self.step > 0:
            raise ValueError(f"step must be > 0, got {self.step:g}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a log range begins above 0 and has no step")

    def values(self) -> list[float]:
        """Its values, where it has a step."""
        if self.step is None:
            raise ValueError("a range without a step has no list of values")
        n = int(np.floor((self.high - self.low) / self.step + 1e-9))
        return [round(self.low + i * self.step, 12) for i in range(n + 1)]


@dataclass(frozen=True, slots=True)
class Space:
    """Keys and their values."""

    keys: Mapping[str, Sequence[Any] | Range]

    def __post_init__(self) -> None:
        if not self.keys:
            raise InputError(
                "nothing to sweep", hint="give --weights 0:3:0.25, --modes, --scales, or a --space"
            )
        for key in self.keys:
            if key.split(".")[0] not in _ROOTS or "." not in key:
                raise InputError(
                    f"{key!r} cannot be swept",
                    hint="keys begin with image., freshness. or factors., such as image.weight",
                )

    @property
    def size(self) -> int | None:
        """How many points the grid has; None where a range has no step."""
        sizes = [
            len(values.values())
            if isinstance(values, Range) and values.step
            else None
            if isinstance(values, Range)
            else len(values)
            for values in self.keys.values()
        ]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    def grid(self) -> Iterator[Point]:
        """Every combination, the last key fastest.

        Raises:
            InputError: a range has no step, or there are more than 100,000 points.
        """
        size = self.size
        if size is None:
            endless = next(
                key for key, one in self.keys.items() if isinstance(one, Range) and one.step is None
            )
            raise InputError(f"{endless} has no step, so there is no grid", hint="give a step, or --trials N")
        if size > _MAX_GRID:
            raise InputError(f"the grid has {size:,} points", hint="take larger steps, or --trials N")
        lists = [one.values() if isinstance(one, Range) else list(one) for one in self.keys.values()]
        for values in product(*lists):
            yield dict(zip(self.keys, values, strict=True))


def candidate(baseline: Profile, point: Point) -> Profile | None:
    """A profile with the point's values; None where they make none.

    Args:
        baseline: resolved for a platform; its own overrides are dropped.
        point: values by key.

    Raises:
        InputError: a key leads nowhere in the baseline.
    """
    data = baseline.model_dump(mode="json", exclude={"platforms"})
    for key, value in point.items():
        *path, last = key.split(".")
        at = data
        for step in path:
            at = _into(at, step, key)
        if isinstance(at, list) or at is None:
            raise _nowhere(key)
        at[last] = {"type": value} if last == "transform" and isinstance(value, str) else value
    try:
        return Profile.model_validate(data)
    except ValidationError:
        return None


def read_space(path: Path) -> Space:
    """A space from a YAML file.

    Raises:
        ConfigError: it is not one; names the key.
    """
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise ConfigError(path, ["a space is a mapping of keys to values, see docs/sweep.md"])
    keys: dict[str, Sequence[Any] | Range] = {}
    for key, values in data.items():
        if isinstance(values, list) and values:
            keys[str(key)] = values
        elif isinstance(values, dict) and values.keys() <= {"low", "high", "step", "log"}:
            try:
                keys[str(key)] = Range(**values)
            except (TypeError, ValueError) as e:
                raise ConfigError(path, [f"{key}: {e}"]) from e
        else:
            raise ConfigError(path, [f"{key}: a list of values, or low, high, step and log"])
    try:
        return Space(keys)
    except InputError as e:
        raise ConfigError(path, [str(e)], hint=e.hint) from e


def parse_numbers(text: str, option: str) -> Sequence[float] | Range:
    """Numbers of an option: `0:3:0.25` from, to and step; `0:3` without a step; or a list `0.5,1,2`.

    Raises:
        InputError: neither.
    """
    try:
        if ":" in text:
            ends = [float(part) for part in text.split(":", 2)]
            return Range(ends[0], ends[1], ends[2] if len(ends) > 2 else None)
        return [float(part) for part in text.split(",")]
    except ValueError as e:
        raise InputError(f"{option} {text}: {e}", hint=f"for example {option} 0:3:0.25 or 0.5,1,2") from None


def parse_transform(text: str) -> dict[str, Any]:
    """A transform of an option: `identity`, `power:2`, `sigmoid:0.5:10`.

    Raises:
        InputError: none of them.
    """
    names = {"identity": (), "power": ("exponent",), "sigmoid": ("center", "steepness")}
    kind, *numbers = text.strip().split(":")
    try:
        values = dict(zip(names[kind], map(float, numbers), strict=True))
    except (KeyError, ValueError):
        raise InputError(
            f"--transforms: {text!r} is no transform", hint="identity, power:2 or sigmoid:0.5:10"
        ) from None
    return {"type": kind, **values}


def _into(at: Any, step: str, key: str) -> Any:
    if isinstance(at, list):
        if not step.isdigit() or int(step) >= len(at):
            raise _nowhere(key)
        return at[int(step)]
    if not isinstance(at, dict):
        raise _nowhere(key)
    if at.get(step) is None:
        at[step] = {}
    return at[step]


def _nowhere(key: str) -> InputError:
    return InputError(f"{key} leads nowhere in the baseline", hint="factors are counted from 0")
