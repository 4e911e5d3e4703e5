"""A load test on a real cluster: both sides answered, counted by the server too, and judged."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch, helpers
from typer.testing import CliRunner

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from ranking.capture import write_captures
from ranking.cli import full_app
from ranking.profile import builtin_profiles
from ranking.search import Searcher

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(
        "CI" not in os.environ and find_spec("locust") is None, reason="Locust is not installed"
    ),  # never imported here
]

NOW = 1_795_000_000_000


@pytest.fixture
def captures(es: Elasticsearch, prefix: str, tmp_path: Path) -> Path:
    wanted = desired_state(prefix)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, prefix)
    documents = (
        {"_index": prefix, "_id": f"i{i}", "item_id": f"i{i}", "title": "red dress", "status": "on_sale"}
        for i in range(50)
    )
    helpers.bulk(es, documents, refresh=True)
    profile = builtin_profiles()["control"]
    searcher = Searcher(es, prefix, profile)
    platforms = ("web", "ios", None)
    records = [
        searcher.capture("red dress", now_ms=NOW + 100 * i, platform=platforms[i % 3]) for i in range(20)
    ]
    write_captures(tmp_path / "captures", records, [profile])
    return tmp_path / "captures"


def test_both_sides_are_loaded_measured_and_judged(captures: Path, prefix: str, tmp_path: Path) -> None:
    slo = tmp_path / "slo.yaml"
    slo.write_text("latency_ms: {p99: 0.001}\nmax_error_rate: 0\nmax_rejections: 0\n")
    files = [str(tmp_path / name) for name in ("load.json", "load.html")]
    words = [
        *("loadtest", "run", str(captures), "--index", prefix, "--speed-up", "2", "--rounds", "2"),
        *("--slo", str(slo), "--out", files[0], "--html", files[1], "--format", "json"),
    ]
    done = CliRunner().invoke(full_app(), words)
    assert done.exit_code == 2, done.stderr  # nobody answers in a microsecond
    found = json.loads(done.stdout)
    for side in found["sides"].values():
        assert (side["n"], side["n_errors"]) == (40, 0)
        assert side["server"]["searches"] >= 40  # one shard: one query a search, at least
        assert side["server"]["rejected"] == 0
    assert found["workload"]["platforms"] == {"ios": 7, "none": 6, "web": 7}
    assert {one["what"]: one["holds"] for one in found["slo"]} == {
        "latency_ms p99": False,
        "error rate": True,
        "rejections": True,
    }
    again = CliRunner().invoke(full_app(), ["loadtest", "report", files[0], "--format", "json"])
    assert again.exit_code == 0
    assert json.loads(again.stdout)["rows"] == found["rows"]


def test_what_the_cluster_refuses_is_said_before_any_load(captures: Path) -> None:
    done = CliRunner().invoke(full_app(), ["loadtest", "run", str(captures), "--index", "nothing-there"])
    assert done.exit_code == 1
    assert "no such index" in str(done.exception)
