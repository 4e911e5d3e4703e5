"""Change points: found where they are, and not found where there are none, at the rate that is stated.

RANK_MONITOR_TRIALS=2000 for the figures of docs/monitoring.md.
"""

from __future__ import annotations

import os
from datetime import date, timedelta

import numpy as np
import pytest

from monitoring.changes import LEAST, find_changes

TRIALS = int(os.environ.get("RANK_MONITOR_TRIALS", "25"))


def days(n: int) -> list[str]:
    return [(date(2026, 1, 1) + timedelta(days=i)).isoformat() for i in range(n)]


def test_a_step_is_found_on_its_day() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(10, 1, 20), rng.normal(16, 1, 10)])
    (found,) = find_changes(days(30), values)
    assert found.day == days(30)[20]
    assert (round(found.before), round(found.after)) == (10, 16)


def test_one_wild_day_a_level_series_and_a_short_one_have_none() -> None:
    rng = np.random.default_rng(2)
    wild = rng.normal(10, 1, 30)
    wild[15] = 1000.0
    assert find_changes(days(30), wild) == []
    assert find_changes(days(30), [1.0] * 30) == []
    assert find_changes(days(LEAST - 1), [0.0] * 6 + [9.0] * (LEAST - 7)) == []


def test_weekends_are_no_change() -> None:
    rng = np.random.default_rng(3)
    weekend = np.array([date.fromisoformat(day).weekday() >= 5 for day in days(28)])
    assert find_changes(days(28), 10 + 5 * weekend + rng.normal(0, 0.5, 28)) == []


@pytest.mark.parametrize("n", [14, 28])
@pytest.mark.parametrize("kind", ["normal", "heavy tails", "weekly"])
def test_false_alarms_are_as_stated_where_days_are_independent(kind: str, n: int) -> None:
    rng = np.random.default_rng(4)
    weekend = np.array([date.fromisoformat(day).weekday() >= 5 for day in days(n)])

    def draw() -> np.ndarray:
        match kind:
            case "normal":
                return rng.normal(size=n)
            case "heavy tails":
                return rng.standard_t(2, size=n)
            case _:  # CTR of 3000 shown items a day, more on weekends
                return rng.binomial(3000, np.where(weekend, 0.08, 0.07) if n >= 21 else 0.07, size=n) / 3000

    found = sum(bool(find_changes(days(n), draw(), false_alarms=0.05)) for _ in range(TRIALS))
    # 0.08 is what PELT's freedom to make two splits adds; four standard deviations of the count beside it
    assert found <= TRIALS * 0.08 + 4 * (TRIALS * 0.08 * 0.92) ** 0.5
