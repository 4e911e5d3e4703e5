"""Export: round trips through our own import, and twins in ir_measures and numpy."""

from __future__ import annotations

import csv
import gzip
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ranking.capture import (
    EVENT_SCHEMA,
    CapturedItem,
    CaptureRecord,
    Event,
    read_captures,
    read_profiles,
    read_table,
    write_captures,
    write_events,
)
from ranking.cli import full_app
from ranking.clock import DAY_MS, parse_time
from ranking.errors import InputError
from ranking.explain import candidates
from ranking.formula import final_scores, rank_order
from ranking.profile import Profile
from ranking.query import boosted_query
from replay import exporting, rank, read_log, verify
from replay.importing import ImportOptions, import_log, read_topics
from replay.judgments import read_judgments, write_judgments

NOW = 1_795_000_000_000
PROFILE = Profile.model_validate(
    {
        "name": "additive",
        "image": {"mode": "additive", "weight": 2.0},
        "freshness": {"scale": "14d"},
        "platforms": {"ios": {"image": {"weight": 0.5}}},
    }
)


def record(rng: np.random.Generator, i: int) -> CaptureRecord:
    platform = ("web", "ios", None)[i % 3]
    profile = PROFILE.for_platform(platform)
    items = [
        CapturedItem(
            item_id=f"i{j:03d}",
            rel=float(np.float32(rng.gamma(4))),
            image_score=None if rng.random() < 0.2 else float(np.float32(rng.random())),
            created_ms=int(NOW - rng.exponential(10 * DAY_MS)),
            category=str(rng.choice(["hat", "dress"])),
            price=None if rng.random() < 0.2 else float(rng.integers(3, 99)) * 100,
            ai_prob=None if rng.random() < 0.8 else float(np.float32(rng.random())),
            extras={"seller.trust": float(rng.random()), "brand": "acmé"} if i % 2 else {},
        )
        for j in rng.choice(200, size=12, replace=False)
    ]
    scores = final_scores(profile, candidates(items), NOW + i)
    order = rank_order(scores, [item.item_id for item in items])
    page = [replace(items[p], rank=n, score=float(scores[p])) for n, p in enumerate(order[:5], start=1)]
    rest = [items[p] for p in order[5:]]
    return CaptureRecord(
        search_id=f"s{i}",
        query=f'red "dress", {i % 4}',
        now_ms=NOW + i,
        index="items",
        profile=profile.name,
        profile_hash=profile.hash,
        k=5,
        total_hits=12 + i,
        window=12,
        rel_floor=None if i % 2 else min(item.rel for item in items),
        items=(*page, *rest),
        platform=platform,
        user_id=f"u{i % 5}",
        session_id=None if i % 4 else f"v{i}",
        arm="x/canary" if i % 7 == 0 else None,
        filters={"category": ["hat", "dress"]} if i % 3 == 0 else {},
        n_shards=3,
        took_ms=7,
        execution="script_score",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    records = [record(rng, i) for i in range(20)]
    target = tmp_path / "captures"
    write_captures(target, records, [PROFILE, PROFILE.for_platform("ios")])
    clicks = [
        Event(
            r.search_id, r.items[1].item_id, "click", 2 if i % 3 else None, NOW + i + 5, simulated=i % 2 == 0
        )
        for i, r in enumerate(records)
    ]
    write_events(target, clicks)
    grades = {(r.query, item.item_id): float(rng.integers(0, 4)) for r in records for item in r.items[::2]}
    write_judgments(target, ((q, i, g) for (q, i), g in grades.items()), "hand")
    return target


def by_id(folder: Path) -> dict[str, CaptureRecord]:
    return {one.search_id: one for one in read_captures(folder)}


class TestUbi:
    """There and back."""

    def test_with_the_side_file_a_capture_comes_back_bit_for_bit(self, folder: Path, tmp_path: Path) -> None:
        done = exporting.export_ubi(folder, tmp_path / "ubi")
        assert (done.searches, done.events) == (20, 20)
        summary = import_log("ubi", [Path(name) for name in done.files], tmp_path / "again")
        assert (summary.searches, summary.already_there, summary.events, summary.rejected) == (20, 20, 20, 0)
        assert by_id(tmp_path / "again") == by_id(folder)
        assert read_profiles(tmp_path / "again") == read_profiles(folder)
        before = read_table(folder, "events", EVENT_SCHEMA).sort_by("search_id")
        assert read_table(tmp_path / "again", "events", EVENT_SCHEMA).sort_by("search_id") == before
        parity = verify(read_log(tmp_path / "again"))
        assert (parity.bit_equal, parity.scores, parity.holds) == (100, 100, True)

    def test_without_it_the_page_comes_back(self, folder: Path, tmp_path: Path) -> None:
        exporting.export_ubi(folder, tmp_path / "ubi", side_file=False)
        assert sorted(p.name for p in (tmp_path / "ubi").iterdir()) == [
            "ubi_events.jsonl",
            "ubi_queries.jsonl",
        ]
        import_log("ubi", [tmp_path / "ubi" / "ubi_queries.jsonl"], tmp_path / "again")
        again = by_id(tmp_path / "again")
        for search_id, one in by_id(folder).items():
            other = again[search_id]
            served = [item.item_id for item in one.items if item.rank]
            assert [item.item_id for item in other.items] == served
            for name in (
                "query",
                "now_ms",
                "platform",
                "user_id",
                "session_id",
                "filters",
                "total_hits",
                "k",
            ):
                assert getattr(other, name) == getattr(one, name)
            assert (other.profile_hash, other.shown_only) == ("", True)

    def test_rows_hold_what_the_schema_asks_for(self, folder: Path, tmp_path: Path) -> None:
        exporting.export_ubi(folder, tmp_path / "ubi")
        for line in (tmp_path / "ubi" / "ubi_queries.jsonl").read_text().splitlines():
            row = json.loads(line)
            assert isinstance(row["user_query"], str)
            assert isinstance(row["query_attributes"], dict)
            assert all(isinstance(one, str) for one in row["query_response_hit_ids"])
            assert row["timestamp"].endswith("Z")
            assert parse_time(row["timestamp"]) - NOW < 20
        for line in (tmp_path / "ubi" / "ubi_events.jsonl").read_text().splitlines():
            row = json.loads(line)
            assert row["action_name"] == "click"
            assert row["event_attributes"]["object"]["object_id"]
            assert "position" not in row["event_attributes"] or isinstance(
                row["event_attributes"]["position"]["ordinal"], int
            )

    def test_an_imported_log_without_relevance_goes_there_and_back_too(
        self, folder: Path, tmp_path: Path
    ) -> None:
        exporting.export_ubi(folder, tmp_path / "ubi", side_file=False)
        import_log("ubi", sorted((tmp_path / "ubi").iterdir()), tmp_path / "one")
        exporting.export_ubi(tmp_path / "one", tmp_path / "ubi2")
        import_log("ubi", sorted((tmp_path / "ubi2").iterdir()), tmp_path / "two")
        first, second = by_id(tmp_path / "one"), by_id(tmp_path / "two")
        for search_id, one in first.items():
            other = second[search_id]
            assert all(math.isnan(item.rel) for item in other.items)
            assert replace(other, items=()) == replace(one, items=())


class TestTrec:
    """Runs and qrels as other tools read them."""

    def test_a_run_comes_back_with_every_score_bit_for_bit(self, folder: Path, tmp_path: Path) -> None:
        log = read_log(folder)
        run, topics = tmp_path / "a.run.gz", tmp_path / "topics.tsv"
        assert exporting.export_run(log, run) == 100
        exporting.export_topics(log, topics)
        options = ImportOptions(at_ms=NOW, topics=read_topics(topics))
        import_log("trec-run", [run], tmp_path / "again", options=options)
        again = by_id(tmp_path / "again")
        for search_id, one in by_id(folder).items():
            served = [(item.item_id, item.rank, item.score) for item in one.items if item.rank]
            assert [(i.item_id, i.rank, i.score) for i in again[search_id].items] == served
            assert again[search_id].query == one.query

    def test_ir_measures_reads_run_and_qrels_as_we_do(self, folder: Path, tmp_path: Path) -> None:
        ir_measures = pytest.importorskip("ir_measures")
        from replay.measures import ndcg

        log, judgments = read_log(folder), read_judgments(folder)
        assert judgments is not None
        ranking = rank(log, PROFILE)
        exporting.export_run(log, tmp_path / "run", ranking=ranking)
        exporting.export_qrels(log, judgments, tmp_path / "qrels")
        found = ir_measures.iter_calc(
            [ir_measures.nDCG @ 5],
            ir_measures.read_trec_qrels(str(tmp_path / "qrels")),
            ir_measures.read_trec_run(str(tmp_path / "run")),
        )
        theirs = {one.query_id: one.value for one in found}
        ours = ndcg(log, ranking, judgments, 5)
        for i, search_id in enumerate(log.searches["search_id"]):
            assert ours[i] == pytest.approx(theirs[search_id], abs=1e-12)

    def test_qrels_come_back(self, folder: Path, tmp_path: Path) -> None:
        log, judgments = read_log(folder), read_judgments(folder)
        assert judgments is not None
        exporting.export_qrels(log, judgments, tmp_path / "qrels")
        exporting.export_topics(log, tmp_path / "topics")
        options = ImportOptions(topics=read_topics(tmp_path / "topics"))
        import_log("trec-qrels", [tmp_path / "qrels"], tmp_path / "again", options=options)
        again = read_judgments(tmp_path / "again")
        assert again is not None
        assert again.by_query == judgments.by_query

    def test_an_id_with_a_blank_is_refused_and_nothing_is_written(self, folder: Path, tmp_path: Path) -> None:
        one = next(iter(by_id(folder).values()))
        items = (replace(one.items[0], item_id="red dress"), *one.items[1:])
        write_captures(tmp_path / "odd", [replace(one, items=items)], [])
        with pytest.raises(InputError, match="item id 'red dress' holds a blank"):
            exporting.export_run(read_log(tmp_path / "odd"), tmp_path / "run")
        assert not (tmp_path / "run").exists()
        assert not list(tmp_path.glob(".run*"))


def test_quepid_ratings_come_back(folder: Path, tmp_path: Path) -> None:
    judgments = read_judgments(folder)
    assert judgments is not None
    n = exporting.export_quepid(judgments, tmp_path / "ratings.csv")
    with (tmp_path / "ratings.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert (n, list(rows[0])) == (len(rows), ["query", "docid", "rating"])
    import_log("quepid", [tmp_path / "ratings.csv"], tmp_path / "again")
    again = read_judgments(tmp_path / "again")
    assert again is not None
    assert again.by_query == judgments.by_query


def test_rre_ratings_are_as_its_example_has_them(tmp_path: Path) -> None:
    write_judgments(
        tmp_path, [("hat", "a", 3.0), ("hat", "b", 3.0), ("hat", "c", 1.0), ("hat", "d", 0.0)], "hand"
    )
    judgments = read_judgments(tmp_path)
    assert judgments is not None
    exporting.export_rre(judgments, tmp_path / "ratings.json", index="basses", template="q.json")
    assert json.loads((tmp_path / "ratings.json").read_text()) == {
        "index": "basses",
        "id_field": "item_id",
        "topics": [
            {
                "description": "judgments",
                "query_groups": [
                    {
                        "name": "hat",
                        "queries": [{"template": "q.json", "placeholders": {"$query": "hat"}}],
                        "relevant_documents": {"1": ["c"], "3": ["a", "b"]},
                    }
                ],
            }
        ],
    }


def test_rank_eval_asks_what_the_search_would_at_its_clock(folder: Path) -> None:
    log, judgments = read_log(folder), read_judgments(folder)
    assert judgments is not None
    body = exporting.rank_eval_body(log, judgments, PROFILE, k=7)
    assert body["metric"] == {"dcg": {"k": 7, "normalize": True}}
    assert len(body["requests"]) == 20
    request = next(one for one in body["requests"] if one["id"] == "s1")
    expected = boosted_query(PROFILE.for_platform("ios"), 'red "dress", 1', now_ms=NOW + 1)
    assert request["request"] == {"query": expected.to_dict()}
    assert {one["_index"] for one in request["ratings"]} == {"items"}
    assert {one["_id"]: one["rating"] for one in request["ratings"]} == {
        item: int(grade) for item, grade in judgments.by_query['red "dress", 1'].items()
    }


class TestLetor:
    """Features for a trainer."""

    def lines(self, path: Path) -> list[tuple[float, int, dict[int, float], str, str]]:
        """SVMrank lines read anew, by the format's own description."""
        found = []
        for line in path.read_text().splitlines():
            data, comment = line.split("# ")
            grade, group, *pairs = data.split()
            numbered = {int(one.split(":")[0]): float(one.split(":")[1]) for one in pairs}
            assert list(numbered) == sorted(numbered)
            item, search = comment.split()
            found.append((float(grade), int(group.removeprefix("qid:")), numbered, item, search))
        return found

    def test_features_are_the_parts_of_the_score(self, folder: Path, tmp_path: Path) -> None:
        log, judgments = read_log(folder), read_judgments(folder)
        assert judgments is not None
        ranking = rank(log, PROFILE)
        n = exporting.export_letor(log, ranking, judgments, tmp_path / "f.txt")
        legend = json.loads((tmp_path / "f.txt.features.json").read_text())
        assert legend["features"] == {str(j): name for j, name in enumerate(exporting.FEATURES, start=1)}
        number = {name: j for j, name in enumerate(exporting.FEATURES, start=1)}
        rows, records = self.lines(tmp_path / "f.txt"), by_id(folder)
        assert n == len(rows) > 100
        for grade, _group, values, item_id, search_id in rows:
            one = records[search_id]
            item = next(item for item in one.items if item.item_id == item_id)
            assert grade == judgments.by_query[one.query][item_id]
            assert values[number["rel"]] == pytest.approx(item.rel, rel=1e-8)
            image_score = values.get(number["image_score"], math.nan)
            assert image_score == pytest.approx(item.image_score or math.nan, rel=1e-8, nan_ok=True)
            assert values.get(number["price"]) == item.price
            weight = 0.5 if one.platform == "ios" else 2.0
            combined = item.rel + weight * values[number["image"]]
            assert values[number["score"]] == pytest.approx(combined * values[number["freshness"]], rel=1e-6)
            if item.rank is not None:  # the log was served by this very profile
                assert values[number["item_rank"]] == item.rank

    def test_groups_stand_together_and_the_unjudged_come_on_request(
        self, folder: Path, tmp_path: Path
    ) -> None:
        log, judgments = read_log(folder), read_judgments(folder)
        assert judgments is not None
        n = exporting.export_letor(log, rank(log, PROFILE), judgments, tmp_path / "f", unjudged=0.0)
        groups = [group for _, group, *_ in self.lines(tmp_path / "f")]
        assert n == log.n_candidates
        assert groups == sorted(groups)

    def test_an_unknown_feature_is_named(self, folder: Path, tmp_path: Path) -> None:
        log, judgments = read_log(folder), read_judgments(folder)
        assert judgments is not None
        with pytest.raises(InputError, match="'charm' is no feature"):
            exporting.export_letor(log, rank(log, PROFILE), judgments, tmp_path / "f", names=("rel", "charm"))


@pytest.mark.parametrize(
    "target", ["trec-run", "trec-qrels", "trec-topics", "ubi", "quepid", "rre", "letor", "rank-eval"]
)
def test_each_format_has_its_command(folder: Path, tmp_path: Path, target: str) -> None:
    words = ["replay", "export", target, str(folder), str(tmp_path / "out"), "--format", "json"]
    done = CliRunner().invoke(full_app(), words)
    assert done.exit_code == 0
    assert all(Path(name).exists() for name in json.loads(done.stdout)["files"])


def test_judgments_that_are_not_there_are_asked_for(folder: Path, tmp_path: Path) -> None:
    next((folder / "judgments").iterdir()).unlink()
    done = CliRunner().invoke(full_app(), ["replay", "export", "quepid", str(folder), str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "no judgments in" in str(done.exception) + done.stderr


def test_the_same_export_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    log = read_log(folder)
    for name in ("a.gz", "b.gz"):
        exporting.export_run(log, tmp_path / name)
    a, b = ((tmp_path / name).read_bytes() for name in ("a.gz", "b.gz"))
    assert a == b
    assert gzip.decompress(a).startswith(b"s")
