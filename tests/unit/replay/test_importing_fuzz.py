"""Import of files half of which are rubbish: never an exception, never a well-formed row lost."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replay.importing import FORMATS, ImportOptions, ImportSummary, import_log

AT_MS = 1_795_165_200_000
FAST = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda s: bool(s.strip()))
ids = st.text("abcdefgh0123456789-_", min_size=1, max_size=12)
moments = st.integers(10**12, 2 * 10**12)
numbers = st.floats(0, 1e6, allow_nan=False).map(lambda x: round(x, 3))
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.just(10**400)
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    "user_query", "query_id", "timestamp", "query_attributes", "query_response_hit_ids", "action_name",
    "shown", "event_attributes", "event", "id", "items", "fields", "type", "item", "ranking", "query", "at",
    "clicks", "rank_capture", "rank_profile", "_source", "elasticsearch.slowlog.source", "@timestamp",
    "filters", "k", "elasticsearch.slowlog.took_millis", "message", "total_hits",
)  # fmt: skip
near_misses = st.dictionaries(st.sampled_from(KEYS), anything, max_size=6).map(
    lambda row: json.dumps(row).encode()
)
rubbish = st.binary(max_size=60).filter(lambda raw: b"\n" not in raw and b"\r" not in raw) | near_misses


def ubi_query(draw: Any) -> str:
    return json.dumps(
        {
            "user_query": draw(words),
            "query_id": draw(ids),
            "timestamp": "2026-11-20T09:00:00Z",
            "query_response_hit_ids": draw(st.lists(ids, max_size=5)),
        }
    )


def shown(draw: Any) -> str:
    return json.dumps(
        {"query": draw(words), "search_id": draw(ids), "at": draw(moments), "shown": draw(st.lists(ids))}
    )


def metarank(draw: Any) -> str:
    items = [{"id": one, "relevancy": draw(numbers)} for one in draw(st.lists(ids, max_size=4))]
    row = {"event": "ranking", "id": draw(ids), "timestamp": str(draw(moments)), "items": items}
    return json.dumps({**row, "fields": [{"name": "query", "value": draw(words)}]})


def slow_log(draw: Any) -> str:
    body = {"query": {"match": {"title": draw(words)}}}
    row = {"@timestamp": draw(moments), "elasticsearch.slowlog.source": json.dumps(body)}
    return json.dumps({**row, "elasticsearch.slowlog.id": draw(ids)})


def trec_run(draw: Any) -> str:
    return f"{draw(ids)} Q0 {draw(ids)} {draw(st.integers(1, 1000))} {draw(numbers)} tag"


def qrels(draw: Any) -> str:
    return f"{draw(ids)} 0 {draw(ids)} {draw(st.integers(-2, 4))}"


ROWS: dict[str, Callable[[Any], str]] = {
    "ubi": ubi_query,
    "shown": shown,
    "metarank": metarank,
    "slow-log": slow_log,
    "trec-run": trec_run,
    "trec-qrels": qrels,
}


@st.composite
def files(draw: Any, format_name: str) -> tuple[bytes, int]:
    """A file of good and bad lines, and how many are good."""
    good = [ROWS[format_name](draw).encode() for _ in range(draw(st.integers(0, 5)))]
    bad = draw(st.lists(rubbish, max_size=5))
    both = draw(st.permutations([*good, *bad]))
    return b"\n".join(both), len(good)


def run(format_name: str, content: bytes) -> ImportSummary:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        return import_log(format_name, [path], Path(folder) / "log", options=ImportOptions(at_ms=AT_MS))


def taken(summary: ImportSummary) -> int:
    return summary.searches + summary.events + summary.judgments + summary.already_there


@pytest.mark.parametrize("format_name", ["ubi", "shown", "metarank", "slow-log", "trec-qrels"])
def test_every_good_row_comes_in_among_rubbish(format_name: str) -> None:
    @FAST
    @given(files(format_name))
    def check(file: tuple[bytes, int]) -> None:
        content, n_good = file
        summary = run(format_name, content)
        merged = sum(n for what, n in summary.ignored.items() if what.startswith("more lines"))
        assert taken(summary) + merged >= n_good
        assert summary.rows == summary.rejected + sum(summary.ignored.values()) + rows_used(summary)

    def rows_used(summary: ImportSummary) -> int:
        """Rows that gave something; a shown row gives its clicks too, so it is not counted there."""
        clicks = summary.events if format_name == "shown" else 0
        return (
            taken(summary) + summary.profiles - clicks
            if format_name != "shown"
            else summary.rows - summary.rejected
        )

    check()


@FAST
@given(files("trec-run"))
def test_every_line_of_a_run_comes_in_or_is_refused(file: tuple[bytes, int]) -> None:
    content, n_good = file
    with tempfile.TemporaryDirectory() as folder:
        from ranking.capture import SEARCH_SCHEMA, read_table

        path = Path(folder) / "file"
        path.write_bytes(content)
        summary = import_log("trec-run", [path], Path(folder) / "log", options=ImportOptions(at_ms=AT_MS))
        table = read_table(Path(folder) / "log", "searches", SEARCH_SCHEMA)
        n_items = sum(len(items) for items in table["item_id"].to_pylist())
    twice = sum(n for reason, n in summary.reasons.items() if "there twice" in reason)
    assert n_items + summary.rejected == summary.rows
    assert n_items + twice >= n_good


@FAST
@given(
    st.lists(st.tuples(words, ids, st.integers(0, 4)), max_size=6),
    st.lists(
        st.text(st.characters(exclude_characters='"\r\n', exclude_categories=["Cs"]), max_size=30), max_size=4
    ),
    st.randoms(use_true_random=False),
)
def test_every_rating_that_a_csv_writer_wrote_comes_in(
    good: Sequence[tuple[str, str, int]], bad: list[str], chance: Any
) -> None:
    buffer = io.StringIO()
    rows = []
    for row in good:
        buffer.seek(0)
        buffer.truncate()
        csv.writer(buffer, lineterminator="").writerow(row)
        rows.append(buffer.getvalue())
    body = [*rows, *bad]
    chance.shuffle(body)
    summary = run("quepid", "\n".join(["query,docid,rating", *body]).encode())
    assert summary.judgments >= len(good)


@pytest.mark.parametrize("format_name", sorted(FORMATS))
def test_bytes_of_any_kind_raise_nothing(format_name: str) -> None:
    @settings(max_examples=25, deadline=None)
    @given(st.binary(max_size=400) | st.lists(near_misses, max_size=6).map(b"\n".join))
    def check(content: bytes) -> None:
        run(format_name, content)

    check()


def test_rows_nested_beyond_reason_are_refused() -> None:
    deep = (
        b'{"elasticsearch.slowlog.source":' + json.dumps('{"query":' + "[" * 900 + "]" * 900 + "}").encode()
    )
    deep += b',"@timestamp":1795165200000}'
    filters = b'{"query":"a","at":1795165200000,"filters":{"a":' + b"[" * 900 + b"]" * 900 + b"}}"
    assert run("slow-log", deep).rows == 1
    assert run("shown", filters).rows == 1
    assert run("shown", b"[" * 100_000).rejected == 1
