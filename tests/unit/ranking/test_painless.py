"""The scripts: those deployed are those written, and nothing of a user's reaches the source."""

from __future__ import annotations

import json

import pytest

from ranking.painless import SCRIPT_VERSION, score_script, script_files, script_id
from ranking.profile import Profile

NOW = 1_795_000_000_000


@pytest.mark.parametrize("curve", [None, "gauss", "exp", "linear"])
def test_the_deployed_files_are_what_is_written_for_a_plain_profile(curve: str | None) -> None:
    freshness = None if curve is None else {"scale": "14d", "curve": curve}
    for mode in ("none", "additive", "multiplicative"):
        profile = Profile.model_validate({"name": "p", "image": {"mode": mode}, "freshness": freshness})
        name = f"rank-boost-{curve or 'none'}-{SCRIPT_VERSION}"
        assert script_id(profile) == name
        assert score_script(profile, NOW).source == script_files()[name]


def test_what_only_a_script_of_its_own_can_do_has_no_deployed_one() -> None:
    for parts in (
        {"image": {"mode": "additive", "transform": {"type": "power", "exponent": 2}}},
        {"image": {"mode": "additive", "ai_generated": {"cap": 0.4}}},
        {"freshness": {"scale": "1d", "missing": 0.5}},
        {"factors": [{"type": "category", "weights": {"dress": 2}}]},
    ):
        assert script_id(Profile.model_validate({"name": "p", **parts})) is None


HOSTILE = "dress'].value; return 1e9; //"


def test_names_and_values_are_parameters() -> None:
    profile = Profile.model_validate(
        {
            "name": "p",
            "factors": [
                {"type": "category", "weights": {HOSTILE: 2.0}},
                {"type": "rule", "field": "seller.tier", "any_of": [HOSTILE], "weight": 2},
            ],
        }
    )
    for literal in (False, True):
        script = score_script(profile, NOW, literal=literal)
        assert HOSTILE not in script.source
        assert "seller.tier" not in script.source
        assert HOSTILE in json.dumps(script.params)


def test_a_published_script_has_its_numbers_in_its_source_and_takes_only_the_clock() -> None:
    profile = Profile.model_validate(
        {"name": "p", "image": {"mode": "additive", "weight": 3.25}, "freshness": {"scale": "14d"}}
    )
    script = score_script(profile, NOW, literal=True)
    assert script.params == {"now_ms": NOW}
    assert "3.25 * image" in script.source
