"""How many searches an interleaving experiment needs, by the replay and a click model; clicks are simulated.

Both rankings of every captured search are drafted into a page and clicked by a position-based model, again
and again. With d the mean outcome (1 won, -1 lost, 0 tied) and v its variance over searches,

    searches needed = (z_{1 - alpha / 2} + z_power)^2 * v / d^2

and 2 * (...)^2 * (v_A + v_B) / (B - A)^2 in both arms together for an A/B split of clicks per search. The
model's users differ in nothing, so real users, whose searches resemble each other, need more; and a
preference that the click model does not know is not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ranking.clock import DAY_MS
from ranking.errors import InputError
from ranking.interleaving import Method, draft
from ranking.interleaving.optimized import rank_credits
from replay.engine import Ranking
from replay.interleaving.credit import balanced_credit
from replay.log import CaptureLog

F64 = NDArray[np.float64]
BASELINE, CONTENDER = "baseline", "contender"


@dataclass(frozen=True, slots=True)
class ClickModel:
    """Simulated buyers: P(click) = exam_prob[search, rank] * attract_prob[candidate]."""

    attract_prob: F64  # (n_candidates,)
    exam_prob: F64  # (n_searches, depth)
    name: str  # where it comes from


@dataclass(frozen=True, slots=True)
class Power:
    """What an experiment would need; everything here rests on simulated clicks."""

    method: str
    clicks: str  # the click model
    k: int
    searches: int  # captured searches that were simulated
    repetitions: int
    same_pages: int  # searches whose two pages are equal: they can only tie
    preference: float  # as `analysis` defines it
    low: float  # 95 % interval over searches
    high: float
    decided: float  # share of searches with a winner
    searches_needed: int | None  # None where the interval of the preference holds 0
    power: float  # asked for
    power_simulated: float | None  # share of simulated experiments of that size with p < alpha
    alpha: float
    searches_per_day: float | None  # in the log; None where it spans less than a day
    days_needed: float | None
    clicks_baseline: float  # per search, had each page been served alone
    clicks_contender: float
    ab_searches_needed: int | None  # for an A/B split of clicks per search
    simulated: bool = True

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)


def simulate_power(
    log: CaptureLog,
    baseline: Ranking,
    contender: Ranking,
    model: ClickModel,
    rng: np.random.Generator,
    *,
    method: Method = "team-draft",
    k: int = 10,
    repetitions: int = 20,
    power: float = 0.8,
    alpha: float = 0.05,
    most_searches: int = 2_000,
    advance: Callable[[int], object] = lambda _n: None,
) -> Power:
    """Simulate interleaving two rankings of a log.

    Args:
        log: the captured searches.
        baseline: one side.
        contender: the other.
        model: who clicks.
        rng: source of chance.
        method: how pages are interleaved.
        k: length of the page.
        repetitions: drafts and visits per search.
        power: wanted chance of p < alpha.
        alpha: two-sided.
        most_searches: sample no more than so many.
        advance: told of each search.

    Raises:
        InputError: the click model has fewer than k ranks.
    """
    if model.exam_prob.shape[1] < k:
        raise InputError(
            f"{model.name} knows {model.exam_prob.shape[1]} ranks, --k asks for {k}", hint="lower --k"
        )
    chosen = np.arange(len(log))
    if len(chosen) > most_searches:
        chosen = np.sort(rng.choice(chosen, most_searches, replace=False))
    outcome = np.zeros((len(chosen), repetitions), dtype=np.int8)
    alone = np.zeros((len(chosen), 2))
    variance = np.zeros((len(chosen), 2))
    same = 0
    for row, i in enumerate(chosen):
        tops = [ranking.top(log, int(i), k) for ranking in (baseline, contender)]
        for side, top in enumerate(tops):
            p = model.exam_prob[i, : len(top)] * model.attract_prob[top]
            alone[row, side], variance[row, side] = p.sum(), (p * (1 - p)).sum()
        if np.array_equal(tops[0], tops[1]):
            same += 1
        else:
            attract = dict(
                zip(log.item_id[log.span(int(i))], model.attract_prob[log.span(int(i))], strict=True)
            )
            pages = [list(log.item_id[top]) for top in tops]
            outcome[row] = _outcomes(
                pages, attract, model.exam_prob[i], method=method, k=k, repetitions=repetitions, rng=rng
            )
        advance(1)
    mean, spread = float(outcome.mean()), float(outcome.var())
    by_search = outcome.mean(axis=1)
    error = float(by_search.std(ddof=1) / np.sqrt(len(chosen))) if len(chosen) > 1 else float("nan")
    reach = float(stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power))
    shows = abs(mean) > 1.96 * error  # otherwise the number of searches would be noise
    needed = _ceil(reach**2 * spread / mean**2) if shows else None
    means = alone.mean(axis=0)
    ab_variance = variance.mean(axis=0) + alone.var(axis=0)  # within and between searches
    gap = float(means[1] - means[0])
    days = (np.ptp(log.searches["now_ms"].astype(np.int64))) / DAY_MS
    per_day = len(log) / float(days) if days >= 1 else None
    return Power(
        method=method,
        clicks=model.name,
        k=k,
        searches=len(chosen),
        repetitions=repetitions,
        same_pages=same,
        preference=mean / 2,
        low=(mean - 1.96 * error) / 2,
        high=(mean + 1.96 * error) / 2,
        decided=float((outcome != 0).mean()),
        searches_needed=needed,
        power=power,
        power_simulated=_simulated_power(outcome, needed, alpha, rng) if needed is not None else None,
        alpha=alpha,
        searches_per_day=per_day,
        days_needed=needed / per_day if needed is not None and per_day else None,
        clicks_baseline=float(means[0]),
        clicks_contender=float(means[1]),
        ab_searches_needed=_ceil(2 * reach**2 * float(ab_variance.sum()) / gap**2) if gap != 0 else None,
    )


def _outcomes(
    pages: Sequence[list[str]],
    attract: dict[str, float],
    exam: F64,
    *,
    method: Method,
    k: int,
    repetitions: int,
    rng: np.random.Generator,
) -> NDArray[np.int8]:
    rankings = {BASELINE: pages[0], CONTENDER: pages[1]}
    chance: Iterator[float] = iter(rng.random, None)
    places = [{item: r for r, item in enumerate(page, start=1)} for page in pages]
    found = np.zeros(repetitions, dtype=np.int8)
    for j in range(repetitions):
        drafted = draft(method, rankings, k, chance)
        p = exam[: len(drafted.items)] * np.array([attract[item] for item in drafted.items])
        clicks = rng.random(len(p)) < p
        if not clicks.any():
            continue
        if method == "balanced":
            below = [len(page) + 1 for page in pages]
            ranks = np.array([[places[s].get(item, below[s]) for s in (0, 1)] for item in drafted.items])
            credit = balanced_credit(ranks[None], clicks[None])[0]
            found[j] = np.sign(credit[1] - credit[0])
            continue
        side = np.array(
            [(team == CONTENDER) - (team == BASELINE) for team in drafted.teams], dtype=np.float64
        )
        if method == "optimized":
            side *= np.abs(rank_credits(pages[0], pages[1], drafted.items))
        found[j] = np.sign(side[clicks].sum())
    return found


def _simulated_power(
    outcome: NDArray[np.int8], needed: int, alpha: float, rng: np.random.Generator, experiments: int = 400
) -> float:
    """Share of experiments of the needed size, drawn from the simulated outcomes, that a z test calls."""
    shares = np.array([(outcome < 0).mean(), (outcome == 0).mean(), (outcome > 0).mean()])
    lost, _, won = rng.multinomial(needed, shares / shares.sum(), size=experiments).T
    mean = (won - lost) / needed
    variance = (won + lost) / needed - mean**2
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(variance > 0, mean / np.sqrt(variance / needed), 0.0)
    return float((2 * stats.norm.sf(np.abs(z)) < alpha).mean())


def _ceil(value: float) -> int:
    return int(np.ceil(value))
