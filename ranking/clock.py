"""The clock is a parameter: request time as epoch milliseconds, resolved once and passed on.

`parse_duration` and `parse_time` read what people write; nothing else in the toolkit reads a wall clock
for ranking.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

MS_PER = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
DAY_MS = MS_PER["d"]
_DURATION = re.compile(r"([0-9]+)\s*(ms|s|m|h|d)")
_EPOCH_MS = re.compile(r"[0-9]{11,}")


def now_ms() -> int:
    """This moment in epoch milliseconds. Called once per request, at the edge."""
    return time.time_ns() // 1_000_000


def parse_duration(text: str | int) -> int:
    """Milliseconds of a duration as Elasticsearch writes it: a whole number with ms, s, m, h or d.

    Raises:
        ValueError: no unit, a fraction, or a unit the server refuses too ("1w", "5.5d").
    """
    if isinstance(text, int) and not isinstance(text, bool):
        if text == 0:
            return 0
        raise ValueError(f"duration needs a unit: write {text}ms, or {text}d for days")
    match = _DURATION.fullmatch(str(text).strip())
    if match is None:
        if str(text).strip() == "0":
            return 0
        raise ValueError(f"not a duration: {text!r}; write a whole number with ms, s, m, h or d, such as 14d")
    return int(match[1]) * MS_PER[match[2]]


def format_duration(ms: int) -> str:
    """The shortest exact way to write `ms`, such as 14d or 36h."""
    for unit in ("d", "h", "m", "s"):
        if ms and ms % MS_PER[unit] == 0:
            return f"{ms // MS_PER[unit]}{unit}"
    return f"{ms}ms"


def parse_time(text: str) -> int:
    """Epoch milliseconds of a moment: epoch milliseconds, or ISO 8601 (UTC where no zone is given).

    Raises:
        ValueError: neither form.
    """
    if _EPOCH_MS.fullmatch(text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"not a time: {text!r}; write 2026-11-20T09:30:00+09:00 or epoch milliseconds"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def format_time(ms: int) -> str:
    """ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
