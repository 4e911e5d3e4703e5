"""A search through a space with Optuna: the tree-structured Parzen estimator, constraints included.

Source: Bergstra et al., "Algorithms for hyper-parameter optimization", 2011; the sampler is Optuna's
`TPESampler`, which ranks points that break a constraint behind all that keep them. Points are drawn some at a
time, so that they share the work that they have in common.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ranking.errors import InputError
from ranking.profile import Profile
from replay.sweep.constraints import Constraint
from replay.sweep.space import Point, Range, Space
from replay.sweep.trial import Bench, Trial

if TYPE_CHECKING:
    import optuna

_TOGETHER = 8
Make = Callable[[Point], Profile | None]


def search(
    bench: Bench,
    space: Space,
    make: Make,
    *,
    objective: str,
    higher: bool,
    constraints: Sequence[Constraint],
    trials: int,
    seed: int,
    storage: Path | None = None,
    scope: str = "all",
    advance: Callable[[int], object] = lambda _n: None,
) -> list[Trial]:
    """Try points where good ones are likely.

    Args:
        bench: measures candidates.
        space: what they may be.
        make: the candidate of a point; None where there is none.
        objective: name of the measure whose mean counts.
        higher: whether more of it is better.
        constraints: what a winner must keep.
        trials: points to draw.
        seed: of the sampler.
        storage: file in which trials are kept; a search that finds some there goes on from them.
        scope: names the study in the file.
        advance: told 1 after each trial.

    Returns:
        every trial, those of earlier runs first.

    Raises:
        InputError: Optuna is not installed, or the file holds a search for something else.
    """
    try:
        import optuna
    except ImportError as e:
        raise InputError("a search needs Optuna", hint="pip install 'rank-toolkit[sweep]'") from e
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    kept = None
    if storage is not None:
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        storage.parent.mkdir(parents=True, exist_ok=True)
        kept = JournalStorage(JournalFileBackend(str(storage)))
    study = optuna.create_study(
        storage=kept,
        study_name=scope,
        load_if_exists=True,
        direction="maximize" if higher else "minimize",
    )
    _check_same(study, bench, space, objective=objective, constraints=constraints, storage=storage)
    earlier = [_point(trial.params, space) for trial in study.trials if trial.values is not None]
    study.sampler = optuna.samplers.TPESampler(
        seed=seed + len(study.trials),
        n_startup_trials=min(24, max(4, trials // 4)),
    )
    again = [(point, profile) for point in earlier if (profile := make(point)) is not None]
    found = list(bench.try_all(iter(again), constraints))
    distributions, failed = _distributions(space), optuna.trial.TrialState.FAIL
    for start in range(0, trials, _TOGETHER):
        asked = [study.ask(distributions) for _ in range(min(_TOGETHER, trials - start))]
        points = [_point(one.params, space) for one in asked]
        made = [make(point) for point in points]
        valid = [i for i, profile in enumerate(made) if profile is not None]
        tried = bench.try_all(((points[i], p) for i in valid if (p := made[i]) is not None), constraints)
        for i, trial in zip(valid, tried, strict=True):
            for one in constraints:
                mean = trial.means[one.measure.name]
                asked[i].set_constraint(str(one), min(one.excess(mean.value, mean.baseline), 1e300))
            value = trial.means[objective].value
            if math.isnan(value):
                study.tell(asked[i], state=failed)
            else:
                study.tell(asked[i], value)
            found.append(trial)
        for i in set(range(len(asked))) - set(valid):
            study.tell(asked[i], state=failed)
        advance(len(asked))
    return found


def _distributions(space: Space) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    return {
        key: FloatDistribution(one.low, one.high, log=one.log, step=one.step)
        if isinstance(one, Range)
        else CategoricalDistribution([json.dumps(value) for value in one])
        for key, one in space.keys.items()
    }


def _point(params: dict[str, Any], space: Space) -> Point:
    return {
        key: params[key] if isinstance(one, Range) else json.loads(params[key])
        for key, one in space.keys.items()
    }


def _check_same(
    study: optuna.Study,
    bench: Bench,
    space: Space,
    *,
    objective: str,
    constraints: Sequence[Constraint],
    storage: Path | None,
) -> None:
    """Refuse to go on from trials of another question; they would be compared with ours."""
    about = json.dumps(
        {
            "objective": objective,
            "constraints": [str(one) for one in constraints],
            "baseline": bench.baseline.hash,
            "space": {key: str(one) for key, one in space.keys.items()},
            "searches": len(bench.log),
            "candidates": bench.log.n_candidates,
        },
        sort_keys=True,
    )
    known = study.user_attrs.get("about")
    if known is not None and known != about:
        raise InputError(
            f"{storage} holds a search for something else", hint="give another --storage, or remove the file"
        )
    study.set_user_attr("about", about)
