"""Simulated users of the paper's experiment: three arms, three platforms; the web gains, mobile loses.

Every user has a taste for buying drawn from a gamma distribution; purchases before and during the experiment
are Poisson around it, so the past predicts the future as CUPED needs it. Effects are chosen, not measured.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa

from ranking.fields import PLATFORMS

VARIANTS: Final = ("control", "additive", "multiplicative")
LIFT: Final = {
    ("additive", "web"): 0.07,
    ("multiplicative", "web"): 0.01,
    ("additive", "ios"): -0.02,
    ("additive", "android"): -0.02,
    ("multiplicative", "ios"): -0.01,
    ("multiplicative", "android"): -0.01,
}
DAYS: Final = 14
PAST: Final = 4  # how many times longer the time before is: eight weeks
_FIRST = datetime(2024, 9, 2, tzinfo=UTC)


def simulate_users(n: int, *, seed: int = 1, lift: float = 1.0) -> pa.Table:
    """A row per simulated user, with every column that `ab analyze` reads.

    Args:
        n: users in all arms together.
        seed: of the draw.
        lift: multiplies every effect; 0 simulates an A/A test.
    """
    rng = np.random.default_rng(seed)
    variant = rng.integers(0, len(VARIANTS), size=n)
    platform = rng.choice(len(PLATFORMS), p=(0.4, 0.35, 0.25), size=n)
    taste = rng.gamma(0.5, 0.6, size=n)
    effect = np.zeros((len(VARIANTS), len(PLATFORMS)))
    for (arm, place), change in LIFT.items():
        effect[VARIANTS.index(arm), PLATFORMS.index(place)] = change * lift
    searches = rng.poisson(4 + 6 * taste)
    via_search = rng.poisson(0.7 * taste * (1 + effect[variant, platform]))
    other = rng.poisson(0.3 * taste)
    pre_via_search = rng.poisson(PAST * 0.7 * taste)
    new = rng.random(n) < 0.1  # no history
    pre = pre_via_search + rng.poisson(PAST * 0.3 * taste)
    first = [_FIRST + timedelta(days=day) for day in range(DAYS)]
    return pa.table(
        {
            "user_id": pa.array([f"user-{i:08}" for i in range(n)]),
            "variant": pa.array(np.array(VARIANTS, dtype=object)[variant], pa.string()),
            "platform": pa.array(np.array(PLATFORMS, dtype=object)[platform], pa.string()),
            "purchases": via_search + other,
            "purchases_via_search": via_search,
            "searches": searches,
            "clicks": rng.binomial(np.maximum(searches * 3, 0), 0.12),
            "pre_purchases": pa.array(pre, mask=new),
            "pre_purchases_via_search": pa.array(pre_via_search, mask=new),
            "first_seen": pa.array([first[day] for day in rng.integers(0, DAYS, size=n)], pa.timestamp("s")),
            "simulated": pa.array([True] * n),
        }
    )
