"""Which strategy serves a profile best, by how many documents match: measured on the cluster, and why.

No strategy is best everywhere: scoring every match is cheap where few match, a window where many do and the
formula lets a small one be proven. `plan_execution` runs every strategy on captured searches in interleaved
rounds and picks for each class the fastest, or of several as fast the one that is proven most often;
`PlannedTopK` serves by such a plan.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from ranking.errors import InputError
from ranking.profile import Profile
from ranking.query import Scripts
from ranking.search import Page
from ranking.topk import Certificate, Remembered, Strategy, TopK

_CLOSE = 1.1  # strategies within a tenth of the fastest count as fast
CLASSES = (10_000, 100_000)  # matches at which one class ends and the next begins
WINDOWS = (500, 1_000, 2_000, 4_000)


@dataclass(frozen=True, slots=True)
class Asked:
    """A search to measure with."""

    text: str
    now_ms: int
    filters: Mapping[str, Any]
    matches: int


@dataclass(frozen=True, slots=True)
class ClassPlan:
    """What serves the searches whose matches lie in [low, high)."""

    low: int
    high: int | None  # None: no upper end
    n: int  # searches measured
    strategy: Strategy
    ms: dict[str, float]  # median milliseconds of each strategy
    certified: dict[str, float]  # share of searches that a window proves in one pass
    why: str


@dataclass(frozen=True, slots=True)
class ExecutionPlan:
    """One profile's plan."""

    profile: str
    profile_hash: str
    k: int
    classes: tuple[ClassPlan, ...]

    def strategy(self, matches: int | None) -> Strategy:
        """The strategy for a search with so many matches.

        Where that is not known: the native query if it serves every class, which needs no count; else every
        match is scored.
        """
        if matches is not None:
            for part in self.classes:
                if part.low <= matches and (part.high is None or matches < part.high):
                    return part.strategy
        everywhere = {part.strategy for part in self.classes}
        return everywhere.pop() if everywhere == {Strategy("plugin")} else Strategy("full")

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)


def plan_execution(
    es: Elasticsearch,
    index: str,
    profile: Profile,
    searches: Sequence[Asked],
    *,
    scripts: Scripts = "constant",
    rounds: int = 5,
    per_class: int = 20,
    native: bool = True,
) -> ExecutionPlan:
    """Measure every strategy on captured searches, class by class.

    Args:
        es: the cluster.
        index: what to search.
        profile: resolved for its platform, with any execution but `function_score`.
        searches: what to ask; the first `per_class` of each class are used.
        scripts: where scripts come from.
        rounds: rounds over all strategies; the median of them counts.
        per_class: searches per class.
        native: also measure the native query, where every node runs it.

    Raises:
        InputError: no searches, or a window would not rank as the profile's execution does.
    """
    if not searches:
        raise InputError("no searches to plan with", hint="capture some with `rank-cli replay record`")
    if profile.execution == "function_score":
        raise InputError(
            f"profile {profile.name} runs as function_score, and a window ranks as a script does",
            hint="set execution: window in the profile",
        )
    server = TopK(es, index, profile, scripts=scripts)
    strategies = [Strategy("full"), *(Strategy("window", n) for n in WINDOWS)]
    if native and server.runs_natively(searches[0].text, now_ms=searches[0].now_ms):
        strategies.append(Strategy("plugin"))
    edges: list[int | None] = [0, *CLASSES, None]
    plans = []
    try:
        for low, high in pairwise(edges):
            mine = [s for s in searches if (low or 0) <= s.matches and (high is None or s.matches < high)]
            if mine:
                plans.append(_plan_class(server, mine[:per_class], strategies, rounds, low or 0, high))
    finally:
        server.point_in_time.close()
    return ExecutionPlan(profile.name, profile.hash, profile.k, tuple(plans))


def _plan_class(
    server: TopK, searches: Sequence[Asked], strategies: Sequence[Strategy], rounds: int, *ends: int | None
) -> ClassPlan:
    seconds = np.zeros((rounds, len(strategies), len(searches)))
    proven = np.zeros((len(strategies), len(searches)), dtype=bool)
    for round_ in range(rounds):
        for i, asked in enumerate(searches):
            for j, strategy in enumerate(strategies):
                began = time.perf_counter()
                _page, certificate = server.search(
                    asked.text, now_ms=asked.now_ms, filters=asked.filters, strategy=strategy
                )
                seconds[round_, j, i] = time.perf_counter() - began
                proven[j, i] = certificate.passes == 1
    ms = np.median(seconds, axis=0).mean(axis=1) * 1000
    # Of those that are about as fast, the one that is proven in one pass most often: it has the shorter tail.
    # The native query is, always, and needs no count of matches: where it is as fast, it is taken.
    native = np.array([strategy.kind == "plugin" for strategy in strategies])
    sure = np.where(ms <= ms.min() * _CLOSE, proven.mean(axis=1) + native, -1.0)
    best = int(np.lexsort((ms, -sure))[0])
    names = [str(strategy) for strategy in strategies]
    shares = {name: float(share) for name, share in zip(names, proven.mean(axis=1), strict=True)}
    low, high = ends
    return ClassPlan(
        low=low or 0,
        high=high,
        n=len(searches),
        strategy=strategies[best],
        ms={name: round(float(value), 2) for name, value in zip(names, ms, strict=True)},
        certified=shares,
        why=_why(names, ms, shares, best),
    )


def _why(names: Sequence[str], ms: Any, shares: Mapping[str, float], best: int) -> str:
    if names[best] == "plugin":
        return (
            f"the native query takes {ms[best]:.1f} ms; scoring every match takes {ms[0]:.1f} ms, the best "
            f"window {np.min(ms[1:best]):.1f} ms"
        )
    if best == 0:
        next_best = int(np.argmin(ms[1:])) + 1
        return (
            f"scoring every match takes {ms[0]:.1f} ms; the best other, {names[next_best]}, takes "
            f"{ms[next_best]:.1f} ms, proven in one pass for {shares[names[next_best]]:.0%}"
        )
    return (
        f"{names[best]} is proven in one pass for {shares[names[best]]:.0%} and takes {ms[best]:.1f} ms; "
        f"scoring every match takes {ms[0]:.1f} ms"
    )


class PlannedTopK:
    """Serves by a plan. A text is counted by the full pass that serves it first."""

    def __init__(self, server: TopK, plan: ExecutionPlan) -> None:
        self.server, self.plan = server, plan
        self._counts = Remembered()

    def search(
        self, text: str, *, now_ms: int, k: int | None = None, filters: Mapping[str, Any] | None = None
    ) -> tuple[Page, Certificate]:
        """The first k and how far they are proven.

        Raises:
            ServerError: the server refused, or some shards did not answer.
        """
        key = text if not filters else f"{text}\0{sorted(filters.items())}"
        strategy = self.plan.strategy(self._counts.get(key))
        page, certificate = self.server.search(text, now_ms=now_ms, k=k, filters=filters, strategy=strategy)
        if strategy.kind == "full" and page.total_hits is not None:
            self._counts.put(key, page.total_hits)
        return page, certificate
