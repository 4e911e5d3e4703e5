"""Sliders as a profile: what moves, what stays, and the file that comes back as the same formula."""

import os
from contextlib import suppress

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ranking.clock import DAY_MS
from ranking.errors import ConfigError, InputError
from ranking.profile import Profile, builtin_profiles, parse_profile
from workbench.asked import Draft, LiveSearch, Sliders, read
from workbench.catalog import Catalog
from workbench.moved import as_yaml, moved
from workbench.saving import draft, save

ADDITIVE = builtin_profiles()["additive"]
N = int(os.environ.get("RANK_WORKBENCH_EXAMPLES", "40"))
OVERRIDDEN = Profile.model_validate(
    {
        "name": "mine",
        "image": {
            "mode": "additive",
            "weight": 3,
            "missing": 0.25,
            "transform": {"type": "power", "exponent": 2},
        },
        "freshness": {"scale": "36h", "curve": "exp", "decay": 0.3},
        "factors": [{"type": "rule", "field": "price", "gte": 100, "weight": 1.5}],
        "platforms": {
            "ios": {"image": {"weight": 1.5, "missing": 0.5}, "freshness": {"scale": "2d"}},
            "web": {"freshness": {"offset": "1h"}, "factors": []},
        },
    }
)


def test_nothing_moved_is_the_profile_itself():
    assert moved(ADDITIVE, Sliders()) is ADDITIVE


def test_a_weight_holds_on_every_platform_and_the_rest_of_an_override_stays():
    found = moved(OVERRIDDEN, Sliders(weight=7))
    ios, web = found.for_platform("ios"), found.for_platform("web")
    assert (found.image.weight, ios.image.weight, web.image.weight) == (7, 7, 7)
    assert (ios.image.missing, ios.freshness.scale) == (0.5, 2 * DAY_MS)
    assert (web.freshness.offset, web.factors, len(found.factors)) == (3_600_000, (), 1)
    assert found.image.transform == OVERRIDDEN.image.transform


def test_an_override_of_what_moved_alone_is_gone():
    assert moved(ADDITIVE, Sliders(weight=2)).platforms == {}
    assert moved(ADDITIVE, Sliders(scale_ms=DAY_MS)).platforms == ADDITIVE.platforms


def test_what_a_profile_cannot_have_is_refused():
    with pytest.raises(ConfigError, match="multiplicative boost"):
        moved(ADDITIVE, Sliders(mode="multiplicative", weight=1.5))
    with pytest.raises(InputError, match="no freshness"):
        moved(Profile(name="bare"), Sliders(scale_ms=DAY_MS))


@settings(max_examples=N, deadline=None)
@given(
    st.sampled_from([*builtin_profiles().values(), OVERRIDDEN]),
    st.sampled_from([None, "none", "additive", "multiplicative"]),
    st.none() | st.floats(0, 1),
    st.none() | st.integers(1, 3650 * DAY_MS),
)
def test_the_file_of_any_setting_is_the_same_formula(profile, mode, weight, scale_ms):
    if mode == "multiplicative" and weight is None:
        weight = 0.5
    found = moved(profile, Sliders(mode=mode, weight=weight, scale_ms=scale_ms))
    again = parse_profile(yaml.safe_load(as_yaml(found)), "again")
    assert again == found
    assert again.hash == found.hash
    for platform in (None, "web", "ios"):
        served = found.for_platform(platform)
        assert mode is None or served.image.mode == mode
        assert weight is None or served.image.weight == weight
        assert scale_ms is None or served.freshness.scale == scale_ms


def no_cluster():
    raise InputError("no cluster here")


@pytest.fixture
def catalog(tmp_path):
    (tmp_path / "profiles").mkdir()
    return Catalog(no_cluster, {"mine": lambda: OVERRIDDEN}, tmp_path / "profiles", tmp_path / "saved")


def test_a_draft_says_where_it_comes_from_and_writes_nothing(catalog, tmp_path):
    profile, shown = draft(
        Draft(contender="shipped:additive", sliders=Sliders(weight=5), name="five"), catalog
    )
    assert profile.description == "From additive: additive w 5, gauss 14d."
    assert yaml.safe_load(shown["yaml"])["name"] == "five"
    assert not (tmp_path / "saved").exists()
    unmoved, _ = draft(Draft(contender="shipped:additive", name="same"), catalog)
    assert (unmoved.description, unmoved.hash) == (ADDITIVE.description, ADDITIVE.hash)


def test_a_file_or_a_link_that_is_there_is_not_replaced(catalog, tmp_path):
    folder = tmp_path / "saved"
    saved = save(Draft(contender="given:mine", name="one"), catalog, folder)
    assert saved["key"] == "saved:one"
    assert catalog.find("saved:one").profile.hash == OVERRIDDEN.hash
    (folder / "two.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    for name in ("one", "two"):
        with pytest.raises(InputError, match="is there already"):
            save(Draft(contender="given:mine", name=name), catalog, folder)
    assert not (tmp_path / "elsewhere.yaml").exists()


def test_the_catalog_lists_what_can_be_read_and_says_what_cannot(catalog, tmp_path):
    (tmp_path / "profiles" / "good.yaml").write_text("name: good\n")
    (tmp_path / "profiles" / "bad.yaml").write_text("name: [\n")
    (tmp_path / "profiles" / "Not A Name.yaml").write_text("name: x\n")
    choices, problems = catalog.choices()
    keys = [choice.key for choice in choices]
    assert keys == ["given:mine", "file:good", *(f"shipped:{name}" for name in builtin_profiles())]
    assert len(problems) == 2
    assert "bad.yaml: not YAML" in problems[0]
    assert problems[1] == "no cluster here"


@pytest.mark.parametrize(
    "key", ["", "file:", "file:../x", "file:/etc/passwd", "shipped:nothing", "x:y", "given:other"]
)
def test_a_key_that_is_none_of_the_list_is_refused(catalog, key):
    with pytest.raises(InputError, match="there is no profile"):
        catalog.find(key)


@settings(max_examples=N, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["query", "baseline", "k", "sliders", "filters", "x"]), inner, max_size=6
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_a_question_or_a_sentence(data):
    with suppress(InputError):
        assert isinstance(read(LiveSearch, data), LiveSearch)
