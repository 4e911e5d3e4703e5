"""Plan and apply on a real cluster: what is written is what the next plan finds, nothing else is touched."""

from __future__ import annotations

import json

import pytest
from elasticsearch import Elasticsearch
from typer.testing import CliRunner

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from index_templates.plan import Step
from ranking.cli import full_app
from ranking.errors import ConfigError, StalePlan

pytestmark = pytest.mark.engines


def plan(es: Elasticsearch, family: str) -> list[Step]:
    wanted = desired_state(family)
    return plan_steps(wanted, read_live(es, wanted))


def test_after_an_apply_the_plan_is_empty(es: Elasticsearch, prefix: str) -> None:
    steps = plan(es, prefix)
    made = {step.resource.kind for step in steps}
    assert {"ingest_pipeline", "component_template", "index_template"} <= made
    assert apply_steps(es, steps) == len(steps)
    assert plan(es, prefix) == []


def test_the_command_applies_and_a_second_run_changes_nothing(es: Elasticsearch, prefix: str) -> None:
    def run(*words: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(full_app(), ["templates", *words, "--index", prefix])
        return result.exit_code, result.stdout, result.stderr

    assert run("plan", "--check")[0] == 2
    code, stdout, _ = run("apply", "--format", "json")
    assert (code, json.loads(stdout)["index_created"]) == (0, True)
    code, stdout, stderr = run("apply", "--format", "json")
    assert json.loads(stdout) == {"applied": [], "index_created": False, "number": None}
    assert "nothing was changed" in stderr
    assert run("plan", "--check")[0] == 0
    assert es.indices.get_alias(name=prefix)[f"{prefix}-000001"]["aliases"][prefix]["is_write_index"]


def test_a_change_on_the_cluster_shows_as_a_diff_and_is_mended(es: Elasticsearch, prefix: str) -> None:
    apply_steps(es, plan(es, prefix))
    name = f"rank-settings-{prefix}"
    found = es.cluster.get_component_template(name=name)["component_templates"][0]["component_template"]
    es.cluster.put_component_template(
        name=name,
        template={"settings": {**found["template"]["settings"]["index"], "refresh_interval": "30s"}},
        meta=found["_meta"],
    )
    steps = plan(es, prefix)
    assert [step.name for step in steps] == [f"component_template/{name}"]
    assert '-      "index.refresh_interval": "30s"' in steps[0].diff()
    assert '+      "index.refresh_interval": "1s"' in steps[0].diff()
    apply_steps(es, steps)
    assert plan(es, prefix) == []


def test_a_plan_that_is_no_longer_true_writes_nothing(es: Elasticsearch, prefix: str) -> None:
    steps = plan(es, prefix)
    apply_steps(es, steps)
    with pytest.raises(StalePlan) as caught:
        apply_steps(es, steps)
    assert f"index_template/rank-{prefix}" in caught.value.changed


def test_a_template_of_somebody_else_is_reported_and_kept(es: Elasticsearch, prefix: str) -> None:
    es.indices.put_index_template(name=f"rank-{prefix}", index_patterns=["theirs-*"])
    try:
        with pytest.raises(ConfigError, match="did not make"):
            plan(es, prefix)
    finally:
        theirs = es.indices.get_index_template(name=f"rank-{prefix}")["index_templates"][0]
    assert theirs["index_template"]["index_patterns"] == ["theirs-*"]


def test_ensure_index_twice_makes_one(es: Elasticsearch, prefix: str) -> None:
    apply_steps(es, plan(es, prefix))
    assert (ensure_index(es, prefix), ensure_index(es, prefix)) == (True, False)
    es.indices.delete_alias(index=f"{prefix}-000001", name=prefix)
    assert ensure_index(es, prefix)  # an index whose alias was lost gets it back
