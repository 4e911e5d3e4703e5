"""Searches that could not be served, beside the captures: without them, no log knows an error rate.

    DIR/failures/day=2026-11-20/part-….parquet     one row each

A service writes one for every search that it would have captured (the same sample of users), with the arm
that the search belonged to. A folder `failures` that holds nothing recent says that nothing failed; where it
is missing, the error rate is unknown.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FAILURE_SCHEMA = pa.schema(
    [
        ("at_ms", pa.int64()),
        ("user_id", pa.string()),
        ("arm", pa.string()),
        ("platform", pa.string()),
        ("reason", pa.string()),
        ("simulated", pa.bool_()),
    ]
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One search that was not served."""

    at_ms: int  # epoch ms
    user_id: str | None
    arm: str | None  # side of a running canary, as in a capture record
    platform: str | None = None
    reason: str | None = None
    simulated: bool = False


def write_failures(folder: Path, failures: Iterable[Failure]) -> int:
    """Append failures to a capture folder, each day's file whole or not at all; returns how many.

    With none, the folder is made all the same: it says that failures are logged.
    """
    home = folder / "failures"
    home.mkdir(parents=True, exist_ok=True)
    by_day: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in failures:
        by_day[datetime.fromtimestamp(one.at_ms / 1000, UTC).strftime("%Y-%m-%d")].append(asdict(one))
    for day, rows in by_day.items():
        where = home / f"day={day}"
        where.mkdir(exist_ok=True)
        name = f"part-{uuid.uuid4().hex}.parquet"
        hidden = where / f".{name}.partial"
        try:
            pq.write_table(pa.Table.from_pylist(rows, FAILURE_SCHEMA), hidden, compression="zstd")
            hidden.replace(where / name)
        finally:
            hidden.unlink(missing_ok=True)
    return sum(map(len, by_day.values()))


__all__ = ["FAILURE_SCHEMA", "Failure", "write_failures"]
