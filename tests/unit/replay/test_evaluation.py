"""Piece by piece equals all at once, bit for bit: batches, the evaluation and the verification."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ranking.capture import read_profiles
from ranking.cli import full_app
from ranking.clock import DAY_MS
from ranking.errors import InputError
from ranking.profile import Profile
from replay import compare_rankings, rank, read_log, verify
from replay.batches import list_parts, read_batches, read_part
from replay.evaluation import Question, evaluate, verify_folder
from replay.judgments import read_judgments, write_judgments
from tests.unit.replay.conftest import NESTED, SCRIPT, MakeLog

CONTENDER = Profile.model_validate(
    {"name": "contender", "image": {"mode": "additive", "weight": 1.0}, "freshness": {"scale": "30d"}}
)


@pytest.fixture
def folder(make_log: MakeLog, tmp_path: Path) -> Path:
    records = make_log(tmp_path, 80, files=2)
    rng = np.random.default_rng(1)
    rows = {(r.query, item.item_id): float(rng.integers(0, 4)) for r in records for item in r.items[::2]}
    write_judgments(tmp_path, [(*pair, grade) for pair, grade in rows.items()], "simulated-test")
    return tmp_path


@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_batches_hold_what_the_whole_log_holds(folder: Path, batch: int) -> None:
    log = read_log(folder)
    batches = list(read_batches(folder, read_profiles(folder), batch=batch))
    assert sum(map(len, batches)) == len(log)
    assert max(map(len, batches)) <= max(2 * batch, 1)
    for name in ("search_id", "query", "now_ms", "platform", "rel_floor", "filters", "k"):
        got = np.concatenate([part.searches[name] for part in batches])
        np.testing.assert_array_equal(got, log.searches[name], err_msg=name)
    for part in reversed(batches):  # a column of an earlier batch is read again from the first
        assert len(part.docs.columns["price"]) == part.n_candidates
    for name in ("item_id", "rank", "score", "price", "ai_prob"):
        got = np.concatenate([getattr(part, name) for part in batches])
        np.testing.assert_array_equal(got, getattr(log, name), err_msg=name)
    for name in ("category", "brand"):
        got = np.concatenate([part.docs.columns[name] for part in batches if name in part.docs.columns])
        assert got.tolist() == log.docs.columns[name][: len(got)].tolist()
    for part in batches:  # ids in the order of their UTF-8 bytes
        assert list(part.item_id[np.argsort(part.item_code, kind="stable")]) == sorted(
            part.item_id, key=lambda text: text.encode()
        )


@pytest.mark.parametrize("names", [None, ("nDCG@5", "AP@3", "entropy@5", "ai_share@4", "freshness@5")])
@pytest.mark.parametrize("shift_days", [0, -3])
@pytest.mark.parametrize("batch", [4, 4096])
def test_the_evaluation_in_pieces_is_that_of_the_whole_log(
    folder: Path, names: tuple[str, ...] | None, shift_days: int, batch: int
) -> None:
    question = Question(
        baseline=NESTED,
        contenders=(SCRIPT, CONTENDER),
        k=5,
        measures=names,
        clock_shift_ms=shift_days * DAY_MS,
        categories=True,
    )
    found = evaluate(folder, question, batch=batch)
    log, judgments = read_log(folder), read_judgments(folder)
    assert found.parity == verify(log)
    dimensions, clusters = ("platform", "category", "frequency"), "user" if names else "query"
    before = rank(log, NESTED, clock_shift_ms=question.clock_shift_ms)
    for profile, got in zip(
        question.contenders, found.compare(dimensions=dimensions, clusters=clusters), strict=True
    ):
        after = rank(log, profile, clock_shift_ms=question.clock_shift_ms)
        wanted = compare_rankings(
            log,
            before,
            after,
            judgments,
            k=5,
            chosen=question.chosen,
            dimensions=dimensions,
            clusters=clusters,
        )
        assert json.dumps(got.as_dict()) == json.dumps(wanted.as_dict())
        assert got.entered.tobytes() == wanted.entered.tobytes()
        for mine, theirs in zip(got.measures, wanted.measures, strict=True):
            assert mine.baseline.tobytes() == theirs.baseline.tobytes()
            assert mine.contender.tobytes() == theirs.contender.tobytes()


def test_verification_in_pieces_keeps_the_order_of_failures(folder: Path) -> None:
    for part in sorted(folder.glob("searches/*/*.parquet")):
        table = pq.ParquetFile(part).read()
        rel = [[value * (1 + 2**-20) for value in row] for row in table["rel"].to_pylist()]
        at = table.column_names.index("rel")
        pq.write_table(
            table.set_column(at, "rel", pa.array(rel, pa.list_(pa.float32()))), part, row_group_size=5
        )
    parity = verify_folder(folder)
    assert not parity.holds
    assert len(parity.failures) == 20
    assert parity == verify(read_log(folder))


def test_a_row_group_is_a_part_and_a_large_one_is_read_in_batches(folder: Path) -> None:
    path = sorted(folder.glob("searches/*/*.parquet"))[0]
    table = pq.ParquetFile(path).read()
    pq.write_table(table, path, row_group_size=4)
    mine = [part for part in list_parts(folder) if part.path == path]
    assert [part.n_searches for part in mine] == [4] * (len(table) // 4) + [len(table) % 4] * (
        len(table) % 4 > 0
    )
    assert [len(log) for log in read_part(mine[0], {}, batch=1)] == [1, 1, 1, 1]


class TestBadInput:
    def test_a_measure_without_a_cutoff(self) -> None:
        with pytest.raises(InputError, match="AP has no cutoff"):
            Question(baseline=NESTED, contenders=(), measures=("AP",))

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no captured searches"):
            list_parts(tmp_path)

    def test_a_file_that_is_not_parquet(self, folder: Path) -> None:
        (folder / "searches" / "day=2026-11-18" / "part-x.parquet").write_text("not parquet")
        with pytest.raises(InputError, match=r"part-x\.parquet is not a readable Parquet file"):
            list_parts(folder)

    def test_a_part_file_copied_by_hand(self, folder: Path) -> None:
        part = next(folder.glob("searches/*/*.parquet"))
        part.with_name("part-copy.parquet").write_bytes(part.read_bytes())
        with pytest.raises(InputError, match="searches twice"):
            list_parts(folder)

    def test_a_column_that_is_lacking(self, folder: Path) -> None:
        part = next(folder.glob("searches/*/*.parquet"))
        pq.write_table(pq.ParquetFile(part).read().drop_columns(["rel"]), part)
        with pytest.raises(InputError, match="lacks the columns rel"):
            list_parts(folder)

    def test_a_newer_schema(self, folder: Path) -> None:
        part = next(folder.glob("searches/*/*.parquet"))
        table = pq.ParquetFile(part).read()
        newer = pa.array([99] * len(table), pa.int32())
        pq.write_table(table.set_column(0, "schema_version", newer), part)
        with pytest.raises(InputError, match="schema 99"):
            list_parts(folder)

    def test_lists_of_unequal_length(self, folder: Path) -> None:
        part = next(folder.glob("searches/*/*.parquet"))
        table = pq.ParquetFile(part).read()
        short = pa.array([row[:-1] for row in table["created_ms"].to_pylist()], pa.list_(pa.int64()))
        at = table.column_names.index("created_ms")
        pq.write_table(table.set_column(at, "created_ms", short), part)
        with pytest.raises(InputError, match="the lists of column created_ms are not as long"):
            evaluate(folder, Question(baseline=NESTED, contenders=()))

    def test_an_extra_field_of_two_types(self, folder: Path) -> None:
        for part, kind in zip(
            sorted(folder.glob("searches/*/*.parquet")), (pa.string(), pa.float64()), strict=False
        ):
            table = pq.ParquetFile(part).read()
            if "x.brand" in table.column_names:
                table = table.drop_columns(["x.brand"])
            nulls = pa.nulls(len(table), pa.list_(kind))
            pq.write_table(table.append_column("x.brand", nulls), part)
        with pytest.raises(InputError, match="text in one file and a number in another"):
            list_parts(folder)


def test_the_command_prints_the_same_with_and_without_pieces(folder: Path) -> None:
    command = ["replay", "run", str(folder), "--contender", "additive", "--by", "all", "--format", "json"]
    whole = CliRunner().invoke(full_app(), command)
    pieces = CliRunner().invoke(full_app(), [*command, "--runner", "local"])
    assert (whole.exit_code, pieces.exit_code) == (0, 0)
    assert pieces.stdout == whole.stdout
    refused = CliRunner().invoke(
        full_app(), [*command, "--runner", "local", "--report", str(folder / "r.html")]
    )
    assert refused.exit_code == 1
    assert not (folder / "r.html").exists()
