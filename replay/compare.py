"""Baseline against contender: each measure's difference with n, an interval and a p value, by platform.

Searches of one query are not independent, so the standard error of a mean difference is clustered by query
text (Liang and Zeger, 1986, with the G/(G-1) correction) and the t distribution has G-1 degrees of freedom.
p values of one comparison are adjusted together (Benjamini and Hochberg, 1995).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ranking.freshness import Freshness
from replay import measures
from replay.engine import Ranking
from replay.judgments import Judgments
from replay.log import CaptureLog

F64 = NDArray[np.float64]
ALL = "all"


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure in one segment."""

    measure: str  # such as nDCG@10
    segment: str  # "all", or a platform
    n: int  # searches
    n_queries: int  # distinct query texts: the clusters
    baseline: float
    contender: float
    delta: float  # contender - baseline
    low: float | None  # 95 % interval of delta; None where there are fewer than two queries
    high: float | None
    p: float | None  # two-sided, adjusted over the whole comparison

    @property
    def significant(self) -> bool:
        """Whether the adjusted p value is below 0.05."""
        return self.p is not None and self.p < 0.05


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure's values for every search, under both sides."""

    name: str
    unit: str
    better: Literal["higher", "lower", "neither"]
    baseline: F64  # (n_searches,); NaN where undefined
    contender: F64


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
        """As one JSON object."""
        return {
            "k": self.k,
            "baseline": self.baseline.profile.name,
            "contender": self.contender.profile.name,
            "clock_shift_ms": self.contender.clock_shift_ms,
            "searches": len(self.entered),
            "proven": self.proven,
            "entered_per_search": float(self.entered.mean()),
            "simulated_judgments": self.simulated_judgments,
            "differences": [asdict(row) for row in self.differences],
        }


def compare_rankings(
    log: CaptureLog, baseline: Ranking, contender: Ranking, judgments: Judgments | None, *, k: int = 10
) -> Comparison:
    """Measure both rankings of a log at k."""
    found = measure_all(log, baseline, contender, judgments, k)
    rows = []
    for measure in found:
        rows.append(_difference(log, measure, ALL, np.arange(len(log))))
        for platform, searches in log.groups("platform"):
            if platform is not None:
                rows.append(_difference(log, measure, platform, searches))
    need = np.minimum(k, np.diff(log.offsets))
    proven = (baseline.exact_k >= need) & (contender.exact_k >= need)
    return Comparison(
        k=k,
        baseline=baseline,
        contender=contender,
        measures=found,
        differences=_adjust(rows),
        entered=measures.entered(log, baseline, contender, k),
        proven=int(proven.sum()),
        simulated_judgments=judgments is not None and judgments.simulated,
    )


def measure_all(
    log: CaptureLog, baseline: Ranking, contender: Ranking, judgments: Judgments | None, k: int
) -> list[Measure]:
    """Every measure at k, under both sides."""
    sides = (baseline, contender)
    found = []
    if judgments is not None:
        before, after = (measures.ndcg(log, side, judgments, k) for side in sides)
        found.append(Measure(f"nDCG@{k}", "", "higher", before, after))
    before, after = (measures.image_score(log, side, k) for side in sides)
    found.append(Measure(f"image_score@{k}", "", "higher", before, after))
    curve = baseline.profile.freshness or contender.profile.freshness
    if isinstance(curve, Freshness):
        before, after = (measures.freshness(log, side, curve, k) for side in sides)
        found.append(Measure(f"freshness@{k}", "", "higher", before, after))
    before, after = (measures.age_days(log, side, k) for side in sides)
    found.append(Measure(f"age@{k}", "days", "lower", before, after))
    return found


def clustered_interval(delta: F64, clusters: NDArray[Any]) -> tuple[float | None, float | None, float | None]:
    """95 % interval of the mean of `delta` and the two-sided p value, clustered.

    Args:
        delta: one difference per search, shape (n,), no NaN.
        clusters: the cluster of each, shape (n,).

    Returns:
        low, high, p; all None for fewer than two clusters. Where every difference is the same, the interval
        has no width, and p is 1 for a difference of zero and 0 for any other.
    """
    codes = np.unique(clusters.astype(str), return_inverse=True)[1]
    n_clusters = int(codes.max(initial=-1)) + 1
    if n_clusters < 2:
        return None, None, None
    mean = float(delta.mean())
    sums = np.bincount(codes, weights=delta - mean)
    error = float(np.sqrt((sums**2).sum() * n_clusters / (n_clusters - 1)) / len(delta))
    if error == 0.0:
        return mean, mean, 1.0 if mean == 0.0 else 0.0
    reach = float(stats.t.ppf(0.975, n_clusters - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, n_clusters - 1))
    return mean - reach, mean + reach, p


def _difference(log: CaptureLog, measure: Measure, segment: str, searches: NDArray[np.int64]) -> Difference:
    before, after = measure.baseline[searches], measure.contender[searches]
    defined = ~(np.isnan(before) | np.isnan(after))
    before, after = before[defined], after[defined]
    queries = log.searches["query"][searches][defined]
    if not len(before):
        nan = float("nan")
        return Difference(measure.name, segment, 0, 0, nan, nan, nan, None, None, None)
    low, high, p = clustered_interval(after - before, queries)
    return Difference(
        measure=measure.name,
        segment=segment,
        n=len(before),
        n_queries=len(set(queries)),
        baseline=float(before.mean()),
        contender=float(after.mean()),
        delta=float((after - before).mean()),
        low=low,
        high=high,
        p=p,
    )


def _adjust(rows: list[Difference]) -> list[Difference]:
    tested = [i for i, row in enumerate(rows) if row.p is not None]
    if not tested:
        return rows
    adjusted = stats.false_discovery_control([rows[i].p for i in tested], method="bh")
    by_row = dict(zip(tested, adjusted, strict=True))
    return [replace(row, p=float(by_row[i])) if i in by_row else row for i, row in enumerate(rows)]
