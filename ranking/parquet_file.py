"""Parquet of strangers: opened, held against what it must hold, and refused where it would not fit.

A Parquet file of a few kilobytes can mean billions of values: equal ones take no room in it. So the footer,
which says how many values there are and how large they become, is compared with the file's size before
anything is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from ranking.errors import InputError, RankError

MOST_VALUES: Final = 20_000_000  # of a file that holds more than ...
VALUES_PER_BYTE: Final = 100  # ... so many in each byte; real logs hold fewer than two
MOST_UNPACKED: Final = 1_000_000_000  # bytes, of a file that is compressed more than ...
UNPACKED_PER_BYTE: Final = 500  # ... so many times


@contextmanager
def parquet_errors(path: Path) -> Iterator[None]:
    """Turns whatever pyarrow raises on a broken file into a sentence.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        yield
    except RankError:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, NotImplementedError) as e:
        words = " ".join(str(e).split()) or type(e).__name__
        raise InputError(f"{path} is not a readable Parquet file: {words[:300]}", hint="move it away") from e


def open_parquet(path: Path) -> Any:
    """A `ParquetFile`, its footer read.

    Raises:
        InputError: no Parquet file, or one that is far larger than it looks.
    """
    with parquet_errors(path):
        file = pq.ParquetFile(path)
        about = file.metadata
        size = max(path.stat().st_size, 1)
        values = unpacked = 0
        for group in range(about.num_row_groups):
            for column in range(about.num_columns):
                chunk = about.row_group(group).column(column)
                values += chunk.num_values
                unpacked += max(chunk.total_uncompressed_size, 0)
        values = max(values, about.num_rows)
    if values > MOST_VALUES and values > size * VALUES_PER_BYTE:
        raise InputError(f"{path} holds {values:,} values in {size:,} bytes: too many to be a real file")
    if unpacked > MOST_UNPACKED and unpacked > size * UNPACKED_PER_BYTE:
        raise InputError(f"{path} unpacks from {size:,} bytes to {unpacked:,}: too many to be a real file")
    return file


def check_columns(path: Path, found: pa.Schema, wanted: pa.Schema) -> None:
    """Refuse a file whose columns are of another kind than ours: text for a number, a list for a value.

    Raises:
        InputError: names the first such column.
    """
    for name in wanted.names:
        if name not in found.names:
            continue
        is_, must = _kind(found.field(name).type), _kind(wanted.field(name).type)
        if is_ != must and "nothing" not in is_:
            raise InputError(f"{path}: column {name} holds {is_}, and must hold {must}", hint="move it away")


def check_filled(path: Path, file: Any, names: tuple[str, ...]) -> None:
    """Refuse a file in which one of these columns lacks a value somewhere, by the counts in its footer.

    Raises:
        InputError: names the column.
    """
    about = file.metadata
    for name in names:
        if name in file.schema_arrow.names and pa.types.is_null(file.schema_arrow.field(name).type):
            raise InputError(f"{path}: column {name} holds nothing", hint="move it away")
    for group in range(about.num_row_groups):
        for column in range(about.num_columns):
            chunk = about.row_group(group).column(column)
            counts = chunk.statistics
            if chunk.path_in_schema in names and counts is not None and counts.null_count:
                raise InputError(f"{path}: column {chunk.path_in_schema} lacks a value", hint="move it away")


def _kind(one: pa.DataType) -> str:
    if pa.types.is_dictionary(one):
        return _kind(one.value_type)
    if pa.types.is_list(one) or pa.types.is_large_list(one):
        return f"lists of {_kind(one.value_type)}"
    if pa.types.is_integer(one) or pa.types.is_floating(one):
        return "numbers"
    if pa.types.is_string(one) or pa.types.is_large_string(one):
        return "text"
    if pa.types.is_null(one):
        return "nothing"
    return str(one)


__all__ = ["check_columns", "check_filled", "open_parquet", "parquet_errors"]
