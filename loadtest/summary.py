"""A load test in figures: percentiles of both sides with intervals, differences, errors, throughput.

Rounds are the unit of chance: searches of one round share the machine's mood, so intervals come from drawing
whole rounds again, a pair of baseline and contender at a time (percentile bootstrap). With few rounds they
are too narrow, and fewer than three give none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadtest.histogram import PERCENTILES, Counts, matrix, percentiles_ms
from loadtest.results import SIDES, Result, RoundResult, Side

MEASURES = ("latency", "service_time", "took")
DRAWS = 1000
FEWEST_ROUNDS = 3
SEED = 20261128


@dataclass(frozen=True, slots=True)
class Row:
    """One percentile of one measure, in ms; an interval is None where there are too few rounds."""

    measure: str  # latency, service_time, took
    percentile: float  # 100 is the longest
    baseline: float | None
    contender: float | None
    ratio: float | None  # contender / baseline
    ratio_low: float | None  # 95 % interval
    ratio_high: float | None
    baseline_low: float | None
    baseline_high: float | None
    contender_low: float | None
    contender_high: float | None


@dataclass(frozen=True, slots=True)
class SideFigures:
    """One side over all its rounds."""

    rounds: int
    n: int
    n_errors: int
    error_rate: float
    errors: dict[str, int]
    per_second: float  # answered without an error
    late_p99_ms: float | None  # of actual after intended starts
    server: dict[str, int]


@dataclass(frozen=True, slots=True)
class Summary:
    """What is printed, judged and drawn."""

    rows: tuple[Row, ...]
    sides: dict[Side, SideFigures]

    def row(self, measure: str, percentile: float) -> Row:
        """One of the rows."""
        return next(one for one in self.rows if (one.measure, one.percentile) == (measure, percentile))

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)


def summarise(result: Result) -> Summary:
    """All figures of a load test."""
    rng = np.random.default_rng(SEED)
    sides = {side: result.of(side) for side in SIDES}
    n = min(map(len, sides.values()))
    draws = rng.integers(0, n, size=(DRAWS, n)) if n >= FEWEST_ROUNDS else None
    rows = []
    for measure in MEASURES:
        counts = {side: [getattr(one, measure) for one in sides[side]] for side in SIDES}
        rows += [
            _row(measure, percent, counts["baseline"], counts["contender"], draws) for percent in PERCENTILES
        ]
    return Summary(tuple(rows), {side: _figures(rounds) for side, rounds in sides.items()})


def _row(
    measure: str,
    percent: float,
    baseline: Sequence[Counts],
    contender: Sequence[Counts],
    draws: NDArray[np.int64] | None,
) -> Row:
    at, drawn = zip(*(_percentile(side, percent, draws) for side in (baseline, contender)), strict=True)
    ratio = at[1] / at[0] if at[0] and at[1] is not None else None
    spread: list[float | None] = [None] * 6
    if drawn[0] is not None and drawn[1] is not None:
        of = (drawn[1] / drawn[0], drawn[0], drawn[1])
        spread = [float(end) for one in of for end in np.percentile(one, [2.5, 97.5])]
    return Row(measure, percent, at[0], at[1], ratio, *spread)


def _percentile(
    rounds: Sequence[Counts], percent: float, draws: NDArray[np.int64] | None
) -> tuple[float | None, NDArray[np.float64] | None]:
    """The percentile over all rounds, and over every draw of them."""
    values, counts = matrix(rounds)
    if not counts.sum():
        return None, None
    at = float(percentiles_ms(values, counts.sum(axis=0, keepdims=True), percent)[0])
    if draws is None or not counts.sum(axis=1).all():
        return at, None
    times = np.apply_along_axis(np.bincount, 1, draws, minlength=len(rounds))[:, : len(rounds)]
    return at, percentiles_ms(values, times @ counts, percent)


def _figures(rounds: Sequence[RoundResult]) -> SideFigures:
    n = sum(one.n for one in rounds)
    errors: Counter[str] = Counter()
    server: Counter[str] = Counter()
    for one in rounds:
        errors.update(one.errors)
        for name, value in one.server.items():
            server[name] = (
                max(server[name], value or 0) if name == "queue_max" else server[name] + (value or 0)
            )
    seconds = sum(one.seconds for one in rounds)
    values, counts = matrix([one.late for one in rounds])
    late = float(percentiles_ms(values, counts.sum(axis=0, keepdims=True), 99)[0]) if len(values) else None
    bad = sum(errors.values())
    return SideFigures(
        rounds=len(rounds),
        n=n,
        n_errors=bad,
        error_rate=bad / n if n else 0.0,
        errors=dict(errors.most_common()),
        per_second=(n - bad) / seconds if seconds else 0.0,
        late_p99_ms=late,
        server=dict(server),
    )
