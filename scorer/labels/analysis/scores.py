"""Do clicked photos score higher? Scores of clicked and not clicked photos of the same pages.

Scores are stretched to [0, 1] on each page (worst 0, best 1), as in the Image Score paper, section 3.1.3,
whose figures stand beside ours: medians 0.6 and 0.5, means 0.5428 and 0.4751, KS p 8.4e-09.

    KS             two-sample Kolmogorov-Smirnov: the largest gap between the distributions
    Mann-Whitney   U, and its effect: P(clicked > not) with ties half, and rank-biserial = 2 P - 1
    within pages   the same P within pages only, mean over all pairs of a page's clicked photo with another

The two tests take photos as independent, as the paper does. Intervals do not: they are 95 % bootstrap
intervals over pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ranking.errors import InputError
from scorer.labels.page import JudgedPage
from scorer.training.measures import pair_counts

F64 = NDArray[np.float64]
PAPER = {"median": (0.6, 0.5), "mean": (0.5428, 0.4751), "ks_p": 8.367e-9}  # clicked, not clicked
SMALL, MEDIUM, LARGE = 0.11, 0.28, 0.43  # rank-biserial; Vargha and Delaney 2000


@dataclass(frozen=True, slots=True)
class Range:
    """A figure with its 95 % interval over pages."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True, slots=True)
class ScoreAnalysis:
    """Clicked against not clicked."""

    n_pages: int
    n_clicked: int
    n_not_clicked: int
    left_out: dict[str, int]  # pages, by why
    simulated: bool
    median_clicked: float
    median_not_clicked: float
    mean_clicked: float
    mean_not_clicked: float
    mean_difference: Range
    ks: float
    ks_p: float
    mann_whitney_u: float
    mann_whitney_p: float
    superiority: Range  # P(clicked > not clicked), ties half, over all photos
    rank_biserial: float
    within_pages: Range  # the same within pages
    clicked: F64  # normalised scores
    not_clicked: F64

    @property
    def effect(self) -> str:
        """The size of the rank-biserial in a word."""
        size = abs(self.rank_biserial)
        steps = ((LARGE, "large"), (MEDIUM, "medium"), (SMALL, "small"))
        return next((word for bound, word in steps if size >= bound), "negligible")

    @property
    def verdict(self) -> str:
        """In one sentence."""
        low, high = self.within_pages.low, self.within_pages.high
        if low > 0.5:
            says = "Clicked photos score higher than their neighbours"
        elif high < 0.5:
            says = "Clicked photos score lower than their neighbours"
        else:
            says = "No difference between clicked photos and their neighbours is shown"
        share = f"{100 * self.within_pages.value:.1f} % of pairs ({100 * low:.1f} to {100 * high:.1f})"
        return f"{says}: the clicked one is the better one in {share}."

    def to_dict(self) -> dict[str, Any]:
        """For JSON, without the scores themselves."""
        data = asdict(self)
        del data["clicked"], data["not_clicked"]
        return {**data, "effect": self.effect, "verdict": self.verdict}


