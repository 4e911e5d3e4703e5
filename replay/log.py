"""A capture folder as arrays: one row per search, and all candidates of all searches behind each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ranking import fields
from ranking.capture import (
    EXTRA,
    ITEM_COLUMNS,
    SCHEMA_VERSION,
    SEARCH_SCHEMA,
    parse_filters,
    read_profiles,
    read_table,
)
from ranking.errors import InputError
from ranking.formula import Candidates
from ranking.profile import Profile
from replay.lazy import Columns, ItemIds, Lazily

_pc: Any = pc  # its functions are made at run time: no checker sees them


@dataclass(frozen=True, eq=False, kw_only=True)
class CaptureLog:
    """Captured searches. Search i owns the candidates `offsets[i]:offsets[i + 1]`.

    A field marked `Lazily` is an array to whoever reads it; it may be given as a function that makes it.
    """

    searches: Mapping[str, NDArray[Any]]  # the columns of SEARCH_SCHEMA that are not lists, (n_searches,)
    offsets: NDArray[np.int64]  # (n_searches + 1,)
    owner: Lazily = Lazily()  # int64 (n_candidates,): which search a candidate belongs to  # noqa: RUF009
    item_id: Lazily = Lazily()  # object (n_candidates,)  # noqa: RUF009
    item_code: Lazily = Lazily()  # int64 (n_candidates,): place among all ids, in keyword order  # noqa: RUF009
    docs: Candidates  # (n_candidates,)
    rank: Lazily = Lazily()  # int32 (n_candidates,): 1-based as served; 0 where not  # noqa: RUF009
    score: Lazily = Lazily()  # float32 (n_candidates,): as served; NaN where not  # noqa: RUF009
    price: Lazily = Lazily()  # float64 (n_candidates,); NaN where unknown  # noqa: RUF009
    ai_prob: Lazily = Lazily()  # float32 (n_candidates,); NaN where unknown  # noqa: RUF009
    profiles: dict[str, Profile]  # by hash, resolved for their platform

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_candidates(self) -> int:
        """Candidates of all searches together."""
        return int(self.offsets[-1])

    def span(self, i: int) -> slice:
        """Where search i's candidates stand."""
        return slice(int(self.offsets[i]), int(self.offsets[i + 1]))

    def groups(self, column: str) -> Iterator[tuple[Any, NDArray[np.int64]]]:
        """Each value of a search column with the searches that have it."""
        values = self.searches[column]
        if values.dtype == object:
            encoded = pa.array(values, from_pandas=True).dictionary_encode()
            names = encoded.dictionary.to_pylist()
            codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        else:
            found, codes = np.unique(values, return_inverse=True)
            names = found.tolist()
        for value, code in sorted((name, code) for code, name in enumerate(names)):
            yield value, np.flatnonzero(codes == code)
        missing = np.flatnonzero(codes == -1)
        if len(missing):
            yield None, missing

    def candidates_of(self, searches: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which candidates belong to the given searches, (n_candidates,)."""
        chosen = np.zeros(len(self), dtype=bool)
        chosen[searches] = True
        picked: NDArray[np.bool_] = chosen[self.owner]
        return picked

    def only(self, positions: NDArray[np.int64], sizes: NDArray[np.int64]) -> CaptureLog:
        """The same searches with some of their candidates.

        Args:
            positions: of the candidates that stay, search by search, in any order within one.
            sizes: how many of each search, (n_searches,).
        """
        return self._part(self.searches, positions, sizes)

    def pick(self, searches: NDArray[np.int64]) -> CaptureLog:
        """Some of the searches, in the given order, with all their candidates."""
        sizes = np.diff(self.offsets)[searches]
        begins = np.cumsum(sizes) - sizes
        positions = np.arange(int(sizes.sum())) + np.repeat(self.offsets[searches] - begins, sizes)
        columns = self.searches if isinstance(self.searches, Columns) else Columns(self.searches)
        return self._part(
            Columns({name: columns.later(name, searches) for name in columns}), positions, sizes
        )

    def _part(
        self, searches: Mapping[str, NDArray[Any]], positions: NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> CaptureLog:
        offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
        np.cumsum(sizes, out=offsets[1:])
        whole = _undecoded(self.__dict__["item_id"])
        if whole is None:
            ids = ItemIds(lambda: pa.array(self.item_id[positions], pa.string()))
        else:
            ids = whole.at(positions)
        docs = self.docs
        columns = docs.columns if isinstance(docs.columns, Columns) else Columns(docs.columns)
        return CaptureLog(
            searches=searches,
            offsets=offsets,
            owner=lambda: np.repeat(np.arange(len(sizes), dtype=np.int64), sizes),
            item_id=ids.names,
            item_code=ids.codes,
            docs=Candidates(
                docs.rel[positions],
                docs.image_score[positions],
                docs.created_ms[positions],
                None if docs.ai_prob is None else docs.ai_prob[positions],
                Columns({name: columns.later(name, positions) for name in columns}),
            ),
            rank=lambda: self.rank[positions],
            score=lambda: self.score[positions],
            price=lambda: self.price[positions],
            ai_prob=lambda: self.ai_prob[positions],
            profiles=self.profiles,
        )

    def codes_at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places of some item ids in keyword order, comparable with each other and no others."""
        ids = _undecoded(self.__dict__["item_code"])
        codes: NDArray[np.int64] = self.item_code[positions] if ids is None else ids.at(positions).codes()
        return codes

    def filters(self, i: int) -> dict[str, Any]:
        """The filters of search i."""
        return parse_filters(self.searches["filters"][i], str(self.searches["search_id"][i]))


def read_log(folder: Path) -> CaptureLog:
    """Read a capture folder.

    Raises:
        InputError: no searches, a broken file, a newer schema, duplicates, or lists of unequal length.
    """
    table = read_table(folder, "searches", SEARCH_SCHEMA).combine_chunks()
    if table.num_rows == 0:
        raise no_searches(folder)
    check_schema_version(int(_pc.max(table["schema_version"]).as_py()), folder)
    check_unique(table["search_id"], folder)
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    offsets = _offsets(columns["item_id"])
    for name in ITEM_COLUMNS:
        if not np.array_equal(_offsets(columns[name]), offsets):
            raise _unequal(name, folder)
    log = build_log(columns.__getitem__, table.column_names, read_profiles(folder), folder)
    for name in log.docs.columns:
        if EXTRA + name in columns:
            log.docs.columns[name]  # its lists are checked as they are decoded
    return log


def build_log(
    load: Callable[[str], Any],
    names: Iterable[str],
    profiles: dict[str, Profile],
    source: Path,
    *,
    at_once: bool = True,
) -> CaptureLog:
    """A log over columns that are still to be loaded.

    Args:
        load: makes the arrow array of a column. What every replay reads is loaded at once, the rest when
            somebody looks at it.
        names: of all columns, as in SEARCH_SCHEMA, and those of extra fields.
        profiles: by hash.
        source: named in errors.
        at_once: also load what only some formulas read, into `docs.ai_prob`; without it, it is in `ai_prob`.

    Raises:
        InputError: lists of unequal length; of a column loaded later, when it is loaded.
    """
    first = load("rel")
    offsets = _offsets(first)

    def flat(name: str) -> Any:
        column = first if name == "rel" else load(name)
        if not np.array_equal(_offsets(column), offsets):
            raise _unequal(name, source)
        return column.flatten()

    def scalar(name: str) -> Callable[[], NDArray[Any]]:
        return lambda: _array(load(name))

    def extra(name: str) -> Callable[[], NDArray[Any]]:
        return lambda: _extra(load(name), offsets, source)

    ids = ItemIds(lambda: flat("item_id"))
    columns = Columns(
        {
            **{name.removeprefix(EXTRA): extra(name) for name in names if name.startswith(EXTRA)},
            fields.CATEGORY: lambda: _objects(flat("category")),
            fields.PRICE: lambda: _floats(flat("price"), np.float64),
            fields.AI_PROBABILITY: lambda: _floats(flat("ai_prob"), np.float32),
        }
    )
    return CaptureLog(
        searches=Columns({name: scalar(name) for name in SEARCH_SCHEMA.names if name not in ITEM_COLUMNS}),
        offsets=offsets,
        owner=lambda: np.repeat(np.arange(len(offsets) - 1, dtype=np.int64), np.diff(offsets)),
        item_id=ids.names,
        item_code=ids.codes,
        docs=Candidates(
            rel=_floats(flat("rel"), np.float32),
            image_score=_floats(flat("image_score"), np.float32),
            created_ms=_floats(flat("created_ms"), np.float64),
            ai_prob=columns[fields.AI_PROBABILITY] if at_once else None,
            columns=columns,
        ),
        rank=lambda: flat("rank").fill_null(0).to_numpy(zero_copy_only=False).astype(np.int32, copy=False),
        score=lambda: _floats(flat("score"), np.float32),
        price=lambda: columns[fields.PRICE],
        ai_prob=lambda: columns[fields.AI_PROBABILITY],
        profiles=profiles,
    )


def _undecoded(raw: Any) -> ItemIds | None:
    """The ids behind a lazy field that nobody has looked at yet."""
    ids = getattr(raw, "__self__", None)
    return ids if isinstance(ids, ItemIds) else None


def no_searches(folder: Path) -> InputError:
    """Why an empty folder cannot be replayed."""
    return InputError(
        f"no captured searches in {folder}", hint="capture some, for example with `rank-cli demo`"
    )


def check_schema_version(newest: int, folder: Path) -> None:
    """Refuse a folder of a later version.

    Raises:
        InputError: says which version it is.
    """
    if newest > SCHEMA_VERSION:
        raise InputError(
            f"{folder} was captured with schema {newest}, this version reads up to {SCHEMA_VERSION}",
            hint="upgrade rank-toolkit",
        )


def check_unique(search_ids: Any, folder: Path) -> None:
    """Refuse searches that are there twice.

    Raises:
        InputError: says how many.
    """
    twice = len(search_ids) - _pc.count_distinct(search_ids, mode="all").as_py()
    if twice:
        raise InputError(
            f"{folder} holds {twice} searches twice", hint="a part file was copied: remove the copy"
        )


def _unequal(name: str, source: Path) -> InputError:
    return InputError(f"{source}: the lists of column {name} are not as long as those of item_id")


def _offsets(column: Any) -> NDArray[np.int64]:
    offsets: NDArray[np.int64] = column.offsets.to_numpy().astype(np.int64)
    return np.asarray(offsets - offsets[0], dtype=np.int64)


def _array(column: Any) -> NDArray[Any]:
    if pa.types.is_floating(column.type):
        return np.asarray(_floats(column, np.float32))
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _floats(column: Any, kind: type[Any]) -> NDArray[Any]:
    """Values as floats, NaN for null; epoch milliseconds are whole in float64."""
    target = pa.float32() if kind is np.float32 else pa.float64()
    wide = column if column.type == target else column.cast(target)
    if wide.null_count:
        wide = wide.fill_null(pa.scalar(float("nan"), target))
    return np.asarray(wide.to_numpy(zero_copy_only=False), dtype=kind)


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
