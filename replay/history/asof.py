"""A log as of another clock: each candidate as the history has it then, sold and removed items out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ranking import fields
from replay.history.store import History
from replay.log import CaptureLog

_F32: Final = (fields.IMAGE_SCORE, fields.AI_PROBABILITY)


@dataclass(frozen=True, slots=True)
class AsOfSummary:
    """What became of the candidates of a log at another clock."""

    clock_shift_ms: int
    candidates: int
    known: int  # candidates whose item the history has
    gone: int  # sold, deleted or removed by then
    before_history: int  # the clock lies before the item's first interval: captured values kept
    changed: dict[str, int]  # values that differ from the captured ones, by field
    candidates_changed: int
    agreement: dict[str, list[int]]  # by field: [equal, compared] of history and capture, at the logged clock

    @property
    def disagreeing(self) -> int:
        """Captured values that the history has otherwise at the logged clock: its errors, or lateness."""
        return sum(n - equal for equal, n in self.agreement.values())

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self) | {"disagreeing": self.disagreeing}


@dataclass(frozen=True, slots=True)
class AsOf:
    """A log with as-of values; `present` goes to `replay.engine.rank`."""

    log: CaptureLog
    present: NDArray[np.bool_]  # (n_candidates,): False where the item was sold or removed by then
    summary: AsOfSummary


def as_of(
    log: CaptureLog,
    history: History,
    *,
    clock_shift_ms: int = 0,
    statuses: Sequence[str] = (fields.ON_SALE,),
) -> AsOf:
    """The candidates of a log as they were at each search's clock moved by `clock_shift_ms`.

    At the logged clock itself the captured values are the truth and are kept; the history is only compared
    with them. Relevance stays as captured: a title changed in between would change it.

    Args:
        log: the captured searches.
        history: intervals of items; what it was never told keeps its captured value.
        clock_shift_ms: added to each search's clock.
        statuses: what a hit may be, as in the profile's base query; empty for all.
    """
    logged_at = log.searches["now_ms"].astype(np.int64)[log.owner]
    captured = _captured(log)
    names = [name for name in captured if name in history.names]
    place, known, before = history.find(log.item_id, logged_at)
    agreement = {}
    for name in names:
        compared = history.told(name, place)
        equal = compared & _same(captured[name], _as_captured(history, name, place))
        agreement[name] = [int(equal.sum()), int(compared.sum())]
    present = np.ones(log.n_candidates, dtype=bool)
    changed: dict[str, int] = dict.fromkeys(names, 0)
    touched = np.zeros(log.n_candidates, dtype=bool)
    moved = log
    if clock_shift_ms:
        place, known, before = history.find(log.item_id, logged_at + clock_shift_ms)
        present = _present(history, place, known, before, statuses)
        values = {}
        for name in names:
            then = _as_captured(history, name, place)
            differs = history.told(name, place) & ~_same(captured[name], then)
            changed[name] = int(differs.sum())
            touched |= differs
            values[name] = np.where(differs, then, captured[name])
        moved = _with_values(log, values)
    return AsOf(
        moved,
        present,
        AsOfSummary(
            clock_shift_ms=clock_shift_ms,
            candidates=log.n_candidates,
            known=int(known.sum()),
            gone=int((~present).sum()),
            before_history=int(before.sum()),
            changed=changed,
            candidates_changed=int(touched.sum()),
            agreement=agreement,
        ),
    )


def _present(
    history: History,
    place: NDArray[np.int64],
    known: NDArray[np.bool_],
    before: NDArray[np.bool_],
    statuses: Sequence[str],
) -> NDArray[np.bool_]:
    removed = known & ~before & (place < 0)
    if not statuses or fields.STATUS not in history.names:
        return ~removed
    return ~removed & history.is_one_of(fields.STATUS, place, statuses)


def _captured(log: CaptureLog) -> dict[str, NDArray[Any]]:
    return {
        **log.docs.columns,
        fields.IMAGE_SCORE: log.docs.image_score,
        fields.CREATED_AT: log.docs.created_ms,
        fields.AI_PROBABILITY: log.ai_prob,
    }


def _as_captured(history: History, name: str, place: NDArray[np.int64]) -> NDArray[Any]:
    column = history.column(name, place)
    return column.astype(np.float32) if name in _F32 else column


def _same(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """Equal value by value, nothing being equal to nothing."""
    if object in (a.dtype, b.dtype):
        return np.asarray(a.astype(object) == b.astype(object), dtype=bool)
    return np.asarray((a == b) | (np.isnan(a) & np.isnan(b)), dtype=bool)


def _with_values(log: CaptureLog, values: dict[str, NDArray[Any]]) -> CaptureLog:
    columns = {**log.docs.columns, **{n: v for n, v in values.items() if n in log.docs.columns}}
    ai_prob = values.get(fields.AI_PROBABILITY, log.ai_prob)
    docs = replace(
        log.docs,
        image_score=values.get(fields.IMAGE_SCORE, log.docs.image_score),
        created_ms=values.get(fields.CREATED_AT, log.docs.created_ms),
        ai_prob=ai_prob,
        columns=columns,
    )
    return replace(log, docs=docs, price=columns[fields.PRICE], ai_prob=ai_prob)
