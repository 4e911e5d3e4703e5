"""Import: each format by rows written by hand, malformed rows aside, twice the same as once."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ranking.capture import EVENT_SCHEMA, NOTHING_PROVEN, CaptureRecord, read_captures, read_table
from ranking.cli import full_app
from ranking.clock import parse_time
from ranking.errors import InputError
from replay import rank, read_log, verify
from replay.importing import FORMATS, ImportOptions, ImportSummary, import_log, read_topics
from replay.judgments import read_judgments

AT = "2026-11-20T09:00:00.123Z"
AT_MS = parse_time(AT)


def lines(path: Path, rows: Sequence[Mapping[str, Any] | str]) -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    return path


def searches(folder: Path) -> list[CaptureRecord]:
    return list(read_captures(folder))


def events(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_table(folder, "events", EVENT_SCHEMA).to_pylist()
    return found


def rejects(summary: ImportSummary) -> list[tuple[int, str]]:
    assert summary.reject_file is not None
    rows = [json.loads(line) for line in Path(summary.reject_file).read_text().splitlines()]
    return [(row["line"], row["reason"]) for row in rows]


class TestUbi:
    """User Behavior Insights 1.3.0, rows as its schema's examples have them."""

    QUERY: Mapping[str, Any] = {
        "application": "shop",
        "query_id": "00112233-4455-6677-8899-aabbccddeeff",
        "client_id": "quepid-nightly-bot",
        "user_query": "red dress",
        "query_attributes": {"platform": "ios", "session_id": "v1", "filters": {"category": "dress"}},
        "object_id_field": "sku",
        "timestamp": AT,
        "query_response_id": "r",
        "query_response_hit_ids": ["B07", "B01"],
    }
    EVENT: Mapping[str, Any] = {
        "action_name": "click",
        "query_id": "00112233-4455-6677-8899-aabbccddeeff",
        "timestamp": "2026-11-20T18:00:07+09:00",
        "event_attributes": {"object": {"object_id": "B01"}, "position": {"ordinal": 2}},
    }

    def test_a_query_is_a_search_with_shown_ids_alone(self, tmp_path: Path) -> None:
        summary = import_log("ubi", [lines(tmp_path / "q", [self.QUERY])], tmp_path / "log")
        [search] = searches(tmp_path / "log")
        assert (search.query, search.now_ms, search.platform) == ("red dress", AT_MS, "ios")
        assert (search.user_id, search.session_id) == ("quepid-nightly-bot", "v1")
        assert search.filters == {"category": "dress"}
        assert [(item.item_id, item.rank, item.score) for item in search.items] == [
            ("B07", 1, None),
            ("B01", 2, None),
        ]
        assert all(math.isnan(item.rel) and item.image_score is None for item in search.items)
        assert (search.source, search.profile_hash, search.total_hits) == ("ubi", "", None)
        assert search.rel_floor == NOTHING_PROVEN
        assert (summary.searches, summary.shown_only, summary.rejected) == (1, 1, 0)

    def test_an_event_has_its_rank_and_its_moment_in_utc(self, tmp_path: Path) -> None:
        import_log("ubi", [lines(tmp_path / "e", [self.EVENT])], tmp_path / "log")
        [event] = events(tmp_path / "log")
        assert event == {
            "search_id": self.QUERY["query_id"],
            "item_id": "B01",
            "action": "click",
            "rank": 2,
            "at_ms": parse_time("2026-11-20T09:00:07Z"),
            "simulated": False,
        }

    def test_rows_of_an_index_and_of_a_bulk_request_are_unwrapped(self, tmp_path: Path) -> None:
        rows = [
            {"index": {"_index": "ubi_queries"}},
            {"_index": "ubi_queries", "_id": "x", "_source": self.QUERY},
        ]
        summary = import_log("ubi", [lines(tmp_path / "q", rows)], tmp_path / "log")
        assert (summary.searches, summary.ignored) == (1, {"action lines of a bulk request": 1})

    def test_positions_that_begin_at_0_are_moved_on_request_and_refused_otherwise(
        self, tmp_path: Path
    ) -> None:
        row = {**self.EVENT, "event_attributes": {"object": {"object_id": "B07"}, "position": {"ordinal": 0}}}
        path = lines(tmp_path / "e", [row])
        summary = import_log("ubi", [path], tmp_path / "a")
        assert "--first-position 0" in rejects(summary)[0][1]
        import_log("ubi", [path], tmp_path / "b", options=ImportOptions(first_position=0))
        assert events(tmp_path / "b")[0]["rank"] == 1

    def test_events_without_a_place_a_query_or_an_object_are_told_apart(self, tmp_path: Path) -> None:
        rows = [
            {**self.EVENT, "event_attributes": {"object": {"object_id": "B07"}}},
            {**self.EVENT, "query_id": None},
            {**self.EVENT, "event_attributes": {"position": {"xy": {"x": 1, "y": 2}}}},
        ]
        summary = import_log("ubi", [lines(tmp_path / "e", rows)], tmp_path / "log")
        assert events(tmp_path / "log")[0]["rank"] is None
        assert summary.ignored == {"events without a query_id": 1, "events without an object": 1}

    def test_a_query_without_an_id_gets_the_same_one_at_every_import(self, tmp_path: Path) -> None:
        bare = {key: value for key, value in self.QUERY.items() if key != "query_id"}
        path = lines(tmp_path / "q", [bare])
        import_log("ubi", [path], tmp_path / "a")
        import_log("ubi", [path], tmp_path / "b")
        assert searches(tmp_path / "a")[0].search_id == searches(tmp_path / "b")[0].search_id

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"user_query": None}, "user_query is missing"),
            ({"timestamp": None}, "timestamp is missing"),
            ({"timestamp": "soon"}, "timestamp is not a time"),
            ({"timestamp": 1e300}, "outside the years"),
            ({"query_response_hit_ids": "B07"}, "query_response_hit_ids must be a list"),
            ({"query_response_hit_ids": [["B07"]]}, "hit must be a text"),
            ({"user_query": "\ud800"}, "user_query holds what UTF-8 cannot write"),
        ],
    )
    def test_a_malformed_query_is_refused_with_its_reason(
        self, tmp_path: Path, change: dict[str, Any], says: str
    ) -> None:
        path = lines(tmp_path / "q", [{**self.QUERY, **change}, {**self.QUERY, "query_id": "fine"}])
        summary = import_log("ubi", [path], tmp_path / "log")
        assert (summary.searches, summary.rejected) == (1, 1)
        [(line, reason)] = rejects(summary)
        assert line == 1
        assert says in reason


