"""How well judges agree: on scores, and on which of two photos is the better one.

Pairs of judges, x and y their scores of the photos that both scored:

    exact, within one    share of photos with x = y, with |x - y| <= 1
    kappa                quadratic weighted: 1 - mean((x - y)^2) / mean over all i, j of (x_i - y_j)^2
    Pearson, Spearman    of x and y
    alpha                Krippendorff's, of all judges together, interval level (package krippendorff)

A judge against the others: the same figures against their majority vote (the most frequent score; of several,
their median), and the ceiling: how often the judge orders a pair of photos of one page as the mean of the
others does, half a pair for a tie. No model can be expected to follow one judge better than that.

Intervals are 95 % bootstrap intervals over pages, since the photos of a page were scored together.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ranking.errors import InputError
from scorer.labels.page import NAMELESS, JudgedPage
from scorer.training.measures import pair_counts

F64 = NDArray[np.float64]
MEASURES = ("exact", "within_one", "kappa", "pearson", "spearman")


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its interval; NaN where it cannot be had."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        interval = "" if math.isnan(self.low) else f" ({self.low:.3f} to {self.high:.3f})"
        return f"{self.value:.3f}{interval}"

    @property
    def percent(self) -> str:
        """As a percentage, with its interval where it has one."""
        interval = "" if math.isnan(self.low) else f" ({100 * self.low:.1f} to {100 * self.high:.1f})"
        return f"{100 * self.value:.1f} %{interval}"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of one set of pages."""

    name: str  # "all", or a category
    n_pages: int
    n_photos: int
    between: dict[str, dict[str, Figure]]  # "a and b" -> measure -> figure
    mean: dict[str, Figure]  # measure -> mean over the pairs of judges
    alpha: Figure
    majority: dict[str, dict[str, Figure]]  # judge -> measure, against the majority vote of the others
    ceiling: dict[str, Figure]  # judge -> share of pairs ordered as the mean of the others, 0 to 1

    def to_dict(self) -> dict[str, Any]:
        """For JSON; NaN becomes null."""
        return dict(_no_nan(asdict(self)))


def agreement(
    pages: Sequence[JudgedPage],
    *,
    rng: np.random.Generator | None = None,
    n_resamples: int = 400,
    advance: Callable[[int], object] | None = None,
) -> list[Agreement]:
    """Agreement over all pages, then over those of each category.

    Args:
        pages: those with fewer than two judges are not counted.
        rng: where the resamples come from; a fixed seed without it.
        n_resamples: pages are drawn with replacement this many times.
        advance: told as sets of pages are done.

    Raises:
        InputError: no page has two judges.
    """
    several = [page for page in pages if len(page.judges) > 1]
    if not several:
        raise InputError(
            "no page was scored by two judges",
            hint="give one line per page and judge, with the same serp_id and another `judge`",
        )
    judges = sorted({name for page in several for name in _names(page)})
    rng = rng or np.random.default_rng(0)
    sets = [("all", several)]
    categories = sorted({page.category for page in several})
    if len(categories) > 1:
        sets += [(name, [page for page in several if page.category == name]) for name in categories]
    found = []
    for name, some in sets:
        found.append(_of_set(name, some, judges, rng, n_resamples))
        if advance is not None:
            advance(1)
    return found


def kappa(x: F64, y: F64) -> float:
    """Quadratic weighted kappa of two judges' scores, on any numeric scale; NaN where neither varies."""
    expected = np.mean(x**2) + np.mean(y**2) - 2.0 * np.mean(x) * np.mean(y)
    return float(1.0 - np.mean((x - y) ** 2) / expected) if expected > 0 else float("nan")


def measures_of(x: F64, y: F64) -> dict[str, float]:
    """Every measure of one pair of judges over the photos that both scored."""
    both = ~(np.isnan(x) | np.isnan(y))
    x, y = x[both], y[both]
    if not len(x):
        return dict.fromkeys(MEASURES, float("nan"))
    gap = np.abs(x - y)
    return {
        "exact": float(np.mean(gap == 0)),
        "within_one": float(np.mean(gap <= 1)),
        "kappa": kappa(x, y),
        "pearson": _pearson(x, y),
        "spearman": _pearson(stats.rankdata(x), stats.rankdata(y)),
    }


def krippendorff_alpha(scores: F64) -> float:
    """Krippendorff's alpha at interval level of scores (n_judges, n_photos), NaN where not given."""
    try:
        import krippendorff
    except ImportError as e:
        raise InputError(
            "alpha needs the krippendorff package", hint="pip install 'rank-toolkit[label]'"
        ) from e
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return float(krippendorff.alpha(scores, level_of_measurement="interval"))
    except (ValueError, ZeroDivisionError):  # fewer than two different scores
        return float("nan")


def majority_vote(scores: F64) -> F64:
    """The most frequent score of each photo, (n_photos,) of (n_judges, n_photos); ties: the median."""
    out = np.full(scores.shape[1], np.nan)
    for i, column in enumerate(scores.T):
        values, counts = np.unique(column[~np.isnan(column)], return_counts=True)
        if len(values):
            out[i] = np.median(values[counts == counts.max()])
    return out


