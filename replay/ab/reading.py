"""Reads the users of an experiment from Parquet or CSV; broken lines are left out and counted."""

from __future__ import annotations

import csv as csv_module
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ranking.errors import InputError
from ranking.parquet_file import open_parquet, parquet_errors
from replay.ab.metrics import Metric
from replay.ab.users import NUMBERS, OTHERS, TEXTS, Reject, Users, users_of

pa_csv: Any = pyarrow.csv  # its classes are made at run time: no checker sees them


def read_users(path: Path, metrics: Sequence[Metric] = ()) -> Users:
    """The users of a Parquet or CSV file, of UBI events, or of a capture folder.

    Args:
        path: `.parquet`, `.csv`; `.jsonl` or a folder of them; or a capture folder.
        metrics: whose columns are read as well.

    Raises:
        InputError: no such file, not readable, or a needed column is missing.
    """
    needed = sorted({name for metric in metrics for name in metric.columns})
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if path.is_dir() or path.suffix in (".jsonl", ".ndjson"):
        from replay.ab.events import users_of_captures, users_of_ubi

        is_capture = (path / "searches").is_dir()
        return users_of_captures(path, needed) if is_capture else users_of_ubi(path, needed)
    if path.suffix == ".csv":
        return _read_csv(path, needed)
    with parquet_errors(path):
        file = open_parquet(path)
        names = file.schema_arrow.names
        known = {*TEXTS, *NUMBERS, *OTHERS, *needed}
        table = file.read(columns=[name for name in names if name.removeprefix("pre_") in known])
    return users_of(table, path.name, needed=needed)


def write_users(path: Path, table: pa.Table) -> None:
    """Write a row per user, as CSV or Parquet by the name; the file appears whole or not at all."""
    hidden = path.with_name(f".{path.name}")
    if path.suffix == ".csv":
        pa_csv.write_csv(table, hidden)
    else:
        pq.write_table(table, hidden, compression="zstd")
    hidden.replace(path)


def write_rejects(path: Path, users: Users) -> None:
    """The rows that were left out, as CSV: row, reason."""
    hidden = path.with_name(f".{path.name}")
    with hidden.open("w", newline="", encoding="utf-8") as file:
        writer = csv_module.writer(file)
        writer.writerow(("row", "reason"))
        writer.writerows((reject.row, reject.reason) for reject in users.rejects)
    hidden.replace(path)


def _read_csv(path: Path, needed: Sequence[str]) -> Users:
    """Types are guessed from the beginning; where a later row does not fit, every cell is read as text."""
    broken: list[Reject] = []

    def skip(row: Any) -> str:  # its number counts the header
        broken.append(
            Reject(row.number - 1, f"{row.actual_columns} columns instead of {row.expected_columns}")
        )
        return "skip"

    whole = pa_csv.ParseOptions(newlines_in_values=True)
    tolerant = pa_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip)
    names = (*TEXTS, *NUMBERS, *OTHERS, *needed)
    try:
        try:
            table = pa_csv.read_csv(path, parse_options=whole, convert_options=_as_text(TEXTS))
        except pa.ArrowInvalid:
            table = pa_csv.read_csv(
                path,
                read_options=pa_csv.ReadOptions(use_threads=False),  # with threads, rows have no numbers
                parse_options=tolerant,
                convert_options=_as_text((*names, *(f"pre_{name}" for name in names))),
            )
        list(table.column_names)  # headings that are no UTF-8 are found when they are looked at
    except (pa.ArrowException, OSError, UnicodeDecodeError) as e:
        raise InputError(f"{path} is not a readable CSV file: {e}") from e
    gone = np.array(sorted(reject.row for reject in broken), dtype=np.int64)
    rows = np.arange(1, table.num_rows + len(gone) + 1)
    return users_of(table, path.name, needed=needed, rejects=broken, rows=rows[~np.isin(rows, gone)])


def _as_text(names: Iterable[str]) -> Any:
    return pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True)
