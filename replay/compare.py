"""Baseline against contender: each measure's difference with n, an interval and a p value, by segment.

Searches of one query are not independent: every test takes the query text as its unit or its cluster
(replay/significance). p values of one comparison are adjusted together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ranking.clock import DAY_MS
from ranking.errors import InputError
from ranking.freshness import Freshness
from replay import measures
from replay.engine import Ranking
from replay.finite import finite
from replay.judgments import Judgments
from replay.log import CaptureLog
from replay.significance import (
    ALL,
    TESTS,
    Segment,
    adjust,
    assess,
    cluster,
    clustered_interval,
    days_needed,
    minimum_effect,
    segments,
    unit_of,
)

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure in one segment."""

    measure: str  # such as nDCG@10
    segment: str  # "all", or a platform, a category, a band of frequency
    n: int  # searches
    n_queries: int  # distinct query texts, or users: the clusters
    baseline: float
    contender: float
    delta: float  # contender - baseline
    low: float | None  # 95 % interval of delta; None where there are fewer than two queries
    high: float | None
    p: float | None  # two-sided, adjusted over the whole comparison
    dimension: str = ALL  # "all", "platform", "category", "frequency"
    test: str = "clustered"
    unit: str = "search"  # what baseline, contender and delta are means over: every search, or "query"
    p_raw: float | None = None  # not adjusted
    detectable: float | None = None  # smallest delta that these searches find with probability 0.8

    @property
    def significant(self) -> bool:
        """Whether the adjusted p value is below 0.05."""
        return self.p is not None and self.p < 0.05

    def days_needed(self, effect: float, days: float) -> float | None:
        """Days of log until a relative change of the baseline, such as 0.01, is detectable.

        Args:
            effect: the relative change.
            days: how long this log took; traffic and the mix of queries stay as they were.
        """
        return days_needed(effect * self.baseline, self.detectable, days)


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure's values for every search, under both sides."""

    name: str
    unit: str
    better: Literal["higher", "lower", "neither"]
    baseline: F64  # (n_searches,); NaN where undefined
    contender: F64


@dataclass(frozen=True, slots=True)
class Agreement:
    """How much of the baseline's page is on the contender's, in one segment."""

    measure: str  # overlap@k or RBO@k
    dimension: str
    segment: str
    n: int  # searches
    mean: float
    low: float | None  # 95 % interval, clustered by query
    high: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two rankings of the same searches."""

    k: int
    baseline: Ranking
    contender: Ranking
    measures: list[Measure]
    differences: list[Difference]
    entered: F64  # (n_searches,): items of the contender's first k that the baseline's lack
    proven: int  # searches whose first k are proven under both sides
    simulated_judgments: bool
    agreements: Sequence[Agreement] = ()
    test: str = "clustered"
    adjustment: str = "bh"
    clusters: str = "query"  # or user
    days: float = 1.0  # from the first to the last search, at least one

    def difference(self, measure: str, segment: str = ALL) -> Difference:
        """One row of the table.

        Raises:
            KeyError: no such measure or segment.
        """
        for row in self.differences:
            if row.measure == measure and row.segment == segment:
                return row
        raise KeyError(f"{measure} in {segment}")

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object; what is undefined is None."""
        found: dict[str, Any] = finite(self._fields())
        return found

    def _fields(self) -> dict[str, Any]:
        return {
            "k": self.k,
            "baseline": self.baseline.profile.name,
            "contender": self.contender.profile.name,
            "clock_shift_ms": self.contender.clock_shift_ms,
            "searches": len(self.entered),
            "proven": self.proven,
            "entered_per_search": float(self.entered.mean()),
            "simulated_judgments": self.simulated_judgments,
            "test": self.test,
            "adjustment": self.adjustment,
            "clusters": self.clusters,
            "days": self.days,
            "differences": [asdict(row) for row in self.differences],
            "agreements": [asdict(row) for row in self.agreements],
        }


def compare_rankings(
    log: CaptureLog,
    baseline: Ranking,
    contender: Ranking,
    judgments: Judgments | None,
    *,
    k: int = 10,
    chosen: Sequence[measures.Measure] | None = None,
    dimensions: Sequence[str] = ("platform",),
    test: str = "clustered",
    adjustment: str = "bh",
    clusters: str = "query",
    seed: int = 20240927,
) -> Comparison:
    """Measure both rankings of a log.

    Args:
        log: the captured searches.
        baseline: one side.
        contender: the other.
        judgments: grades, where there are any.
        k: length of the page for agreement and proof, and of the usual measures.
        chosen: what to measure; None for the usual measures at k.
        dimensions: of platform, category, frequency.
        test: clustered, t, wilcoxon, randomization or bca; see replay/significance/paired.py.
        adjustment: of the p values of this comparison: bh, holm or none.
        clusters: what moves together: searches of one query, or of one user (without a user: each alone).
        seed: of the tests that draw.

    Raises:
        InputError: no such test, dimension or adjustment; a measure lacks judgments or a field.
    """
    need = np.minimum(k, np.diff(log.offsets))
    return compare_values(
        log,
        baseline,
        contender,
        found=measure_all(log, baseline, contender, judgments, k=k, chosen=chosen),
        agreed=agreement(log, baseline, contender, k),
        entered=measures.entered(log, baseline, contender, k),
        proven=(baseline.exact_k >= need) & (contender.exact_k >= need),
        k=k,
        dimensions=dimensions,
        test=test,
        adjustment=adjustment,
        clusters=clusters,
        seed=seed,
        simulated_judgments=judgments is not None and judgments.simulated,
    )