class TestShown:
    """Our own simple JSON lines."""

    def test_ids_and_objects_and_clicks(self, tmp_path: Path) -> None:
        row = {
            "query": "hat",
            "at": AT_MS,
            "search_id": "s1",
            "shown": ["a", {"item_id": "b", "score": 1.1, "price": 300, "created_at": "2026-11-01"}],
            "clicks": ["b", {"item_id": "a", "at": AT_MS + 5, "action": "purchase"}],
        }
        import_log("shown", [lines(tmp_path / "f", [row])], tmp_path / "log")
        [search] = searches(tmp_path / "log")
        b = search.items[1]
        assert (b.item_id, b.rank, b.price, b.created_ms) == ("b", 2, 300.0, parse_time("2026-11-01"))
        assert b.score == 1.10000002384185791015625  # 1.1 as a float32, written out in double
        assert [(e["item_id"], e["action"], e["rank"], e["at_ms"]) for e in events(tmp_path / "log")] == [
            ("b", "click", 2, AT_MS),
            ("a", "purchase", 1, AT_MS + 5),
        ]

    def test_seconds_are_told_from_milliseconds(self, tmp_path: Path) -> None:
        rows = [
            {"query": "a", "at": 1_795_165_200, "shown": []},
            {"query": "b", "at": "1795165200.5", "shown": []},
        ]
        import_log("shown", [lines(tmp_path / "f", rows)], tmp_path / "log")
        assert sorted(s.now_ms for s in searches(tmp_path / "log")) == [1_795_165_200_000, 1_795_165_200_500]


