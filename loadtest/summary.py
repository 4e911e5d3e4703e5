"""A load test in figures: percentiles of both sides with intervals, differences, errors, throughput.

Rounds are the unit of chance: searches of one round share the machine's mood, so intervals come from drawing
whole rounds again, a pair of baseline and contender at a time (percentile bootstrap). With few rounds they
are too narrow, and fewer than five give none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadtest.histogram import PERCENTILES, Counts, matrix, merged, percentiles_ms
from loadtest.results import SIDES, Result, RoundResult, Side

MEASURES = ("latency", "service_time", "took")
DRAWS = 1000
FEWEST_ROUNDS = 5
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
    drawn = rng.integers(0, n, size=(DRAWS, n))
    times = (drawn[:, :, None] == np.arange(n)).sum(axis=1) if n >= FEWEST_ROUNDS else None
    rows = []
    for measure in MEASURES:
        both = [_percentiles([getattr(one, measure) for one in sides[side][:n]], times) for side in SIDES]
        for percent, of_baseline, of_contender in zip(PERCENTILES, *both, strict=True):
            rows.append(_row(measure, percent, of_baseline, of_contender))
    return Summary(tuple(rows), {side: _figures(rounds) for side, rounds in sides.items()})


Percentile = tuple[float | None, NDArray[np.float64] | None]  # over all rounds, and over every draw of them


def _row(measure: str, percent: float, baseline: Percentile, contender: Percentile) -> Row:
    at = (baseline[0], contender[0])
    ratio = at[1] / at[0] if at[0] and at[1] is not None else None
    spread: list[float | None] = [None] * 6
    if baseline[1] is not None and contender[1] is not None:
        of = (contender[1] / baseline[1], baseline[1], contender[1])
        spread = [float(end) for one in of for end in np.percentile(one, [2.5, 97.5])]
    return Row(measure, percent, at[0], at[1], ratio, *spread)


def _percentiles(rounds: Sequence[Counts], times: NDArray[np.int64] | None) -> list[Percentile]:
    """Each percentile; `times` says how often each draw has each round, shape (n_draws, n_rounds)."""
    values, counts = matrix(rounds)
    if not counts.sum():
        return [(None, None)] * len(PERCENTILES)
    at = percentiles_ms(values, counts.sum(axis=0, keepdims=True), PERCENTILES)[:, 0].tolist()
    if times is None or not counts.sum(axis=1).all():
        return [(one, None) for one in at]
    return list(zip(at, percentiles_ms(values, times @ counts, PERCENTILES), strict=True))


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
    late = merged([one.late for one in rounds]).percentile_ms(99)
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
