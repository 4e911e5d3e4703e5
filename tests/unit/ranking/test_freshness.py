"""Decay by hand; tests/integration/test_parity.py holds the same curve to the server."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from ranking.clock import DAY_MS
from ranking.freshness import Freshness

NOW = 1_795_000_000_000


@pytest.mark.parametrize(("curve", "two_scales_out"), [("gauss", 0.0625), ("exp", 0.25), ("linear", 0.0)])
def test_score_is_decay_at_one_scale_past_offset(curve: str, two_scales_out: float) -> None:
    freshness = Freshness.model_validate({"curve": curve, "scale": "30d", "offset": "7d", "decay": 0.5})
    #        no date, inside offset, at its edge, one scale out, two scales out, 37 days in the future
    age_days = np.array([np.nan, 3.0, 7.0, 37.0, 67.0, -37.0])
    got = freshness.score(NOW - age_days * DAY_MS, NOW)
    np.testing.assert_allclose(got, [1.0, 1.0, 1.0, 0.5, two_scales_out, 0.5], atol=1e-12)


def test_one_clock_per_document_equals_one_call_per_clock() -> None:
    freshness = Freshness.model_validate({"scale": "14d"})
    created = NOW - np.array([1.0, 5.0, 90.0]) * DAY_MS
    clocks = np.array([NOW, NOW + DAY_MS, NOW + 7 * DAY_MS])
    one_by_one = [float(freshness.score(created[i : i + 1], int(clocks[i]))[0]) for i in range(3)]
    assert freshness.score(created, clocks).tolist() == one_by_one


@pytest.mark.parametrize("scale", ["1w", "5.5d", 432000000, "0d", "-3d", "", None])
def test_a_scale_the_server_refuses_is_refused_here(scale: object) -> None:
    with pytest.raises(ValidationError):
        Freshness.model_validate({"scale": scale})


def test_durations_are_written_back_exactly() -> None:
    freshness = Freshness.model_validate({"scale": "36h", "offset": "90m"})
    assert freshness.model_dump(mode="json") | {"decay": 0.5} == {
        "curve": "gauss",
        "scale": "36h",
        "offset": "90m",
        "decay": 0.5,
        "missing": 1.0,
    }
