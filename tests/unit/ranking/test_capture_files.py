"""Capture files as others read them: DuckDB, Polars, older schemas, and a write that fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from ranking import capture
from ranking.capture import CapturedItem, CaptureRecord, read_captures, write_captures
from ranking.clock import DAY_MS
from ranking.profile import Profile
from replay import read_log, verify

NOW = 1_795_000_000_000
ITEMS = (
    CapturedItem("a", 2.5, 1, 3.5, 0.25, NOW - 1, "hat", 300.0, 0.5, {"brand": "x"}),
    CapturedItem("b", float("nan"), 2),
)
RECORD = CaptureRecord(
    "s1", "red", NOW, "items", "p", "h", 2, None, 0, capture.NOTHING_PROVEN, ITEMS, source="ubi"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    records = [replace(RECORD, search_id=f"s{i}", now_ms=NOW + i * DAY_MS) for i in range(3)]
    write_captures(tmp_path / "log", records, [])
    return tmp_path / "log"


def test_duckdb_reads_rows_days_and_lists(folder: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    pattern = f"{folder}/searches/*/*.parquet"
    sql = (
        "select count(*), count(distinct day), sum(list_sum(rel)), sum(list_sum(created_ms)), "  # noqa: S608
        f"count(total_hits) from read_parquet('{pattern}', hive_partitioning = true)"
    )
    assert duckdb.sql(sql).fetchall()[0] == (3, 3, 7.5, 3 * (NOW - 1), 0)


def test_polars_reads_them_alike(folder: Path) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.read_parquet(folder / "searches", hive_partitioning=True)
    assert frame.height == 3
    assert frame["day"].n_unique() == 3
    assert frame["rel"].to_list() == [[2.5, None]] * 3
    assert frame["created_ms"].to_list() == [[NOW - 1, None]] * 3
    assert frame["x.brand"].to_list() == [["x", None]] * 3
    assert frame["schema_version"].unique().to_list() == [4]


def test_what_is_unknown_is_null_in_the_file_and_nan_in_the_object(folder: Path) -> None:
    again = next(read_captures(folder))
    assert again.total_hits is None
    assert again.items[1].rel != again.items[1].rel
    assert (again.source, again.shown_only, again.rel_floor) == ("ubi", False, float("inf"))


@pytest.mark.parametrize(("version", "lacking"), [(1, ["arm", "source"]), (2, ["source"])])
def test_older_schemas_are_read(folder: Path, version: int, lacking: list[str]) -> None:
    from replay import read_log

    for part in folder.glob("searches/*/*.parquet"):
        table = pq.ParquetFile(part).read().drop_columns(lacking)
        versions = [version] * table.num_rows
        at = table.column_names.index("schema_version")
        pq.write_table(table.set_column(at, "schema_version", [versions]), part)
    assert {one.source for one in read_captures(folder)} == {None}
    assert set(read_log(folder).searches["schema_version"]) == {version}


def test_a_write_that_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_table: Any, where: Path, **_options: Any) -> None:
        Path(where).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(capture.pq, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        write_captures(tmp_path, [RECORD], [])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_field_that_a_factor_reads_is_a_column_even_where_no_item_has_it(tmp_path: Path) -> None:
    profile = Profile.model_validate(
        {
            "name": "p",
            "factors": [
                {"type": "rule", "field": "image_attributes.sharpness", "gte": 0.5, "weight": 2},
                {"type": "category", "field": "brand", "weights": {"x": 2.0}},
            ],
        }
    )
    record = replace(
        RECORD,
        profile_hash=profile.hash,
        rel_floor=None,
        items=(CapturedItem("a", 2.0, 1, 2.0),),
        source=None,
    )
    write_captures(tmp_path, [record], [profile])
    docs = read_log(tmp_path).docs
    np.testing.assert_array_equal(docs.columns["image_attributes.sharpness"], [np.nan])
    assert list(docs.columns["brand"]) == [None]
    parity = verify(read_log(tmp_path))
    assert (parity.scores, parity.bit_equal) == (1, 1)
