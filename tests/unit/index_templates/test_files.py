"""Family names, overlaps and the export: what needs no server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from index_templates import desired_state, export
from index_templates.desired import ITEM_UPDATE, Resource, template_hash
from index_templates.index import number_of, numbered
from index_templates.plan import Step
from index_templates.shadow import find_overlaps, lost_keys, matches
from ranking.errors import InputError


@pytest.mark.parametrize(
    "name",
    ["", "Items", "-items", "_items", "a b", 'a"b', "a*", "a/b", "rank", "a" * 300, "items\n", "a,b", ".."],
)
def test_a_name_that_could_break_out_or_cover_our_own_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot name an index family"):
        desired_state(name)


def test_two_families_of_which_one_begins_like_the_other_do_not_overlap() -> None:
    patterns = {
        family: next(
            r.body["index_patterns"]
            for r in desired_state(family)
            if r.key == f"index_template/rank-{family}"
        )
        for family in ("items", "items-eu")
    }
    assert not any(matches(pattern, "items-eu-000001") for pattern in patterns["items"])
    assert not any(matches(pattern, "items-failures-000001") for pattern in patterns["items"])
    assert any(matches(pattern, "items-000012") for pattern in patterns["items"])


def test_the_shape_follows_mappings_and_settings_and_not_the_pipeline() -> None:
    parts = [r for r in desired_state("shop") if r.kind == "component_template"]
    template = next(r for r in desired_state("shop") if r.key == "index_template/rank-shop")
    held = template.body["template"]["mappings"]["_meta"]["rank-toolkit"]["template_hash"]
    assert held == template_hash(parts)
    parts[0].body["template"].setdefault("settings", {})["index.codec"] = "best_compression"
    assert held != template_hash(parts)


def template(name: str, priority: int | None, *patterns: str) -> dict:
    body = {"index_patterns": list(patterns)} | ({} if priority is None else {"priority": priority})
    return {"name": name, "index_template": body}


def test_only_templates_that_match_our_indices_overlap() -> None:
    found = find_overlaps(
        "items",
        200,
        [
            template("rank-items", 200, "items-0*"),
            template("all", None, "*"),
            template("eu", 900, "items-eu-*"),
            template("same", 200, "items*"),
            template("high", 201, "x", "it*s-0*1"),
        ],
    )
    assert [(o.name, o.priority, o.effect) for o in found] == [
        ("high", 201, "shadows ours"),
        ("same", 200, "same priority"),
        ("all", 0, "shadowed by ours"),
    ]
    assert "takes the place of ours" in found[0].sentence


@pytest.mark.parametrize(
    ("pattern", "name", "hit"),
    [
        ("a*", "abc", True),
        ("a[b]", "ab", False),
        ("a?c", "abc", False),
        ("*", "x", True),
        ("a*c", "acb", False),
    ],
)
def test_a_star_is_the_only_wildcard(pattern: str, name: str, hit: bool) -> None:
    assert matches(pattern, name) is hit


def test_what_is_lost_is_named_by_its_key() -> None:
    body = {
        "template": {
            "settings": {"index.a": 1, "index.b": True},
            "mappings": {"properties": {"x": {"type": "keyword"}, "y": {"type": "text"}}},
        }
    }
    resolved = {
        "settings": {"index": {"a": "1", "b": "false"}},
        "mappings": {"properties": {"x": {"type": "keyword"}, "y": {"type": "keyword"}}},
    }
    assert lost_keys([Resource("component_template", "c", body)], resolved) == (
        "mappings.y",
        "settings.index.b",
    )


def test_a_scripts_diff_is_line_by_line() -> None:
    step = Step.between("script/s", {"source": "a\nb\nc"}, {"source": "a\nB\nc"})
    assert "-    | b" in step.diff()
    assert "+    | B" in step.diff()
    assert "-    | a" not in step.diff()


def test_the_export_is_plain_json_and_a_script_that_a_shell_can_read(tmp_path: Path) -> None:
    files = export(desired_state("shop"), tmp_path / "new", "shop")
    assert files[-1].name == "apply.sh"
    assert subprocess.run(["sh", "-n", files[-1]], check=False).returncode == 0
    bodies = {str(f.relative_to(tmp_path / "new")): json.loads(f.read_text()) for f in files[:-1]}
    assert bodies["index_templates/rank-shop.json"]["index_patterns"] == ["shop-0*"]
    assert set(bodies[f"scripts/{ITEM_UPDATE}.json"]["script"]) == {"lang", "source"}
    assert bodies["indices/shop-000001.json"]["aliases"]["shop-write"] == {"is_write_index": True}
    text = files[-1].read_text()
    assert f"put '/_scripts/{ITEM_UPDATE}/update'" in text
    assert text.index("component_templates/rank-item-shop") < text.index("index_templates/rank-shop")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        export(desired_state("shop"), tmp_path / "file", "shop")


def test_index_names_are_numbered() -> None:
    assert numbered("items", 12) == "items-000012"
    assert number_of("items", "items-000012") == 12
    assert number_of("items", "items-eu-000012") is None
    assert number_of("items", "items-failures-000001") is None
