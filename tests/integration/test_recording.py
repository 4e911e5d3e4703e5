"""Capture on a live cluster: what the recorder keeps is what was served, window and page of one moment."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from elasticsearch import Elasticsearch, helpers
from typer.testing import CliRunner

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from ranking.capture import read_captures
from ranking.cli import full_app
from ranking.clock import DAY_MS
from ranking.profile import builtin_profiles
from ranking.recorder import Recorder
from ranking.sampling import is_sampled
from ranking.search import Searcher
from ranking.settings import get_settings
from replay import exporting, rank, read_log, verify
from replay.checks import check_folder
from replay.importing import import_log

pytestmark = pytest.mark.engines

NOW = 1_795_000_000_000
WORDS = ("red", "blue", "dress", "shirt", "wool", "silk", "long", "short")
N = 800
PROFILE = builtin_profiles()["additive"].model_copy(update={"k": 20, "window": 100})


def documents(index: str) -> list[dict[str, object]]:
    rng = np.random.default_rng(18)
    return [
        {
            "_index": index,
            "_id": f"i{i:04d}",
            "item_id": f"i{i:04d}",
            "title": " ".join(rng.choice(WORDS, size=3)),
            "status": "on_sale",
            "category": str(rng.choice(["hat", "dress"])),
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


def queries(n: int) -> list[str]:
    rng = np.random.default_rng(19)
    return [" ".join(rng.choice(WORDS, size=2)) for _ in range(n)]


def test_what_is_recorded_is_what_a_capture_in_one_request_gives(
    es: Elasticsearch, index: str, tmp_path: Path
) -> None:
    searcher = Searcher(es, index, PROFILE)
    with Recorder(searcher, tmp_path, max_age_s=60) as recorder:
        served = {
            f"s{i}": recorder.search(text, now_ms=NOW, search_id=f"s{i}", filters={"category": "hat"}).page
            for i, text in enumerate(queries(25))
        }
    assert recorder.stats.errors == 0
    for record in read_captures(tmp_path):
        pair = searcher.page_and_window(record.query, now_ms=NOW, filters={"category": "hat"})
        assert served[record.search_id].items == pair.page.items
        assert record.items == (*pair.page.items, *pair.rest)
        assert (record.rel_floor, record.window, record.total_hits) == (
            pair.rel_floor,
            100,
            pair.page.total_hits,
        )


def test_while_the_index_changes_every_record_is_of_one_moment(
    es: Elasticsearch, index: str, tmp_path: Path
) -> None:
    stop = threading.Event()

    def churn() -> None:
        rng = np.random.default_rng(20)
        while not stop.is_set():
            chosen = rng.choice(N, size=40, replace=False)
            change = {"_op_type": "update", "_index": index, "doc": {"image_score": float(rng.random())}}
            helpers.bulk(es, [{**change, "_id": f"i{i:04d}"} for i in chosen], refresh=True)

    writer = threading.Thread(target=churn)
    writer.start()
    try:
        with Recorder(Searcher(es, index, PROFILE), tmp_path, max_age_s=0.1) as recorder:
            for i, text in enumerate(queries(80)):
                recorder.search(text, now_ms=NOW + i, user_id=f"u{i}")
    finally:
        stop.set()
        writer.join()
    stats = recorder.stats
    assert (stats.written, stats.page_only, stats.dropped) == (80, 0, 0)
    log = read_log(tmp_path)
    parity = verify(log)
    assert (parity.bit_equal, parity.scores, parity.holds) == (1600, 1600, True)
    assert (rank(log, PROFILE).exact_k > 0).all()
    bad = [check.name for check in check_folder(tmp_path) if check.verdict != "ok"]
    assert bad == []


def test_the_command_records_the_same_sample_each_time(es: Elasticsearch, index: str, tmp_path: Path) -> None:
    rows = [
        {"query": text, "user_id": f"u{i}", "platform": ("web", "ios")[i % 2], "at": NOW + i}
        for i, text in enumerate(queries(40))
    ]
    path = tmp_path / "queries.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    words = ["--queries", str(path), "--profile", "additive", "--index", index, "--sample", "0.3"]
    found = []
    for name in ("a", "b"):
        done = CliRunner().invoke(
            full_app(), ["replay", "record", str(tmp_path / name), *words, "--format", "json"]
        )
        assert done.exit_code == 0, done.stderr
        said = json.loads(done.stdout)
        records = sorted(read_captures(tmp_path / name), key=lambda record: record.now_ms)
        assert (said["searches"], said["searches_captured"]) == (40, len(records))
        found.append([(r.user_id, r.query, r.platform, r.now_ms) for r in records])
        assert verify(read_log(tmp_path / name)).holds
    assert found[0] == found[1]
    assert [user for user, *_ in found[0]] == [f"u{i}" for i in range(40) if is_sampled(0.3, user_id=f"u{i}")]


def test_a_log_of_shown_ids_says_what_it_lacks_and_the_index_what_moved(
    es: Elasticsearch, index: str, tmp_path: Path
) -> None:
    with Recorder(Searcher(es, index, PROFILE), tmp_path / "log") as recorder:
        for i, text in enumerate(queries(10)):
            recorder.search(text, now_ms=NOW + i * 1000, search_id=f"s{i}")
    checks = {one.name: one for one in check_folder(tmp_path / "log", es=es)}
    assert (checks["drift of the index"].verdict, checks["formula on the cluster"].verdict) == ("ok", "ok")
    helpers.bulk(
        es,
        [{"_op_type": "delete", "_index": index, "_id": f"i{i:04d}"} for i in range(0, N, 5)],
        refresh=True,
    )
    checks = {one.name: one for one in check_folder(tmp_path / "log", es=es)}
    assert checks["drift of the index"].verdict == "warning"
    assert checks["drift of the index"].count > 0
    assert checks["formula on the cluster"].verdict == "ok"
    exporting.export_ubi(tmp_path / "log", tmp_path / "ubi", side_file=False)
    import_log("ubi", sorted((tmp_path / "ubi").iterdir()), tmp_path / "shown")
    run = CliRunner()
    said = run.invoke(full_app(), ["replay", "verify", str(tmp_path / "shown")])
    assert said.exit_code == 0
    assert "10 searches were imported" in said.stderr


def test_the_snippets_of_the_docs_run(
    es: Elasticsearch, index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ranking.query_log import parse_query_line

    duckdb = pytest.importorskip("duckdb")
    page = (Path(__file__).parents[2] / "docs" / "replay_formats.md").read_text(encoding="utf-8")
    snippets = dict(re.findall(r"```(python|json|sql)\n(.*?)```", page, flags=re.DOTALL))
    monkeypatch.setenv("RANK_STATE_DIR", str(get_settings().state_dir.resolve()))
    get_settings.cache_clear()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "mine.yaml").write_text("name: mine\nimage: {mode: additive, weight: 2}\n")
    code = snippets["python"].replace('"items"', repr(index)).replace("sample=0.1", "sample=1.0")
    exec(compile(code, "docs/replay_formats.md", "exec"), {})
    assert len(read_log(tmp_path / "captures")) == 1
    assert parse_query_line(snippets["json"]).filters == {"category": "dress"}
    assert len(duckdb.sql(snippets["sql"]).fetchall()) == 1
    get_settings.cache_clear()