@dataclass(frozen=True, slots=True)
class _Matrix:
    """Scores of all judges on some pages: which columns are whose page."""

    scores: F64  # (n_judges, n_photos)
    votes: F64  # (n_judges, n_photos), of the others
    page: NDArray[np.int64]  # (n_photos,)
    pairs: F64  # (n_judges, n_pages, 2): pairs ordered as the others do, and pairs


def _of_set(
    name: str, pages: Sequence[JudgedPage], judges: Sequence[str], rng: np.random.Generator, n: int
) -> Agreement:
    matrix = _matrix(pages, judges)
    starts = np.searchsorted(matrix.page, np.arange(len(pages) + 1))
    columns = [np.arange(a, b) for a, b in pairwise(starts)]
    observed = _figures(matrix, judges, np.arange(len(pages)), columns)
    drawn = [
        _figures(matrix, judges, rng.integers(0, len(pages), len(pages)), columns)
        for _ in range(n if len(pages) > 1 else 0)
    ]

    def figure(key: tuple[str, ...]) -> Figure:
        values = np.array([one[key] for one in drawn])
        values = values[~np.isnan(values)]
        low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (np.nan, np.nan)
        return Figure(observed[key], float(low), float(high))

    pairs = [f"{a} and {b}" for a, b in combinations(judges, 2)]
    return Agreement(
        name=name,
        n_pages=len(pages),
        n_photos=sum(len(page.images) for page in pages),
        between={pair: {m: figure(("between", pair, m)) for m in MEASURES} for pair in pairs},
        mean={m: figure(("mean", m)) for m in MEASURES},
        alpha=figure(("alpha",)),
        majority={judge: {m: figure(("majority", judge, m)) for m in MEASURES} for judge in judges},
        ceiling={judge: figure(("ceiling", judge)) for judge in judges},
    )


def _figures(
    matrix: _Matrix, judges: Sequence[str], drawn: NDArray[np.int64], columns: Sequence[NDArray[np.int64]]
) -> dict[tuple[str, ...], float]:
    """Every figure, over some pages."""
    at = np.concatenate([columns[page] for page in drawn])
    scores, votes = matrix.scores[:, at], matrix.votes[:, at]
    out: dict[tuple[str, ...], float] = {("alpha",): krippendorff_alpha(scores)}
    sums: dict[str, list[float]] = {m: [] for m in MEASURES}
    for (i, a), (j, b) in combinations(enumerate(judges), 2):
        for measure, value in measures_of(scores[i], scores[j]).items():
            out["between", f"{a} and {b}", measure] = value
            sums[measure].append(value)
    for measure, values in sums.items():
        known = [value for value in values if not math.isnan(value)]
        out["mean", measure] = float(np.mean(known)) if known else float("nan")
    for i, judge in enumerate(judges):
        for measure, value in measures_of(scores[i], votes[i]).items():
            out["majority", judge, measure] = value
        right, total = matrix.pairs[i, drawn].sum(axis=0)
        out["ceiling", judge] = float(right / total) if total else float("nan")
    return out


def _matrix(pages: Sequence[JudgedPage], judges: Sequence[str]) -> _Matrix:
    place = {judge: i for i, judge in enumerate(judges)}
    n = sum(len(page.images) for page in pages)
    scores, votes = np.full((len(judges), n), np.nan), np.full((len(judges), n), np.nan)
    pairs = np.zeros((len(judges), len(pages), 2))
    owner = np.empty(n, dtype=np.int64)
    start = 0
    for number, page in enumerate(pages):
        span = slice(start, start + len(page.images))
        start = span.stop
        owner[span] = number
        for row, judge in enumerate(_names(page)):
            scores[place[judge], span] = page.scores[row]
        for judge in _names(page):
            i = place[judge]
            others = np.delete(scores[:, span], i, axis=0)
            given = others[~np.isnan(others).all(axis=1)]
            votes[i, span] = majority_vote(given)
            mine, theirs = scores[i, span], given.mean(axis=0)
            both = ~(np.isnan(mine) | np.isnan(theirs))
            pairs[i, number] = pair_counts(theirs[both], mine[both])
    return _Matrix(scores, votes, owner, pairs)


def _names(page: JudgedPage) -> list[str]:
    """Judges of a page; the first who gives no name is "judge 1", and so on."""
    names, nameless = [], 0
    for judge in page.judges:
        nameless += judge == NAMELESS
        names.append(f"judge {nameless}" if judge == NAMELESS else judge)
    return names


def _pearson(x: F64, y: F64) -> float:
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def _no_nan(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _no_nan(value) for key, value in data.items()}
    return None if isinstance(data, float) and math.isnan(data) else data


__all__ = [
    "MEASURES",
    "Agreement",
    "Figure",
    "agreement",
    "kappa",
    "krippendorff_alpha",
    "majority_vote",
    "measures_of",
]
