"""Whether 95 % intervals hold the truth 95 times in 100: a simulation in which the truth is known.

Users (with their own appetite, so that searches of one user are alike) meet pages drawn by Plackett-Luce from
four items; clicks are position-based; the target serves one order per query. All of it is simulated.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replay.offpolicy import LoggerProbs, estimate_all, estimators, weigh

F64 = NDArray[np.float64]
N_QUERIES, K = 20, 4
EXAM = np.array([1.0, 0.65, 0.5, 0.4])


@dataclass(frozen=True)
class World:
    attract: F64  # (queries, items)
    pages: NDArray[np.int64]  # (pages, ranks): every order of the items
    page_prob: F64  # (queries, pages): of the logger
    step_prob: F64  # (queries, pages, ranks)
    position_prob: F64  # (queries, items, ranks)
    target: NDArray[np.int64]  # (queries, ranks)
    model: F64  # (queries, items): a wrong reward model's attraction
    truth: float  # expected clicks per search under the target


def a_world(seed: int = 0) -> World:
    rng = np.random.default_rng(seed)
    attract = rng.uniform(0.1, 0.5, (N_QUERIES, K))
    weight = np.exp(attract * 3 + rng.normal(0, 0.3, attract.shape))  # the logger knows a little
    pages = np.array(list(permutations(range(K))))
    drawn = weight[:, pages]
    step = drawn / drawn[..., ::-1].cumsum(axis=-1)[..., ::-1]
    prob = step.prod(axis=-1)
    position = np.stack(
        [[(prob * (pages[:, r] == i)).sum(axis=1) for r in range(K)] for i in range(K)]
    ).transpose(2, 0, 1)
    target = np.argsort(-(attract + rng.normal(0, 0.15, attract.shape)), axis=1)
    truth = float((np.take_along_axis(attract, target, axis=1) * EXAM).sum(axis=1).mean())
    model = np.clip(attract * 0.6 + rng.normal(0, 0.1, attract.shape), 0, 1)
    return World(attract, pages, prob, step, position, target, model, truth)


def coverage(runs: int, *, n_users: int = 400, visits: int = 4, n_resamples: int = 400) -> dict[str, Any]:
    world = a_world()
    tally: dict[str, list[tuple[float, bool]]] = {}
    for run_seed in range(runs):
        rng = np.random.default_rng([7, run_seed])
        user = np.repeat(np.arange(n_users), visits)
        query = rng.integers(0, N_QUERIES, len(user))
        appetite = rng.uniform(0.4, 1.6, n_users)[user]  # mean 1
        drawn = (world.page_prob[query].cumsum(axis=1) < rng.random(len(user))[:, None]).sum(axis=1)
        shown = world.pages[np.minimum(drawn, len(world.pages) - 1)]
        p = np.take_along_axis(world.attract[query], shown, axis=1) * EXAM * appetite[:, None]
        target = world.target[query]
        probs = LoggerProbs(
            world.step_prob[query, drawn],
            world.position_prob[query[:, None], shown, np.arange(K)],
            "known",
        )
        slates = weigh(
            shown,
            target,
            rng.random(p.shape) < p,
            probs,
            user,
            q_target=np.take_along_axis(world.model[query], target, axis=1) * EXAM,
            q_shown=np.take_along_axis(world.model[query], shown, axis=1) * EXAM,
        )
        reward = slates.reward.sum(axis=1)
        for row in estimate_all(estimators(slates), reward, user, rng, n_resamples=n_resamples):
            assert row.low is not None
            assert row.high is not None
            tally.setdefault(row.name, []).append((row.value, row.low <= world.truth <= row.high))
    rows = {}
    for name, found in tally.items():
        values = np.array([value for value, _ in found])
        rows[name] = {
            "coverage": round(float(np.mean([hit for _, hit in found])), 4),
            "bias": round(float(values.mean() - world.truth), 5),
            "bias_error": round(float(values.std() / np.sqrt(len(values))), 5),
            "sd": round(float(values.std()), 5),
        }
    return {"truth": round(world.truth, 5), "searches_per_run": n_users * visits, "estimators": rows}


def run() -> dict[str, Any]:
    began = time.perf_counter()
    runs = 1_000
    result = coverage(runs)
    return {
        "what": "coverage of 95 % bootstrap intervals clustered by user; all is simulated; DM has "
        "a wrong reward model and IPS max is biased by design",
        "runs": runs,
        **result,
        "elapsed_s": round(time.perf_counter() - began, 1),
    }
