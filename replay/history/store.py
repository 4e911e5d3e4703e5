"""A history on disk and in memory: intervals sorted by item and time, looked up for many items at once.

DIR/intervals.parquet   item_id, valid_from, valid_to (epoch ms, exclusive, null: still so),
                        removed, fields
DIR/history.json        what it was made from
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ranking import fields
from ranking.errors import InputError
from ranking.parquet_file import check_columns, check_filled, open_parquet
from replay.history.changes import DATES
from replay.history.fold import KNOWN, REMOVED, VALID_FROM, VALID_TO

SCHEMA_VERSION: Final = 1
pc: Any = pyarrow.compute  # its functions are made when it is loaded, so they have no types
_FILE, _META = "intervals.parquet", "history.json"
_FRAME: Final = (fields.ITEM_ID, VALID_FROM, VALID_TO, REMOVED)
_FRAME_SCHEMA: Final = pa.schema(
    [(fields.ITEM_ID, pa.string()), (VALID_FROM, pa.int64()), (VALID_TO, pa.int64()), (REMOVED, pa.bool_())]
)
_FOREVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True)
class History:
    """Intervals of items. `find` is the as-of join; `column` reads what it found."""

    table: pa.Table  # sorted by item_id, valid_from

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def names(self) -> list[str]:
        """The fields it knows, by dotted name."""
        return [n for n in self.table.column_names if n not in _FRAME and not n.startswith(KNOWN)]

    @cached_property
    def _encoded(self) -> tuple[Any, NDArray[np.int64]]:
        """Item ids, once each, and each interval's item."""
        encoded = self.table[fields.ITEM_ID].combine_chunks().dictionary_encode()
        return encoded.dictionary, encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)

    @property
    def n_items(self) -> int:
        """Items that ever were."""
        return len(self._encoded[0])

    @cached_property
    def valid_from(self) -> NDArray[np.int64]:
        """Start of each interval, epoch ms."""
        return np.asarray(self.table[VALID_FROM].to_numpy(), dtype=np.int64)

    @cached_property
    def valid_to(self) -> NDArray[np.int64]:
        """End of each interval, exclusive, epoch ms; the largest int64 where it still holds."""
        filled = pc.fill_null(self.table[VALID_TO], int(_FOREVER))
        return np.asarray(filled.to_numpy(), dtype=np.int64)

    @cached_property
    def removed(self) -> NDArray[np.bool_]:
        """Intervals during which the document was not in the index."""
        return np.asarray(self.table[REMOVED].to_numpy(), dtype=bool)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """Where each item's intervals begin, and the end of the last."""
        ids, owner = self._encoded
        return np.searchsorted(owner, np.arange(len(ids) + 1)).astype(np.int64)

    @property
    def is_sorted(self) -> bool:
        """Whether each item's intervals stand together, in time order."""
        owner, since = self._encoded[1], self.valid_from
        later = (owner[1:] == owner[:-1]) & (since[1:] > since[:-1])
        return bool(np.all(later | (owner[1:] > owner[:-1])))

    def find(
        self, item_ids: NDArray[np.object_], at_ms: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
        """The interval that holds for each item at each moment.

        Args:
            item_ids: shape (n,).
            at_ms: epoch ms, shape (n,).

        Returns:
            positions (n,), -1 where the item was not there; known (n,), whether the history has the item at
            all; before (n,), whether the moment lies before its first interval.
        """
        ids = self._encoded[0]
        distinct = pa.array(item_ids, pa.string()).dictionary_encode()
        found = pc.fill_null(pc.index_in(distinct.dictionary, value_set=ids), -1)
        item = np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.int64)
        item = item[distinct.indices.to_numpy(zero_copy_only=False)]
        known = item >= 0
        first = self._starts[item]
        after = self._first_after(first, self._starts[item + 1], at_ms)
        started = known & (after > first)
        place = after - 1
        holds = started & ~self.removed[place]
        return np.where(holds, place, -1), known, known & ~started

    def _first_after(
        self, low: NDArray[np.int64], high: NDArray[np.int64], at_ms: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The first interval of each range that begins after a moment: one halving for all at once."""
        low, high = low.copy(), high.copy()
        for _ in range(int(np.diff(self._starts).max(initial=0)).bit_length()):
            middle = (low + high) >> 1
            begun = (low < high) & (self.valid_from[np.minimum(middle, len(self) - 1)] <= at_ms)
            low = np.where(begun, middle + 1, low)
            high = np.where(begun, high, middle)
        return low

    def column(self, name: str, positions: NDArray[np.int64]) -> NDArray[Any]:
        """A field at each position: numbers with NaN, text with None, dates as float64 epoch ms.

        Positions of -1 have no value.
        """
        taken = self.table[name].combine_chunks().take(pa.array(positions, mask=positions < 0))
        if pa.types.is_string(taken.type):
            return np.asarray(taken.to_numpy(zero_copy_only=False), dtype=object)
        return np.asarray(
            pc.fill_null(taken.cast(pa.float64()), float("nan")).to_numpy(zero_copy_only=False),
            dtype=np.float64,
        )

    def told(self, name: str, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether a change had told the field by then; a told field without a value is absent."""
        told = np.asarray(self.table[f"{KNOWN}{name}"].to_numpy(), dtype=bool)
        return np.asarray(told[positions] & (positions >= 0), dtype=bool)

    def is_one_of(self, name: str, positions: NDArray[np.int64], values: Sequence[str]) -> NDArray[np.bool_]:
        """Whether a text field has one of some values at each position, or none at all."""
        taken = self.table[name].combine_chunks().take(pa.array(positions, mask=positions < 0))
        found = pc.or_(pc.is_null(taken), pc.is_in(taken, value_set=pa.array(values, pa.string())))
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)

    def states(self, item_id: str) -> list[dict[str, Any]]:
        """Every interval of one item, in time order, absent fields left out."""
        rows = self.table.filter(pc.equal(self.table[fields.ITEM_ID], item_id)).to_pylist()
        shown = {*_FRAME, *self.names}
        return [
            {n: v for n, v in row.items() if n in shown and (v is not None or n == VALID_TO)} for row in rows
        ]

    def alive(self, at_ms: int) -> NDArray[np.int64]:
        """Positions of the intervals that hold at a moment: the documents of the index then."""
        holds = (self.valid_from <= at_ms) & (at_ms < self.valid_to)
        return np.flatnonzero(holds & ~self.removed)

    def documents(self, positions: NDArray[np.int64]) -> list[dict[str, Any]]:
        """The documents at the given positions, nested as the index takes them, dates as epoch ms."""
        return [_nested(row) for row in self.table.take(pa.array(positions)).to_pylist()]

    def summary(self) -> dict[str, Any]:
        """Counts for people and JSON."""
        return {
            "items": self.n_items,
            "intervals": len(self),
            "from_ms": int(self.valid_from.min()) if len(self) else None,
            "to_ms": int(self.valid_from.max()) if len(self) else None,
            "fields": self.names,
        }


