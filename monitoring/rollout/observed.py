"""What users of both arms did since a step began, a row per user, read from a capture folder.

The arm is the one that the capture recorded (`SALT/canary`, `SALT/baseline`); other searches do not count. A
user whose searches were served by both arms is left out and counted. Only the files of the days since the
step began are read, and of these the columns that guardrails need.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ranking.capture import captured_days, part_files
from ranking.clock import format_time
from ranking.errors import InputError
from ranking.parquet_file import open_parquet, parquet_errors
from replay.ab.events import CLICKS, PURCHASES

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
_pc: Any = pc  # its functions are made at run time: no checker sees them
SIMULATED: Final = "simulated"  # `source` of a capture that a program made up
_SEARCHES: Final = ("search_id", "user_id", "arm", "now_ms", "total_hits", "took_ms", "source", "rank")
_EVENTS: Final = ("search_id", "item_id", "action", "rank", "simulated")
_FAILURES: Final = ("at_ms", "user_id", "arm", "simulated")
_LATER: Final = ("source", "arm")  # columns that older files lack


@dataclass(frozen=True, slots=True)
class Side:
    """One arm: arrays of (n_users,), and the times of its searches."""

    n: int  # users
    columns: dict[str, F64]
    took_ms: F64  # (n_searches,)
    took_owner: I64  # (n_searches,), in [0, n)


@dataclass(frozen=True, slots=True)
class Observed:
    """Both arms in [since_ms, until_ms)."""

    since_ms: int
    until_ms: int
    control: Side
    canary: Side
    searches: int
    clicks: int
    purchases: int
    failures: int | None  # None: the folder does not log failures
    crossed: int = 0  # users who were served by both arms: left out
    no_rank: int = 0  # clicks whose rank the log does not say: not in CTR@k and RR
    simulated: bool = False

    @property
    def smallest(self) -> int:
        """Users of the smaller arm."""
        return min(self.control.n, self.canary.n)


def observe(folder: Path, salt: str, *, since_ms: int, until_ms: int, ks: Collection[int] = ()) -> Observed:
    """Read a capture folder.

    Args:
        folder: of captured searches, events and, where they are logged, failures.
        salt: of the canary, `NAME@VERSION`.
        since_ms: searches before are left out, epoch ms.
        until_ms: searches and failures from then on are left out.
        ks: the k of every CTR@k.

    Raises:
        InputError: the folder has no searches at all, or a file is broken.
    """
    if not (folder / "searches").is_dir():
        raise InputError(
            f"{folder} is no capture folder: it has no searches/",
            hint="give the folder that the service captures into, see docs/rollout.md",
        )
    wanted = (*_SEARCHES, "image_score")
    searches = _since(_read(folder, "searches", wanted, since_ms), "now_ms", salt, since_ms, until_ms)
    logged = (folder / "failures").is_dir()
    failed = _since(_read(folder, "failures", _FAILURES, since_ms), "at_ms", salt, since_ms, until_ms)
    everyone = _pc.dictionary_encode(
        pa.chunked_array([*searches["user_id"].chunks, *failed["user_id"].chunks], pa.string())
    ).combine_chunks()
    codes = np.asarray(everyone.indices.to_numpy(zero_copy_only=False), dtype=np.int64)
    n_users, n = len(everyone.dictionary), searches.num_rows
    owner, failed_owner = codes[:n], codes[n:]
    in_canary = np.concatenate([_is_canary(searches, salt), _is_canary(failed, salt)])
    ones = np.bincount(codes, weights=in_canary, minlength=n_users)
    alls = np.bincount(codes, minlength=n_users)
    crossed = (ones > 0) & (ones < alls)

    events = _read(folder, "events", _EVENTS, since_ms)
    place = _pc.fill_null(_pc.index_in(events["search_id"], value_set=searches["search_id"]), -1)
    at = np.asarray(place.to_numpy(), dtype=np.int64)
    events, at = events.filter(pa.array(at >= 0)), at[at >= 0]
    actions = events["action"]
    is_click = _bools(_pc.is_in(actions, value_set=pa.array(CLICKS)))
    is_purchase = _bools(_pc.is_in(actions, value_set=pa.array(PURCHASES)))
    click_rank = np.asarray(_pc.fill_null(events["rank"], 0).to_numpy(), dtype=np.int64)
    items = _item_codes(events["item_id"])
    clicks = _distinct(np.flatnonzero(is_click), at, items)
    purchases = _distinct(np.flatnonzero(is_purchase), at, items)

    per_search = _pages(searches, ks)
    ranked = clicks[click_rank[clicks] > 0]
    for k in ks:
        top = ranked[click_rank[ranked] <= k]
        per_search[f"clicks@{k}"] = np.bincount(at[top], minlength=n).astype(np.float64)
    rr = np.zeros(n)
    np.maximum.at(rr, at[ranked], 1 / click_rank[ranked])
    per_search["rr"] = rr
    per_search["purchases"] = np.bincount(at[purchases], minlength=n).astype(np.float64)
    per_search["searches"] = np.ones(n)
    columns = {
        name: np.bincount(owner, weights=values, minlength=n_users).astype(np.float64)
        for name, values in per_search.items()
    }
    columns["failures"] = np.bincount(failed_owner, minlength=n_users).astype(np.float64)
    columns["asked"] = columns["searches"] + columns["failures"]
    took = np.asarray(_pc.fill_null(searches["took_ms"], 0).to_numpy(), dtype=np.float64)

    def side(chosen: NDArray[np.bool_]) -> Side:
        rows = np.flatnonzero(chosen)
        place = np.full(n_users, -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        mine = place[owner]
        return Side(len(rows), {k: v[rows] for k, v in columns.items()}, took[mine >= 0], mine[mine >= 0])

    simulated = _any(events["simulated"]) or _any(failed["simulated"])
    simulated |= _any(_pc.equal(searches["source"], SIMULATED))
    return Observed(
        since_ms=since_ms,
        until_ms=until_ms,
        control=side((ones == 0) & (alls > 0)),
        canary=side((ones > 0) & ~crossed),
        searches=n,
        clicks=len(clicks),
        purchases=len(purchases),
        failures=failed.num_rows if logged else None,
        crossed=int(crossed.sum()),
        no_rank=len(clicks) - len(ranked),
        simulated=simulated,
    )


def _read(folder: Path, kind: str, names: Sequence[str], since_ms: int) -> pa.Table:
    """The named columns of all files of the days since then; a column that older files lack is null."""
    first = format_time(since_ms)[:10]
    days = {day for day in captured_days(folder, kind) if day >= first}
    tables = [_columns(path, names) for path in part_files(folder, kind, days)]
    if not tables:
        kinds = {"rank": pa.list_(pa.int32()), "image_score": pa.list_(pa.float32())}
        numbers = dict.fromkeys(("now_ms", "at_ms", "total_hits", "took_ms"), pa.int64())
        own = (kinds if kind == "searches" else {"rank": pa.int32()}) | numbers | {"simulated": pa.bool_()}
        return pa.schema([(name, own.get(name, pa.string())) for name in names]).empty_table()
    return pa.concat_tables(tables, promote_options="permissive")


def _columns(path: Path, names: Sequence[str]) -> pa.Table:
    file = open_parquet(path)
    there = set(file.schema_arrow.names)
    lacking = [name for name in names if name not in there and name not in _LATER]
    if lacking:
        raise InputError(f"{path} lacks the columns {', '.join(lacking)}")
    with parquet_errors(path):
        table = file.read(columns=[name for name in names if name in there])
    for name in names:
        if name not in there:
            table = table.append_column(name, pa.nulls(table.num_rows, pa.string()))
    return table.select(list(names))


def _since(table: pa.Table, clock: str, salt: str, since_ms: int, until_ms: int) -> pa.Table:
    """The rows of users in one of the two arms, in time."""
    arms = pa.array([f"{salt}/canary", f"{salt}/baseline"])
    chosen = _pc.is_in(table["arm"], value_set=arms)
    for more in (
        _pc.is_valid(table["user_id"]),
        _pc.greater_equal(table[clock], since_ms),
        _pc.less(table[clock], until_ms),
    ):
        chosen = _pc.and_(chosen, more)
    return table.filter(chosen)


def _pages(searches: pa.Table, ks: Collection[int]) -> dict[str, F64]:
    """Per search: empty, items shown and scored, items shown among the first k."""
    n = searches.num_rows
    rank, image = searches["rank"].combine_chunks(), searches["image_score"].combine_chunks()
    if isinstance(rank, pa.ChunkedArray):  # of an empty table
        rank, image = pa.array([], pa.list_(pa.int32())), pa.array([], pa.list_(pa.float32()))
    parent = np.asarray(_pc.list_parent_indices(rank).to_numpy(zero_copy_only=False), dtype=np.int64)
    at = np.asarray(_pc.fill_null(rank.flatten(), 0).to_numpy(zero_copy_only=False), dtype=np.int64)
    scores = np.asarray(image.flatten().to_numpy(zero_copy_only=False), dtype=np.float64)
    if len(scores) != len(at):
        raise InputError("a capture's lists of rank and image_score are not equally long")
    shown = at > 0

    def count(chosen: NDArray[np.bool_]) -> F64:
        return np.bincount(parent[chosen], minlength=n).astype(np.float64)

    found = {f"shown@{k}": count(shown & (at <= k)) for k in ks}
    hits = np.asarray(_pc.fill_null(searches["total_hits"], -1).to_numpy(), dtype=np.int64)
    pages = count(shown)
    # The native query does not count matches: a page without an item is then what says that there are none.
    empty = (hits == 0) | ((hits < 0) & (pages == 0))
    return found | {
        "shown": pages,
        "scored": count(shown & ~np.isnan(scores)),
        "empty": empty.astype(np.float64),
    }


def _is_canary(table: pa.Table, salt: str) -> NDArray[np.bool_]:
    return _bools(_pc.equal(table["arm"], f"{salt}/canary"))


def _bools(column: Any) -> NDArray[np.bool_]:
    return np.asarray(_pc.fill_null(column, False).to_numpy(), dtype=bool)


def _any(column: Any) -> bool:
    return bool(_bools(column).any()) if len(column) else False


def _item_codes(column: Any) -> I64:
    encoded = _pc.fill_null(column, "").combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        return np.zeros(0, dtype=np.int64)
    return np.asarray(encoded.dictionary_encode().indices.to_numpy(zero_copy_only=False), dtype=np.int64)


def _distinct(rows: I64, search: I64, item: I64) -> I64:
    """Of these events, one per search and item, the first: a second click on an item is no second item."""
    _, first = np.unique(np.column_stack([search[rows], item[rows]]), axis=0, return_index=True)
    return np.asarray(rows[np.sort(first)], dtype=np.int64)


__all__ = ["SIMULATED", "Observed", "Side", "observe"]
