"""The users of an experiment as arrays, sorted so that every arm of every platform is one slice.

A row is one user:

    user_id                    text, one row each
    variant                    text: the arm the user was assigned to
    platform                   text, where there is one
    purchases                  whole number >= 0: transactions during the experiment
    purchases_via_search       whole number >= 0, at most `purchases`
    searches, clicks           whole numbers >= 0; any other column of numbers may be named in a metric
    pre_COLUMN                 the same number before the experiment: the covariate of CUPED
    first_seen                 date or time of the first exposure: how many days the data took
    simulated                  true where a program made the user up
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ranking.errors import InputError

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
ALL = "all"
TEXTS = ("user_id", "variant", "platform")
NUMBERS = ("purchases", "purchases_via_search", "searches", "clicks")
OTHERS = ("first_seen", "simulated")
_pc: Any = pc  # its functions are made at run time: no checker sees them


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was left out, and why."""

    row: int  # 1-based, without the header
    reason: str


@dataclass(frozen=True, slots=True)
class Users:
    """The accepted users, sorted by variant, then platform."""

    variants: tuple[str, ...]  # in order of their slices
    platforms: tuple[str, ...]  # empty where the data name none
    starts: I64  # (n_variants * max(n_platforms, 1) + 1,)
    columns: dict[str, F64]  # (n_users,) each; NaN only in covariates
    days: float | None  # from the first to the last first_seen, both included; None where not known
    simulated: bool
    source: str  # where they come from, such as a file name
    rejects: tuple[Reject, ...] = ()
    note: str = ""  # what the source cannot say

    @property
    def n(self) -> int:
        """How many users were accepted."""
        return int(self.starts[-1])

    def span(self, variant: str, platform: str = ALL) -> slice:
        """Where the users of an arm stand."""
        width = max(len(self.platforms), 1)
        first = self.variants.index(variant) * width
        if platform == ALL:
            return slice(int(self.starts[first]), int(self.starts[first + width]))
        at = first + self.platforms.index(platform)
        return slice(int(self.starts[at]), int(self.starts[at + 1]))

    def counts(self, platform: str = ALL) -> dict[str, int]:
        """Users of each variant."""
        spans = {variant: self.span(variant, platform) for variant in self.variants}
        return {variant: span.stop - span.start for variant, span in spans.items()}

    def reasons(self) -> dict[str, int]:
        """How many rows were left out for each reason."""
        return dict(Counter(reject.reason for reject in self.rejects).most_common())


def users_of(
    table: pa.Table,
    source: str,
    *,
    needed: Collection[str] = (),
    rejects: Iterable[Reject] = (),
    rows: I64 | None = None,
    note: str = "",
) -> Users:
    """Check every row and sort the good ones.

    Args:
        table: a row per user; see the columns above.
        source: named in errors and reports.
        needed: further columns of numbers, for metrics; a user who lacks one is left out.
        rejects: rows that could not even be read.
        rows: 1-based number of each row in its file; None where the table is the file.
        note: what the source cannot say.

    Raises:
        InputError: a needed column is missing, has the wrong type, or no row is good.
    """
    lacking = [name for name in ("user_id", "variant") if name not in table.column_names]
    if lacking:
        raise InputError(
            f"{source} lacks the columns {', '.join(lacking)}",
            hint=f"it has {', '.join(table.column_names) or 'none'}; docs/statistics.md lists what is read",
        )
    absent = [name for name in needed if name not in table.column_names]
    if absent:
        raise InputError(
            f"a metric reads {absent[0]!r}, which {source} lacks",
            hint=f"it has {', '.join(table.column_names)}",
        )
    n = table.num_rows
    wanted = [name for name in table.column_names if name.removeprefix("pre_") in (*NUMBERS, *needed)]
    numbers = {name: numbers_of(table[name], name, source) for name in wanted}
    reason = np.full(n, "", dtype=object)

    def refuse(bad: NDArray[np.bool_], why: str) -> None:
        reason[bad & (reason == "")] = why

    for name in ("user_id", "variant"):
        text = _text(table[name], name, source)
        empty = _pc.fill_null(_pc.equal(_pc.utf8_trim_whitespace(text), ""), True)
        refuse(_bools(empty), f"no {name}")
    for name, values in numbers.items():
        if not name.startswith("pre_"):
            refuse(np.isnan(values), f"{name} is missing or not a number")
        refuse(values < 0, f"{name} is below 0")
        refuse(np.isinf(values), f"{name} is infinite")
    if {"purchases", "purchases_via_search"} <= numbers.keys():
        refuse(
            numbers["purchases_via_search"] > numbers["purchases"], "more purchases via search than in all"
        )
    user, variant = _codes(table["user_id"])[0], _codes(table["variant"])[0]
    _refuse_repeated(user, variant, reason)
    good = np.flatnonzero(reason == "")
    numbered = np.arange(1, n + 1) if rows is None else rows
    bad = np.flatnonzero(reason != "")
    left_out = [*rejects, *(Reject(int(numbered[i]), str(reason[i])) for i in bad)]
    if not len(good):
        why = f", such as: row {left_out[0].row}: {left_out[0].reason}" if left_out else ""
        raise InputError(f"{source} holds no usable user{why}")
    return _sorted(
        table.take(pa.array(good)), {k: v[good] for k, v in numbers.items()}, source, left_out, note
    )


