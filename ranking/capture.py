"""The capture record: what one served search leaves behind, enough to compute its ranking again.

Items of a record are the page as served (`rank`, `score`) together with the `window` most relevant
documents. Nothing outside the record is more relevant than `rel_floor`; where it is None, the record holds
every match. Files are Parquet, one row per search, partitioned by UTC day, written whole or not at all:

    DIR/searches/day=2026-11-20/part-….parquet     item columns are lists of equal length
    DIR/events/day=2026-11-20/part-….parquet       clicks, one row each
    DIR/profiles/HASH.json                         the formula behind each `profile_hash`

A search imported from a log that holds shown ids alone has `source` (the format's name), an empty
`profile_hash`, items with `rel` NaN, `window` 0 and `rel_floor` infinite: nothing outside is proven to rank
below anything. What the other log did not say (`total_hits`, scores, components) is None, null in the file.
"""

from __future__ import annotations

import json
import math
import os
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ranking import fields
from ranking.errors import InputError
from ranking.factors import Kind
from ranking.parquet_file import check_columns, check_filled, open_parquet, parquet_errors
from ranking.profile import Profile, parse_profile

SCHEMA_VERSION = 4  # 2 adds columns of extras, 3 `source` and nulls, 4 `execution`; older ones are read too
NOTHING_PROVEN = float("inf")  # a rel_floor: what was not captured may be arbitrarily relevant
EXTRA = "x."  # prefix of an extra field's column
OWN_FIELDS = (fields.CATEGORY, fields.PRICE, fields.AI_PROBABILITY)  # have columns of their own


@dataclass(frozen=True, slots=True)
class CapturedItem:
    """One candidate of a search; values as the server held them at that moment."""

    item_id: str
    rel: float  # float32 value: relevance of the base query; NaN where unknown
    rank: int | None = None  # 1-based place on the served page; None where not served
    score: float | None = None  # float32 value: the score as served; None where not served
    image_score: float | None = None
    created_ms: int | None = None
    category: str | None = None
    price: float | None = None
    ai_prob: float | None = None
    extras: Mapping[str, str | float] = field(default_factory=dict)  # other fields that factors read


@dataclass(frozen=True, slots=True)
class CaptureRecord:
    """One served search."""

    search_id: str
    query: str
    now_ms: int  # the clock that entered the formula, epoch ms
    index: str
    profile: str  # name
    profile_hash: str  # of the profile as resolved for the platform; empty where unknown
    k: int  # length of the page asked for
    total_hits: int | None  # None where unknown
    window: int  # how many of the most relevant documents were asked for; 0: the page alone
    rel_floor: float | None  # float32 value: nothing outside the items is more relevant; None: all are in
    items: tuple[CapturedItem, ...]
    platform: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    arm: str | None = None  # side of a running canary, `SALT/canary` or `SALT/baseline`
    filters: Mapping[str, Any] = field(default_factory=dict)
    n_shards: int = 1
    took_ms: int = 0
    execution: str | None = None  # what served it: `script_score` where a profile's plugin was missing
    source: str | None = None  # format it was imported from, such as "ubi"; None where captured as served

    @property
    def shown_only(self) -> bool:
        """Whether it holds shown ids without relevance: candidates must be rebuilt before a replay."""
        return self.source is not None and not any(item.rel == item.rel for item in self.items)


@dataclass(frozen=True, slots=True)
class Event:
    """Something a user did with a shown item."""

    search_id: str
    item_id: str
    action: str  # "click", "purchase", as in UBI
    rank: int | None  # 1-based place at which it was shown; None where the log does not say
    at_ms: int
    simulated: bool = False


_ITEM_TYPES: dict[str, pa.DataType] = {
    "item_id": pa.string(),
    "rel": pa.float32(),
    "rank": pa.int32(),
    "score": pa.float32(),
    "image_score": pa.float32(),
    "created_ms": pa.int64(),
    "category": pa.string(),
    "price": pa.float64(),
    "ai_prob": pa.float32(),
}
ITEM_COLUMNS = tuple(_ITEM_TYPES)
_SPLIT = ("rel", "score", "image_score", "created_ms")
_REL = ITEM_COLUMNS.index("rel")
_EXTRA_TYPES = (pa.list_(pa.float64()), pa.list_(pa.string()))

SEARCH_SCHEMA = pa.schema(
    [
        ("schema_version", pa.int32()),
        ("search_id", pa.string()),
        ("query", pa.string()),
        ("now_ms", pa.int64()),
        ("platform", pa.string()),
        ("user_id", pa.string()),
        ("session_id", pa.string()),
        ("arm", pa.string()),
        ("filters", pa.string()),
        ("index", pa.string()),
        ("profile", pa.string()),
        ("profile_hash", pa.string()),
        ("k", pa.int32()),
        ("total_hits", pa.int64()),
        ("window", pa.int32()),
        ("rel_floor", pa.float32()),
        ("n_shards", pa.int32()),
        ("took_ms", pa.int32()),
        ("execution", pa.string()),
        ("source", pa.string()),
        *((name, pa.list_(kind)) for name, kind in _ITEM_TYPES.items()),
    ]
)