def write_history(folder: Path, table: pa.Table, sources: list[str], n_changes: int) -> History:
    """Write intervals to a folder; what was there is replaced whole, or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    history = History(table)
    hidden = folder / f".{_FILE}"
    pq.write_table(table, hidden, compression="zstd", row_group_size=200_000)
    meta = {"schema_version": SCHEMA_VERSION, "sources": sources, "changes": n_changes, **history.summary()}
    hidden_meta = folder / f".{_META}"
    hidden_meta.write_text(json.dumps(meta, indent=2), encoding="utf-8")
    hidden.replace(folder / _FILE)
    hidden_meta.replace(folder / _META)
    return history


def read_history(folder: Path) -> History:
    """Read a folder that `write_history` made.

    Raises:
        InputError: no history there, a broken file, or a newer format.
    """
    path = folder / _FILE
    if not path.is_file():
        raise InputError(
            f"no item history in {folder}", hint="make one: rank-cli replay history build SOURCE --out DIR"
        )
    try:
        version = json.loads((folder / _META).read_text(encoding="utf-8"))["schema_version"]
        file = open_parquet(path)
        check_columns(path, file.schema_arrow, _FRAME_SCHEMA)
        check_filled(path, file, (fields.ITEM_ID, VALID_FROM))
        table = file.read()
    except (InputError, pa.ArrowException, OSError, ValueError, LookupError, TypeError, RecursionError) as e:
        raise InputError(f"{folder} holds no readable history: {e}", hint="build it again") from e
    if version > SCHEMA_VERSION:
        raise InputError(f"{folder} has history format {version}, this version reads {SCHEMA_VERSION}")
    lacking = [name for name in _FRAME if name not in table.column_names]
    if lacking:
        raise InputError(f"{path} lacks the columns {', '.join(lacking)}", hint="build it again")
    history = History(table)
    if not history.is_sorted:
        raise InputError(f"{path} is not sorted by item and time", hint="build it again")
    return history


def _nested(row: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name, value in row.items():
        if value is None or name in _FRAME[1:] or name.startswith(KNOWN):
            continue
        *path, leaf = name.split(".")
        holder = document
        for part in path:
            holder = holder.setdefault(part, {})
        whole = isinstance(value, float) and value.is_integer() and name not in DATES
        holder[leaf] = int(value) if whole and abs(value) < 2**53 else value
    return document
