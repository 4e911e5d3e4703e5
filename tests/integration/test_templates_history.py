"""What an apply overwrote comes back: history, rollback, export and overlaps on a real cluster."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from threading import Timer

import pytest
from elasticsearch import Elasticsearch
from typer.testing import CliRunner

from index_templates import (
    Step,
    apply_steps,
    deploy,
    desired_state,
    plan_rollback,
    plan_steps,
    read_live,
    read_overlaps,
    read_owned,
)
from index_templates.history import history_index, read_history
from index_templates.live import normalize
from index_templates.rollback import standing
from ranking.cli import full_app
from ranking.clock import now_ms
from ranking.errors import InputError, ServerError, StalePlan

pytestmark = pytest.mark.engines


def run(prefix: str, *words: str, given: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(full_app(), ["templates", *words, "--index", prefix], input=given)
    return result.exit_code, result.stdout, result.stderr


def plan(es: Elasticsearch, family: str) -> list[Step]:
    wanted = desired_state(family)
    return plan_steps(wanted, {**read_owned(es, family), **read_live(es, wanted)})


def settings_component(es: Elasticsearch, family: str) -> dict:
    name = f"rank-settings-{family}"
    return es.cluster.get_component_template(name=name)["component_templates"][0]["component_template"]


def drift(es: Elasticsearch, family: str, interval: str) -> None:
    """A change of ours by other means, such as an older version of these files."""
    found = settings_component(es, family)
    es.cluster.put_component_template(
        name=f"rank-settings-{family}",
        template={"settings": {**found["template"]["settings"]["index"], "refresh_interval": interval}},
        meta=found["_meta"],
    )


def interval(es: Elasticsearch, family: str) -> str:
    return settings_component(es, family)["template"]["settings"]["index"]["refresh_interval"]


def test_an_apply_counts_the_version_up_and_a_rollback_brings_the_old_body_back(es, prefix) -> None:
    assert run(prefix, "apply", "--no-create-index")[0] == 0
    drift(es, prefix, "30s")
    assert settings_component(es, prefix)["_meta"]["version"] == 1
    assert run(prefix, "apply", "--no-create-index")[0] == 0
    assert (interval(es, prefix), settings_component(es, prefix)["_meta"]["version"]) == ("1s", 2)

    code, stdout, stderr = run(prefix, "rollback", "--format", "json", "--yes")
    assert code == 0, stderr
    assert json.loads(stdout)["rolled_back"] == [2]
    assert interval(es, prefix) == "30s"
    entries = read_history(es, prefix)
    assert [(e.number, e.change, e.state) for e in entries] == [
        (1, "apply", "written"),
        (2, "apply", "written"),
        (3, "rollback", "written"),
    ]
    assert [e.number for e in standing(entries)] == [1]
    code, stdout, _ = run(prefix, "history", "--format", "json")
    assert [change["stands"] for change in json.loads(stdout)["changes"]] == [True, False, False]


def test_back_to_before_the_first_deletes_only_with_yes(es, prefix) -> None:
    assert run(prefix, "apply", "--no-create-index")[0] == 0
    code, stdout, stderr = run(prefix, "rollback", "--to", "0", given="y\n")
    assert code == 0
    assert "delete" in stdout  # the plan is shown
    assert "left out without --yes" in stderr
    assert es.indices.exists_index_template(name=f"rank-{prefix}")
    assert run(prefix, "rollback", "--to", "0", "--yes")[0] == 0
    assert not es.indices.exists_index_template(name=f"rank-{prefix}")
    assert not es.options(ignore_status=404).ingest.get_pipeline(id=f"rank-{prefix}").body
    assert es.get_script(id="rank-boost-gauss-v1")["found"]  # shared by every family


def test_several_applies_are_taken_back_in_one_step(es, prefix) -> None:
    for value in (None, "10s", "20s"):
        if value:
            drift(es, prefix, value)
        assert run(prefix, "apply", "--no-create-index")[0] == 0
    steps, undone = plan_rollback(es, prefix, to=1)
    assert [entry.number for entry in undone] == [2, 3]
    assert [step.name for step in steps] == [f"component_template/rank-settings-{prefix}"]
    assert run(prefix, "rollback", "--to", "1", "--yes")[0] == 0
    assert interval(es, prefix) == "10s"
    with pytest.raises(InputError, match="no such apply stands"):
        plan_rollback(es, prefix, to=3)


def test_what_was_changed_since_by_other_means_is_not_rolled_over(es, prefix) -> None:
    assert run(prefix, "apply", "--no-create-index")[0] == 0
    drift(es, prefix, "30s")
    with pytest.raises(StalePlan, match="rank-settings"):
        plan_rollback(es, prefix)


def test_of_two_who_apply_at_once_one_is_refused(es, prefix, monkeypatch) -> None:
    steps = plan(es, prefix)
    from index_templates import rollback

    check = rollback.check_unchanged

    def check_and_lose(*args):
        check(*args)
        monkeypatch.undo()
        deploy(es, prefix, steps, now_ms=now_ms())

    monkeypatch.setattr(rollback, "check_unchanged", check_and_lose)
    with pytest.raises(StalePlan):
        deploy(es, prefix, steps, now_ms=now_ms())
    assert len(read_history(es, prefix)) == 1


def test_an_apply_that_was_cut_off_can_be_rolled_back(es, prefix) -> None:
    class Died(BaseException):
        pass

    def die(step):
        if step.kind == "component_template":
            raise Died

    with pytest.raises(Died):
        deploy(es, prefix, plan(es, prefix), now_ms=now_ms() - 120_000, on_step=die)
    (entry,) = read_history(es, prefix)
    assert entry.state == "writing"
    assert run(prefix, "rollback", "--yes")[0] == 0
    assert read_owned(es, prefix) == {}


def test_a_pipeline_in_use_is_kept_and_nothing_is_deleted(es, prefix) -> None:
    assert run(prefix, "apply")[0] == 0
    steps, undone = plan_rollback(es, prefix, to=0)
    with pytest.raises(ServerError, match=f"{prefix}-000001 still uses it"):
        deploy(es, prefix, steps, now_ms=now_ms(), change="rollback", undoes=[e.number for e in undone])
    assert plan(es, prefix) == []


def test_what_the_files_no_longer_hold_is_deleted_with_yes(es, prefix) -> None:
    apply_steps(es, plan(es, prefix))
    mark = {"managed_by": "rank-toolkit", "family": prefix}
    es.cluster.put_component_template(name=f"rank-gone-{prefix}", template={}, meta=mark)
    es.cluster.put_component_template(name=f"theirs-{prefix}", template={}, meta={"family": prefix})
    assert [(s.action, s.name) for s in plan(es, prefix)] == [
        ("delete", f"component_template/rank-gone-{prefix}")
    ]
    assert run(prefix, "plan", "--check")[0] == 2
    _, _, stderr = run(prefix, "apply", "--no-create-index")
    assert "left out without --yes" in stderr
    assert run(prefix, "apply", "--no-create-index", "--yes")[0] == 0
    assert plan(es, prefix) == []
    assert es.cluster.exists_component_template(name=f"theirs-{prefix}")
    assert run(prefix, "rollback", "--yes")[0] == 0
    assert es.cluster.exists_component_template(name=f"rank-gone-{prefix}")


def test_the_exported_script_brings_a_cluster_to_an_empty_plan(es, prefix, tmp_path: Path) -> None:
    code, stdout, _ = run(prefix, "export", str(tmp_path / "out"))
    assert code == 0
    script = Path(stdout.splitlines()[-1])
    node = next(iter(es.transport.node_pool.all()))
    env = {**os.environ, "ELASTICSEARCH_URL": node.base_url}
    for said in ("PUT", "there already"):  # may be run again
        done = subprocess.run([script], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout.splitlines()[-1]
    assert plan(es, prefix) == []
    alias = es.indices.get_alias(name=f"{prefix}-write").body
    assert alias[f"{prefix}-000001"]["aliases"][f"{prefix}-write"]["is_write_index"]
    broken = tmp_path / "out" / "ingest_pipelines" / f"rank-{prefix}.json"
    broken.write_text('{"processors": [{"no_such": {}}]}')
    done = subprocess.run([script], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no_such" in done.stderr


def test_a_template_of_higher_priority_is_reported_with_what_it_takes(es, prefix) -> None:
    assert run(prefix, "apply", "--no-create-index")[0] == 0
    es.indices.put_index_template(
        name=f"theirs-{prefix}",
        index_patterns=[f"{prefix}-*"],
        priority=500,
        template={
            "settings": {"number_of_shards": 1},
            "mappings": {"properties": {"price": {"type": "long"}}},
        },
    )
    es.indices.put_index_template(name=f"weak-{prefix}", index_patterns=[f"{prefix}*"], priority=3)
    first, second = read_overlaps(es, prefix, desired_state(prefix))
    assert (first.name, first.effect) == (f"theirs-{prefix}", "shadows ours")
    assert "settings.index.default_pipeline" in first.lost
    assert "mappings.item_id" in first.lost
    assert "mappings.price" not in first.lost
    assert "settings.index.number_of_shards" not in first.lost
    assert (second.name, second.effect) == (f"weak-{prefix}", "shadowed by ours")
    code, stdout, stderr = run(prefix, "plan", "--check", "--format", "json")
    assert code == 2
    assert json.loads(stdout)["overlaps"][0]["name"] == f"theirs-{prefix}"
    assert f"warning: index template theirs-{prefix}" in stderr
    es.indices.delete_index_template(name=f"theirs-{prefix}")
    assert run(prefix, "plan", "--check")[0] == 0


def test_the_plan_says_what_the_cluster_can_do(es, prefix) -> None:
    code, stdout, stderr = run(prefix, "plan", "--features", "--no-diff")
    assert code == 0
    assert "script_rescorer" in stdout
    assert "Elasticsearch" in stderr
    assert set(json.loads(run(prefix, "plan", "--format", "json")[1])["features"]) >= {"version", "mustache"}


def test_reversing_a_step_twice_is_the_step(es, prefix) -> None:
    steps = plan(es, prefix)
    apply_steps(es, steps)
    back = [step.reverse() for step in reversed(steps) if step.kind != "script"]
    assert [step.reverse() for step in reversed(back)] == [s for s in steps if s.kind != "script"]
    live = read_live(es, [step.resource for step in steps])
    assert all(normalize(s.kind, live[s.name]) == normalize(s.kind, s.after) for s in steps)
    apply_steps(es, back)
    assert read_owned(es, prefix) == {}
    assert not es.indices.exists(index=history_index(prefix))  # apply_steps alone keeps no history


def test_a_reader_waits_for_the_shard_of_a_history_that_was_just_made(es, prefix) -> None:
    name, nowhere = history_index(prefix), {"index.routing.allocation.require._name": "nobody"}
    fields = {"type": {"type": "keyword"}, "number": {"type": "integer"}}
    es.indices.create(index=name, mappings={"properties": fields}, settings=nowhere, wait_for_active_shards=0)
    anywhere = dict.fromkeys(nowhere)
    later = Timer(1.0, es.indices.put_settings, kwargs={"index": name, "settings": anywhere})
    later.start()
    assert read_history(es, prefix) == []
    later.join()
