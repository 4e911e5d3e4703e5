"""Small files that mean a lot: refused with one sentence, before they are built."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ranking import parquet_file
from ranking.cli._errors import explain_error
from ranking.errors import ConfigError, InputError
from ranking.parquet_file import open_parquet
from ranking.profile import find_profile, load_profile
from ranking.yaml_file import read_yaml
from replay.importing import ImportOptions, import_log, lines
from replay.judgments import read_judgments

LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (LAUGHS, "more than 32 aliases"),
        ("[" * 60, "lists and mappings more than 50 levels deep"),
        ("{a: " * 2_000, "lists and mappings more than 50 levels deep"),
        ("a: " + "x" * 1_000_000, "is larger than 1 MB"),
        ("a: 2026-13-45", "not YAML: month must be in 1..12"),
        ("a: " + "9" * 5_000, "not YAML: Exceeds the limit"),
        ("a: !!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        ("{? {a: 1} : 2}", "found unhashable key"),
    ],
    ids=["laughs", "lists", "mappings", "size", "date", "number", "object", "two", "key"],
)
def test_yaml_that_would_grow_or_run_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_profile(path)
    assert says in str(caught.value)
    assert len(explain_error(caught.value).splitlines()) <= 2


def test_a_few_aliases_are_fine(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\n")
    assert read_yaml(tmp_path / "p.yaml") == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": 2}}


@pytest.mark.parametrize("name", ["..", "../../etc/passwd", "a\0b", "x/../../y.yaml", "", "."])
def test_a_profile_by_a_hostile_name_is_not_found(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        find_profile(name, tmp_path)


def test_parquet_of_billions_of_equal_values_is_refused_by_its_footer(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    part = pa.table({"grade": pa.array([1] * 5_000_000, pa.int8())})
    with pq.ParquetWriter(path, part.schema, compression="zstd") as writer:
        for _ in range(6):
            writer.write_table(part)
    assert path.stat().st_size < 200_000
    with pytest.raises(InputError, match=r"holds 30,000,000 values in .* bytes: too many to be a real file"):
        read_judgments(path)


def test_parquet_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.parquet"
    texts = [f"{i}{'x' * 100_000}" for i in range(50)]
    pq.write_table(pa.table({"query": texts}), path, compression="zstd", use_dictionary=False)
    open_parquet(path)  # 5 MB are nothing
    monkeypatch.setattr(parquet_file, "MOST_UNPACKED", 1_000_000)
    with pytest.raises(InputError, match="unpacks from"):
        open_parquet(path)


def test_a_line_without_end_is_one_reject_and_the_rest_comes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MOST_LINE", 1_000)
    good = b'{"id":"a","query":"dress","at":"2026-11-20T09:00:00Z","shown":["i1"]}\n'
    path = tmp_path / "log.jsonl.gz"
    path.write_bytes(
        gzip.compress(good + b'{"query":"' + b"x" * 100_000 + b'"}\n' + good.replace(b"T09", b"T10"))
    )
    summary = import_log("shown", [path], tmp_path / "out", options=ImportOptions(index="items"))
    assert (summary.rows, summary.searches, summary.rejected) == (3, 2, 1)
    assert list(summary.reasons) == ["longer than 0 MB"]
