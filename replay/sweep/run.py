"""A sweep: fit on the earlier searches, judge the winner on the later ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ranking.errors import InputError
from ranking.freshness import Freshness
from ranking.profile import Profile
from replay.compare import Comparison, compare_rankings
from replay.engine import rank
from replay.judgments import Judgments
from replay.log import CaptureLog
from replay.measures import Measure, freshness_under, measure
from replay.sweep.compose import compose, same_formula
from replay.sweep.constraints import Constraint
from replay.sweep.pareto import front
from replay.sweep.search import search
from replay.sweep.space import Point, Space, candidate
from replay.sweep.split import split_by_time
from replay.sweep.trial import Bench, Trial

ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a winner is."""

    objective: Measure
    against: Measure  # the other axis of the Pareto front
    constraints: tuple[Constraint, ...] = ()
    k: int = 10

    def __post_init__(self) -> None:
        for one in (self.objective, self.against):
            if one.better == "neither":
                raise InputError(
                    f"{one.name} is better neither higher nor lower, so it is no goal",
                    hint=f"make it a constraint, such as '{one.name} not lower'",
                )

    def measures(self, baseline: Profile) -> list[Measure]:
        """Everything that is measured, once; freshness under the baseline's curve for every candidate."""
        chosen = (self.objective, self.against, *(one.measure for one in self.constraints))
        by_name: dict[str, Measure] = {}
        for one in chosen:
            plain = one.family == "freshness" and not one.params
            curve = baseline.freshness
            by_name[one.name] = (
                freshness_under(curve, one.cutoff) if plain and isinstance(curve, Freshness) else one
            )
        return list(by_name.values())


