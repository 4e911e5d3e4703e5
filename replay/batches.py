"""A capture folder read in pieces of constant size: what one replay needs at a time, and no more.

The unit of work is a row group of one Parquet file; a row group that is larger than a batch is read batch by
batch. Columns that nobody asks for are never decoded, see `replay.lazy`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ranking.capture import ADDED_LATER, EXTRA, FILLED, SEARCH_SCHEMA, part_files
from ranking.errors import InputError
from ranking.parquet_file import check_columns, check_filled, open_parquet, parquet_errors
from ranking.profile import Profile
from replay.log import CaptureLog, build_log, check_schema_version, check_unique, no_searches

BATCH = 4_096  # searches; at 200 candidates a decoded column of float64 is 6.5 MB
_AT_ONCE = ("now_ms", "platform", "profile_hash", "rel_floor", "query", "rel", "image_score", "created_ms")
_SERVED = ("rank", "score")

_pc: Any = pc  # its functions are made at run time: no checker sees them


@dataclass(frozen=True, slots=True)
class Part:
    """One row group of a capture folder."""

    path: Path
    row_group: int
    n_searches: int


def count_searches(folder: Path) -> int:
    """How many searches a capture folder holds, by the footers of its files; a broken file counts nothing."""
    n = 0
    for path in part_files(folder):
        with suppress(pa.ArrowInvalid, OSError):
            n += pq.read_metadata(path).num_rows
    return n


def list_parts(folder: Path) -> list[Part]:
    """The row groups of a capture folder, in the order in which `read_log` reads them.

    Raises:
        InputError: no searches, a broken file, a lacking column, a newer schema, duplicates, or an extra
            field that is text in one file and a number in another.
    """
    parts, ids, newest, extras = [], [], 0, pa.schema([])
    for path in part_files(folder):
        file = open_parquet(path)
        with parquet_errors(path):
            present = file.schema_arrow
            head = file.read(columns=["search_id", "schema_version"])
        check_columns(path, present, SEARCH_SCHEMA)
        check_filled(path, file, FILLED)
        lacking = [name for name in SEARCH_SCHEMA.names if name not in (*present.names, *ADDED_LATER)]
        if lacking:
            raise InputError(f"{path} lacks the columns {', '.join(lacking)}")
        if head.num_rows:
            newest = max(newest, int(_pc.max(head["schema_version"]).as_py()))
        ids.append(head["search_id"].cast(pa.string()))
        mine = pa.schema([present.field(name) for name in present.names if name.startswith(EXTRA)])
        try:
            extras = pa.unify_schemas([extras, mine])
        except (pa.ArrowInvalid, pa.ArrowTypeError) as e:
            raise InputError(
                f"{folder / 'searches'}: an extra field is text in one file and a number in another: {e}"
            ) from e
        groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        parts += [Part(path, i, n) for i, n in enumerate(groups) if n]
    if not parts:
        raise no_searches(folder)
    check_schema_version(newest, folder)
    check_unique(pa.chunked_array([chunk for column in ids for chunk in column.chunks], pa.string()), folder)
    return parts


def read_part(
    part: Part, profiles: dict[str, Profile], *, served: bool = False, batch: int = BATCH
) -> Iterator[CaptureLog]:
    """The searches of one row group, as logs of at most `batch` searches.

    Args:
        part: from `list_parts`.
        profiles: by hash, from `ranking.capture.read_profiles`.
        served: read logged ranks and scores along with the rest, for a verification.
        batch: searches in a piece.

    Raises:
        InputError: the file is broken, or lists are of unequal length.
    """
    source = _RowGroup(part, batch)
    names = (*_AT_ONCE, *(_SERVED if served else ()))
    for i, record_batch in enumerate(source.read(names)):
        yield build_log(_Batch(source, i, record_batch), source.names, profiles, part.path, at_once=False)


def read_batches(
    folder: Path, profiles: dict[str, Profile], *, served: bool = False, batch: int = BATCH
) -> Iterator[CaptureLog]:
    """All searches of a capture folder in order, as logs of at most `batch` searches.

    Raises:
        InputError: as `list_parts` and `read_part`.
    """
    for part in list_parts(folder):
        yield from read_part(part, profiles, served=served, batch=batch)


@dataclass(slots=True)
class _RowGroup:
    """A row group that is read in batches, columns together or one at a time."""

    part: Part
    batch: int
    _file: Any = None
    _later: dict[str, tuple[int, Iterator[Any]]] = field(default_factory=dict)  # next batch of a column
    _lock: Any = field(default_factory=Lock)

    @property
    def names(self) -> list[str]:
        """The columns of the file."""
        if self._file is None:
            self._file = pq.ParquetFile(self.part.path)
        return list(self._file.schema_arrow.names)

    def read(self, columns: Sequence[str]) -> Iterator[Any]:
        """Record batches of some columns."""
        present = [name for name in columns if name in self.names]
        size = self.part.n_searches if self.part.n_searches <= 2 * self.batch else self.batch
        return _record_batches(self._file, self.part, size, present)

    def column(self, name: str, i: int) -> Any:
        """One column of batch i; batches are asked for in order, or read again from the first."""
        with self._lock:
            at, batches = self._later.get(name, (0, None))
            if batches is None or at > i:
                at, batches = 0, self.read([name])
            for record_batch in batches:
                at += 1
                if at > i:
                    self._later[name] = (at, batches)
                    return record_batch.column(0)
        raise IndexError(i)


def _record_batches(file: Any, part: Part, size: int, columns: list[str]) -> Iterator[Any]:
    """A function of its own: a generator that knew its row group would keep it alive in a circle."""
    with parquet_errors(part.path):
        yield from file.iter_batches(size, row_groups=[part.row_group], columns=columns, use_threads=False)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Loads the columns of one batch."""

    source: _RowGroup
    i: int
    at_once: Any

    def __call__(self, name: str) -> Any:
        if name in self.at_once.schema.names:
            column = self.at_once.column(name)
        elif name in self.source.names:
            column = self.source.column(name, self.i)
        else:  # a column that was added after the file was written
            column = pa.nulls(self.at_once.num_rows, SEARCH_SCHEMA.field(name).type)
        wanted = SEARCH_SCHEMA.field(name).type if name in SEARCH_SCHEMA.names else column.type
        return column if column.type == wanted else column.cast(wanted)