class TestSlowLog:
    """Lines as the server of version 9 writes them."""

    @staticmethod
    def line(source: Mapping[str, Any], **change: Any) -> dict[str, Any]:
        return {
            "@timestamp": "2026-11-20T09:00:01.000Z",
            "log.level": "WARN",
            "elasticsearch.slowlog.id": None,
            "elasticsearch.slowlog.message": "[items-000001][0]",
            "elasticsearch.slowlog.search_type": "QUERY_THEN_FETCH",
            "elasticsearch.slowlog.source": json.dumps(source),
            "elasticsearch.slowlog.took": "250ms",
            "elasticsearch.slowlog.took_millis": "250",
            "elasticsearch.slowlog.total_hits": "42 hits",
            "log.logger": "index.search.slowlog.query",
            **change,
        }

    MATCH: Mapping[str, Any] = {"query": {"match": {"title": {"query": "red dress"}}}, "size": 20}

    def test_text_clock_and_index_come_out_of_the_line(self, tmp_path: Path) -> None:
        summary = import_log("slow-log", [lines(tmp_path / "f", [self.line(self.MATCH)])], tmp_path / "log")
        [search] = searches(tmp_path / "log")
        assert (search.query, search.index, search.k) == ("red dress", "items-000001", 20)
        assert search.now_ms == parse_time("2026-11-20T09:00:00.750Z")  # when it was asked
        assert search.items == ()
        assert summary.shown_only == 1

    def test_a_pinned_clock_is_that_of_the_body(self, tmp_path: Path) -> None:
        from ranking.profile import builtin_profiles
        from ranking.query import search_body

        body = search_body(builtin_profiles()["additive"], "blue hat", now_ms=AT_MS)
        import_log("slow-log", [lines(tmp_path / "f", [self.line(body)])], tmp_path / "log")
        [search] = searches(tmp_path / "log")
        assert (search.query, search.now_ms) == ("blue hat", AT_MS)

    def test_shards_and_phases_of_one_search_are_one_search(self, tmp_path: Path) -> None:
        rows = [
            self.line(self.MATCH),
            self.line(self.MATCH, **{"elasticsearch.slowlog.message": "[items-000001][1]"}),
            self.line(self.MATCH, **{"log.logger": "index.search.slowlog.fetch"}),
            self.line(self.MATCH, **{"@timestamp": "2026-11-20T09:00:01.500Z"}),  # shard 0 asked again
            self.line(self.MATCH, **{"elasticsearch.slowlog.id": "another-request"}),
        ]
        summary = import_log("slow-log", [lines(tmp_path / "f", rows)], tmp_path / "log")
        assert summary.searches == 3
        assert sum(summary.ignored.values()) == 2

    def test_a_text_in_a_filter_is_not_the_users(self, tmp_path: Path) -> None:
        body = {
            "query": {
                "bool": {
                    "filter": [{"match": {"brand": "acme"}}],
                    "must": [{"multi_match": {"query": "hat", "fields": ["title"]}}],
                }
            }
        }
        only_filter = {"query": {"bool": {"filter": [{"match": {"brand": "acme"}}]}}}
        path = lines(tmp_path / "f", [self.line(body), self.line(only_filter)])
        summary = import_log("slow-log", [path], tmp_path / "log")
        assert [search.query for search in searches(tmp_path / "log")] == ["hat"]
        assert summary.ignored == {"searches without a text": 1}

    @pytest.mark.parametrize("quoted", [1, 2])
    def test_a_body_may_be_quoted_twice(self, tmp_path: Path, quoted: int) -> None:
        source = json.dumps(self.MATCH)
        for _ in range(quoted - 1):
            source = json.dumps(source)[1:-1]
        row = self.line(self.MATCH, **{"elasticsearch.slowlog.source": source})
        import_log("slow-log", [lines(tmp_path / "f", [row])], tmp_path / "log")
        assert searches(tmp_path / "log")[0].query == "red dress"

    def test_the_pattern_layout_is_read_as_a_server_wrote_it(self, tmp_path: Path) -> None:
        line = (
            "[2026-11-20T21:02:23,770][WARN ][i.s.s.query              ] "
            'elasticsearch.slowlog.id="req-1" elasticsearch.slowlog.message="[items-000001][0]" '
            'elasticsearch.slowlog.source="{\\"size\\":3,'
            '\\"query\\":{\\"match\\":{\\"title\\":{\\"query\\":\\"red \\\\\\"dress\\\\\\" é\\"}}}}" '
            'elasticsearch.slowlog.stats="[]" elasticsearch.slowlog.took="32.3micros" '
            'elasticsearch.slowlog.took_millis="0" elasticsearch.slowlog.total_hits="0 hits"'
        )
        other = line.replace("[0]", "[1]").replace("i.s.s.query", "i.s.s.fetch")
        summary = import_log("slow-log", [lines(tmp_path / "f", [line, other])], tmp_path / "log")
        [search] = searches(tmp_path / "log")
        assert (search.query, search.index, search.k) == ('red "dress" é', "items-000001", 3)
        assert search.now_ms == parse_time("2026-11-20T21:02:23.770Z")
        assert sum(summary.ignored.values()) == 1

    def test_another_log_is_refused_line_by_line(self, tmp_path: Path) -> None:
        path = lines(tmp_path / "f", [{"message": "started"}, "[2026] plain text", self.line(self.MATCH)])
        summary = import_log("slow-log", [path], tmp_path / "log")
        assert (summary.searches, summary.rejected) == (1, 2)