@dataclass(frozen=True, slots=True)
class Scope:
    """The candidates of all searches, or of one platform's."""

    name: str  # all, or a platform
    searches: int
    trials: list[Trial]
    on_front: list[bool]  # of the Pareto front of candidates that keep the constraints
    winner: Trial | None  # None: nothing that keeps the constraints is better than the baseline
    left_out: int  # points whose values make no valid profile


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a sweep tried, what won, and how the winner does on searches that it was not fitted to."""

    goal: Goal
    baseline: Profile
    winner: Profile  # the baseline's formula under another name where nothing won
    scopes: list[Scope]
    fitted: int  # searches
    held_out_from_ms: int
    comparison: Comparison  # baseline against winner on the held-out searches

    @property
    def found(self) -> bool:
        """Whether anything beats the baseline on the fitted searches."""
        return any(scope.winner is not None for scope in self.scopes)

    @property
    def kept(self) -> dict[str, bool]:
        """By constraint, whether the winner keeps it on the held-out searches."""
        rows = [(one, self.comparison.difference(one.measure.name)) for one in self.goal.constraints]
        return {str(one): one.holds(row.contender, row.baseline) for one, row in rows}

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        n = len(self.comparison.entered)
        return {
            "baseline": self.baseline.name,
            "winner": self.winner.model_dump(mode="json", exclude_defaults=True),
            "found": self.found,
            "objective": self.goal.objective.name,
            "against": self.goal.against.name,
            "constraints": [str(one) for one in self.goal.constraints],
            "searches_fitted": self.fitted,
            "searches_held_out": n,
            "held_out_from_ms": self.held_out_from_ms,
            "held_out_proven_share": self.comparison.proven / n if n else None,
            "held_out_constraints_kept": self.kept,
            "held_out": self.comparison.as_dict(),
            "scopes": [
                {
                    "scope": scope.name,
                    "searches": scope.searches,
                    "left_out": scope.left_out,
                    "winner": None if scope.winner is None else dict(scope.winner.point),
                    "trials": [
                        _trial_dict(trial, on_front)
                        for trial, on_front in zip(scope.trials, scope.on_front, strict=True)
                    ],
                }
                for scope in self.scopes
            ],
        }


def sweep(
    log: CaptureLog,
    baseline: Profile,
    space: Space,
    goal: Goal,
    judgments: Judgments | None,
    *,
    per_platform: bool = False,
    hold_out: float = 0.3,
    trials: int | None = None,
    seed: int = 20240927,
    storage: Path | None = None,
    name: str | None = None,
    advance: Callable[[int], object] = lambda _n: None,
) -> Sweep:
    """Try candidates on the earlier searches and judge the best on the later ones.

    Args:
        log: the captured searches.
        baseline: what to beat, and what is not swept.
        space: what may change.
        goal: what a winner is.
        judgments: where a measure needs them.
        per_platform: a winner for each platform; otherwise one point for all of them.
        hold_out: share of the searches, the latest, that candidates are not fitted to.
        trials: points of a search, per platform; None for the whole grid.
        seed: of the search.
        storage: file that keeps the trials of a search.
        name: of the winning profile.
        advance: told 1 after each candidate.

    Raises:
        InputError: the log lacks what is asked for, or cannot be split.
    """
    split = split_by_time(log, hold_out)
    scopes: list[Scope] = []
    top = baseline
    by_platform: dict[str, Profile] = {p: baseline.for_platform(p) for p in baseline.platforms}
    for scope, part in _scopes(split.fit, per_platform):
        platform = None if scope in (ALL, OTHER) else scope
        own = baseline if scope == ALL else baseline.for_platform(platform)

        def make(point: Point, own: Profile = own, everywhere: bool = scope == ALL) -> Profile | None:
            return _everywhere(baseline, point) if everywhere else candidate(own, point)

        bench = Bench(part, own, goal.measures(own), judgments, goal.k)
        found = _scope(
            bench, scope, space, make, goal, trials=trials, seed=seed, storage=storage, advance=advance
        )
        scopes.append(found)
        if found.winner is None:
            continue
        won = found.winner.profile
        if scope == ALL:
            top = won.for_platform(None)
            by_platform = {p: won.for_platform(p) for p in baseline.platforms}
        elif platform is None:
            top = won
        else:
            by_platform[platform] = won
    top = top.model_copy(update={"platforms": {}})
    winner = compose(
        name or f"{baseline.name}-swept",
        top,
        by_platform,
        f"{baseline.name}, swept for {goal.objective.name}",
    )
    comparison = compare_rankings(
        split.held_out,
        rank(split.held_out, baseline),
        rank(split.held_out, winner),
        judgments,
        k=goal.k,
        chosen=goal.measures(baseline),
    )
    return Sweep(goal, baseline, winner, scopes, len(split.fit), split.at_ms, comparison)


OTHER = "no platform"


def _scopes(log: CaptureLog, per_platform: bool) -> Iterator[tuple[str, CaptureLog]]:
    if not per_platform:
        yield ALL, log
        return
    for platform, searches in log.groups("platform"):
        yield platform or OTHER, log.pick(searches)


def _scope(
    bench: Bench,
    name: str,
    space: Space,
    make: Callable[[Point], Profile | None],
    goal: Goal,
    *,
    trials: int | None,
    seed: int,
    storage: Path | None,
    advance: Callable[[int], object],
) -> Scope:
    objective = goal.objective.name
    higher = goal.objective.better == "higher"
    if trials is None:
        points = [(point, make(point)) for point in space.grid()]
        valid = [(point, profile) for point, profile in points if profile is not None]
        left_out = len(points) - len(valid)
        tried = list(bench.try_all(iter(_distinct(valid)), goal.constraints, advance))
    else:
        tried = search(
            bench,
            space,
            make,
            objective=objective,
            higher=higher,
            constraints=goal.constraints,
            trials=trials,
            seed=seed,
            storage=storage,
            scope=name,
            advance=advance,
        )
        left_out = 0
    if not tried:
        raise InputError("no point of the space makes a valid profile", hint="look at weights and modes")
    axes = [
        np.array([trial.means[one.name].gain for trial in tried]) * (1.0 if one.better == "higher" else -1.0)
        for one in (goal.objective, goal.against)
    ]
    feasible = [trial.feasible for trial in tried]
    gains = np.where(feasible, axes[0], -np.inf)
    best = int(np.argmax(np.nan_to_num(gains, nan=-np.inf)))
    return Scope(
        name=name,
        searches=len(bench.log),
        trials=tried,
        on_front=front(np.where(feasible, axes[0], np.nan), axes[1]).tolist(),
        winner=tried[best] if gains[best] > 0 else None,
        left_out=left_out,
    )


def _distinct(valid: Sequence[tuple[Point, Profile]]) -> Iterator[tuple[Point, Profile]]:
    """Points without those that score as an earlier one does: no mode, any weight."""
    seen: set[str] = set()
    for point, profile in valid:
        if profile.hash not in seen:
            seen.add(profile.hash)
            yield point, profile


def _everywhere(baseline: Profile, point: Point) -> Profile | None:
    """The baseline with the point's values on every platform; what it overrides besides stays."""
    top = candidate(baseline, point)
    forms: dict[str, Profile | None]
    forms = {platform: candidate(baseline.for_platform(platform), point) for platform in baseline.platforms}
    given: dict[str, Profile] = {platform: form for platform, form in forms.items() if form is not None}
    if top is None or len(given) < len(forms):
        return None
    if all(same_formula(form, top) for form in given.values()):
        return top
    return compose(top.name, top, given, top.description)


def _trial_dict(trial: Trial, on_front: bool) -> dict[str, Any]:
    return {
        "point": dict(trial.point),
        "summary": trial.profile.summary,
        "measures": {
            name: {"mean": mean.value, "baseline": mean.baseline, "n": mean.n}
            for name, mean in trial.means.items()
        },
        "proven_share": trial.proven / trial.searches,
        "feasible": trial.feasible,
        "broken": list(trial.broken),
        "on_front": on_front,
    }


def default_against(objective: Measure, k: int) -> Measure:
    """The other axis where none is asked for."""
    return measure(f"age@{k}" if objective.family == "image_score" else f"image_score@{k}")
