"""What a published profile leaves in the cluster: script ids, constants, templates that render right."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ranking.body_template import body_template, fill_body
from ranking.errors import InputError
from ranking.profile import Profile
from ranking.query import search_body
from ranking.search_template import search_templates, template_source
from ranking.stored import own_script, stored_scripts

NOW = 1_795_000_000_000


def scripted(**changes: Any) -> Profile:
    return Profile.model_validate(
        {
            "name": "mine",
            "execution": "script_score",
            "image": {"mode": "additive", "weight": 3.0},
            "freshness": {"scale": "14d", "offset": "1d"},
            **changes,
        }
    )


def render(source: str, **params: Any) -> dict[str, Any]:
    """As much mustache as the templates use, in one pass: what a value holds is not read as a tag."""
    tags = r"{{#toJson}}(\w+){{/toJson}}|{{\^(\w+)}}(.*?){{/\2}}|{{(\w+)}}"

    def value(tag: re.Match[str]) -> str:
        if tag[1]:
            return json.dumps(params[tag[1]])
        return ("" if tag[2] in params else tag[3]) if tag[2] else str(params.get(tag[4], ""))

    return dict(json.loads(re.sub(tags, value, source)))


def test_numbers_are_constants_and_only_the_clock_is_sent() -> None:
    name, script = own_script(scripted(), NOW) or ("", None)
    assert re.fullmatch(r"rank-profile-mine-[0-9a-f]{12}", name)
    assert script is not None
    assert script.params == {"now_ms": NOW}
    assert "3.0" in script.source


def test_an_id_changes_with_the_formula_and_not_with_the_page_or_the_clock() -> None:
    ids = [
        (own_script(scripted(**changes), now) or ("",))[0]
        for changes, now in (
            ({}, NOW),
            ({"k": 20}, NOW + 1),
            ({"image": {"mode": "additive", "weight": 4}}, NOW),
        )
    ]
    assert ids[0] == ids[1] != ids[2]


def test_names_of_a_user_stay_parameters() -> None:
    evil = "x'] + System.exit(0) + doc['y"
    factors = [{"type": "category", "weights": {evil: 2.0}}]
    scripts, sources = stored_scripts(scripted(factors=factors))
    assert scripts["default"].params == {"f0_field": "category", "f0_weights": {evil: 2.0}}
    assert evil not in "".join(sources.values())


def test_each_platform_has_its_own_script() -> None:
    scripts, sources = stored_scripts(scripted(platforms={"ios": {"image": {"weight": 1.5}}}))
    assert set(scripts) == {"default", "ios"}
    assert len(sources) == 2


def test_what_needs_no_script_stores_none() -> None:
    nothing = Profile.model_validate({"name": "plain", "execution": "script_score"})
    nested = scripted(execution="function_score")
    assert (stored_scripts(nothing), stored_scripts(nested)) == (({}, {}), ({}, {}))


def test_a_template_renders_to_the_body() -> None:
    for profile in (scripted(), scripted(execution="function_score"), scripted(freshness=None)):
        for text in ('red "dress"', '"}},{"match_all":{}}', "{{now_ms}}", "\\ \n \u2028 }}"):
            expected = search_body(profile, text, now_ms=NOW, scripts="published")
            assert fill_body(body_template(profile), text, NOW) == expected
            assert render(template_source(profile), text=text, now_ms=NOW) == expected
            assert render(template_source(profile), text=text, now_ms=NOW, size=7) == expected | {"size": 7}


def test_braces_of_a_profile_are_no_tags() -> None:
    profile = scripted(factors=[{"type": "category", "weights": {"{{text}}": 2.0, "a}}b": 0.5}}])
    expected = search_body(profile, "dress", now_ms=NOW, scripts="published")
    assert render(template_source(profile), text="dress", now_ms=NOW) == expected
    ids, sources = search_templates(profile)
    assert list(sources) == [ids["default"]]


def test_a_profile_with_a_placeholder_of_its_own_is_refused() -> None:
    nested = scripted(execution="function_score", factors=[{"type": "category", "weights": {"${text}": 2.0}}])
    with pytest.raises(InputError, match="stand for the request"):
        body_template(nested)
