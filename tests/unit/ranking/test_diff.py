"""Differing keys, as they are written in a profile file."""

from __future__ import annotations

from typing import Any

from ranking.diff import Difference, diff_profiles
from ranking.profile import Profile


def profile(**changes: Any) -> Profile:
    return Profile.model_validate({"name": "mine", "freshness": {"scale": "14d"}, **changes})


def test_equal_profiles_differ_in_nothing() -> None:
    assert diff_profiles(profile(), profile()) == []


def test_durations_read_as_written() -> None:
    assert diff_profiles(profile(), profile(freshness={"scale": "3d"})) == [
        Difference("freshness.scale", "14d", "3d")
    ]


def test_a_part_that_one_side_lacks_is_shown_whole() -> None:
    found = {d.key: (d.before, d.after) for d in diff_profiles(profile(), profile(freshness=None))}
    assert found["freshness.curve"] == ("gauss", None)
    assert found["freshness.scale"] == ("14d", None)


def test_factors_and_platforms_have_paths() -> None:
    weights = {"dress": 1.2, "a.b": 0.9}
    other = profile(
        factors=[{"type": "category", "weights": weights}], platforms={"ios": {"image": {"weight": 2.0}}}
    )
    found = {d.key: d.after for d in diff_profiles(profile(), other)}
    assert found["factors[0].weights.dress"] == 1.2
    assert found['factors[0].weights["a.b"]'] == 0.9
    assert found["platforms.ios.image.weight"] == 2.0