FILLED = ("schema_version", "search_id", "query", "now_ms", "profile_hash", "k")  # columns without a null
ADDED_LATER = ("arm", "execution", "source")  # null in files that were written before

EVENT_SCHEMA = pa.schema(
    [
        ("search_id", pa.string()),
        ("item_id", pa.string()),
        ("action", pa.string()),
        ("rank", pa.int32()),
        ("at_ms", pa.int64()),
        ("simulated", pa.bool_()),
    ]
)


def new_search_id() -> str:
    """A fresh id for one served search."""
    return uuid.uuid4().hex


def write_captures(folder: Path, records: Iterable[CaptureRecord], profiles: Iterable[Profile]) -> int:
    """Append records to a capture folder; each day's file appears whole or not at all.

    Args:
        folder: made where missing.
        records: the searches.
        profiles: the resolved profiles behind the records' hashes.

    Returns:
        How many records were written.
    """
    profiles = list(profiles)
    for profile in profiles:
        text = json.dumps(profile.model_dump(mode="json"), indent=2, sort_keys=True)
        _write_atomically(folder / "profiles" / f"{profile.hash}.json", text.encode())
    known = {name: kind for profile in profiles for name, kind in profile.factor_fields.items()}
    read = {name: kind for name, kind in known.items() if name not in OWN_FIELDS}
    by_day: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        by_day[_day(record.now_ms)].append(_search_row(record, read))
    for day, rows in by_day.items():
        _write_part(folder / "searches" / f"day={day}", _search_table(rows, read))
    return sum(map(len, by_day.values()))


def write_events(folder: Path, events: Iterable[Event]) -> int:
    """Append events to a capture folder; returns how many."""
    by_day: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        by_day[_day(event.at_ms)].append(asdict(event))
    for day, rows in by_day.items():
        _write_part(folder / "events" / f"day={day}", pa.Table.from_pylist(rows, EVENT_SCHEMA))
    return sum(map(len, by_day.values()))


def read_table(
    folder: Path, kind: str, schema: pa.Schema, *, days: Collection[str] | None = None
) -> pa.Table:
    """All rows of one kind (`searches` or `events`), in file order; empty where there are none.

    Args:
        folder: of captures.
        kind: `searches` or `events`.
        schema: of the rows.
        days: take the files of these UTC days (`2026-11-20`) alone.

    Raises:
        InputError: a file is not Parquet, or lacks a column of the schema.
    """
    tables = list(_read_parts(folder, kind, schema, days))
    if not tables:
        return schema.empty_table()
    try:
        return pa.concat_tables(tables, promote_options="default")
    except pa.ArrowInvalid as e:
        raise InputError(
            f"{folder / kind}: an extra field is text in one file and a number in another: {e}"
        ) from e


def captured_days(folder: Path, kind: str = "searches") -> list[str]:
    """The UTC days (`2026-11-20`) of which a capture folder holds files, in order."""
    return sorted({_day_of(path) for path in part_files(folder, kind)})


def part_files(folder: Path, kind: str = "searches", days: Collection[str] | None = None) -> list[Path]:
    """The Parquet files of one kind, of all days or of these, in order; hidden ones are left out."""
    found = sorted((folder / kind).glob("day=*/*.parquet"))
    return [path for path in found if path.name[0] != "." and (days is None or _day_of(path) in days)]


def _day_of(path: Path) -> str:
    return path.parent.name.removeprefix("day=")


def _read_parts(
    folder: Path, kind: str, schema: pa.Schema, days: Collection[str] | None = None
) -> Iterator[pa.Table]:
    """The files of one kind, one at a time, each with the schema's columns and those of its extra fields."""
    for path in part_files(folder, kind, days):
        file = open_parquet(path)
        check_columns(path, file.schema_arrow, schema)
        if kind == "searches":
            check_filled(path, file, FILLED)
        with parquet_errors(path):
            table = file.read()
        for name in ADDED_LATER:
            if name in schema.names and name not in table.column_names:
                nulls = pa.nulls(table.num_rows, schema.field(name).type)
                table = table.append_column(schema.field(name), nulls)
        lacking = [name for name in schema.names if name not in table.column_names]
        if lacking:
            raise InputError(f"{path} lacks the columns {', '.join(lacking)}")
        extras = [name for name in table.column_names if name.startswith(EXTRA)]
        wanted = table.select([*schema.names, *extras])
        with parquet_errors(path):
            cast = wanted.cast(pa.schema([*schema, *(wanted.schema.field(name) for name in extras)]))
        yield cast