class TestMetarank:
    """The examples of Metarank's own page of events."""

    RANKING: Mapping[str, Any] = {
        "event": "ranking",
        "id": "81f46c34",
        "timestamp": "1599391467000",
        "user": "user1",
        "session": "session1",
        "fields": [{"name": "query", "value": "cat"}, {"name": "source", "value": "search"}],
        "items": [{"id": "item3", "relevancy": 2.0}, {"id": "item1"}, {"id": "item2", "relevancy": 0.5}],
    }

    def test_rankings_and_interactions(self, tmp_path: Path) -> None:
        rows = [
            self.RANKING,
            {
                "event": "interaction",
                "id": "0f4c",
                "ranking": "81f46c34",
                "timestamp": "1599391468000",
                "type": "purchase",
                "item": "item1",
            },
            {"event": "item", "id": "8", "timestamp": "1599391467000", "item": "item1", "fields": []},
            {
                "event": "interaction",
                "id": "1",
                "timestamp": "1599391468000",
                "type": "like",
                "item": "item1",
            },
        ]
        summary = import_log("metarank", [lines(tmp_path / "f", rows)], tmp_path / "log")
        [search] = searches(tmp_path / "log")
        assert (search.query, search.now_ms, search.user_id) == ("cat", 1599391467000, "user1")
        assert [(i.item_id, i.rank, i.score) for i in search.items] == [
            ("item3", 1, 2.0),
            ("item1", 2, None),
            ("item2", 3, 0.5),
        ]
        assert [(e["item_id"], e["action"]) for e in events(tmp_path / "log")] == [("item1", "purchase")]
        assert summary.ignored == {"metadata of items": 1, "interactions outside a ranking": 1}


class TestTrec:
    """Runs and qrels."""

    def test_a_run_keeps_ranks_scores_and_tag_though_its_topics_are_mixed(self, tmp_path: Path) -> None:
        rows = ["1 Q0 a 1 9.5 bm25", "2 Q0 x 2 1 bm25", "1 Q0 b 2 9.25 bm25", "2 Q0 y 1 3e0 bm25"]
        options = ImportOptions(at_ms=AT_MS, topics={"1": "red dress"})
        import_log("trec-run", [lines(tmp_path / "f", rows)], tmp_path / "log", options=options)
        found = {search.search_id: search for search in searches(tmp_path / "log")}
        assert [(i.item_id, i.rank, i.score) for i in found["1"].items] == [("a", 1, 9.5), ("b", 2, 9.25)]
        assert [(i.item_id, i.rank, i.score) for i in found["2"].items] == [("y", 1, 3.0), ("x", 2, 1.0)]
        assert (found["1"].query, found["2"].query) == ("red dress", "2")
        assert (found["1"].profile, found["1"].now_ms) == ("bm25", AT_MS)

    def test_ranks_from_0_are_moved_and_a_clock_is_asked_for(self, tmp_path: Path) -> None:
        path = lines(tmp_path / "f", ["1 Q0 a 0 2 t", "1 Q0 b 1 1 t"])
        with pytest.raises(InputError, match="has no times"):
            import_log("trec-run", [path], tmp_path / "log")
        import_log("trec-run", [path], tmp_path / "log", options=ImportOptions(at_ms=AT_MS))
        assert [item.rank for item in searches(tmp_path / "log")[0].items] == [1, 2]

    def test_a_topic_whose_last_line_is_refused_comes_in_all_the_same(self, tmp_path: Path) -> None:
        path = lines(tmp_path / "f", ["1 Q0 a 1 2 t", "1 Q0 a 2 1 t", "2 Q0 z 1 1 t"])
        summary = import_log("trec-run", [path], tmp_path / "log", options=ImportOptions(at_ms=AT_MS))
        assert (summary.searches, rejects(summary)) == (2, [(2, "item 'a' is there twice for topic '1'")])

    def test_qrels_grade_by_query_text_and_negative_means_not_relevant(self, tmp_path: Path) -> None:
        path = lines(tmp_path / "f", ["1 0 a 2", "1 0 b -2", "3 0 c 0.5", "1 0 d", "1 0 e high"])
        options = ImportOptions(topics={"1": "red dress"})
        summary = import_log("trec-qrels", [path], tmp_path / "log", options=options)
        found = read_judgments(tmp_path / "log")
        assert found is not None
        assert found.by_query == {"red dress": {"a": 2.0, "b": 0.0}, "3": {"c": 0.5}}
        assert (summary.judgments, [line for line, _ in rejects(summary)]) == (3, [4, 5])

    def test_topics_are_lines_with_a_tab(self, tmp_path: Path) -> None:
        assert read_topics(lines(tmp_path / "t", ["1\tred dress", "2\tblue  hat\tmore"])) == {
            "1": "red dress",
            "2": "blue  hat",
        }
        with pytest.raises(InputError, match="line 1: no tab"):
            read_topics(lines(tmp_path / "t", ["1 red dress"]))


