"""How often a guarded roll-out is wrong: simulated users, a look every hour, harmless and harmful canaries.

RUNS (1000 by default) whole roll-outs of a harmless canary, judged with the shipped margins and with margins
of 0, where a harmless canary is as bad as is tolerated: the rate that alpha bounds. RUNS / 5 first steps of
1 %, the hardest case for an asymptotic test, and RUNS / 10 of each harmful canary: time until a roll-back.
All users are simulated (`monitoring.rollout.simulate`).
"""

from __future__ import annotations

import os
import statistics
from typing import Any, Final

import numpy as np

from monitoring.rollout.evidence import Finding, judge
from monitoring.rollout.rules import Rules, parse_margin
from monitoring.rollout.simulate import Effect, looks, simulate_searches

SHIPPED: Final = Rules()
NO_MARGIN: Final = SHIPPED.model_copy(
    update={
        "guardrails": {
            name: one.model_copy(update={"margin": "0pp" if one.margin.endswith("pp") else "0%"})
            for name, one in SHIPPED.guardrails.items()
        }
    }
)
STEPS: Final = (0.1, 0.25, 0.5)
USERS: Final = 8_000  # of a step of 24 hours, both arms
HARMS: Final = {
    "no clicks at all": Effect(clicks=0.0),
    "clicks -50 %": Effect(clicks=0.5),
    "clicks -20 %": Effect(clicks=0.8),
    "clicks -10 %": Effect(clicks=0.9),
    "purchases -50 %": Effect(purchases=0.5),
    "took x2": Effect(took=2.0),
    "took x1.5": Effect(took=1.5),
    "errors +10 points": Effect(failed=0.1),
    "errors +2 points": Effect(failed=0.02),
    "empty pages +5 points": Effect(empty=0.05),
    "unscored items +10 points": Effect(unscored=0.1),
}


def harmless(
    runs: int, seed: int, *, shares: tuple[float, ...] = STEPS, users: int = USERS
) -> dict[str, Any]:
    """Roll-outs of a canary that changes nothing: how many would have been rolled back, and by what."""
    wrong, at_margin, mismatched = 0, 0, 0
    by: dict[str, int] = dict.fromkeys(SHIPPED.guardrails, 0)
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        shipped, tight, ratio = False, set(), False
        for share in shares:
            drawn = simulate_searches(rng, rng.random(users) < share, 24)
            for _, seen in looks(drawn, 24):
                found = judge(NO_MARGIN, seen, share=share, n_steps=len(shares))
                ratio |= found.mismatch
                tight |= set(found.breached)
                shipped |= any(_beyond(one) for one in found.findings if found.enough)
        wrong, at_margin, mismatched = wrong + shipped, at_margin + bool(tight), mismatched + ratio
        for name in tight:
            by[name] += 1
    return {
        "runs": runs,
        "rolled_back": wrong,
        "rolled_back_at_margin_0": at_margin,
        "of_these_by": by,
        "sample_ratio_alarms": mismatched,
    }


def harmful(runs: int, seed: int, effect: Effect, *, share: float = 0.2, days: int = 3) -> list[float | None]:
    """Hours until each run is rolled back with the shipped margins; None where it is not within the days."""
    hours: list[float | None] = []
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        drawn = simulate_searches(rng, rng.random(USERS * days) < share, 24 * days, effect)
        found = None
        for hour, seen in looks(drawn, 24 * days):
            if judge(SHIPPED, seen, share=share, n_steps=len(STEPS)).breached:
                found = hour
                break
        hours.append(found)
    return hours


def median_hours(hours: list[float | None]) -> float | None:
    """Half of the runs are rolled back by then; None where fewer are."""
    middle = statistics.median(np.inf if one is None else one for one in hours)
    return None if middle == np.inf else float(middle)


def run() -> dict[str, Any]:
    runs = int(os.environ.get("RUNS", "1000"))
    harms = {name: harmful(max(runs // 10, 1), 3, effect) for name, effect in HARMS.items()}
    return {
        "what": "false and true roll-backs of simulated canaries, a look every hour",
        "rules": SHIPPED.model_dump(mode="json"),
        "users_per_step_and_day": USERS,
        "harmless": harmless(runs, 1) | {"shares": STEPS, "looks": 24 * len(STEPS)},
        "harmless_first_step_1_percent": harmless(max(runs // 5, 1), 2, shares=(0.01,), users=60_000),
        "harmful_at_20_percent": {name: summed_up(hours) for name, hours in harms.items()},
    }


def summed_up(hours: list[float | None]) -> dict[str, Any]:
    return {
        "runs": len(hours),
        "rolled_back_within_24_h": sum(one is not None and one <= 24 for one in hours),
        "rolled_back_within_72_h": sum(one is not None for one in hours),
        "median_hours": median_hours(hours),
    }


def _beyond(one: Finding) -> bool:
    """Whether the interval is beyond the shipped margin."""
    margin = parse_margin(one.guardrail, SHIPPED.guardrails[one.guardrail].margin).value
    if one.less_is_better:
        return one.low is not None and one.low > margin
    return one.high is not None and one.high < -margin


__all__ = ["harmful", "harmless", "median_hours", "run", "summed_up"]