def read_captures(folder: Path) -> Iterator[CaptureRecord]:
    """The records of a capture folder as objects, a file at a time; `replay.log` reads them as arrays.

    Raises:
        InputError: there are none, or a file is broken.
    """
    empty = True
    for table in _read_parts(folder, "searches", SEARCH_SCHEMA):
        for record in _records(table):
            empty = False
            yield record
    if empty:
        raise InputError(
            f"no captured searches in {folder}", hint="capture some with `rank-cli replay record`"
        )


def parse_filters(text: str | None, search_id: str) -> dict[str, Any]:
    """The filters of a captured search, as they are written.

    Raises:
        InputError: they are no JSON object.
    """
    try:
        filters = json.loads(text or "{}")
    except (ValueError, RecursionError):
        filters = None
    if not isinstance(filters, dict):
        raise InputError(f"search {search_id}: its filters are not a JSON object")
    return filters


def _records(table: pa.Table) -> Iterator[CaptureRecord]:
    for batch in table.to_batches(max_chunksize=256):
        for row in batch.to_pylist():
            columns = [row.pop(name) for name in ITEM_COLUMNS]
            extras = {name.removeprefix(EXTRA): row.pop(name) for name in list(row) if name.startswith(EXTRA)}
            row.pop("schema_version")
            row["filters"] = parse_filters(row["filters"], row["search_id"])
            columns[_REL] = [math.nan if rel is None else rel for rel in columns[_REL]]
            items = tuple(
                CapturedItem(**dict(zip(ITEM_COLUMNS, values, strict=True)), extras=_extras_of(extras, i))
                for i, values in enumerate(zip(*columns, strict=True))
            )
            yield CaptureRecord(**row, items=items)


def read_profiles(folder: Path) -> dict[str, Profile]:
    """The profiles of a capture folder by hash.

    Raises:
        ConfigError: a profile file is wrong.
        InputError: a file's name is not the hash of its content.
    """
    profiles: dict[str, Profile] = {}
    for path in sorted((folder / "profiles").glob("*.json")):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as e:
            raise InputError(f"{path} is not JSON: {e}") from e
        profile = parse_profile(data, path)
        if profile.hash != path.stem:
            raise InputError(f"{path} holds a profile whose hash is {profile.hash}: it was changed by hand")
        profiles[profile.hash] = profile
    return profiles


def _search_row(record: CaptureRecord, read: Iterable[str]) -> dict[str, Any]:
    """One row; a field that a factor reads is there even where no item has it."""
    row: dict[str, Any] = {name: getattr(record, name, None) for name in SEARCH_SCHEMA.names}
    row["schema_version"] = SCHEMA_VERSION
    row["filters"] = json.dumps(dict(record.filters), sort_keys=True)
    for name in ITEM_COLUMNS:
        row[name] = [getattr(item, name) for item in record.items]
    row["rel"] = [None if rel is None or math.isnan(rel) else rel for rel in row["rel"]]
    for name in sorted({*read, *(name for item in record.items for name in item.extras)}):
        row[EXTRA + name] = [item.extras.get(name) for item in record.items]
    return row


def _search_table(rows: list[dict[str, Any]], read: Mapping[str, Kind]) -> pa.Table:
    """Rows as a table: the schema's columns, and one of text or numbers for each extra field."""
    extras: dict[str, pa.DataType] = {
        EXTRA + name: _EXTRA_TYPES[kind == "keyword"] for name, kind in read.items()
    }
    for row in rows:
        for name in row.keys() - set(SEARCH_SCHEMA.names):
            is_text = any(isinstance(value, str) for value in row[name])
            extras[name] = _EXTRA_TYPES[is_text or extras.get(name) == _EXTRA_TYPES[1]]
    schema = pa.schema([*SEARCH_SCHEMA, *sorted(extras.items())])
    return pa.Table.from_pylist(rows, schema)


def _extras_of(columns: Mapping[str, list[Any] | None], i: int) -> dict[str, str | float]:
    return {name: values[i] for name, values in columns.items() if values and values[i] is not None}


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")


def _write_part(folder: Path, table: pa.Table) -> None:
    """One new file, there whole or not at all: `*.parquet` never matches the one being written."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"part-{uuid.uuid4().hex}.parquet"
    hidden = folder / f".{name}.partial"
    try:
        pq.write_table(table, hidden, compression="zstd", **_encodings(table.schema))
        hidden.replace(folder / name)
    finally:
        hidden.unlink(missing_ok=True)


def _encodings(schema: pa.Schema) -> dict[str, Any]:
    """Byte-stream split for numbers that hardly repeat: a fifth less on disk than a dictionary of them."""
    split = {f"{name}.list.element" for name in _SPLIT if name in schema.names}
    if not split:
        return {}
    columns = [
        f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name for field in schema
    ]
    return {
        "use_dictionary": [name for name in columns if name not in split],
        "use_byte_stream_split": sorted(split),
    }


def _write_atomically(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    hidden.write_bytes(content)
    hidden.replace(path)