def analyze_scores(
    pages: Sequence[JudgedPage],
    *,
    rng: np.random.Generator | None = None,
    n_resamples: int = 2000,
    advance: Callable[[int], object] = lambda _: None,
) -> ScoreAnalysis:
    """Compare clicked and not clicked photos of pages that have one clicked photo and more than one score.

    Args:
        pages: labels, with their clicks.
        rng: where the resamples come from; a fixed seed without it.
        n_resamples: pages are drawn with replacement this many times.
        advance: told for each resample.

    Raises:
        InputError: there is no such page.
    """
    left_out = {"no click": 0, "all scores equal": 0, "clicked photo unscored": 0}
    used: list[tuple[float, F64]] = []  # per page: score of the clicked photo, of the others
    simulated = False
    for page in pages:
        if page.clicked is None:
            left_out["no click"] += 1
            continue
        scores = page.normalised
        if np.isnan(scores).all():
            left_out["all scores equal"] += 1
        elif np.isnan(scores[page.clicked]):
            left_out["clicked photo unscored"] += 1
        else:
            others = np.delete(scores, page.clicked)
            used.append((float(scores[page.clicked]), others[~np.isnan(others)]))
            simulated |= page.simulated
    if not used:
        why = ", ".join(f"{n} with {reason}" for reason, n in left_out.items() if n)
        raise InputError(
            f"no page has a clicked photo to compare ({why})",
            hint="label pages of `rank-cli scorer serps`: their lines say which photo was clicked",
        )
    clicked = np.array([one for one, _ in used])
    rest = np.concatenate([others for _, others in used])
    ks, mw = stats.ks_2samp(clicked, rest), stats.mannwhitneyu(clicked, rest, alternative="two-sided")
    superiority = float(mw.statistic) / (len(clicked) * len(rest))
    rng = rng or np.random.default_rng(0)

    def draws() -> Iterator[NDArray[np.int64]]:
        for _ in range(n_resamples):
            yield rng.integers(0, len(used), len(used))
            advance(1)

    ranges = _ranges(used, clicked, rest, draws())
    return ScoreAnalysis(
        n_pages=len(used),
        n_clicked=len(clicked),
        n_not_clicked=len(rest),
        left_out={reason: n for reason, n in left_out.items() if n},
        simulated=simulated,
        median_clicked=float(np.median(clicked)),
        median_not_clicked=float(np.median(rest)),
        mean_clicked=float(clicked.mean()),
        mean_not_clicked=float(rest.mean()),
        mean_difference=ranges[0],
        ks=float(ks.statistic),
        ks_p=float(ks.pvalue),
        mann_whitney_u=float(mw.statistic),
        mann_whitney_p=float(mw.pvalue),
        superiority=ranges[1],
        rank_biserial=2.0 * superiority - 1.0,
        within_pages=ranges[2],
        clicked=clicked,
        not_clicked=rest,
    )


def _wins(one: float, others: F64) -> tuple[float, int]:
    """Pairs that the clicked photo wins (ties half), and pairs."""
    scores = np.concatenate([[one], others])
    clicked_first = np.concatenate([[1.0], np.zeros(len(others))])
    return pair_counts(clicked_first, scores)


def _ranges(
    used: Sequence[tuple[float, F64]], clicked: F64, rest: F64, draws: Iterator[NDArray[np.int64]]
) -> list[Range]:
    """Difference of means, superiority, and the same within pages, each with its interval."""
    owner = np.repeat(np.arange(len(used)), [len(others) for _, others in used])
    levels, place = np.unique(np.concatenate([clicked, rest]), return_inverse=True)
    place_clicked, place_rest = place[: len(clicked)], place[len(clicked) :]
    wins = np.array([_wins(one, others) for one, others in used], dtype=np.float64)

    def figures(weight: F64) -> tuple[float, float, float]:
        """With each page counted so often."""
        at_clicked = np.bincount(place_clicked, weights=weight, minlength=len(levels))
        at_rest = np.bincount(place_rest, weights=weight[owner], minlength=len(levels))
        below = np.cumsum(at_rest) - at_rest
        n_clicked, n_rest = at_clicked.sum(), at_rest.sum()
        right, pairs = weight @ wins
        return (
            float(at_clicked @ levels / n_clicked - at_rest @ levels / n_rest),
            float(at_clicked @ (below + 0.5 * at_rest) / (n_clicked * n_rest)),
            float(right / pairs),
        )

    values = figures(np.ones(len(used)))
    drawn = np.array([figures(np.bincount(at, minlength=len(used)).astype(np.float64)) for at in draws])
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0) if len(drawn) else np.full((2, 3), np.nan)
    return [Range(v, float(a), float(b)) for v, a, b in zip(values, low, high, strict=True)]


__all__ = ["LARGE", "MEDIUM", "PAPER", "SMALL", "Range", "ScoreAnalysis", "analyze_scores"]
