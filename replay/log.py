"""A capture folder as arrays: one row per search, and all candidates of all searches behind each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ranking import fields
from ranking.capture import EXTRA, ITEM_COLUMNS, SCHEMA_VERSION, SEARCH_SCHEMA, read_profiles, read_table
from ranking.errors import InputError
from ranking.formula import Candidates
from ranking.profile import Profile


@dataclass(frozen=True, slots=True)
class CaptureLog:
    """Captured searches. Search i owns the candidates `offsets[i]:offsets[i + 1]`."""

    searches: dict[str, NDArray[Any]]  # the columns of SEARCH_SCHEMA that are not lists, (n_searches,)
    offsets: NDArray[np.int64]  # (n_searches + 1,)
    owner: NDArray[np.int64]  # (n_candidates,): which search a candidate belongs to
    item_id: NDArray[np.object_]  # (n_candidates,)
    item_code: NDArray[np.int64]  # (n_candidates,): place of item_id among all ids, in keyword order
    docs: Candidates  # (n_candidates,)
    rank: NDArray[np.int32]  # (n_candidates,): 1-based as served; 0 where not served
    score: NDArray[np.float32]  # (n_candidates,): as served; NaN where not served
    price: NDArray[np.float64]  # (n_candidates,); NaN where unknown
    ai_prob: NDArray[np.float32]  # (n_candidates,); NaN where unknown
    profiles: dict[str, Profile]  # by hash, resolved for their platform

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_candidates(self) -> int:
        """Candidates of all searches together."""
        return len(self.item_id)

    def span(self, i: int) -> slice:
        """Where search i's candidates stand."""
        return slice(int(self.offsets[i]), int(self.offsets[i + 1]))

    def groups(self, column: str) -> Iterator[tuple[Any, NDArray[np.int64]]]:
        """Each value of a search column with the searches that have it."""
        values = self.searches[column].astype(object)
        for value in sorted({v for v in values if v is not None}):
            yield value, np.flatnonzero(values == value)
        missing = np.flatnonzero(np.array([v is None for v in values]))
        if len(missing):
            yield None, missing

    def candidates_of(self, searches: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which candidates belong to the given searches, (n_candidates,)."""
        chosen = np.zeros(len(self), dtype=bool)
        chosen[searches] = True
        picked: NDArray[np.bool_] = chosen[self.owner]
        return picked

    def filters(self, i: int) -> dict[str, Any]:
        """The filters of search i."""
        return dict(json.loads(self.searches["filters"][i] or "{}"))


def read_log(folder: Path) -> CaptureLog:
    """Read a capture folder.

    Raises:
        InputError: no searches, a broken file, a newer schema, duplicates, or lists of unequal length.
    """
    table = read_table(folder, "searches", SEARCH_SCHEMA).combine_chunks()
    if table.num_rows == 0:
        raise InputError(
            f"no captured searches in {folder}", hint="capture some, for example with `rank-cli demo`"
        )
    newest = max(table["schema_version"].to_pylist())
    if newest > SCHEMA_VERSION:
        raise InputError(
            f"{folder} was captured with schema {newest}, this version reads up to {SCHEMA_VERSION}",
            hint="upgrade rank-toolkit",
        )
    ids = table["search_id"].to_pylist()
    if len(set(ids)) < len(ids):
        raise InputError(
            f"{folder} holds {len(ids) - len(set(ids))} searches twice",
            hint="a part file was copied: remove the copy",
        )
    columns = {name: table[name].combine_chunks() for name in ITEM_COLUMNS}
    offsets = _offsets(columns["item_id"])
    for name, column in columns.items():
        if not np.array_equal(_offsets(column), offsets):
            raise InputError(f"{folder}: the lists of column {name} are not as long as those of item_id")
    flat = {name: column.flatten() for name, column in columns.items()}
    extras = {
        name.removeprefix(EXTRA): _extra(table[name].combine_chunks(), offsets, folder)
        for name in table.column_names
        if name.startswith(EXTRA)
    }
    price, ai_prob = _floats(flat["price"], np.float64), _floats(flat["ai_prob"], np.float32)
    item_id, item_code = _codes(flat["item_id"])
    scalars = [name for name in SEARCH_SCHEMA.names if name not in ITEM_COLUMNS]
    return CaptureLog(
        searches={name: _array(table[name]) for name in scalars},
        offsets=offsets,
        owner=np.repeat(np.arange(table.num_rows, dtype=np.int64), np.diff(offsets)),
        item_id=item_id,
        item_code=item_code,
        docs=Candidates(
            rel=_floats(flat["rel"], np.float32),
            image_score=_floats(flat["image_score"], np.float32),
            created_ms=_floats(flat["created_ms"], np.float64),
            ai_prob=ai_prob,
            columns={
                **extras,
                fields.CATEGORY: _objects(flat["category"]),
                fields.PRICE: price,
                fields.AI_PROBABILITY: ai_prob,
            },
        ),
        rank=flat["rank"].fill_null(0).to_numpy(zero_copy_only=False).astype(np.int32),
        score=_floats(flat["score"], np.float32),
        price=price,
        ai_prob=ai_prob,
        profiles=read_profiles(folder),
    )


def _offsets(column: Any) -> NDArray[np.int64]:
    offsets: NDArray[np.int64] = column.offsets.to_numpy().astype(np.int64)
    return np.asarray(offsets - offsets[0], dtype=np.int64)


def _array(column: Any) -> NDArray[Any]:
    if pa.types.is_floating(column.type):
        return np.asarray(_floats(column.combine_chunks(), np.float32))
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _floats(column: Any, kind: type[Any]) -> NDArray[Any]:
    """Values as floats, NaN for null; epoch milliseconds are whole in float64."""
    target = pa.float32() if kind is np.float32 else pa.float64()
    nan = pa.scalar(float("nan"), target)
    return np.asarray(column.cast(target).fill_null(nan).to_numpy(zero_copy_only=False), dtype=kind)


def _objects(column: Any) -> NDArray[np.object_]:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=object)


def _extra(column: Any, offsets: NDArray[np.int64], folder: Path) -> NDArray[Any]:
    """An extra field of every candidate; searches captured without it have none."""
    counts = np.diff(offsets)
    given = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    if not np.array_equal(lengths[given], counts[given]):
        raise InputError(f"{folder}: the lists of an extra field are not as long as those of item_id")
    flat = column.flatten()
    text = pa.types.is_string(flat.type)
    values = _objects(flat) if text else _floats(flat, np.float64)
    out = np.full(int(offsets[-1]), None if text else np.nan, dtype=object if text else np.float64)
    out[np.repeat(given, counts)] = values
    return out


def _codes(column: Any) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Ids as objects, and each id's place in keyword order (code points, as the server's UTF-8 bytes)."""
    encoded = column.dictionary_encode()
    names = np.array(encoded.dictionary.to_pylist(), dtype=object)
    place = np.empty(len(names), dtype=np.int64)
    place[np.argsort(names, kind="stable")] = np.arange(len(names))
    index = np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)
    return names[index], place[index]