class TestQuepid:
    """Ratings as Quepid's CSV exports write them."""

    def test_ratings_queries_without_one_and_quoted_fields(self, tmp_path: Path) -> None:
        text = (
            'query,docid,rating\nred dress,a,3\n"dress, ""red""",b,0\nblue hat\ncoat,c,\n"two\nlines",d,1\n'
        )
        (tmp_path / "f").write_text(text)
        summary = import_log("quepid", [tmp_path / "f"], tmp_path / "log")
        found = read_judgments(tmp_path / "log")
        assert found is not None
        assert found.by_query == {
            "red dress": {"a": 3.0},
            'dress, "red"': {"b": 0.0},
            "two\nlines": {"d": 1.0},
        }
        assert found.sources == ("quepid",)
        assert summary.ignored == {"queries and documents without a rating": 2}

    def test_headings_of_the_detail_export_are_known_in_any_order(self, tmp_path: Path) -> None:
        (tmp_path / "f").write_text("Team,Query Text,Rating,Doc ID\nx,hat,2,a\n")
        import_log("quepid", [tmp_path / "f"], tmp_path / "log")
        found = read_judgments(tmp_path / "log")
        assert found is not None
        assert found.by_query == {"hat": {"a": 2.0}}

    def test_a_quote_that_is_never_closed_costs_one_line(self, tmp_path: Path) -> None:
        rows = ["query,docid,rating", '"open,a,1', "hat,b,2", 'x"y,c,3', '"q"r,d,1', "hat,e,0"]
        summary = import_log("quepid", [lines(tmp_path / "f", rows)], tmp_path / "log")
        found = read_judgments(tmp_path / "log")
        assert found is not None
        assert found.by_query == {"hat": {"b": 2.0, "e": 0.0}, 'x"y': {"c": 3.0}}
        assert [line for line, _ in rejects(summary)] == [2, 5]

    def test_simulated_ratings_are_called_so(self, tmp_path: Path) -> None:
        path = lines(tmp_path / "f", ["query,docid,rating", "hat,a,2"])
        import_log("quepid", [path], tmp_path / "log", options=ImportOptions(simulated=True))
        found = read_judgments(tmp_path / "log")
        assert found is not None
        assert found.simulated


