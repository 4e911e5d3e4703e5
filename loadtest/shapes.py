"""How the rate of requests changes over a round, and the arrival times that follow from it.

A shape is a piecewise linear rate (requests/s). Searches keep the gaps of the log, bursts included,
stretched so that the expected number by any moment is the integral of the rate (operational time): t_i =
Λ⁻¹(u_i); u_i are the logged arrivals with a mean gap of 1 and Λ(t) is the integral of the rate from 0 to t.
Messages and photos have no log, and arrive as a Poisson process: u_i are sums of exponential gaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError

ShapeName = Literal["logged", "soak", "ramp", "step", "spike", "knee"]
SHAPES: tuple[str, ...] = get_args(ShapeName)
RATED = SHAPES[1:]  # those that follow a rate and need no log
STEPS = {"step": 4, "knee": 8}
KNEE_FROM, KNEE_TO = 0.25, 2.0  # shares of the rate at the first and the last step of find-the-knee


@dataclass(frozen=True, slots=True)
class Shape:
    """Knots of the rate: at `times[i]` s it is `rates[i]` requests/s, linear in between."""

    times: tuple[float, ...]
    rates: tuple[float, ...]
    steps: tuple[tuple[float, float], ...] = ()  # (start in s, requests/s) of each plateau, if it has any

    def step_of(self, at: float) -> int | None:
        """The plateau that a moment belongs to; None where the shape has none."""
        if not self.steps:
            return None
        return int(np.searchsorted([start for start, _ in self.steps], at, side="right")) - 1


def shape(name: str, *, rate: float, seconds: float) -> Shape:
    """A shape by name, `seconds` long.

    soak: `rate` throughout. ramp: from 0 to `rate`. step: a quarter, half, three quarters and all of it.
    spike: a quarter, and `rate` in the middle fifth. knee: eight steps, evenly in the logarithm from a
    quarter of `rate` to twice.

    Raises:
        InputError: no such shape, or not a positive rate or length.
    """
    if rate <= 0 or seconds <= 0:
        raise InputError("a shape needs a rate and a length above 0", hint="give --rate and --seconds")
    match name:
        case "soak":
            return Shape((0, seconds), (rate, rate))
        case "ramp":
            return Shape((0, seconds), (0, rate))
        case "spike":
            low, begin, end = rate / 4, seconds * 0.4, seconds * 0.6
            return Shape((0, begin, begin, end, end, seconds), (low, low, rate, rate, low, low))
        case "step":
            return _plateaus([rate * (i + 1) / STEPS["step"] for i in range(STEPS["step"])], seconds)
        case "knee":
            levels = np.geomspace(KNEE_FROM, KNEE_TO, STEPS["knee"]) * rate
            return _plateaus(levels.tolist(), seconds)
        case _:
            raise InputError(f"--shape: {name!r} is not one of {', '.join(SHAPES)}")


def logged_arrivals(at_ms: Sequence[int], speed_up: float) -> list[float]:
    """Seconds from the first search, `speed_up` times as fast as in the log.

    Raises:
        InputError: the factor is not above 0.
    """
    if not 0 < speed_up < float("inf"):
        raise InputError(f"--speed-up: {speed_up} is not above 0", hint="2 replays an hour in half an hour")
    first = min(at_ms)
    return sorted((at - first) / 1000.0 / speed_up for at in at_ms)


def shaped_arrivals(at_ms: Sequence[int], plan: Shape) -> list[float]:
    """Seconds at which searches start, with the logged gaps, repeated where the log is too short."""
    grid, area = _integral(plan)
    n = _expected(area)
    gaps = np.diff(np.sort(np.asarray(at_ms, dtype=np.float64)))
    if len(gaps) == 0 or gaps.sum() == 0:
        gaps = np.ones(1)
    units = np.cumsum(np.resize(gaps / gaps.mean(), n))
    units = units[units <= area[-1]]
    return [float(t) for t in np.interp(units, area, grid)]


def random_arrivals(plan: Shape, rng: np.random.Generator) -> list[float]:
    """Seconds at which requests start that come independently of each other."""
    grid, area = _integral(plan)
    n = _expected(area)
    units = np.cumsum(rng.exponential(size=n + 10 + int(10 * n**0.5)))  # ten deviations more than expected
    return [float(t) for t in np.interp(units[units <= area[-1]], area, grid)]


def _expected(area: NDArray[np.float64]) -> int:
    n = int(area[-1])
    if n < 1:
        raise InputError("this shape sends nothing", hint="raise --rate or --seconds")
    return n


def _plateaus(levels: Sequence[float], seconds: float) -> Shape:
    each = seconds / len(levels)
    times = [t for i in range(len(levels)) for t in (i * each, (i + 1) * each)]
    rates = [level for level in levels for _ in range(2)]
    return Shape(tuple(times), tuple(rates), tuple((i * each, level) for i, level in enumerate(levels)))


def _integral(plan: Shape) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times on a fine grid, and the integral of the rate up to each."""
    times, rates = np.asarray(plan.times, dtype=np.float64), np.asarray(plan.rates, dtype=np.float64)
    grids, areas, so_far = [np.zeros(1)], [np.zeros(1)], 0.0
    for i in range(len(times) - 1):
        length = times[i + 1] - times[i]
        if length == 0:
            continue
        part = np.linspace(0, length, 201)[1:]
        slope = (rates[i + 1] - rates[i]) / length
        grids.append(times[i] + part)
        areas.append(so_far + rates[i] * part + slope * part**2 / 2)
        so_far = float(areas[-1][-1])
    return np.concatenate(grids), np.concatenate(areas)
