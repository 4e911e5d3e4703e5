"""As-of state on real engines: history from the topic, bare logs reconstructed, an index rebuilt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from elasticsearch import Elasticsearch, helpers
from typer.testing import CliRunner

from index_templates import apply_steps, desired_state, plan_steps, read_live
from ranking.capture import CaptureRecord, read_captures, write_captures
from ranking.cli import full_app
from ranking.clock import DAY_MS
from ranking.errors import InputError
from ranking.profile import Profile
from ranking.search import Searcher
from replay import read_log, verify_live
from replay.history import History, fold, parse_change, read_source, write_history
from replay.history.sources import read_index, read_topic
from replay.log import CaptureLog
from replay.rebuild import MARK, leftovers, remove, scratch_index
from replay.reconstruct import reconstruct
from tests.integration.test_parity import NOW, WORDS, random_documents

pytestmark = pytest.mark.engines

PROFILE = Profile.model_validate(
    {
        "name": "then",
        "image": {"mode": "additive", "weight": 3.0, "missing": 0.2},
        "freshness": {"scale": "14d"},
        "factors": [{"type": "rule", "field": "price", "gte": 5000, "weight": 1.3}],
        "k": 20,
        "window": 150,
    }
)
N_DOCS = 1_200


@pytest.fixture(params=[1, 3], ids=["1 shard", "3 shards"])
def index(request: pytest.FixtureRequest, es: Elasticsearch, prefix: str) -> str:
    wanted = desired_state(prefix)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    name = f"{prefix}-000001"
    es.indices.create(index=name, settings={"number_of_shards": request.param})
    return name


def first_documents() -> list[dict[str, object]]:
    """As they were ingested, two days before the clock: each with the time of its state."""
    rng = np.random.default_rng(31)
    return [
        {
            **document,
            "created_at": document.get("created_at", NOW - 40 * DAY_MS),
            "image_url": f"file:{i}",
            "updated_at": NOW - 2 * DAY_MS,
        }
        for i, document in enumerate(random_documents(rng, N_DOCS))
    ]


def later_changes(documents: list[dict[str, object]]) -> list[dict[str, object]]:
    """A change log of what happened in the hour after the clock: rescored, sold, dearer, gone, new."""
    changes: list[dict[str, object]] = []
    for i, document in enumerate(documents):
        at = NOW + 1 + i * 1_000
        item = {"item_id": document["item_id"], "at": at}
        match i % 8:
            case 0:
                changes.append({**item, "image_score": 0.25})
            case 1:
                changes.append({**item, "op": "sold"})
            case 2:
                changes.append({**item, "price": 9_999, "title": "w0 w1 changed"})
            case 3:
                changes.append({**item, "op": "delete"})
    for i in range(100):
        changes.append(
            {
                "item_id": f"n{i:04d}",
                "at": NOW + 5 + i,
                "op": "create",
                "title": f"w{i % 7} w2 new",
                "status": "on_sale",
                "created_at": NOW + 5 + i,
            }
        )
    return changes


def apply_later(es: Elasticsearch, index: str, changes: list[dict[str, object]]) -> None:
    """The same changes to the index."""
    for change in changes:
        values = {n: v for n, v in change.items() if n not in ("item_id", "at", "op")}
        action = {"_index": index, "_id": change["item_id"]}
        match change.get("op"):
            case "delete":
                operation = {**action, "_op_type": "delete"}
            case "create":
                operation = {**action, "_op_type": "index", "item_id": change["item_id"], **values}
            case "sold":
                operation = {**action, "_op_type": "update", "doc": {"status": "sold"}}
            case _:
                operation = {**action, "_op_type": "update", "doc": values}
        change["_operation"] = operation
    helpers.bulk(es, [change.pop("_operation") for change in changes], refresh=True)


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Of the change log, lines shuffled and some there twice."""
    documents = first_documents()
    lines = [json.dumps(line) for line in (*documents, *later_changes(documents))]
    lines += lines[:50]
    np.random.default_rng(1).shuffle(lines)
    (tmp_path / "changes.jsonl").write_text("\n".join(lines))
    table = fold(read_source(str(tmp_path / "changes.jsonl")))
    return write_history(tmp_path / "history", table, ["changes.jsonl"], len(lines))


