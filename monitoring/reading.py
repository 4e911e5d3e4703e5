"""Documents out of a file, as `monitor run --out` writes them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Final

from monitoring.metrics import COUNTS, METRICS
from monitoring.store import document_id
from ranking.errors import InputError

_NEEDED: Final = {
    "traffic": ("day", "platform", "profile", "k", "simulated", "searches"),
    "cluster": ("day",),
    "annotation": ("day", "at", "profile", "text"),
    "alert": ("alert_id", "day"),
}
_NUMBERS: Final = frozenset(one.name for one in METRICS) | set(COUNTS)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The documents of a file; where one is there twice, as where files were joined, the last one counts.

    Raises:
        InputError: it cannot be read, or a line is no document; says which.
    """
    found: dict[str, dict[str, Any]] = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    one = _document(line, f"{path}, line {number}")
                    found[document_id(one)] = one
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"{path} cannot be read: {e}", hint="make it with monitor run --out") from e
    return list(found.values())


def _document(line: str, where: str) -> dict[str, Any]:
    try:
        one = json.loads(line)
    except (ValueError, RecursionError) as e:
        raise InputError(f"{where} is no JSON: {e}") from None
    kind = one.get("kind") if isinstance(one, dict) else None
    if not isinstance(kind, str) or kind not in _NEEDED:
        raise InputError(f"{where} is no document of monitor's", hint="make it with monitor run --out")
    for name in _NEEDED[kind]:
        wanted: type[Any] = {"k": int, "searches": int, "simulated": bool}.get(name, str)
        if not isinstance(one.get(name), wanted):
            raise InputError(f"{where}: {name} is not {'text' if wanted is str else wanted.__name__}")
    _check_day(one["day"], where)
    for name in _NUMBERS & one.keys():
        value = one[name]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and math.isfinite(value)):
            raise InputError(f"{where}: {name} is not a number")
    return {str(key): value for key, value in one.items()}


def _check_day(text: str, where: str) -> None:
    from monitoring.days import parse_day

    try:
        if parse_day(text).isoformat() == text:
            return
    except InputError:
        pass
    raise InputError(f"{where}: day {text!r} is not written as 2026-11-20")


__all__ = ["read_rows"]
