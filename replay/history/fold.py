"""Changes into intervals: what each item was, from when, until when.

Changes may come out of order and twice: they are ordered by (item, event time, arrival), each field carries
its last value forward, and of two states at one moment the later arrival stands. Building again from the same
sources, or from sources given twice, gives the same intervals.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ranking import fields
from ranking.errors import InputError
from replay.history.changes import DATES, Change, Value, is_score_field

VALID_FROM: Final = "valid_from"
VALID_TO: Final = "valid_to"  # null: still so
REMOVED: Final = "removed"  # the document was not in the index
KNOWN: Final = "known:"  # prefix of a field's companion: False where no change has told the field yet
_KINDS: Final = {"patch": 0, "replace": 1, "remove": 2}
_REPLACE, _REMOVE = _KINDS["replace"], _KINDS["remove"]

Mask = NDArray[np.bool_]
Positions = NDArray[np.int64]


@dataclass(slots=True)
class _Column:
    """The values that changes gave to one field."""

    rows: array[int] = field(default_factory=lambda: array("q"))
    values: list[Value] = field(default_factory=list)


def fold(changes: Iterable[Change], advance: Callable[[int], object] = lambda _n: None) -> pa.Table:
    """Intervals of every item: `item_id`, `valid_from`, `valid_to`, `removed` and one column per field.

    Args:
        changes: in the order of their arrival; event times in any order.
        advance: told how many more were read.

    Returns:
        Sorted by item and `valid_from`; times are epoch ms, `valid_to` is exclusive. An item that was
        removed stays so until it is written anew; a patch does not bring it back. A field that is null is
        absent where its companion `known:FIELD` is true, and untold where it is false.

    Raises:
        InputError: no changes, or a field that is text in one and a number in another.
    """
    ids: list[str] = []
    at, kinds = array("q"), array("b")
    columns: dict[str, _Column] = {}
    for row, change in enumerate(changes):
        ids.append(change.item_id)
        at.append(change.at_ms)
        kinds.append(_KINDS[change.kind])
        for name, value in change.values.items():
            column = columns.setdefault(name, _Column())
            column.rows.append(row)
            column.values.append(value)
        if row % 1_000 == 999:
            advance(1_000)
    if not ids:
        raise InputError("the sources hold no changes")
    advance(len(ids) % 1_000)
    encoded = pa.array(ids, pa.string()).dictionary_encode()
    names = np.array(encoded.dictionary.to_pylist(), dtype=object)
    place = np.empty(len(names), dtype=np.int64)
    place[np.argsort(names, kind="stable")] = np.arange(len(names))
    item = place[encoded.indices.to_numpy(zero_copy_only=False)]
    times = np.frombuffer(at, dtype=np.int64)
    order = np.lexsort((np.arange(len(ids)), times, item))
    return _intervals(_Sorted(np.sort(names), item[order], times[order], order, kinds), columns)


class _Sorted:
    """All changes by item, event time and arrival."""

    def __init__(
        self, names: NDArray[Any], item: Positions, at: Positions, order: Positions, kinds: array[int]
    ) -> None:
        self.names, self.item, self.at, self.order = names, item, at, order
        self.kind = np.frombuffer(kinds, dtype=np.int8)[order]
        self.first = np.r_[True, item[1:] != item[:-1]]
        self.start = np.maximum.accumulate(np.where(self.first, np.arange(len(item)), 0))

    def last(self, is_set: Mask) -> Positions:
        """For each row the last row of its item, itself included, at which `is_set` holds; -1: none."""
        rows = np.maximum.accumulate(np.where(is_set, np.arange(len(self.item)), -1))
        return np.where(rows >= self.start, rows, -1)


def _intervals(table: _Sorted, columns: dict[str, _Column]) -> pa.Table:
    back = np.empty(len(table.order), dtype=np.int64)
    back[table.order] = np.arange(len(table.order))
    arrays = {name: _typed(name, column.values) for name, column in sorted(columns.items())}
    removed = table.kind == _REMOVE
    renewed = (table.kind == _REPLACE) | removed
    state = table.last(renewed)
    gone = (state >= 0) & removed[state]
    # late news of what is gone says nothing
    given = {name: np.where(gone, -1, _given(columns[name], back)) for name in arrays}
    new_photo = np.zeros(len(removed), dtype=bool)
    if fields.IMAGE_URL in arrays:
        url, _ = _carried(table, given[fields.IMAGE_URL], renewed)
        new_photo = _changed_photo(table, url, arrays[fields.IMAGE_URL])
    held = {
        name: _carried(table, given[name], removed | new_photo if is_score_field(name) else renewed)
        for name in arrays
    }
    # of several changes at one moment, the last to arrive stands
    stands = np.r_[(table.item[1:] != table.item[:-1]) | (table.at[1:] != table.at[:-1]), True]
    keep = np.flatnonzero(stands)
    found = {name: array_.take(_nullable(held[name][0][keep])) for name, array_ in arrays.items()}
    found |= {f"{KNOWN}{name}": pa.array(told[keep]) for name, (_, told) in held.items()}
    same = _same_as_before(table.item[keep], gone[keep], list(found.values()))
    chosen = np.flatnonzero(~same)
    keep = keep[chosen]
    item, since = table.item[keep], table.at[keep]
    until = np.r_[np.where(item[1:] == item[:-1], since[1:], -1), -1]
    out = {
        fields.ITEM_ID: pa.array(table.names[item], pa.string()),
        VALID_FROM: pa.array(since, pa.int64()),
        VALID_TO: pa.array(until, pa.int64(), mask=until < 0),
        REMOVED: pa.array(gone[keep]),
    }
    rows = pa.array(chosen, pa.int64())
    return pa.table(out | {name: column.take(rows) for name, column in found.items()})


def _given(column: _Column, back: Positions) -> Positions:
    """For each sorted row, where in the column's values its own stands; -1: the change does not name it."""
    where = np.full(len(back), -1, dtype=np.int64)
    where[back[np.frombuffer(column.rows, dtype=np.int64)]] = np.arange(len(column.values))
    return where


def _carried(table: _Sorted, given: Positions, cleared: Mask) -> tuple[Positions, Mask]:
    """Each row's value after it, its own or the one carried forward, -1 where there is none; and if told."""
    last = table.last((given >= 0) | cleared)
    return np.where(last >= 0, given[last], -1), last >= 0


def _changed_photo(table: _Sorted, url: Positions, urls: Any) -> Mask:
    """Rows that bring another photo than the item had: the score of the old one goes with it."""
    codes = urls.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
    now = np.where(url >= 0, codes[url], -1)
    before = np.r_[-1, now[:-1]]
    return np.asarray(~table.first & (now >= 0) & (before >= 0) & (now != before), dtype=bool)


def _same_as_before(item: Positions, gone: Mask, columns: list[Any]) -> Mask:
    """Rows that say of an item exactly what the row before said."""
    same = np.r_[False, (item[1:] == item[:-1]) & (gone[1:] == gone[:-1])]
    for column in columns:
        codes = column.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
        same[1:] &= codes[1:] == codes[:-1]
    return np.asarray(same, dtype=bool)


def _nullable(positions: Positions) -> Any:
    return pa.array(positions, pa.int64(), mask=positions < 0)


def _typed(name: str, values: list[Value]) -> Any:
    kinds = {isinstance(value, str) for value in values if value is not None}
    if len(kinds) > 1:
        raise InputError(f"{name} is text in one change and a number in another")
    if name in DATES:
        return pa.array(values, pa.int64())
    return pa.array(values, pa.string() if kinds == {True} else pa.float64())
