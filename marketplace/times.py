"""When items were listed: more of them recently, none from the future of any search.

Listings lie in [now - 90 days, now - 3 days], ages past those 3 days exponential with a mean of 24 days
(cut at 90). Searches lie in the last 3 days, so every item exists at the time of every search, and one index
serves them all.
"""

from __future__ import annotations

from typing import Final

import numpy as np

DAY_MS: Final = 86_400_000
LISTED_DAYS: Final = 90.0  # the oldest an item can be
VISIT_DAYS: Final = 3.0  # searches happen in this many days before now
MEAN_AGE_DAYS: Final = 24.0


def draw_created_ms(now_ms: int, rng: np.random.Generator) -> int:
    """Draw one creation time, in epoch ms: a truncated exponential age by its inverse CDF."""
    span = LISTED_DAYS - VISIT_DAYS
    u = rng.random() * (1 - np.exp(-span / MEAN_AGE_DAYS))
    age_days = VISIT_DAYS - MEAN_AGE_DAYS * float(np.log1p(-u))
    return now_ms - int(age_days * DAY_MS)


def draw_updated_ms(created_ms: int, now_ms: int, rng: np.random.Generator) -> int:
    """Draw the last update: one item in four was edited between its listing and the first search."""
    if rng.random() < 0.75:
        return created_ms
    return created_ms + int(rng.random() * (now_ms - int(VISIT_DAYS * DAY_MS) - created_ms))