def _refuse_repeated(user: I64, variant: I64, reason: NDArray[np.object_]) -> None:
    """Every row of a user who has several is left out: which one counts is not ours to say."""
    counts = np.bincount(user[user >= 0], minlength=1)
    again = (user >= 0) & (counts[user] > 1) & (reason == "")
    if not again.any():
        return
    rows = np.flatnonzero(again)
    lowest, highest = np.full(len(counts), np.iinfo(np.int64).max), np.full(len(counts), -1)
    np.minimum.at(lowest, user[rows], variant[rows])
    np.maximum.at(highest, user[rows], variant[rows])
    crossed = lowest[user[rows]] < highest[user[rows]]
    reason[rows[crossed]] = "the user is in more than one variant"
    reason[rows[~crossed]] = "the user has more than one row"


def _sorted(
    table: pa.Table, numbers: dict[str, F64], source: str, rejects: Sequence[Reject], note: str
) -> Users:
    variant, variants = _codes(table["variant"])
    if "platform" in table.column_names:
        platform, platforms = _codes(table["platform"].cast(pa.string()).fill_null("unknown"))
    else:
        platform, platforms = np.zeros(table.num_rows, dtype=np.int64), ()
    if ALL in platforms:
        raise InputError(
            f"{source} has a platform named {ALL!r}, which means every platform here", hint="rename it"
        )
    width = max(len(platforms), 1)
    group = variant * width + platform
    order = np.argsort(group, kind="stable")
    starts = np.concatenate([[0], np.bincount(group, minlength=len(variants) * width).cumsum()])
    return Users(
        variants=variants,
        platforms=platforms,
        starts=starts.astype(np.int64),
        columns={name: values[order] for name, values in numbers.items()},
        days=_days(table, source),
        simulated="simulated" in table.column_names and bool(_any_true(table["simulated"])),
        source=source,
        rejects=tuple(rejects),
        note=note,
    )


def numbers_of(column: Any, name: str, source: str) -> F64:
    """A column as floats, (n_rows,), NaN where it holds no number.

    Raises:
        InputError: its type is neither numbers nor text.
    """
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        text = _pc.utf8_trim_whitespace(column)
        looks = _pc.match_substring_regex(text, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
        column = _pc.if_else(looks, text, None)
    try:
        floats = column.cast(pa.float64()).fill_null(float("nan"))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as e:
        raise InputError(f"{source}: column {name} does not hold numbers but {column.type}") from e
    return np.asarray(floats.to_numpy(), dtype=np.float64)


def _text(column: Any, name: str, source: str) -> Any:
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as e:
        raise InputError(f"{source}: column {name} does not hold text but {column.type}") from e


def _codes(column: Any) -> tuple[I64, tuple[str, ...]]:
    """Values as codes in alphabetical order, -1 for none, and the values."""
    encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    if len(encoded.dictionary) > 1000:  # ids: their order does not matter
        return codes, ()
    names = encoded.dictionary.to_pylist()
    place = np.empty(len(names) + 1, dtype=np.int64)
    place[np.argsort(np.array(names, dtype=object), kind="stable")] = np.arange(len(names))
    place[-1] = -1
    return place[codes], tuple(sorted(names))


def _bools(column: Any) -> NDArray[np.bool_]:
    return np.asarray(column.to_numpy(), dtype=bool)


def _any_true(column: Any) -> bool:
    if pa.types.is_boolean(column.type):
        return bool(_pc.any(column).as_py())
    return any(str(value).lower() in ("true", "1") for value in column.unique().to_pylist())


def _days(table: pa.Table, source: str) -> float | None:
    """Days, in UTC, from the first to the last exposure."""
    if "first_seen" not in table.column_names:
        return None
    column = table["first_seen"]
    if pa.types.is_integer(column.type):
        column = column.cast(pa.timestamp("ms"))
    kinds = [pa.timestamp("us"), pa.timestamp("us", "UTC")]  # texts without and with an offset
    for kind in kinds:
        try:
            days = column.cast(kind).cast(pa.date32(), safe=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as e:
            if kind is kinds[-1]:
                raise InputError(f"{source}: column first_seen holds something that is no date: {e}") from e
        else:
            ends = _pc.min_max(days).as_py()
            return None if ends["min"] is None else float((ends["max"] - ends["min"]).days + 1)
    return None
