"""Grades of items for a query text, and where they come from.

    DIR/judgments/*.parquet      columns query, item_id, grade (0 is not relevant), source

A source that begins with "simulated" is called so wherever a figure rests on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ranking.errors import InputError
from ranking.parquet_file import open_parquet, parquet_errors
from replay.log import CaptureLog

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
_OFTEN = 5  # so many looks at a page cost what joining everything does
_pc: Any = pc  # its functions are made at run time: no checker sees them

SCHEMA = pa.schema(
    [("query", pa.string()), ("item_id", pa.string()), ("grade", pa.float32()), ("source", pa.string())]
)


class Judgments:
    """Grades by query text and item, held as columns; where a pair is graded twice, the later grade counts.

    Never changed after it is made. The join with the last log is kept, so that many rankings of one log pay
    for it once.
    """

    def __init__(self, by_query: Mapping[str, Mapping[str, float]], sources: tuple[str, ...]) -> None:
        rows = [(query, item, grade) for query, known in by_query.items() for item, grade in known.items()]
        queries, items, grades = zip(*rows, strict=True) if rows else ((), (), ())
        self._fill(pa.array(queries, pa.string()), pa.array(items, pa.string()), np.array(grades), sources)

    @classmethod
    def from_columns(cls, query: Any, item_id: Any, grade: F64, sources: tuple[str, ...]) -> Judgments:
        """From columns of equal length: two pyarrow arrays of strings and one of grades, >= 0."""
        made = cls.__new__(cls)
        made._fill(query, item_id, grade, sources)
        return made

    def _fill(self, query: Any, item_id: Any, grade: F64, sources: tuple[str, ...]) -> None:
        queries, items = query.dictionary_encode(), item_id.dictionary_encode()
        self.sources = sources
        self._queries, self._items = queries.dictionary, items.dictionary
        keys = _codes(queries.indices) * max(len(self._items), 1) + _codes(items.indices)
        last = len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1]  # sorted by key
        self._keys: I64 = keys[last]
        self._grades: F64 = np.asarray(grade, dtype=np.float64)[last]
        self._join: _Join | None = None

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def simulated(self) -> bool:
        """Whether any grade comes from a simulated buyer."""
        return any(source.startswith("simulated") for source in self.sources)

    @property
    def highest(self) -> float:
        """The highest grade; 0 where there is none."""
        return float(self._grades.max(initial=0.0))

    @cached_property
    def most_per_query(self) -> int:
        """How many items are judged for the query that has most; 0 where there is none."""
        return int(np.bincount(self._query_of_key).max(initial=0))

    def regraded(self, gains: Mapping[int, float]) -> Judgments:
        """The same pairs with other grades; grades that `gains` does not name stay."""
        made = Judgments({}, self.sources)
        made._queries, made._items, made._keys = self._queries, self._items, self._keys
        made._grades = self._grades.copy()
        for grade, gain in gains.items():
            made._grades[self._grades == grade] = gain
        return made

    @cached_property
    def by_query(self) -> dict[str, dict[str, float]]:
        """The grades as one dict per query text."""
        queries, items = self._queries.to_pylist(), self._items.to_pylist()
        found: dict[str, dict[str, float]] = {}
        for key, grade in zip(self._keys.tolist(), self._grades.tolist(), strict=True):
            query, item = divmod(key, len(items))
            found.setdefault(queries[query], {})[items[item]] = grade
        return found

    def grades(self, log: CaptureLog) -> F64:
        """The grade of each candidate, shape (n_candidates,), read-only; NaN where unjudged."""
        join = self._join_with(log)
        if join.grades is None:
            join.grades = self._grades_at(join, log, np.arange(log.n_candidates))
            join.grades.flags.writeable = False
        return join.grades

    def grades_at(self, log: CaptureLog, at: I64) -> F64:
        """The grade of the candidates at some positions, any shape; NaN where unjudged.

        Cheaper than all grades for one page of each search; asked often, all are joined and kept.
        """
        join = self._join_with(log)
        join.asked += 1
        if join.grades is not None or join.asked > _OFTEN or at.size > log.n_candidates / 2:
            return np.asarray(self.grades(log)[at])
        return self._grades_at(join, log, at.ravel()).reshape(at.shape)

    def judged(self, log: CaptureLog) -> NDArray[np.bool_]:
        """Whether any item is judged for each search's query, shape (n_searches,)."""
        known: NDArray[np.bool_] = self._join_with(log).query >= 0
        return known

    def n_relevant(self, log: CaptureLog, rel: float = 1) -> F64:
        """How many items are graded `rel` or higher for each search's query; NaN where none is judged."""
        query = self._join_with(log).query
        counts = np.bincount(self._query_of_key[self._grades >= rel], minlength=len(self._queries) + 1)
        return np.where(query >= 0, counts[query], np.nan)

    def best(self, log: CaptureLog, k: int) -> F64:
        """The k highest grades of each search's query, shape (n_searches, k), zeros where there are fewer.

        A search whose query has no judgment is a row of NaN.
        """
        query = self._join_with(log).query
        best = np.zeros((len(self._queries) + 1, k))
        best[-1] = np.nan
        of, place, grades = self._best_first
        kept = place < k
        best[of[kept], place[kept]] = grades[kept]
        return np.asarray(best[query])

    @cached_property
    def _query_of_key(self) -> I64:
        return np.asarray(self._keys // max(len(self._items), 1))

    @cached_property
    def _best_first(self) -> tuple[I64, I64, F64]:
        """Query, 0-based place within it and grade of every judgment, best first in each query."""
        of = self._query_of_key
        order = np.lexsort((-self._grades, of))
        starts = np.searchsorted(of, np.arange(len(self._queries) + 1))
        return of, np.arange(len(of)) - starts[of], self._grades[order]

    def _join_with(self, log: CaptureLog) -> _Join:
        if self._join is None or self._join.log is not log:
            query = _places(pa.array(log.searches["query"], pa.string()), self._queries)
            first = np.full(int(log.item_code.max(initial=-1)) + 1, -1)
            first[log.item_code] = np.arange(log.n_candidates)
            present = np.flatnonzero(first >= 0)
            item = np.full(len(first), -1)
            item[present] = _places(pa.array(log.item_id[first[present]], pa.string()), self._items)
            self._join = _Join(log, query, item)
        return self._join

    def _grades_at(self, join: _Join, log: CaptureLog, at: I64) -> F64:
        grades = np.full(len(at), np.nan)
        if len(at) and log.n_candidates:
            query, item = join.query[log.owner[at]], join.item[log.item_code[at]]
            found = np.flatnonzero((query >= 0) & (item >= 0))
            keys = query[found] * len(self._items) + item[found]
            place = _places(pa.array(keys), pa.array(self._keys))
            grades[found[place >= 0]] = self._grades[place[place >= 0]]
        return grades


@dataclass(slots=True)
class _Join:
    """What is known of one log."""

    log: CaptureLog
    query: I64  # (n_searches,): place of each search's query among ours, -1 where unknown
    item: I64  # by item code: place of each item among ours, -1 where unknown
    grades: F64 | None = None  # of every candidate, once they are asked for
    asked: int = 0


def _codes(indices: Any) -> I64:
    return np.asarray(indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _places(values: Any, among: Any) -> I64:
    """Where each value stands in `among`, -1 where it does not."""
    return _codes(_pc.index_in(values, value_set=among))


def write_judgments(folder: Path, rows: Iterable[tuple[str, str, float]], source: str) -> int:
    """Write one file of judgments for `source`, replacing that source's earlier file; returns how many."""
    data = [
        {"query": query, "item_id": item_id, "grade": grade, "source": source}
        for query, item_id, grade in rows
    ]
    target = folder / "judgments" / f"{source}.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    hidden = target.with_name(f".{target.name}")
    pq.write_table(pa.Table.from_pylist(data, SCHEMA), hidden, compression="zstd")
    hidden.replace(target)
    return len(data)


def read_judgments(folder: Path, source: str | None = None) -> Judgments | None:
    """The judgments of a capture folder, or of one file; None where it has none.

    A file without the column `source` counts as its own source, by its name.

    Args:
        folder: captures with `judgments/`, or a file.
        source: take those of this source alone.

    Raises:
        InputError: a file is broken, a query or an item is missing, a grade is negative or not a number,
            there is no such source, or sources grade the same items differently.
    """
    paths = [folder] if folder.is_file() else sorted((folder / "judgments").glob("*.parquet"))
    tables = [_read(path) for path in paths if not path.name.startswith(".")]
    if not any(table.num_rows for table in tables):
        return None
    table = pa.concat_tables(tables).combine_chunks()
    sources = sorted(table["source"].unique().to_pylist())
    if source is not None:
        if source not in sources:
            raise InputError(f"{folder} has no judgments of {source}", hint=f"it has {', '.join(sources)}")
        table = table.filter(_pc.equal(table["source"], source)).combine_chunks()
    elif len(sources) > 1:
        _check_agreement(table, sources, folder)
    return Judgments.from_columns(
        table["query"].combine_chunks(),
        table["item_id"].combine_chunks(),
        table["grade"].to_numpy().astype(np.float64),
        tuple(sorted(table["source"].unique().to_pylist())),
    )


def _check_agreement(table: Any, sources: list[str], folder: Path) -> None:
    """Grades of several sources may stand beside each other, not against each other."""
    spread = table.group_by(["query", "item_id"]).aggregate([("grade", "min"), ("grade", "max")])
    differing = int(_pc.sum(_pc.not_equal(spread["grade_min"], spread["grade_max"])).as_py() or 0)
    if differing:
        raise InputError(
            f"the judgments of {folder} come from {', '.join(sources)}, which grade {differing} of "
            f"{spread.num_rows} items differently",
            hint=f"choose one, for example --judgments {sources[0]}",
        )


def _read(path: Path) -> Any:
    file = open_parquet(path)
    with parquet_errors(path):
        present = [name for name in SCHEMA.names if name in file.schema_arrow.names]
        table = file.read(columns=present)
    lacking = {"query", "item_id", "grade"} - set(present)
    if lacking:
        raise InputError(f"{path} lacks the columns {', '.join(sorted(lacking))}")
    if "source" not in present:
        table = table.append_column("source", pa.array([path.stem] * table.num_rows, pa.string()))
    try:
        table = table.select(SCHEMA.names).cast(SCHEMA)
    except pa.ArrowException as e:
        raise InputError(f"{path}: a column of judgments has the wrong type: {e}") from e
    for name in ("query", "item_id"):
        if table[name].null_count:
            raise InputError(f"{path}: {table[name].null_count} judgments have no {name}")
    grade = table["grade"].fill_null(float("nan")).to_numpy()
    wrong = np.flatnonzero(~((grade >= 0) & (grade < np.inf)))
    if len(wrong):
        row = table.slice(int(wrong[0]), 1).to_pylist()[0]
        what = f"{row['item_id']} for {row['query']!r}"
        raise InputError(f"{path}: grade {row['grade']} of {what} is not a number >= 0")
    return table
