"""The plan is a pure function: files and cluster in, steps out."""

from __future__ import annotations

import copy
import json

import pytest

from index_templates.desired import KINDS, Resource, content_hash, desired_state
from index_templates.live import normalize
from index_templates.plan import plan_steps
from ranking import fields
from ranking.errors import ConfigError


def test_an_empty_cluster_needs_everything_in_the_order_in_which_it_depends() -> None:
    wanted = desired_state("shop")
    steps = plan_steps(wanted, {resource.key: None for resource in wanted})
    assert [step.action for step in steps] == ["create"] * len(wanted)
    order = [KINDS.index(step.resource.kind) for step in steps]
    assert order == sorted(order)


def test_what_is_there_already_needs_nothing() -> None:
    wanted = desired_state("shop")
    assert plan_steps(wanted, {resource.key: copy.deepcopy(resource.body) for resource in wanted}) == []


def test_the_servers_own_form_of_a_body_is_no_change() -> None:
    ours = {"template": {"settings": {"index.number_of_shards": 1, "index.blocks.write": True}}}
    servers = {
        "template": {"settings": {"index": {"number_of_shards": "1", "blocks": {"write": "true"}}}},
        "created_date_millis": 1,
        "_meta": {"managed_by": "rank-toolkit"},
    }
    assert normalize("component_template", ours) == normalize("component_template", servers)


def test_a_resource_of_somebody_else_is_refused_by_name() -> None:
    wanted = Resource("index_template", "rank-shop", {"index_patterns": ["shop-*"]})
    with pytest.raises(ConfigError, match="index_template/rank-shop"):
        plan_steps([wanted], {wanted.key: {"index_patterns": ["other-*"]}})


def test_the_diff_shows_both_sides() -> None:
    before = Resource("script", "s", {"lang": "painless", "source": "return 1;"})
    after = Resource("script", "s", {"lang": "painless", "source": "return 2;"})
    diff = plan_steps([after], {before.key: before.body})[0].diff()
    assert '-  "source": "return 1;"' in diff
    assert '+  "source": "return 2;"' in diff


def test_every_name_carries_the_family_and_no_placeholder_is_left() -> None:
    for resource in desired_state("shop"):
        assert "${" not in json.dumps(resource.body)
        assert resource.kind == "script" or "shop" in resource.name


def test_the_content_hash_follows_the_content_only() -> None:
    body = {"a": 1, "_meta": {"content_hash": "x"}}
    assert content_hash(body) == content_hash({"a": 1})
    assert content_hash(body) != content_hash({"a": 2})


def test_the_mapping_has_every_field_of_the_contract() -> None:
    mapped: set[str] = set()
    for resource in desired_state("shop"):
        if resource.kind == "component_template":
            properties = resource.body["template"].get("mappings", {}).get("properties", {})
            mapped |= set(properties)
            mapped |= {
                f"{name}.{sub}"
                for name, field in properties.items()
                for sub in {**field.get("properties", {}), **field.get("fields", {})}
            }
    contract = {value for name, value in vars(fields).items() if name.isupper() and isinstance(value, str)}
    assert contract - {fields.ON_SALE, fields.SOLD, fields.DELETED} <= mapped
