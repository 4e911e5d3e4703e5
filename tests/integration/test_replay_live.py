"""Replay against a live cluster: formula parity holds while the index drifts, and the two are told apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from elasticsearch import Elasticsearch, helpers
from typer.testing import CliRunner

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from ranking.capture import write_captures
from ranking.cli import full_app
from ranking.clock import DAY_MS
from ranking.profile import Profile, builtin_profiles
from ranking.search import Searcher
from replay import rank, read_log, verify, verify_live

pytestmark = pytest.mark.engines

NOW = 1_795_000_000_000
WORDS = ("red", "blue", "dress", "shirt", "wool", "silk", "long", "short")
N = 1_500


def documents(index: str) -> list[dict[str, object]]:
    rng = np.random.default_rng(8)
    return [
        {
            "_index": index,
            "_id": f"i{i:04d}",
            "item_id": f"i{i:04d}",
            "title": " ".join(rng.choice(WORDS, size=3)),
            "status": "on_sale",
            "image_score": float(rng.random()),
            "created_at": int(NOW - rng.exponential(20 * DAY_MS)),
        }
        for i in range(N)
    ]


@pytest.fixture
def index(es: Elasticsearch, prefix: str) -> str:
    wanted = desired_state(prefix)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, prefix)
    helpers.bulk(es, documents(prefix), refresh=True)
    return prefix


@pytest.fixture
def captures(es: Elasticsearch, index: str, tmp_path: Path) -> Path:
    profiles = [p.model_copy(update={"k": 20, "window": 300}) for p in builtin_profiles().values()]
    rng = np.random.default_rng(9)
    records = [
        Searcher(es, index, profiles[i % 3]).capture(
            " ".join(rng.choice(WORDS, size=2)), now_ms=NOW + i * 3_600_000, platform=("web", "ios")[i % 2]
        )
        for i in range(45)
    ]
    resolved = [p.for_platform(platform) for p in profiles for platform in ("web", "ios")]
    write_captures(tmp_path / "captures", records, resolved)
    return tmp_path / "captures"


def test_an_index_that_did_not_move_shows_no_drift(es: Elasticsearch, captures: Path) -> None:
    log = read_log(captures)
    assert verify(log).holds
    live = verify_live(es, log)
    assert (live.searches, live.scores, live.bit_equal) == (45, 900, 900)
    drift = live.drift
    assert (drift.common_items, drift.rel_equal, drift.identical_pages) == (900, 900, 45)
    assert (drift.left, drift.entered, drift.rescored, drift.worst_rel_change) == (0, 0, 0, 0.0)


def test_after_updates_and_deletes_the_formula_still_holds_and_drift_is_reported(
    es: Elasticsearch, index: str, captures: Path
) -> None:
    rescored = {"_op_type": "update", "_index": index, "doc": {"image_score": 0.123}}
    helpers.bulk(es, ({**rescored, "_id": f"i{i:04d}"} for i in range(0, N, 7)))
    gone = ({"_op_type": "delete", "_index": index, "_id": f"i{i:04d}"} for i in range(1, N, 9))
    helpers.bulk(es, gone, refresh=True)
    es.indices.forcemerge(index=index, max_num_segments=1)
    log = read_log(captures)
    assert verify(log).holds  # the log is as it was
    live = verify_live(es, log)
    assert live.holds
    assert live.bit_equal == live.scores == 900
    assert live.drift.left > 0
    assert live.drift.entered > 0
    assert live.drift.rescored > 0
    assert live.drift.rel_equal < live.drift.common_items
    assert 0 < live.drift.worst_rel_change < 0.5


@pytest.mark.parametrize("shift_days", [0, 5])
def test_a_counterfactual_is_what_the_server_returns_as_far_as_it_is_proven(
    es: Elasticsearch, index: str, captures: Path, shift_days: int
) -> None:
    log = read_log(captures)
    contender = Profile.model_validate(
        {
            "name": "c",
            "image": {"mode": "multiplicative", "weight": 0.4, "missing": 0.3},
            "freshness": {"scale": "30d", "curve": "exp"},
            "k": 300,
            "window": 300,
        }
    )
    ranking = rank(log, contender, clock_shift_ms=shift_days * DAY_MS)
    proven = 0
    for i in range(len(log)):
        k = int(ranking.exact_k[i])
        now_ms = int(log.searches["now_ms"][i]) + shift_days * DAY_MS
        page = Searcher(es, index, contender).search(str(log.searches["query"][i]), now_ms=now_ms)
        served = {item.item_id: item.score for item in page.items}
        mine = ranking.top(log, i, k)
        if shift_days == 0:
            assert [item.item_id for item in page.items[:k]] == list(log.item_id[mine])
        for p in mine:
            if log.item_id[p] in served:
                assert served[log.item_id[p]] == float(ranking.scores[p])
        proven += k
    assert proven > 45 * 10


def test_the_command_says_the_same(captures: Path) -> None:
    result = CliRunner().invoke(
        full_app(), ["replay", "verify", str(captures), "--live", "--limit", "9", "--format", "json"]
    )
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (found["parity"]["scores"], found["parity"]["bit_equal"]) == (900, 900)
    assert (found["live"]["searches"], found["live"]["bit_equal"]) == (9, 180)
    result = CliRunner().invoke(full_app(), ["replay", "run", str(captures), "--shift", "7d"])
    assert result.exit_code == 0
    assert "image_score@10" in result.stdout


def test_a_log_that_was_tampered_with_exits_2(captures: Path) -> None:
    import pyarrow.parquet as pq

    part = next(captures.glob("searches/*/*.parquet"))
    table = pq.ParquetFile(part).read()
    rel = [[value * (1 + 2**-20) for value in row] for row in table["rel"].to_pylist()]
    at = table.column_names.index("rel")
    import pyarrow as pa

    pq.write_table(table.set_column(at, "rel", pa.array(rel, pa.list_(pa.float32()))), part)
    result = CliRunner().invoke(full_app(), ["replay", "verify", str(captures)])
    assert result.exit_code == 2
    assert "ulp" in result.stderr
