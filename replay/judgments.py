"""Grades of items for a query text, and where they come from.

    DIR/judgments/*.parquet      columns query, item_id, grade (0 is not relevant), source

A source that begins with "simulated" is called so wherever a figure rests on it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ranking.errors import InputError
from replay.log import CaptureLog

SCHEMA = pa.schema(
    [("query", pa.string()), ("item_id", pa.string()), ("grade", pa.float32()), ("source", pa.string())]
)


@dataclass(frozen=True, slots=True)
class Judgments:
    """Grades by query text and item."""

    by_query: dict[str, dict[str, float]]
    sources: tuple[str, ...]

    @property
    def simulated(self) -> bool:
        """Whether any grade comes from a simulated buyer."""
        return any(source.startswith("simulated") for source in self.sources)

    def grades(self, log: CaptureLog) -> NDArray[np.float64]:
        """The grade of each candidate, shape (n_candidates,); NaN where unjudged."""
        queries = log.searches["query"]
        grades = np.full(log.n_candidates, np.nan)
        for i in range(len(log)):
            known = self.by_query.get(queries[i])
            if known:
                span = log.span(i)
                grades[span] = [known.get(item_id, np.nan) for item_id in log.item_id[span]]
        return grades

    def best(self, log: CaptureLog, k: int) -> NDArray[np.float64]:
        """The k highest grades of each search's query, shape (n_searches, k), zeros where there are fewer.

        A search whose query has no judgment is a row of NaN.
        """
        best = np.zeros((len(log), k))
        for i, query in enumerate(log.searches["query"]):
            known = self.by_query.get(query)
            if not known:
                best[i] = np.nan
                continue
            top = sorted(known.values(), reverse=True)[:k]
            best[i, : len(top)] = top
        return best


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


def read_judgments(folder: Path) -> Judgments | None:
    """The judgments of a capture folder, or of one file; None where it has none.

    A file without the column `source` counts as its own source, by its name.

    Raises:
        InputError: a file is broken, or a grade is negative or not a number.
    """
    by_query: dict[str, dict[str, float]] = defaultdict(dict)
    sources: set[str] = set()
    paths = [folder] if folder.is_file() else sorted((folder / "judgments").glob("*.parquet"))
    for path in paths:
        if path.name.startswith("."):
            continue
        for row in _read_rows(path):
            if row["grade"] is None or not 0 <= row["grade"] < float("inf"):
                what = f"{row['item_id']} for {row['query']!r}"
                raise InputError(f"{path}: grade {row['grade']} of {what} is not a number >= 0")
            by_query[row["query"]][row["item_id"]] = row["grade"]
            sources.add(row["source"])
    return Judgments(dict(by_query), tuple(sorted(sources))) if by_query else None


def _read_rows(path: Path) -> list[dict[str, Any]]:
    try:
        file = pq.ParquetFile(path)
        present = [name for name in SCHEMA.names if name in file.schema_arrow.names]
        rows: list[dict[str, Any]] = file.read(columns=present).to_pylist()
    except (pa.ArrowInvalid, OSError) as e:
        raise InputError(f"{path} is not a readable file of judgments: {e}") from e
    lacking = {"query", "item_id", "grade"} - set(present)
    if lacking:
        raise InputError(f"{path} lacks the columns {', '.join(sorted(lacking))}")
    return [{"source": path.stem, **row} for row in rows]
