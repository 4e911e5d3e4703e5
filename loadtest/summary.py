"""A load test in figures, kind by kind: percentiles with intervals, differences, errors, throughput.

Rounds are the unit of chance: requests of one round share the machine's mood, so intervals come from drawing
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

from loadtest.counters import GAUGES
from loadtest.histogram import PERCENTILES, Counts, matrix, merged, percentiles_ms
from loadtest.results import SIDES, Result, RoundResult, Side
from loadtest.sender import Kind

MEASURES: dict[Kind, tuple[str, ...]] = {
    "search": ("latency", "service_time", "took"),
    "publish": ("latency", "service_time"),
    "searchable": ("latency",),
    "score": ("latency", "service_time"),
}
DRAWS = 1000
FEWEST_ROUNDS = 5
SEED = 20261128


@dataclass(frozen=True, slots=True)
class Row:
    """One percentile of one measure, in ms.

    An interval is None where there are too few rounds; a side where it sent nothing of this kind.
    """

    kind: Kind
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
class Figures:
    """One kind of one side over all rounds."""

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
    figures: dict[Kind, dict[Side, Figures]]  # of the sides that sent such requests

    def row(self, measure: str, percentile: float, kind: Kind = "search") -> Row:
        """One of the rows."""
        wanted = (kind, measure, percentile)
        return next(one for one in self.rows if (one.kind, one.measure, one.percentile) == wanted)

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)


def summarise(result: Result) -> Summary:
    """All figures of a load test."""
    rows: list[Row] = []
    figures: dict[Kind, dict[Side, Figures]] = {}
    for kind in result.kinds:
        sides = {side: result.of(side, kind) for side in SIDES}
        figures[kind] = {side: _figures(rounds) for side, rounds in sides.items() if rounds}
        rows += _rows(kind, sides)
    return Summary(tuple(rows), figures)


def _rows(kind: Kind, sides: dict[Side, list[RoundResult]]) -> list[Row]:
    n = min(len(rounds) for rounds in sides.values() if rounds)
    times = None
    if n >= FEWEST_ROUNDS:
        drawn = np.random.default_rng(SEED).integers(0, n, size=(DRAWS, n))
        times = (drawn[:, :, None] == np.arange(n)).sum(axis=1)
    rows = []
    for measure in MEASURES[kind]:
        both = [_percentiles([getattr(one, measure) for one in sides[side][:n]], times) for side in SIDES]
        for percent, baseline, contender in zip(PERCENTILES, *both, strict=True):
            rows.append(_row(kind, measure, percent, baseline, contender))
    return rows


Percentile = tuple[float | None, NDArray[np.float64] | None]  # over all rounds, and over every draw of them


def _row(kind: Kind, measure: str, percent: float, baseline: Percentile, contender: Percentile) -> Row:
    at = (baseline[0], contender[0])
    ratio = at[1] / at[0] if at[0] and at[1] is not None else None
    both = baseline[1] is not None and contender[1] is not None
    spread = [contender[1] / baseline[1] if both else None, baseline[1], contender[1]]  # type: ignore[operator]
    ends = [end for one in spread for end in _interval(one)]
    return Row(kind, measure, percent, at[0], at[1], ratio, *ends)


def _interval(drawn: NDArray[np.float64] | None) -> list[float] | list[None]:
    return [None, None] if drawn is None else np.percentile(drawn, [2.5, 97.5]).tolist()


def _percentiles(rounds: Sequence[Counts], times: NDArray[np.int64] | None) -> list[Percentile]:
    """Each percentile; `times` says how often each draw has each round, shape (n_draws, n_rounds)."""
    values, counts = matrix(rounds)
    if not len(rounds) or not counts.sum():
        return [(None, None)] * len(PERCENTILES)
    at = percentiles_ms(values, counts.sum(axis=0, keepdims=True), PERCENTILES)[:, 0].tolist()
    if times is None or not counts.sum(axis=1).all():
        return [(one, None) for one in at]
    return list(zip(at, percentiles_ms(values, times @ counts, PERCENTILES), strict=True))


def _figures(rounds: Sequence[RoundResult]) -> Figures:
    n = sum(one.n for one in rounds)
    errors: Counter[str] = Counter()
    server: Counter[str] = Counter()
    for one in rounds:
        errors.update(one.errors)
        for name, value in one.server.items():
            server[name] = max(server[name], value or 0) if name in GAUGES else server[name] + (value or 0)
    seconds = sum(one.seconds for one in rounds)
    late = merged([one.late for one in rounds]).percentile_ms(99)
    bad = sum(errors.values())
    return Figures(
        rounds=len(rounds),
        n=n,
        n_errors=bad,
        error_rate=bad / n if n else 0.0,
        errors=dict(errors.most_common()),
        per_second=(n - bad) / seconds if seconds else 0.0,
        late_p99_ms=late,
        server=dict(server),
    )