def searches(es: Elasticsearch, index: str, n: int) -> list[CaptureRecord]:
    rng = np.random.default_rng(32)
    return [
        Searcher(es, index, PROFILE).capture(" ".join(rng.choice(WORDS[:12], size=2)), now_ms=NOW)
        for _ in range(n)
    ]


@pytest.fixture
def captures(es: Elasticsearch, index: str, tmp_path: Path) -> Path:
    """Searches served at the clock; everything that the change log tells happened after it."""
    documents = first_documents()
    helpers.bulk(es, ({"_index": index, "_id": d["item_id"], **d} for d in documents), refresh=True)
    write_captures(tmp_path / "captures", searches(es, index, 30), [PROFILE])
    apply_later(es, index, later_changes(documents))
    return tmp_path / "captures"


def test_an_index_rebuilt_as_of_then_has_the_relevance_and_the_pages_of_then(
    es: Elasticsearch, index: str, captures: Path, history: History
) -> None:
    log = read_log(captures)
    today = verify_live(es, log)
    assert today.drift.rel_equal == 0  # statistics moved under every search
    assert today.drift.left > 0
    with scratch_index(es, history, NOW, index=index) as scratch:
        assert scratch.documents == N_DOCS
        assert "deleted documents" in scratch.caveats[0]  # of what changed since
        then = verify_live(es, log, index=scratch.name, fixed=True)
        assert [one.name for one in leftovers(es)].count(scratch.name) == 1
    drift = then.drift
    assert drift.rel_equal == drift.common_items == int((log.rank > 0).sum())
    assert (drift.identical_pages, drift.left, drift.entered, drift.rescored) == (30, 0, 0, 0)
    assert drift.worst_rel_change == 0.0
    assert then.holds
    assert not es.indices.exists(index=scratch.name)


