"""Scores of a run of searches under one formula or a hundred; parts that formulas share are computed once.

A run is small enough for its arrays to stay in a core's cache (`replay.order.CELLS`). Within it, the image
term depends on transform, rule and `missing` alone, freshness on curve and clock alone: profiles that differ
in weight or mode share both, and only the last few multiplications are done again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError
from ranking.formula import Candidates, bound, combine, factor_values, freshness_factor, image_term
from ranking.profile import Profile
from replay.log import CaptureLog

I64 = NDArray[np.int64]
F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Formulas:
    """Which formula each search has under each of several profiles.

    Searches fall into classes (platforms, say) in which every profile has one formula.
    """

    of: list[list[Profile]]  # by profile, then class
    classes: I64  # (n_searches,): the class of each search; -1 where there is no formula

    @property
    def fields(self) -> set[str]:
        """The fields that factors read."""
        return {name for forms in self.of for form in forms for name in form.factor_fields}

    @property
    def reads_ai(self) -> bool:
        """Whether any formula looks at the AI probability."""
        return any(form.image.ai_generated is not None for forms in self.of for form in forms)


def formulas(log: CaptureLog, profiles: Sequence[Profile]) -> Formulas:
    """The formulas of profiles on the platforms of a log.

    Raises:
        InputError: a factor reads a field that was not captured.
    """
    by_platform: list[list[Profile]] = []
    classes = np.empty(len(log), dtype=np.int64)
    for platform, searches in log.groups("platform"):
        forms = [profile.for_platform(platform) for profile in profiles]
        same = [i for i, other in enumerate(by_platform) if _same(other, forms)]
        classes[searches] = same[0] if same else len(by_platform)
        if not same:
            by_platform.append(forms)
    found = Formulas([list(forms) for forms in zip(*by_platform, strict=True)], classes)
    lacking = sorted(found.fields - log.docs.columns.keys())
    if lacking:
        names = {
            form.name for forms in found.of for form in forms if form.factor_fields.keys() & set(lacking)
        }
        raise InputError(
            f"profile {', '.join(sorted(names))} reads {', '.join(lacking)}, which the log does not hold",
            hint="capture with a profile that reads it: a factor of weight 1 changes no score",
        )
    return found


def logged_formulas(log: CaptureLog) -> Formulas:
    """The formula that served each search, where the log holds it."""
    forms: list[Profile] = []
    classes = np.full(len(log), -1, dtype=np.int64)
    for profile_hash, searches in log.groups("profile_hash"):
        profile = log.profiles.get(profile_hash)
        if profile is not None:
            classes[searches] = len(forms)
            forms.append(profile)
    return Formulas([forms], classes)


def limits(found: Formulas, profile: int, rel_floor: F32) -> F32:
    """What a document outside each capture can score at most under a profile, (n_searches,).

    Minus infinity where the capture holds every match, so that whatever scores above it is proven.
    """
    limit = np.full(len(rel_floor), -np.inf, dtype=np.float32)
    for i, form in enumerate(found.of[profile]):
        mine = (found.classes == i) & ~np.isnan(rel_floor)
        limit[mine] = bound(form, rel_floor[mine])
    return limit


@dataclass(slots=True)
class _Class:
    """The candidates of one class in a run, and the parts of formulas that were computed on them."""

    at: Any  # their positions in the run, or everything
    docs: Candidates
    rel: NDArray[np.float64]
    clock: I64
    parts: dict[Hashable, Any] = field(default_factory=dict)

    def part(self, key: Hashable, make: Callable[[], Any]) -> Any:
        if key not in self.parts:
            self.parts[key] = make()
        return self.parts[key]


class Run:
    """Consecutive searches of a log, ready to be scored."""

    def __init__(self, log: CaptureLog, found: Formulas, clock: I64, start: int, stop: int) -> None:
        """Take the searches from `start` up to `stop`; `clock` is the epoch ms of every search of the log."""
        self.searches = slice(start, stop)
        self.offsets: I64 = log.offsets[start : stop + 1]
        self.sizes: I64 = np.diff(self.offsets)
        self.candidates = slice(int(self.offsets[0]), int(self.offsets[-1]))
        self.clock: I64 = np.repeat(clock[start:stop], self.sizes)
        created = log.docs.created_ms[self.candidates]
        eligible: NDArray[np.bool_] = ~(created > self.clock)
        self.eligible: NDArray[np.bool_] | None = None if eligible.all() else eligible  # None: all are
        self._log = log
        self._classes: dict[int, _Class] = {}
        classes = found.classes[start:stop]
        present = np.unique(classes)
        of_each = None if len(present) == 1 else np.repeat(classes, self.sizes)
        for i in present[present >= 0]:
            at: Any = slice(None) if of_each is None else np.flatnonzero(of_each == i)
            chosen = self.candidates if of_each is None else at + self.candidates.start
            docs = _docs(log, chosen, found)
            self._classes[int(i)] = _Class(at, docs, docs.rel.astype(np.float64), self.clock[at])
        self._whole = of_each is None and bool(self._classes)

    def __len__(self) -> int:
        return self.candidates.stop - self.candidates.start

    def keep(self, present: NDArray[np.bool_]) -> None:
        """Make the candidates ineligible that are not present, (n,)."""
        eligible = present if self.eligible is None else self.eligible & present
        self.eligible = None if eligible.all() else eligible

    def codes(self, positions: I64) -> I64:
        """Places in keyword order of the item ids at positions of the run, comparable with each other."""
        return self._log.codes_at(positions + self.candidates.start)

    def scores(self, forms: Sequence[Profile]) -> F32:
        """The final score of each candidate, NaN where its search has no formula.

        Args:
            forms: the formula of each class.
        """
        if self._whole:
            ((i, only),) = self._classes.items()
            return _final(only, forms[i])
        scores = np.full(len(self), np.nan, dtype=np.float32)
        for i, one in self._classes.items():
            scores[one.at] = _final(one, forms[i])
        return scores


def _final(one: _Class, form: Profile) -> F32:
    nested = form.execution == "function_score"
    boost = form.image
    image = one.part((boost.missing, boost.transform, boost.ai_generated), lambda: image_term(form, one.docs))
    fresh = one.part((form.freshness, nested), lambda: freshness_factor(form, one.docs, one.clock))
    factors = ()
    if form.factors:
        key = (nested, *(factor.model_dump_json() for factor in form.factors))
        factors = one.part(key, lambda: factor_values(form, one.docs))
    return combine(form, one.rel, image, fresh, factors)[1]


def _docs(log: CaptureLog, chosen: slice | I64, found: Formulas) -> Candidates:
    """What the formulas read of some candidates, and nothing else."""
    docs = log.docs
    ai_prob = log.ai_prob if found.reads_ai else None
    return Candidates(
        docs.rel[chosen],
        docs.image_score[chosen],
        docs.created_ms[chosen],
        None if ai_prob is None else ai_prob[chosen],
        {name: docs.columns[name][chosen] for name in found.fields},
    )


def _same(a: Sequence[Profile], b: Sequence[Profile]) -> bool:
    parts = ("image", "freshness", "factors", "execution")
    return all(
        getattr(one, part) == getattr(other, part) for one, other in zip(a, b, strict=True) for part in parts
    )
