"""The inverse of the bound, and the certificate's edge cases, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ranking.formula import bound
from ranking.profile import Profile
from ranking.topk import Remembered, least_relevance


@pytest.mark.parametrize("execution", ["function_score", "script_score", "window"])
@pytest.mark.parametrize(("mode", "weight"), [("none", 1.0), ("additive", 2.5), ("multiplicative", 0.5)])
@pytest.mark.parametrize("score", [0.0, 1e-3, 2.5, 7.123, 4_000.0])
def test_least_relevance_is_the_first_float32_that_reaches_the_score(
    execution: str, mode: str, weight: float, score: float
) -> None:
    profile = Profile.model_validate(
        {"name": "p", "image": {"mode": mode, "weight": weight}, "execution": execution}
    )
    rel = np.float32(least_relevance(profile, score))
    reached = bound(profile, np.array([rel, np.nextafter(rel, np.float32(-1))], dtype=np.float32))
    assert reached[0] >= np.float32(score)
    if rel > 0:
        assert reached[1] < np.float32(score)


def test_the_oldest_counts_are_forgotten() -> None:
    counts = Remembered(size=2)
    for text, n in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        counts.put(text, n)
    assert [counts.get(text) for text in "abc"] == [3, None, 4]
