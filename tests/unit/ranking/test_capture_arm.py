"""The arm of a canary in a capture folder, and files that were written before there was one."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from ranking.capture import CapturedItem, CaptureRecord, read_captures, write_captures
from ranking.profile import Profile
from replay.log import read_log

PLAIN = Profile.model_validate({"name": "plain"})


def record(search_id: str, arm: str | None) -> CaptureRecord:
    item = CapturedItem("a", 1.0, rank=1, score=1.0)
    return CaptureRecord(search_id, "q", 0, "items", "plain", PLAIN.hash, 1, 1, 1, None, (item,), arm=arm)


def test_the_arm_is_kept_and_read_by_replay(tmp_path: Path) -> None:
    write_captures(tmp_path, [record("1", "mine@2/canary"), record("2", None)], [PLAIN])
    assert {r.search_id: r.arm for r in read_captures(tmp_path)} == {"1": "mine@2/canary", "2": None}
    arms = {arm: list(at) for arm, at in read_log(tmp_path).groups("arm")}
    assert arms == {"mine@2/canary": [0], None: [1]}


def test_an_older_file_has_none(tmp_path: Path) -> None:
    write_captures(tmp_path, [record("1", "mine@2/canary")], [PLAIN])
    (path,) = (tmp_path / "searches").glob("*/*.parquet")
    pq.write_table(pq.ParquetFile(path).read().drop_columns(["arm"]), path)
    write_captures(tmp_path, [record("2", "mine@2/baseline")], [PLAIN])
    assert {r.search_id: r.arm for r in read_captures(tmp_path)} == {"1": None, "2": "mine@2/baseline"}
    assert list(read_log(tmp_path).searches["arm"]) in ([None, "mine@2/baseline"], ["mine@2/baseline", None])
