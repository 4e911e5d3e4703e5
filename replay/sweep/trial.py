"""Candidates measured against a baseline, many at once: a few multiplications a document for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError
from ranking.profile import Profile
from replay.engine import Ranking
from replay.heads import Heads, first_places, pages
from replay.judgments import Judgments
from replay.log import CaptureLog
from replay.measures import Measure
from replay.sweep.constraints import Constraint
from replay.sweep.space import Point

F64 = NDArray[np.float64]
_AT_ONCE = 32  # candidates whose pages are in memory together


@dataclass(frozen=True, slots=True)
class Mean:
    """A measure's mean over the searches where it is defined under candidate and baseline."""

    value: float
    baseline: float
    n: int

    @property
    def gain(self) -> float:
        """Candidate minus baseline."""
        return self.value - self.baseline


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate, measured."""

    point: Point
    profile: Profile
    means: Mapping[str, Mean]  # by measure
    proven: int  # searches whose first k are proven
    searches: int
    broken: tuple[str, ...] = field(default=())  # constraints that do not hold

    @property
    def feasible(self) -> bool:
        """Whether it may win."""
        return not self.broken


class Bench:
    """A log, a baseline resolved for it, and what is measured: ready to try candidates.

    Args of the constructor:
        log: searches of one platform, or of all.
        baseline: what candidates are compared with.
        measures: with a cutoff each, without repetition.
        judgments: where a measure needs them.
        k: the page whose proof is counted.
    """

    def __init__(
        self,
        log: CaptureLog,
        baseline: Profile,
        measures: Sequence[Measure],
        judgments: Judgments | None,
        k: int,
    ) -> None:
        for one in measures:
            if one.cutoff is None:
                raise InputError(f"{one.name} has no cutoff", hint=f"a sweep looks at pages: {one.name}@10")
            if one.needs_judgments and judgments is None:
                raise InputError(
                    f"{one.name} needs judgments, and there are none",
                    hint="import some, or choose another --objective, such as image_score@10",
                )
        self.log, self.baseline, self.measures, self.k = log, baseline, measures, k
        self._judgments = judgments
        self._depth = max(k, *(one.cutoff or 0 for one in measures))
        self._need = np.minimum(k, np.diff(log.offsets))
        if judgments is not None:
            judgments.grades(log)  # joined once, for every candidate
        (head,) = first_places(log, [baseline], self._depth)
        # Who is eligible, and so which places are filled, depends on the clock and not on the candidate.
        self._eligible = ~(log.docs.created_ms > log.searches["now_ms"][log.owner])
        self._order = np.lexsort((~self._eligible, log.owner))
        begins = log.offsets[:-1] - (np.cumsum(head.sizes) - head.sizes)
        self._places = np.arange(len(head.positions)) + np.repeat(begins, head.sizes)
        self._before = self.values(head)

    def values(self, head: Heads) -> dict[str, F64]:
        """Every measure of every search, by name."""
        found: dict[str, F64] = {}
        judged = [one for one in self.measures if one.needs_judgments]
        if judged:
            whole = self._whole(head)
            found |= {one.name: one.values(self.log, whole, self._judgments) for one in judged}
        if len(judged) < len(self.measures):
            small, (page,) = pages(self.log, [head])
            shown = [one for one in self.measures if not one.needs_judgments]
            found |= {one.name: one.values(small, page) for one in shown}
        return found

    def try_all(
        self,
        points: Iterator[tuple[Point, Profile]],
        constraints: Sequence[Constraint],
        advance: Callable[[int], object] = lambda _n: None,
    ) -> Iterator[Trial]:
        """Measure candidates, some at a time."""
        while chosen := list(islice(points, _AT_ONCE)):
            for (point, profile), head in zip(
                chosen, first_places(self.log, [profile for _, profile in chosen], self._depth), strict=True
            ):
                yield self._trial(point, profile, head, constraints)
                advance(1)

    def _trial(self, point: Point, profile: Profile, head: Heads, constraints: Sequence[Constraint]) -> Trial:
        means = {name: _mean(values, self._before[name]) for name, values in self.values(head).items()}
        broken = tuple(
            str(one)
            for one in constraints
            if not one.holds(means[one.measure.name].value, means[one.measure.name].baseline)
        )
        proven = int((head.exact_k >= self._need).sum())
        return Trial(point, profile, means, proven, len(self.log), broken)

    def _whole(self, head: Heads) -> Ranking:
        """A ranking of the whole log of which only the first places are right: judged measures read no more.

        They are handed the whole log because their join with the judgments is kept by log.
        """
        self._order[self._places] = head.positions
        none = np.empty(0)
        return Ranking(
            profile=head.profile,
            clock_shift_ms=head.clock_shift_ms,
            scores=none.astype(np.float32),
            eligible=self._eligible,
            order=self._order,
            ranks=none.astype(np.int32),
            exact_k=head.exact_k,
        )


def _mean(values: F64, baseline: F64) -> Mean:
    defined = ~(np.isnan(values) | np.isnan(baseline))
    n = int(defined.sum())
    if not n:
        return Mean(float("nan"), float("nan"), 0)
    return Mean(float(values[defined].mean()), float(baseline[defined].mean()), n)
