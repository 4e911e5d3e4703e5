"""The figures of some days of a capture folder. One day is in memory at a time.

Days are UTC days of the searches. An event counts on the day of its search, so a late click changes an
earlier day: run with `days` that reach back as far as events come late.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from monitoring.labels import labels
from monitoring.served import events_of, read_events
from monitoring.slices import Day, DaySamples, figures, samples_of, split_day
from ranking.capture import captured_days
from ranking.clock import parse_time
from ranking.errors import InputError
from ranking.published import Version
from replay.ab.events import PURCHASES
from replay.log import CaptureLog, read_log

REFERENCE_DAYS: Final = 7  # before each day, where no fixed window is given
_pc: Any = pc  # its functions are made at run time: no checker sees them


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run computed."""

    days: tuple[str, ...]  # in order; days without a search are left out
    empty: tuple[str, ...]  # days that were asked for and hold no search
    documents: tuple[dict[str, Any], ...]  # of kind `traffic`
    latest: CaptureLog  # searches of the last day


def run(
    captures: Path,
    *,
    last: str | None = None,
    n_days: int = 1,
    k: int = 10,
    events: Path | None = None,
    versions: Sequence[Version] = (),
    reference: tuple[str, str] | None = None,
    advance: Callable[[int], object] = lambda _n: None,
) -> Figures:
    """Compute days of a capture folder.

    Args:
        captures: the folder.
        last: last day, such as `2026-11-20`; the last one captured by default.
        n_days: how many days, the last one included.
        k: how much of a page counts.
        events: a folder whose `events/` counts instead of the captures' own.
        versions: published profiles, for their version numbers.
        reference: first and last day that drift is measured against; by default the 7 days before each day.
        advance: told 1 for each day read.

    Raises:
        InputError: no searches on any of the days, or a file is broken.
    """
    there = captured_days(captures)
    wanted = days_until(last or (there[-1] if there else ""), n_days) if last or there else []
    present = [day for day in wanted if day in there]
    if not present:
        span = f"{there[0]} to {there[-1]}" if there else "none"
        raise InputError(
            f"no captured searches in {captures}" + (f" on {' or '.join(_ends(wanted))}" if wanted else ""),
            hint=f"days that are captured: {span}" if there else "capture some with `rank-cli replay record`",
        )
    table = read_events(events or captures, present[0])
    purchases_known = bool(_pc.any(_pc.is_in(table["action"], value_set=_text(PURCHASES))).as_py())
    documents: list[dict[str, Any]] = []
    samples: dict[str, DaySamples] = {}
    latest: CaptureLog | None = None
    for day in days_to_read(present, there, reference):
        log = read_log(captures, days=[day])
        label = labels(versions, parse_time(f"{day}T23:59:59.999Z"))
        split = split_day(log, events_of(log, table), label, k=k, purchases_known=purchases_known)
        samples[day] = samples_of(split, np.random.default_rng(_seed(day)))
        advance(1)
        if day in present:
            before = reference_days(day, reference)
            documents += _documents(day, split, samples, before)
            latest = log
    assert latest is not None
    return Figures(
        days=tuple(present),
        empty=tuple(day for day in wanted if day not in there),
        documents=tuple(documents),
        latest=latest,
    )


def days_to_read(
    present: Sequence[str], there: Sequence[str], reference: tuple[str, str] | None
) -> list[str]:
    """Days whose searches are read: those asked for, and their reference days, in a fitting order."""
    needed = {day for one in present for day in reference_days(one, reference)} - set(present)
    before = sorted(needed & set(there))
    return [*before, *present] if reference else sorted([*before, *present])


def reference_days(day: str, reference: tuple[str, str] | None) -> list[str]:
    """The days that a day's drift is measured against, never the day itself."""
    if reference is None:
        return days_until(day, REFERENCE_DAYS + 1)[:-1]
    first, last = reference
    n = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
    return [one for one in days_until(last, n) if one != day]


def days_until(last: str, n: int) -> list[str]:
    """So many days up to one, in order.

    Raises:
        InputError: not a day.
    """
    end = parse_day(last)
    return [(end - timedelta(days=n - 1 - i)).isoformat() for i in range(n)]


def parse_day(text: str) -> date:
    """A day such as `2026-11-20`.

    Raises:
        InputError: it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is no day", hint="write it as 2026-11-20") from None


def _documents(
    day: str, split: Day, samples: dict[str, DaySamples], before: list[str]
) -> Iterator[dict[str, Any]]:
    known = [one for one in before if one in samples]
    against = f"{known[0]}..{known[-1]}" if known else None
    for found in figures(split, samples[day], [samples[one] for one in known]):
        yield {"kind": "traffic", "day": day, "reference": against, **found}


def _seed(day: str) -> int:
    return int.from_bytes(hashlib.sha256(day.encode()).digest()[:8], "big")


def _ends(days: Sequence[str]) -> list[str]:
    return list(days) if len(days) < 3 else [f"any day from {days[0]} to {days[-1]}"]


def _text(words: Sequence[str]) -> Any:
    import pyarrow as pa

    return pa.array(words, pa.string())


__all__ = ["REFERENCE_DAYS", "Figures", "days_until", "parse_day", "reference_days", "run"]
