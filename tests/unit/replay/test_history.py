"""Item history: out of order, twice, sold, removed; and the as-of join against DuckDB and a slow loop."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ranking.cli import full_app
from ranking.errors import InputError
from replay.history import Change, History, fold, parse_change, read_history, read_source, write_history
from replay.history.fold import KNOWN, REMOVED, VALID_FROM, VALID_TO

T = 1_795_000_000_000


def patch(item: str, at: int, **values: object) -> Change:
    return Change(item, at, "patch", values)  # type: ignore[arg-type]


def rows(table: pa.Table) -> list[tuple[object, ...]]:
    """What was there, without the columns that say what was not, or not yet known."""
    shown = [name for name in table.column_names if name != REMOVED and not name.startswith(KNOWN)]
    return [tuple(row.values()) for row in table.filter(pc.invert(table[REMOVED])).select(shown).to_pylist()]


def test_a_field_holds_until_it_changes() -> None:
    table = fold([patch("a", 10, price=5.0), patch("a", 20, image_score=0.5), patch("a", 30, price=None)])
    assert table.column_names[:6] == ["item_id", VALID_FROM, VALID_TO, REMOVED, "image_score", "price"]
    assert table["known:image_score"].to_pylist() == [False, True, True]
    assert table["known:price"].to_pylist() == [True, True, True]  # absent from 30 on, and known to be
    assert rows(table) == [
        ("a", 10, 20, None, 5.0),
        ("a", 20, 30, 0.5, 5.0),
        ("a", 30, None, 0.5, None),
    ]


def test_an_item_message_replaces_the_item_and_leaves_the_score() -> None:
    first = Change(
        "a", 1, "replace", {"title": "x", "category": "dress", "image_url": "1", "status": "on_sale"}
    )
    again = Change("a", 3, "replace", {"title": "y", "image_url": "1", "status": "on_sale"})
    other = Change("a", 4, "replace", {"title": "y", "image_url": "2", "status": "on_sale"})
    table = fold([first, patch("a", 2, image_score=0.25), again, other])
    assert table["category"].to_pylist() == ["dress", "dress", None, None]
    assert table["image_score"].to_pylist() == [None, 0.25, 0.25, None]  # a new photo takes its score along


def test_a_removed_item_is_nowhere_until_it_is_written_anew() -> None:
    table = fold(
        [
            patch("a", 1, price=1.0, title="x"),
            Change("a", 2, "remove"),
            patch("a", 3, price=3.0),  # late news of what is gone
            Change("a", 4, "replace", {"title": "y"}),
        ]
    )
    assert rows(table) == [("a", 1, 2, 1.0, "x"), ("a", 4, None, None, "y")]


def test_of_two_changes_at_one_moment_the_later_arrival_stands_field_by_field() -> None:
    table = fold([patch("a", 1, price=1.0, title="x"), patch("a", 1, price=2.0)])
    assert rows(table) == [("a", 1, None, 2.0, "x")]


CHANGES = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 12),
        st.sampled_from(["patch", "patch", "replace", "remove"]),
        st.dictionaries(
            st.sampled_from(["price", "category", "image_score"]),
            st.sampled_from([None, 0.0, 1.0]),
            max_size=3,
        ),
    ),
    min_size=1,
    max_size=25,
)


def as_changes(raw: list[tuple[str, int, str, dict[str, float | None]]]) -> list[Change]:
    return [Change(i, at, kind, {} if kind == "remove" else v) for i, at, kind, v in raw]  # type: ignore[arg-type]


def slow_state(changes: list[Change], item: str, at: int) -> dict[str, object] | None:
    """What an item was: a loop over its changes, one dict."""
    state: dict[str, object] | None = None
    seen = False
    for change in sorted((c for c in changes if c.item_id == item and c.at_ms <= at), key=lambda c: c.at_ms):
        if change.kind == "remove":
            state, seen = None, True
        elif change.kind == "replace":
            kept = {n: v for n, v in (state or {}).items() if n == "image_score"}
            state, seen = {**kept, **change.values}, True
        elif state is not None or not seen:
            state, seen = {**(state or {}), **change.values}, True
    return None if state is None else {n: v for n, v in state.items() if v is not None}


@settings(max_examples=300, deadline=None)
@given(CHANGES)
def test_every_state_is_that_of_a_slow_loop(raw: list[tuple[str, int, str, dict[str, float | None]]]) -> None:
    changes = as_changes(raw)
    history = History(fold(changes))
    ids = np.array([i for i in "abcd" for _ in range(14)], dtype=object)
    at = np.array([t for _ in "abcd" for t in range(-1, 13)], dtype=np.int64)
    place, known, before = history.find(ids, at)
    have = {c.item_id for c in changes}
    for p, item, t, is_known, is_before in zip(place, ids, at, known, before, strict=True):
        expected = slow_state(changes, item, int(t))
        assert (p >= 0) == (expected is not None)
        if expected is not None:
            row = history.table.slice(int(p), 1).to_pylist()[0]
            assert {n: v for n, v in row.items() if n in history.names and v is not None} == expected
        assert is_known == (item in have)
        assert not (is_before and p >= 0)


@settings(max_examples=100, deadline=None)
@given(CHANGES, st.randoms())
def test_order_of_arrival_matters_only_at_one_moment_and_twice_changes_nothing(
    raw: list[tuple[str, int, str, dict[str, float | None]]], random: object
) -> None:
    changes = list({(c.item_id, c.at_ms): c for c in as_changes(raw)}.values())
    expected = fold(changes)
    assert fold([*changes, *changes]).equals(expected)
    shuffled = list(changes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fold(shuffled).select(expected.column_names).equals(expected)


def test_the_join_is_that_of_duckdb() -> None:
    rng = np.random.default_rng(3)
    n, n_questions = 5_000, 20_000
    changes = [
        patch(f"i{item}", int(at), price=float(price))
        for item, at, price in zip(
            rng.integers(0, 400, n), rng.integers(0, 2_000, n), rng.integers(1, 10**6, n), strict=True
        )
    ]
    history = History(fold(changes))
    ids = np.array([f"i{i}" for i in rng.integers(0, 420, n_questions)], dtype=object)
    at = rng.integers(-10, 2_100, n_questions)
    place, _, _ = history.find(ids, at)
    got = history.column("price", place)
    intervals, asked = history.table, pa.table({"item_id": ids.tolist(), "t": at, "row": range(n_questions)})
    connection = duckdb.connect()
    connection.register("intervals", intervals)
    connection.register("asked", asked)
    truth = connection.execute(
        """SELECT h.price FROM asked q ASOF LEFT JOIN intervals h
           ON q.item_id = h.item_id AND q.t >= h.valid_from ORDER BY q.row"""
    ).fetchnumpy()["price"]
    np.testing.assert_array_equal(got, np.ma.filled(truth.astype(np.float64), np.nan))
    assert 0.8 < np.isfinite(got).mean() < 1.0


def test_lines_are_read_as_what_they_are() -> None:
    assert parse_change({"item_id": "a", "at": T, "ai_generated": {"probability": 0.5}, "v": [1, 2]}) == [
        patch("a", T, **{"ai_generated.probability": 0.5})
    ]
    sold = parse_change({"item_id": 7, "at": "2026-11-18T12:06:40+01:00", "op": "sold"})
    assert sold == [patch("7", T, status="sold")]
    message, score = parse_change(
        {
            "item_id": "a",
            "title": "red dress",
            "created_at": T,
            "updated_at": T + 1,
            "image_score": 0.5,
            "image_scored_at": T + 2,
        }
    )
    assert (message.kind, message.at_ms, score.kind, score.at_ms) == ("replace", T + 1, "patch", T + 2)
    assert "image_score" not in message.values
    assert score.values == {"image_score": 0.5, "image_scored_at": T + 2}
    partial = {"item_id": "a", "updated_at": T, "partial": True, "price": 3, "description": None}
    assert parse_change(partial) == [patch("a", T, price=3.0, description=None, updated_at=T)]
    held = {"item_id": "a", "updated_at": T, "title": "x", "created_at": T, "partials": {"at": {"price": T}}}
    (whole,) = parse_change(held)  # as a document of the index: its bookkeeping is no field of the item
    assert whole.values.keys() == {"title", "created_at", "updated_at", "status"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"item_id": "a"}', "no time"),
        ('{"at": 1795000000000}', "item_id is missing"),
        ('{"item_id": "a", "at": "yesterday"}', "at: 'yesterday' is neither"),
        ('{"item_id": "a", "at": 1795000000}', "looks like epoch seconds"),
        ('{"item_id": "a", "at": 1795000000000, "image_score": 2}', "image_score: 2 is not a number within"),
        ('{"item_id": "a", "at": 1795000000000, "image_score": NaN}', "neither text nor a finite number"),
        ('{"item_id": "a", "at": 1795000000000, "status": "lost"}', "status: 'lost'"),
        ('{"item_id": "a", "at": 1795000000000, "op": "burn"}', "op: 'burn' is not one of"),
        ('{"item_id": "a", "at": 1795000000000, "price": true}', "price: True"),
        ('{"item_id": "a", "updated_at": 1795000000000}', "title and created_at missing"),
        ("[1]", "not a JSON object"),
        ("{", "not JSON"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_written(line: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    path.write_text('{"item_id": "a", "at": 1795000000000, "price": 1}\n\n' + line + "\n")
    with pytest.raises(InputError, match="line 3") as e:
        list(read_source(str(path)))
    assert says in str(e.value)
    result = CliRunner().invoke(
        full_app(), ["replay", "history", "build", str(path), "--out", str(tmp_path / "h")]
    )
    assert result.exit_code == 1
    assert not (tmp_path / "h").exists()


def test_text_and_number_under_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="price is text in one change"):
        fold([patch("a", 1, price=1.0), patch("a", 2, price="one")])
    with pytest.raises(InputError, match="no changes"):
        fold([])


def test_parquet_and_jsonl_give_the_same_history(tmp_path: Path) -> None:
    lines = [
        {"item_id": "b", "at": T + 5, "price": 3.0, "status": None},
        {"item_id": "a", "at": T, "price": 1.0, "status": "on_sale"},
        {"item_id": "a", "at": T + 9, "price": None, "status": "sold"},
    ]
    (tmp_path / "c.jsonl").write_text(
        "\n".join(json.dumps({n: v for n, v in line.items() if v is not None}) for line in lines)
    )
    table = pa.Table.from_pylist(lines)
    at = pa.array([line["at"] for line in lines], pa.timestamp("ms", "UTC"))
    pq.write_table(table.set_column(1, "at", at), tmp_path / "c.parquet")
    by_line, by_column = (fold(read_source(str(tmp_path / f"c.{kind}"))) for kind in ("jsonl", "parquet"))
    assert by_line.equals(by_column)
    assert rows(by_line)[0] == ("a", T, T + 9, 1.0, "on_sale")


def test_a_history_is_found_again_and_a_broken_one_is_said(tmp_path: Path) -> None:
    table = fold([patch("a", 1, price=1.0), patch("b", 2, price=2.0)])
    write_history(tmp_path, table, ["x"], 2)
    assert read_history(tmp_path).table.equals(table)
    twice = fold([patch("a", 1, price=1.0), patch("a", 2, price=2.0)])
    pq.write_table(twice.take([1, 0]), tmp_path / "intervals.parquet")
    with pytest.raises(InputError, match="not sorted"):
        read_history(tmp_path)
    (tmp_path / "intervals.parquet").write_text("nonsense")
    with pytest.raises(InputError, match="no readable history"):
        read_history(tmp_path)
    with pytest.raises(InputError, match="no item history"):
        read_history(tmp_path / "elsewhere")


def test_the_commands_build_and_show(tmp_path: Path) -> None:
    path, folder = tmp_path / "changes.jsonl", str(tmp_path / "history")
    path.write_text(
        f'{{"item_id": "a", "at": {T}, "price": 900, "status": "on_sale"}}\n'
        f'{{"item_id": "a", "at": {T + 1000}, "op": "sold"}}\n'
    )
    run = CliRunner().invoke
    built = run(full_app(), ["replay", "history", "build", str(path), "--out", folder, "--format", "json"])
    assert json.loads(built.stdout)["intervals"] == 2
    at = ["replay", "history", "show", "a", "--history", folder, "--format", "json", "--at"]
    assert json.loads(run(full_app(), [*at, str(T + 999)]).stdout)["states"][0]["status"] == "on_sale"
    assert json.loads(run(full_app(), [*at, str(T + 1000)]).stdout)["states"][0]["status"] == "sold"
    assert run(full_app(), [*at, str(T - 1)]).exit_code == 1
    shown = run(full_app(), ["replay", "history", "show", "a", "--history", folder])
    assert "status sold" in shown.stdout