def test_a_scratch_index_goes_after_a_failure_and_after_ctrl_c(
    es: Elasticsearch, index: str, captures: Path, history: History, tmp_path: Path
) -> None:
    names = []

    def fails() -> None:
        with scratch_index(es, history, NOW, index=index) as made:
            names.append(made.name)
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fails()
    with pytest.raises(InputError, match="no document at"), scratch_index(es, history, 5, index=index):
        pass
    for end in (signal.SIGINT, signal.SIGTERM):
        ready = tmp_path / f"ready-{end}"
        code = f"import sys, time; open({str(ready)!r}, 'w').write(sys.argv[1]); time.sleep(60)"
        words = ["replay", "rebuild", "--history", str(tmp_path / "history"), "--at", str(NOW)]
        main = [sys.executable, "-c", "from ranking.cli import main; main()"]
        run = subprocess.Popen(
            [*main, *words, "--index", index, "--", sys.executable, "-c", code, "{index}"],
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        began = time.monotonic()
        while not (ready.exists() and ready.read_text()) and time.monotonic() - began < 60:
            time.sleep(0.1)
        names.append(ready.read_text())
        os.killpg(run.pid, end)
        assert run.wait(30) != 0
    assert len(set(names)) == 3
    assert not any(es.indices.exists(index=name) for name in names)


def test_what_a_killed_process_left_is_listed_and_can_be_removed(
    es: Elasticsearch, index: str, captures: Path, history: History
) -> None:
    making = scratch_index(es, history, NOW, index=index)
    name = making.__enter__().name  # and its process is killed
    run = CliRunner().invoke
    found = json.loads(run(full_app(), ["replay", "rebuild", "--leftovers", "--format", "json"]).stdout)
    mine = next(one for one in found["scratch_indices"] if one["name"] == name)
    assert (mine["of"], mine["at_ms"], mine["documents"]) == (index, NOW, N_DOCS)
    assert MARK in es.indices.get_mapping(index=name)[name]["mappings"]["_meta"]
    assert run(full_app(), ["replay", "rebuild", "--remove", index]).exit_code == 1  # no scratch index
    assert es.indices.exists(index=index)
    assert run(full_app(), ["replay", "rebuild", "--remove", name]).exit_code == 0
    assert not es.indices.exists(index=name)
    remove(es, name)  # again: nothing to do


def bare(captures: Path, folder: Path) -> Path:
    """The log as an importer leaves it: query, time and shown ids."""
    records = [
        replace(
            record,
            profile="",
            profile_hash="",
            rel_floor=None,
            items=tuple(
                replace(
                    item,
                    rel=None,  # type: ignore[arg-type]
                    score=None,
                    image_score=None,
                    created_ms=None,
                    category=None,
                    price=None,
                    extras={},
                )
                for item in record.items
                if item.rank
            ),
        )
        for record in read_captures(captures)
    ]
    write_captures(folder, records, [])
    return folder


def test_a_bare_log_is_reconstructed_and_the_gap_is_measured(
    es: Elasticsearch, index: str, captures: Path, history: History, tmp_path: Path
) -> None:
    log = bare(captures, tmp_path / "bare")
    shown = 30 * 20
    now = reconstruct(es, log, tmp_path / "now", PROFILE)
    assert (now.searches, now.n, now.shown) == (30, 30, shown)
    assert now.found < shown  # sold, deleted or renamed since
    assert now.overlap < 0.95
    with_history = reconstruct(es, log, tmp_path / "as-of", PROFILE, history=history)
    assert with_history.found > now.found  # what was sold since is found, as on sale then
    assert with_history.overlap > now.overlap
    with scratch_index(es, history, NOW, index=index) as scratch:
        then = reconstruct(es, log, tmp_path / "then", PROFILE, index=scratch.name)
    assert (then.found, then.identical_pages) == (
        shown,
        30,
    )  # exact: statistics, values and documents of then
    assert (then.overlap, then.rbo, then.tau) == (1.0, pytest.approx(1.0), pytest.approx(1.0))
    rebuilt, served = read_log(tmp_path / "then"), read_log(captures)
    rel = dict(zip(_keys(served), served.docs.rel, strict=True))
    same = [rel[key] == r for key, r in zip(_keys(rebuilt), rebuilt.docs.rel, strict=True) if key in rel]
    assert all(same)
    assert len(same) >= shown
    with pytest.raises(InputError, match="nothing to reconstruct"):
        reconstruct(es, captures, tmp_path / "none", PROFILE)


def _keys(log: CaptureLog) -> list[tuple[str, str]]:
    return list(zip(log.searches["search_id"][log.owner], log.item_id, strict=True))


def test_the_commands_say_what_they_did(
    es: Elasticsearch, index: str, captures: Path, history: History, tmp_path: Path
) -> None:
    run = CliRunner().invoke
    log, known = str(bare(captures, tmp_path / "bare")), ["--history", str(tmp_path / "history")]
    profile = tmp_path / "then.yaml"
    profile.write_text(PROFILE.model_dump_json(exclude_defaults=True))
    kept = str(tmp_path / "kept")
    words = ["replay", "run", log, "--reconstruct", *known, "--baseline", str(profile), "--keep", kept]
    done = run(full_app(), [*words, "--contender", "control", "--shift", "0", "--shift", "1h"])
    assert done.exit_code == 0, done.stderr
    assert "relevance statistics are those of the index that was asked" in " ".join(done.stderr.split())
    assert "sold or removed by then" in done.stderr
    assert "the same searches later" in done.stdout
    assert len(read_log(Path(kept))) == 30
    words = ["replay", "rebuild", *known, "--at", str(NOW), "--index", index, "--format", "json"]
    found = json.loads(run(full_app(), [*words, "--captures", str(captures)]).stdout)
    assert found["live"]["drift"]["identical_pages"] == 30
    again = run(full_app(), [*words[:-2], "--", sys.executable, "-c", "import sys; sys.exit(7)"])
    assert again.exit_code == 7


def test_a_history_comes_from_the_topic_as_from_a_file(
    prefix: str, kafka_bootstrap: str, tmp_path: Path
) -> None:
    from confluent_kafka.admin import AdminClient

    from ranking.kafka import open_producer
    from scorer.ingest import publish

    documents = [d for d in first_documents()[:200] if d["title"]]
    for document in documents:
        document.pop("image_score", None)
        document.pop("image_attributes", None)
    try:
        publish(documents, kafka_bootstrap, topic=prefix)
        publish([{**documents[3], "status": "sold", "updated_at": NOW}], kafka_bootstrap, topic=prefix)
        producer = open_producer(kafka_bootstrap)
        gone = str(documents[4]["item_id"])
        producer.produce(prefix, None, gone.encode(), timestamp=NOW + 7)
        producer.produce(prefix, b"not JSON", b"x")  # what the ingest sets aside
        producer.flush()
        found = History(fold(read_topic(prefix, kafka_bootstrap)))
    finally:
        admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
        for result in admin.delete_topics([prefix]).values():
            result.result(30)
    assert found.n_items == len(documents)
    sold = found.states(str(documents[3]["item_id"]))
    assert [state["status"] for state in sold] == [documents[3]["status"], "sold"]
    assert found.states(gone)[-1]["status"] == "deleted"
    assert found.states(gone)[-1]["valid_from"] == NOW + 7


def test_a_history_can_begin_with_what_an_index_holds(es: Elasticsearch, index: str) -> None:
    documents = first_documents()[:300]
    scored = [{**d, "image_scored_at": NOW - DAY_MS} if "image_score" in d else d for d in documents]
    helpers.bulk(es, ({"_index": index, "_id": d["item_id"], **d} for d in scored), refresh=True)
    found = History(fold(read_index(es, index)))
    ids = np.array([d["item_id"] for d in documents], dtype=object)
    before, _, _ = found.find(ids, np.full(len(ids), NOW - DAY_MS - 1))
    after, _, _ = found.find(ids, np.full(len(ids), NOW))
    assert np.isnan(found.column("image_score", before)).all()
    expected = [d.get("image_score", np.nan) for d in documents]
    np.testing.assert_array_equal(found.column("image_score", after), expected)


def test_documents_that_are_deleted_and_not_merged_away_are_what_a_rebuilt_index_lacks(
    es: Elasticsearch, index: str
) -> None:
    documents = first_documents()
    helpers.bulk(es, ({"_index": index, "_id": d["item_id"], **d} for d in documents), refresh=True)
    again = [{**d, "title": f"{d['title']} w1", "updated_at": NOW - DAY_MS} for d in documents[::5]]
    helpers.bulk(es, ({"_index": index, "_id": d["item_id"], **d} for d in again), refresh=True)
    known = History(fold(change for d in (*documents, *again) for change in parse_change(d)))

    def same_relevance(of: str) -> tuple[int, int]:
        records, equal = searches(es, of, 10), 0
        with scratch_index(es, known, NOW, index=of) as scratch:
            for record in records:
                page = Searcher(es, scratch.name, PROFILE).search(record.query, now_ms=NOW)
                rel = {item.item_id: item.rel for item in page.items}
                equal += sum(item.rel == rel.get(item.item_id) for item in record.items if item.rank)
        return equal, sum(item.rank is not None for record in records for item in record.items)

    assert es.indices.stats(index=index)["_all"]["primaries"]["docs"]["deleted"] == len(again)
    equal, n = same_relevance(index)
    assert equal < n / 2
    # the same documents in an index that has dropped them: all equal
    merged, shards = f"{index}-merged", es.indices.get_settings(index=index)[index]["settings"]["index"]
    es.indices.create(index=merged, settings={"number_of_shards": shards["number_of_shards"]})
    es.reindex(source={"index": index}, dest={"index": merged}, refresh=True)
    equal, n = same_relevance(merged)
    assert equal == n > 150
