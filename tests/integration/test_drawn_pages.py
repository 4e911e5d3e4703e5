"""Explored and interleaved pages on a live cluster: captured, verified, and worth an estimate."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from elasticsearch import Elasticsearch, helpers
from typer.testing import CliRunner

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from ranking.capture import CaptureRecord, Event, write_captures, write_events
from ranking.cli import full_app
from ranking.clock import DAY_MS
from ranking.explore import SwapPairs
from ranking.explorer import Explorer
from ranking.interleaver import Interleaver
from ranking.profile import Profile, builtin_profiles
from ranking.search import Searcher
from ranking.settings import get_settings
from replay import rank, read_log, verify, verify_live
from replay.clicks import read_pages
from replay.interleaving import analyse, read_credits
from replay.offpolicy import evaluate, recorded
from tests.integration.conftest import remove_family
from tests.integration.simulated.test_clicks_docs import snippets

pytestmark = pytest.mark.engines

NOW = 1_795_000_000_000
WORDS = ("red", "blue", "dress", "shirt", "wool", "silk", "long", "short")


def sides() -> list[Profile]:
    return [
        builtin_profiles()[name].model_copy(update={"k": 8, "window": 600})
        for name in ("control", "additive")
    ]


@pytest.fixture(scope="module")
def index(es: Elasticsearch) -> Iterator[str]:
    prefix = f"test-{uuid.uuid4().hex[:8]}"
    wanted = desired_state(prefix)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, prefix)
    rng = np.random.default_rng(8)
    documents = [
        {
            "_index": prefix,
            "_id": f"i{i:04d}",
            "item_id": f"i{i:04d}",
            "title": " ".join(rng.choice(WORDS, size=3)),
            "status": "on_sale",
            "image_score": float(rng.random()),
            "image_url": f"file:///photos/{i}.jpg",
            "created_at": int(NOW - rng.exponential(20 * DAY_MS)),
        }
        for i in range(600)
    ]
    helpers.bulk(es, documents, refresh=True)
    yield prefix
    remove_family(es, prefix)


def visits(n: int) -> list[dict[str, object]]:
    rng = np.random.default_rng(9)
    return [
        {
            "text": " ".join(rng.choice(WORDS, size=2)),
            "now_ms": NOW + int(rng.integers(0, 14 * DAY_MS)),
            "platform": ("web", "ios")[i % 2],
            "user_id": f"u{i % 17}",
            "search_id": f"s{i}",
        }
        for i in range(n)
    ]


def write(folder: Path, records: list[CaptureRecord]) -> None:
    """The records with simulated clicks on good photos."""
    rng = np.random.default_rng(1)
    events = [
        Event(record.search_id, item.item_id, "click", item.rank, record.now_ms + item.rank, simulated=True)
        for record in records
        for item in record.items
        if item.rank is not None and rng.random() < (item.image_score or 0) / item.rank
    ]
    write_captures(
        folder, records, [p.for_platform(platform) for p in sides() for platform in ("web", "ios")]
    )
    write_events(folder, events)


def test_explored_pages_verify_and_carry_an_estimate(es: Elasticsearch, index: str, tmp_path: Path) -> None:
    control = sides()[0]
    explorer = Explorer(es, index, control, SwapPairs(0.5, 4))
    records = [explorer.capture(**visit) for visit in visits(40)]  # type: ignore[arg-type]
    again = [explorer.capture(**visit) for visit in visits(3)]  # type: ignore[arg-type]
    assert [record.items for record in again] == [record.items for record in records[:3]]
    write(tmp_path, records)
    log = read_log(tmp_path)
    assert verify(log).holds
    live = verify_live(es, log, limit=15)
    assert live.holds
    assert (live.drift.identical_pages, live.drift.left, live.drift.entered) == (15, 0, 0)
    swapped = sum(
        record.items[0].extras["formula_rank"] != 1 or record.items[2].extras["formula_rank"] != 3
        for record in records
    )
    assert 15 <= swapped <= 39  # 30 expected
    pages = read_pages(log, tmp_path)
    found = evaluate(
        log,
        pages,
        rank(log, control),
        np.random.default_rng(0),
        k=8,
        probs=recorded(log, pages.shown),
        n_resamples=50,
    )
    assert found.proven == 40
    assert found.estimate("SNIIPS").value > 0


def test_interleaved_pages_are_of_one_moment_and_the_replay_redraws_both(
    es: Elasticsearch, index: str, tmp_path: Path
) -> None:
    serving = Interleaver(es, index, sides())
    records = [serving.capture(**visit) for visit in visits(40)]  # type: ignore[arg-type]
    serving.close()
    write(tmp_path, records)
    log = read_log(tmp_path)
    assert verify(log).holds
    assert verify_live(es, log, limit=15).drift.identical_pages == 15
    pages = read_pages(log, tmp_path)
    found = analyse(log, pages, read_credits(log, pages), np.random.default_rng(0), n_resamples=50)
    assert found.redrawn == {"control": (40, 40), "additive": (40, 40)}
    assert found.preferences[0].searches == 40
    plain = Searcher(es, index, sides()[1])
    for visit, record in zip(visits(3), records, strict=False):
        alone = plain.search(str(visit["text"]), now_ms=int(visit["now_ms"]), platform=str(visit["platform"]))  # type: ignore[call-overload]
        places = {item.item_id: item.extras.get("rank.additive") for item in record.items}
        assert [places[item.item_id] for item in alone.items] == list(range(1, 9))


def test_photos_of_the_index_take_labels(es: Elasticsearch, index: str, tmp_path: Path) -> None:
    searcher = Searcher(es, index, sides()[0])
    write(tmp_path, [searcher.capture("red dress", now_ms=NOW)])
    labels = tmp_path / "labels.jsonl"
    pages = [{"judge": "a", "images": [f"photos/{i}.jpg" for i in range(600)], "scores": [5] * 600}]
    labels.write_text("\n".join(map(json.dumps, pages)))
    done = CliRunner().invoke(
        full_app(),
        [
            "replay",
            "judge",
            str(tmp_path),
            "--from-labels",
            str(labels),
            "--index",
            index,
            "--format",
            "json",
        ],
    )
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["grades"] == read_log(tmp_path).n_candidates
    assert result["source"] == "labels-labels"


def test_queries_are_served_explored_from_the_command_line(index: str, tmp_path: Path) -> None:
    queries = tmp_path / "queries.txt"
    queries.write_text("red dress\nwool shirt\n")
    folder = tmp_path / "captures"
    words = ["replay", "explore", str(folder), "--queries", str(queries), "--policy", "shuffle-top 3"]
    done = CliRunner().invoke(full_app(), [*words, "--index", index, "--at", str(NOW)])
    assert done.exit_code == 0, done.output
    log = read_log(folder)
    assert verify(log).holds
    assert set(log.docs.columns["policy"]) == {"shuffle-top 3", None}


def test_queries_are_served_interleaved_from_the_command_line(index: str, tmp_path: Path) -> None:
    queries = tmp_path / "queries.txt"
    queries.write_text("red dress\nwool shirt\n")
    folder = tmp_path / "captures"
    words = ["replay", "interleave", str(folder), "--queries", str(queries), "--contender", "additive"]
    done = CliRunner().invoke(full_app(), [*words, "--index", index, "--at", str(NOW)])
    assert done.exit_code == 0, done.output
    assert "captured 2 interleaved searches" in done.stderr
    assert verify(read_log(folder)).holds


@pytest.mark.parametrize("page", ["offpolicy.md", "interleaving.md"])
def test_the_snippets_that_serve_run(page: str, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK_INDEX", index)
    get_settings.cache_clear()
    (found,) = snippets(page, live=True)
    scope: dict[str, object] = {}
    exec(compile(found[1], page, "exec"), scope)
    assert scope["page"]
    monkeypatch.undo()
    get_settings.cache_clear()