class TestTheWhole:
    """What holds for every format."""

    def test_a_second_import_changes_nothing_and_a_longer_file_adds_what_is_new(self, tmp_path: Path) -> None:
        rows = [{**TestUbi.QUERY, "query_id": f"s{i}"} for i in range(5)]
        clicks = [{**TestUbi.EVENT, "query_id": f"s{i}"} for i in range(5)]
        path = lines(tmp_path / "f", [*rows[:3], *clicks[:3]])
        import_log("ubi", [path], tmp_path / "log")
        before = sorted(p.relative_to(tmp_path) for p in (tmp_path / "log").rglob("*"))
        again = import_log("ubi", [path], tmp_path / "log")
        assert (again.searches, again.events, again.already_there) == (0, 0, 6)
        assert sorted(p.relative_to(tmp_path) for p in (tmp_path / "log").rglob("*")) == before
        more = import_log("ubi", [lines(tmp_path / "g", [*rows, *clicks])], tmp_path / "log")
        assert (more.searches, more.events, more.already_there) == (2, 2, 6)
        assert len(read_log(tmp_path / "log")) == 5

    def test_gzip_byte_order_mark_and_windows_line_ends(self, tmp_path: Path) -> None:
        body = "\ufeff" + json.dumps(TestUbi.QUERY) + "\r\n\r\n" + json.dumps(TestUbi.EVENT) + "\r\n"
        path = tmp_path / "f.jsonl.gz"
        path.write_bytes(gzip.compress(body.encode()))
        summary = import_log("ubi", [path], tmp_path / "log")
        assert (summary.searches, summary.events, summary.rejected) == (1, 1, 0)

    def test_bytes_that_are_no_text_are_one_rejected_row(self, tmp_path: Path) -> None:
        path = tmp_path / "f"
        path.write_bytes(b'{"user_query": "\xff"}\n' + json.dumps(TestUbi.QUERY).encode() + b"\n")
        summary = import_log("ubi", [path], tmp_path / "log")
        assert (summary.searches, rejects(summary)[0][1][:9]) == (1, "not UTF-8")

    @pytest.mark.parametrize("broken", ["missing", "truncated", "folder"])
    def test_a_file_that_cannot_be_read_leaves_nothing_behind(self, tmp_path: Path, broken: str) -> None:
        good = lines(tmp_path / "good", [TestUbi.QUERY, "rubbish"])
        bad = tmp_path / "bad.gz"
        if broken == "truncated":
            bad.write_bytes(gzip.compress(json.dumps(TestUbi.EVENT).encode() * 100)[:-20])
        elif broken == "folder":
            bad.mkdir()
        with pytest.raises(InputError, match=r"bad\.gz cannot be read"):
            import_log("ubi", [good, bad], tmp_path / "log")
        assert not list((tmp_path / "log").rglob("*")) if (tmp_path / "log").exists() else True

    def test_a_failure_while_moving_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "log").write_text("a file where the folder should be")
        with pytest.raises(InputError, match="cannot be written"):
            import_log("ubi", [lines(tmp_path / "f", [TestUbi.QUERY])], tmp_path / "log")

    def test_an_imported_log_verifies_without_failing_and_proves_nothing(self, tmp_path: Path) -> None:
        from ranking.profile import builtin_profiles

        import_log("ubi", [lines(tmp_path / "f", [TestUbi.QUERY])], tmp_path / "log")
        log = read_log(tmp_path / "log")
        parity = verify(log)
        assert (parity.imported, parity.scores, parity.unknown_profile, parity.holds) == (1, 0, 0, True)
        for profile in builtin_profiles().values():
            assert rank(log, profile).exact_k.tolist() == [0]

    def test_the_command_prints_a_summary_and_verify_says_what_is_lacking(self, tmp_path: Path) -> None:
        path = lines(tmp_path / "f", [TestUbi.QUERY, "rubbish"])
        run = CliRunner()
        done = run.invoke(
            full_app(), ["replay", "import", "ubi", str(tmp_path / "log"), str(path), "--format", "json"]
        )
        summary = json.loads(done.stdout)
        assert done.exit_code == 0
        assert (summary["searches"], summary["shown_only"], summary["rejected"]) == (1, 1, 1)
        assert Path(summary["reject_file"]).exists()
        said = run.invoke(full_app(), ["replay", "verify", str(tmp_path / "log")])
        assert said.exit_code == 0
        assert "1 searches were imported from a log" in said.stderr

    def test_every_format_is_in_the_docs(self) -> None:
        page = (Path(__file__).parents[3] / "docs" / "replay_formats.md").read_text(encoding="utf-8")
        assert all(f"| `{name}` |" in page for name in FORMATS)

    def test_an_unknown_format_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="known are ubi, shown"):
            import_log("csv", [], tmp_path)
