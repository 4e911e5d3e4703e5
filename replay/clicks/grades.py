"""Grades from clicks: one value per query and item, shrunk towards the mean, on the scale of the judgments.

Every model gives clicks (or satisfied clicks) and expected examinations of a pair; the value is the posterior
mean of a Gamma-Poisson model, (clicks + prior * mean) / (examined + prior), and

    grade = MAX_GRADE * min(1, value / reference), reference = 99th percentile of the values kept

so a pair needs examinations, not luck, to get a high grade. For `coec`, expected clicks take the place of
examinations and the mean is near 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError
from replay.clicks.cascade import fit_cascade
from replay.clicks.coec import fit_coec
from replay.clicks.dbn import fit_dbn
from replay.clicks.exam_probs import ExamProb, exam_probs
from replay.clicks.examination import by_pair, fit_examination
from replay.clicks.pages import Pages
from replay.clicks.position_based import Cells, fit_position_based

F64 = NDArray[np.float64]
Model = Literal["pbm", "pbm-em", "cascade", "dbn", "coec"]
MODELS: tuple[Model, ...] = ("pbm", "pbm-em", "cascade", "dbn", "coec")
MAX_GRADE = 4.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one model makes of the clicks, all platforms together."""

    clicks: F64  # (n_pairs,): clicks that count; satisfied ones for dbn
    examined: F64  # (n_pairs,): expected examinations; expected clicks for coec
    exam: list[ExamProb]  # pbm: by platform and rank
    facts: dict[str, float]  # of the fit, such as continue_prob by platform


@dataclass(frozen=True, slots=True)
class ClickGrades:
    """Grades of the pairs that were examined often enough."""

    source: str  # such as `simulated-clicks-pbm`
    rows: list[tuple[str, str, float]]  # query, item_id, grade
    value: F64  # (n_rows,): attraction (coec: clicks over expected), shrunk
    error: F64  # (n_rows,): its posterior standard deviation
    reference: float  # the value that gets MAX_GRADE
    left_out: int  # pairs examined too seldom
    evidence: Evidence


def gather(
    pages: Pages,
    model: Model,
    rng: np.random.Generator,
    *,
    n_resamples: int = 200,
    advance: Callable[[int], object] = lambda _n: None,
) -> Evidence:
    """Fit a model to each platform's pages and add up.

    Args:
        pages: the served pages.
        model: one of `MODELS`.
        rng: source of chance for the intervals of examination.
        n_resamples: bootstrap resamples for these.
        advance: told of each refit.
    """
    clicks, examined = np.zeros(len(pages.pairs)), np.zeros(len(pages.pairs))
    exam: list[ExamProb] = []
    facts: dict[str, float] = {}
    for platform in pages.platforms():
        mine = pages.where(pages.platform == platform)
        if model in ("pbm", "pbm-em"):
            cells, fitted, rows = exam_probs(
                mine,
                platform,
                rng,
                fit=fit_examination if model == "pbm" else _by_em,
                n_resamples=n_resamples,
                advance=advance,
            )
            exam += rows
            found = by_pair(cells, fitted)
        elif model == "cascade":
            cascade = fit_cascade(mine)
            facts[f"{platform} later_clicks"] = cascade.later_clicks
            found = cascade.clicks, cascade.examined
        elif model == "dbn":
            dbn = fit_dbn(mine)
            facts[f"{platform} continue_prob"] = dbn.continue_prob
            found = dbn.satisfied, dbn.examined
        elif model == "coec":
            coec = fit_coec(mine)
            found = coec.clicks, coec.expected
        else:
            raise InputError(f"no click model {model!r}", hint=f"one of {', '.join(MODELS)}")
        clicks += found[0]
        examined += found[1]
    return Evidence(clicks, examined, exam, facts)


def grades_from_clicks(
    pages: Pages,
    model: Model,
    rng: np.random.Generator,
    *,
    min_examined: float = 10.0,
    prior: float = 10.0,
    rounded: bool = False,
    n_resamples: int = 200,
    advance: Callable[[int], object] = lambda _n: None,
) -> ClickGrades:
    """Grade every pair of query and item that was examined often enough.

    Args:
        pages: the served pages.
        model: one of `MODELS`.
        rng: source of chance for the intervals of examination.
        min_examined: expected examinations that a grade needs (expected clicks for coec).
        prior: weight of the mean, in the same unit.
        rounded: whole grades, for measures that need them (half up).
        n_resamples: bootstrap resamples for the intervals of examination.
        advance: told of each refit.

    Raises:
        InputError: no pair was examined often enough, or nothing was clicked.
    """
    evidence = gather(pages, model, rng, n_resamples=n_resamples, advance=advance)
    total = float(evidence.examined.sum())
    mean = float(evidence.clicks.sum()) / total if total > 0 else 0.0
    if mean == 0.0:
        raise InputError("no click is on a shown item: there is nothing to learn from")
    kept = np.flatnonzero(evidence.examined >= min_examined)
    if not len(kept):
        raise InputError(
            f"no query and item were examined {min_examined:g} times",
            hint=f"the most is {evidence.examined.max():.1f}: log longer, or lower --min-examined",
        )
    posterior = evidence.clicks[kept] + prior * mean, evidence.examined[kept] + prior
    value, error = posterior[0] / posterior[1], np.sqrt(posterior[0]) / posterior[1]
    reference = float(np.quantile(value, 0.99))
    grade = MAX_GRADE * np.minimum(1.0, value / reference)
    if rounded:
        grade = np.floor(grade + 0.5)
    source = f"{'simulated-' if pages.simulated else ''}clicks-{model}"
    rows = [(*pages.pairs[j], float(g)) for j, g in zip(kept, grade, strict=True)]
    seen = int((evidence.examined > 0).sum())
    return ClickGrades(source, rows, value, error, reference, seen - len(kept), evidence)


def _by_em(cells: Cells) -> F64:
    return fit_position_based(cells, iterations=500, tolerance=1e-4).exam_prob