def agreement(log: CaptureLog, baseline: Ranking, contender: Ranking, k: int) -> dict[str, F64]:
    """By name, how much of the two pages is the same, per search."""
    return {
        f"overlap@{k}": measures.overlap(log, baseline, contender, k),
        f"RBO@{k}": measures.rbo(log, baseline, contender, k),
    }


def compare_values(
    log: CaptureLog,
    baseline: Ranking,
    contender: Ranking,
    *,
    found: list[Measure],
    agreed: Mapping[str, F64],
    entered: F64,
    proven: NDArray[np.bool_],
    k: int,
    dimensions: Sequence[str],
    test: str,
    adjustment: str,
    clusters: str,
    seed: int,
    simulated_judgments: bool,
) -> Comparison:
    """The comparison over values that were computed per search; `compare_rankings` says what is what.

    Of `log`, only what the segments read is looked at, so it need not hold the candidates.

    Raises:
        InputError: no such test, dimension or adjustment.
    """
    if test not in TESTS:
        raise InputError(f"there is no test {test!r}", hint=f"there are {', '.join(TESTS)}")
    rng = np.random.default_rng(seed)
    units = _units(log, clusters)
    parts = list(segments(log, dimensions))
    rows = [_difference(units, measure, segment, test, rng) for measure in found for segment in parts]
    adjusted = adjust([row.p_raw for row in rows], adjustment)
    return Comparison(
        k=k,
        baseline=baseline,
        contender=contender,
        measures=found,
        differences=[replace(row, p=p) for row, p in zip(rows, adjusted, strict=True)],
        entered=entered,
        proven=int(proven.sum()),
        simulated_judgments=simulated_judgments,
        agreements=[
            _agreement(units, name, values, part) for name, values in agreed.items() for part in parts
        ],
        test=test,
        adjustment=adjustment,
        clusters=clusters,
        days=max(1.0, float(np.ptp(log.searches["now_ms"])) / DAY_MS),
    )


def measure_all(
    log: CaptureLog,
    baseline: Ranking,
    contender: Ranking,
    judgments: Judgments | None,
    *,
    k: int,
    chosen: Sequence[measures.Measure] | None = None,
) -> list[Measure]:
    """Measures under both sides: the chosen ones, or nDCG, image score, freshness and age at k.

    Freshness without parameters is taken under one curve for both: the baseline's, or else the contender's.
    """
    curve = baseline.profile.freshness or contender.profile.freshness
    if chosen is None:
        usual = ["nDCG"] * (judgments is not None) + ["image_score"] + ["freshness"] * (curve is not None)
        chosen = [measures.measure(f"{name}@{k}") for name in (*usual, "age")]
    found = []
    for one in chosen:
        if one.family == "freshness" and not one.params and isinstance(curve, Freshness):
            one = measures.freshness_under(curve, one.cutoff)  # noqa: PLW2901
        before, after = (one.values(log, side, judgments) for side in (baseline, contender))
        found.append(Measure(one.name, one.unit, one.better, before, after))
    return found


def _units(log: CaptureLog, clusters: str) -> NDArray[np.int64]:
    """The cluster of each search as a whole number, (n_searches,)."""
    if clusters not in ("query", "user"):
        raise InputError(f"searches cannot be clustered by {clusters!r}", hint="by query or user")
    values = log.searches["query" if clusters == "query" else "user_id"].astype(object)
    alone = np.array([value is None for value in values])
    names = values.copy()
    names[alone] = ""
    codes: NDArray[np.int64] = np.unique(names.astype(str), return_inverse=True)[1].astype(np.int64)
    codes[alone] = codes.max(initial=0) + 1 + np.arange(alone.sum())
    return codes


def _difference(
    units: NDArray[np.int64],
    measure: Measure,
    segment: Segment,
    test: str,
    rng: np.random.Generator,
) -> Difference:
    dimension, name, searches = segment
    before, after = measure.baseline[searches], measure.contender[searches]
    defined = ~(np.isnan(before) | np.isnan(after))
    before, after, units = before[defined], after[defined], units[searches][defined]
    unit = unit_of(test)
    if not len(before):
        nan = float("nan")
        return Difference(measure.name, name, 0, 0, nan, nan, nan, None, None, None, dimension, test, unit)
    one, two, delta = (cluster(values, units) for values in (before, after, after - before))
    outcome = assess(delta, test, rng)
    means = [float(side.means.mean()) if unit == "query" else side.mean for side in (one, two, delta)]
    error = (
        float(delta.means.std(ddof=1) / np.sqrt(delta.n)) if unit == "query" and delta.n > 1 else delta.error
    )
    return Difference(
        measure=measure.name,
        segment=name,
        n=len(before),
        n_queries=delta.n,
        baseline=means[0],
        contender=means[1],
        delta=means[2],
        low=outcome.low,
        high=outcome.high,
        p=outcome.p,
        dimension=dimension,
        test=test,
        unit=unit,
        p_raw=outcome.p,
        detectable=minimum_effect(error, delta.n - 1),
    )


def _agreement(
    units: NDArray[np.int64],
    name: str,
    values: F64,
    segment: Segment,
) -> Agreement:
    searches = segment.searches
    searches = searches[~np.isnan(values[searches])]
    mine = values[searches]
    low, high, _ = clustered_interval(mine, units[searches])
    mean = float(mine.mean()) if len(mine) else float("nan")
    return Agreement(name, segment.dimension, segment.name, len(mine), mean, low, high)


__all__ = [
    "ALL",
    "Agreement",
    "Comparison",
    "Difference",
    "Measure",
    "agreement",
    "clustered_interval",
    "compare_rankings",
    "compare_values",
    "measure_all",
]
