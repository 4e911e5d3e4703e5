"""Profiles: what is read, what is refused, and what the hash means."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.reference import SCHEMA, schema
from ranking.errors import ConfigError
from ranking.profile import Profile, builtin_profiles, find_profile, load_profile, parse_profile

YAML = """
name: mine
image: {mode: additive, weight: 3.0}
freshness: {curve: gauss, scale: 14d, offset: 1d}
platforms:
  ios: {image: {weight: 1.5}}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return path


def test_a_platform_override_changes_only_what_it_names(tmp_path: Path) -> None:
    profile = load_profile(written(tmp_path, YAML))
    ios = profile.for_platform("ios")
    assert (ios.image.mode, ios.image.weight) == ("additive", 1.5)
    assert ios.freshness == profile.freshness
    assert profile.for_platform("web") is profile
    assert profile.for_platform(None) is profile


def test_the_hash_follows_the_formula_and_not_the_name(tmp_path: Path) -> None:
    profile = load_profile(written(tmp_path, YAML))
    renamed = load_profile(written(tmp_path, YAML.replace("mine", "yours")))
    heavier = load_profile(written(tmp_path, YAML.replace("3.0", "3.5")))
    assert profile.hash == renamed.hash
    assert len({profile.hash, heavier.hash, profile.for_platform("ios").hash}) == 3


def test_a_profile_survives_json(tmp_path: Path) -> None:
    profile = load_profile(written(tmp_path, YAML))
    again = Profile.model_validate_json(profile.model_dump_json())
    assert again == profile
    assert again.hash == profile.hash


def test_every_wrong_key_is_named_at_once(tmp_path: Path) -> None:
    text = YAML.replace("3.0", "-1").replace("14d", "2w").replace("gauss", "sine") + "wieght: 3\n"
    with pytest.raises(ConfigError) as caught:
        load_profile(written(tmp_path, text))
    message = str(caught.value)
    assert len(caught.value.problems) == 4
    for part in ("mine.yaml", "image.weight", "freshness.scale", "'2w'", "freshness.curve", "wieght"):
        assert part in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: [", "not YAML"),
        ("- 1", "mapping"),
        ("name: Bad Name", "name"),
        ("name: a\nimage: {mode: multiplicative, weight: 2}", "[0, 1]"),
        ("name: a\nk: 600\nwindow: 500", "window (500)"),
        ("name: a\nplatforms: {ios: {image: {weight: -2}}}", "weight"),
        ("name: a\nbase_query: {fields: {title: .nan}}", "finite"),
    ],
)
def test_a_bad_file_gets_one_clear_sentence(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=r"mine\.yaml") as caught:
        load_profile(written(tmp_path, text))
    assert says in str(caught.value)


def test_a_missing_file_and_an_unknown_name_are_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_profile(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="control"):
        find_profile("nothing-of-that-name")


def test_own_file_wins_over_a_shipped_profile(tmp_path: Path) -> None:
    (tmp_path / "control.yaml").write_text("name: control\nk: 7\n")
    assert find_profile("control", tmp_path).k == 7
    assert find_profile("control", tmp_path / "elsewhere").k == 50


def test_the_shipped_profiles_are_the_papers_three() -> None:
    modes = {name: profile.image.mode for name, profile in builtin_profiles().items()}
    assert modes == {"additive": "additive", "control": "none", "multiplicative": "multiplicative"}


class TestExtends:
    def test_mappings_merge_and_the_rest_is_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "base.yaml").write_text(YAML)
        profile = load_profile(
            written(tmp_path, "extends: base.yaml\nname: child\nimage: {weight: 5}\nfreshness: null\n")
        )
        assert (profile.name, profile.image.mode, profile.image.weight) == ("child", "additive", 5.0)
        assert profile.freshness is None
        assert profile.for_platform("ios").image.weight == 1.5

    def test_a_shipped_profile_by_name(self, tmp_path: Path) -> None:
        profile = load_profile(written(tmp_path, "extends: additive\nname: mine\nk: 20\n"))
        assert (profile.image, profile.k) == (builtin_profiles()["additive"].image, 20)

    def test_another_type_of_transform_replaces_the_base_s(self, tmp_path: Path) -> None:
        base = "name: b\nimage: {mode: additive, transform: {type: sigmoid, center: 0.3}}\n"
        (tmp_path / "base.yaml").write_text(base)
        child = "extends: base.yaml\nname: c\nimage: {transform: {type: power, exponent: 2}}\n"
        assert load_profile(written(tmp_path, child)).image.transform.type == "power"

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("extends: mine.yaml\nname: a", "leads back"),
            ("extends: none.yaml\nname: a", "no such file"),
            ("extends: nothing\nname: a", "no shipped profile"),
            ("extends: [1]\nname: a", "path or a name"),
        ],
    )
    def test_what_cannot_be_extended_is_said(self, tmp_path: Path, text: str, says: str) -> None:
        with pytest.raises(ConfigError, match=says):
            load_profile(written(tmp_path, text))


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"image": {"transform": {"type": "piecewise", "points": [[0, 0.5], [1, 0.2]]}}}, "rise"),
        ({"image": {"ai_generated": {"above": 0.5}}}, "one of cap and neutral"),
        ({"factors": [{"type": "numeric", "field": "price", "missing": 0}]}, "max"),
        ({"factors": [{"type": "numeric", "field": "a'b", "missing": 0, "max": 1}]}, "field"),
        ({"factors": [{"type": "rule", "field": "a", "weight": 2}]}, "any_of"),
        ({"factors": [{"type": "category", "weights": {"a": float("inf")}}]}, "finite"),
        (
            {
                "factors": [
                    {"type": "category", "field": "a", "weights": {"x": 1}},
                    {"type": "rule", "field": "a", "gte": 1, "weight": 2},
                ]
            },
            "both as a keyword and as a number",
        ),
        ({"approximate": True}, "execution: window"),
    ],
)
def test_a_part_that_has_no_bound_or_no_sense_is_refused(parts: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_profile({"name": "p", **parts}, "p.yaml")


def test_the_published_schema_is_that_of_the_code() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == schema(), "run `make docs`"
