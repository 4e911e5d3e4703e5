"""The clicks per search that a target would have earned, with intervals and with what they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError
from replay.clicks.clusters import bootstrap, cluster_sums, grouped, interval
from replay.clicks.exam_file import ExamProbs
from replay.clicks.pages import Pages
from replay.engine import Ranking
from replay.log import CaptureLog
from replay.offpolicy.estimators import Estimator, estimators
from replay.offpolicy.examined import exam_estimators
from replay.offpolicy.loggers import first_places
from replay.offpolicy.reward_model import modelled_rewards
from replay.offpolicy.slates import LoggerProbs, weigh
from replay.offpolicy.weights import WeightCheck, check_weights

F64 = NDArray[np.float64]
ALL = "all"
FEW_EFFECTIVE = 50.0
LEAST_SUPPORT = 0.95  # of the mean weight, which is 1 where the logger can show all that the target serves
HEAVY_TAIL = 0.7


@dataclass(frozen=True, slots=True)
class Estimate:
    """One estimator's answer: clicks per search among the first k."""

    name: str
    segment: str  # "all", or a platform
    searches: int
    users: int
    assumes: str
    value: float
    low: float | None  # 95 % interval, over users
    high: float | None
    lift: float  # value - what the logger earned on the same searches
    lift_low: float | None
    lift_high: float | None
    weights: WeightCheck | None
    mean_weight_low: float | None  # 95 % interval of the mean weight of the worst rank, which should be 1
    mean_weight_high: float | None
    left_out: str  # an error that the interval does not hold; "" where it holds all
    needs_support: bool  # whether the logger must be able to show what the target serves

    @property
    def unsupported(self) -> bool:
        """Whether the logger shows too little of what the target serves, or too few searches carry it."""
        if self.weights is None or not self.needs_support:
            return False
        if self.mean_weight_high is None:
            return True
        return self.weights.n_effective < FEW_EFFECTIVE or self.mean_weight_high < LEAST_SUPPORT

    @property
    def warnings(self) -> list[str]:
        """What stands against trusting it, in words."""
        found = [f"the interval leaves out {self.left_out}"] if self.left_out else []
        check = self.weights
        if check is None:
            return found
        if check.n_effective < FEW_EFFECTIVE:
            found.append(f"only {check.n_effective:.0f} effective searches")
        if self.mean_weight_high is not None and self.mean_weight_high < LEAST_SUPPORT:
            found.append(
                f"the logger cannot show about {1 - check.mean:.0%} of what the target serves (mean weight "
                f"{check.mean:.2f}, not 1)"
            )
        if check.pareto_k is not None and check.pareto_k > HEAVY_TAIL:
            found.append(f"heavy tail of weights (Pareto k {check.pareto_k:.2f})")
        return found


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Off-policy estimates of one target."""

    target: str
    logger: str
    k: int
    searches: int
    not_drawn: int  # searches that the logger left nothing to chance in: left out
    users: int
    clicks: int  # among the first k
    logged: float  # clicks per search that the logger earned
    proven: int  # searches whose target page is proven at k
    coverage: float | None  # of the examination estimators
    simulated: bool
    estimates: list[Estimate]  # over all searches, then by platform

    def of(self, segment: str = ALL) -> list[Estimate]:
        """The estimates of one segment."""
        return [row for row in self.estimates if row.segment == segment]

    @property
    def unsupported(self) -> bool:
        """Whether every estimator that rests on weights lacks support."""
        weighted = [row for row in self.of(ALL) if row.weights is not None]
        return bool(weighted) and all(row.unsupported for row in weighted)

    @property
    def warnings(self) -> dict[str, list[str]]:
        """Each warning with the estimators that it is about."""
        found: dict[str, list[str]] = {}
        for row in self.of(ALL):
            for warning in row.warnings:
                found.setdefault(warning, []).append(row.name)
        return found

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        rows = [
            asdict(row) | {"unsupported": row.unsupported, "warnings": row.warnings} for row in self.estimates
        ]
        return asdict(self) | {"estimates": rows, "unsupported": self.unsupported}

    def estimate(self, name: str, segment: str = ALL) -> Estimate:
        """One estimator's row.

        Raises:
            KeyError: no such estimator or segment here.
        """
        for row in self.of(segment):
            if row.name == name:
                return row
        raise KeyError(f"{name} in {segment}")


def evaluate(
    log: CaptureLog,
    pages: Pages,
    target: Ranking,
    rng: np.random.Generator,
    *,
    k: int = 10,
    probs: LoggerProbs | None = None,
    exam: ExamProbs | None = None,
    clip: float = 20.0,
    n_resamples: int = 1000,
) -> Evaluation:
    """Estimate what the target would have earned.

    Args:
        log: the captured searches.
        pages: the same searches with their clicks.
        target: the log ranked under the target.
        rng: source of chance, for folds and resamples.
        k: ranks that count.
        probs: of the logger, for all depths of `pages`.
        exam: examination by rank, for the examination estimators.
        clip: where clipped weights are cut off.
        n_resamples: of users, for the intervals.

    Raises:
        InputError: neither `probs` nor `exam` is given.
    """
    if probs is None and exam is None:
        raise InputError("an off-policy estimate needs the logger's probabilities or those of examination")
    k = min(k, pages.depth)
    wanted = first_places(log, target.ranks, k)
    q_target, q_shown = modelled_rewards(log, pages, wanted, rng)
    rows: list[Estimator] = []
    coverage = None
    if probs is not None:
        slates = weigh(
            pages.shown[:, :k],
            wanted,
            pages.clicks[:, :k],
            probs.first(k),
            pages.user,
            q_target=q_target,
            q_shown=q_shown[:, :k],
        )
        rows += estimators(slates, clip=clip)
    if exam is not None:
        target_rank = np.where(pages.shown >= 0, target.ranks[np.maximum(pages.shown, 0)], 0).astype(np.int64)
        table = exam.table(pages.platform, pages.depth)
        found, coverage = exam_estimators(
            pages.shown, pages.clicks, target_rank, table, k=k, q=(q_target, q_shown)
        )
        rows += found
    reward = pages.clicks[:, :k].sum(axis=1).astype(np.float64)
    drawn = np.ones(len(log), dtype=bool) if probs is None or probs.drawn is None else probs.drawn
    platforms = sorted(set(pages.platform[drawn]))
    estimates = []
    for segment in (ALL, *(platforms if len(platforms) > 1 else ())):
        there = drawn if segment == ALL else drawn & (pages.platform == segment)
        mine = [row.where(there) for row in rows]
        estimates += estimate_all(
            mine, reward[there], pages.user[there], rng, n_resamples=n_resamples, segment=segment
        )
    need = np.minimum(k, np.diff(log.offsets))
    return Evaluation(
        target=target.profile.name,
        logger=probs.kind if probs is not None else f"exam_prob of {exam.source if exam else ''}",
        k=k,
        searches=int(drawn.sum()),
        not_drawn=int((~drawn).sum()),
        users=len(np.unique(pages.user[drawn])),
        clicks=int(reward[drawn].sum()),
        logged=float(reward[drawn].mean()),
        proven=int((target.exact_k >= need)[drawn].sum()),
        coverage=coverage,
        simulated=pages.simulated or (exam is not None and exam.simulated),
        estimates=estimates,
    )


def estimate_all(
    rows: Sequence[Estimator],
    reward: F64,
    user: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    n_resamples: int = 1000,
    segment: str = ALL,
) -> list[Estimate]:
    """Values and intervals of estimators on the same searches; all see the same resamples of users.

    Args:
        rows: `estimators`.
        reward: what the logger earned, (n_searches,).
        user: cluster of each search.
        rng: source of chance.
        n_resamples: of users.
        segment: what the searches are called.
    """
    n_users = len(np.unique(user))
    cluster = grouped(user, rng)
    logged = np.column_stack([reward, np.ones(len(reward))])
    worst = [_worst_weights(row) for row in rows]
    blocks = [logged, *(np.column_stack([row.columns, w]) for row, w in zip(rows, worst, strict=True))]
    sums = cluster_sums(np.hstack(blocks), cluster)
    bounds = np.cumsum([block.shape[1] for block in blocks])

    def statistic(total: F64) -> F64:
        parts = np.split(total, bounds[:-1], axis=-1)
        earned = parts[0][..., 0] / parts[0][..., 1]
        found = []
        for row, part in zip(rows, parts[1:], strict=True):
            value = row.value(part[..., :-1])
            found += [value, value - earned, part[..., -1] / parts[0][..., 1]]
        return np.stack(found, axis=-1)

    point = statistic(sums.sum(axis=0))
    resampled = bootstrap(sums, statistic, rng, n_resamples=n_resamples) if len(sums) > 1 else None
    estimates = []
    for j, row in enumerate(rows):
        spans = [(None, None) if resampled is None else interval(resampled[:, 3 * j + i]) for i in range(3)]
        estimates.append(
            Estimate(
                name=row.name,
                segment=segment,
                searches=len(reward),
                users=n_users,
                assumes=row.assumes,
                value=float(point[3 * j]),
                low=spans[0][0],
                high=spans[0][1],
                lift=float(point[3 * j + 1]),
                lift_low=spans[1][0],
                lift_high=spans[1][1],
                weights=None if row.weights is None else check_weights(row.weights),
                mean_weight_low=spans[2][0] if row.weights is not None and row.unit_mean else None,
                mean_weight_high=spans[2][1] if row.weights is not None and row.unit_mean else None,
                left_out=row.left_out,
                needs_support=row.weights is not None and row.unit_mean,
            )
        )
    return estimates


def _worst_weights(row: Estimator) -> F64:
    """The weights of the rank with the fewest effective searches, (n_searches,); zeros without weights."""
    if row.weights is None:
        return np.zeros(len(row.columns))
    if row.weights.ndim == 1:
        return row.weights
    squares = (row.weights**2).sum(axis=0)
    effective = np.divide(
        row.weights.sum(axis=0) ** 2, squares, out=np.zeros(len(squares)), where=squares > 0
    )
    return np.asarray(row.weights[:, int(np.argmin(effective))])
