"""Values of a JSON row that somebody else wrote: the right kind, in range, storable, or a reason why not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from ranking.clock import parse_time

MAX_RANK = 2**31 - 1  # ranks and lengths are 32 bits in a capture
_MAX_MS = 253_402_300_800_000  # the year 10000
_SECONDS_BELOW = 10**11  # a smaller number of seconds is a time before 5138; of milliseconds, before 1973


class RowError(ValueError):
    """One row cannot be used, and why; the other rows can."""


def parse_object(text: str | bytes) -> dict[str, Any]:
    """The JSON object that a line holds.

    Raises:
        RowError: not JSON, or not an object.
    """
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise RowError(f"not JSON: {e}") from None
    if not isinstance(row, dict):
        raise RowError("not a JSON object")
    return row


def first(row: Mapping[str, Any], *names: str) -> Any:
    """The value under the first of the names that has one; None where none has."""
    for name in names:
        value = row.get(name)
        if value is not None:
            return value
    return None


def text(row: Mapping[str, Any], *names: str) -> str | None:
    """A text, or a whole number as text, as ids are written; None where absent or empty.

    Raises:
        RowError: another kind, or characters that UTF-8 cannot hold.
    """
    value = first(row, *names)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise RowError(f"{names[0]} must be a text, got {_short(value)}")
    try:
        found = str(value)
        found.encode()
    except ValueError:  # half of a surrogate pair, or an integer of thousands of digits
        raise RowError(f"{names[0]} holds what UTF-8 cannot write") from None
    return found or None


def required_text(row: Mapping[str, Any], *names: str) -> str:
    """A text that must be there and not blank.

    Raises:
        RowError: absent, blank, or another kind.
    """
    found = text(row, *names)
    if found is None or not found.strip():
        raise RowError(f"{names[0]} is missing")
    return found


def moment(row: Mapping[str, Any], *names: str) -> int | None:
    """Epoch milliseconds of ISO 8601 (UTC without a zone), of epoch ms, or of epoch seconds.

    Raises:
        RowError: no time between 1970 and 9999.
    """
    value = first(row, *names)
    if value is None:
        return None
    number: float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            number = None
    try:
        if number is None:
            if not isinstance(value, str):
                raise RowError(f"{names[0]} is not a time: {_short(value)}")
            ms = parse_time(value)
        elif not math.isfinite(number):
            raise RowError(f"{names[0]} is not a time: {_short(value)}")
        else:
            exact = int(value) if isinstance(value, int) or str(value).isdigit() else number
            ms = round(exact * 1000) if abs(number) < _SECONDS_BELOW else round(exact)
    except (ValueError, OverflowError) as e:
        raise e if isinstance(e, RowError) else RowError(f"{names[0]} is {e}") from None
    if not 0 <= ms < _MAX_MS:
        raise RowError(f"{names[0]} lies outside the years 1970 to 9999: {_short(value)}")
    return ms


def required_moment(row: Mapping[str, Any], *names: str) -> int:
    """A time that must be there.

    Raises:
        RowError: absent, or no time.
    """
    found = moment(row, *names)
    if found is None:
        raise RowError(f"{names[0]} is missing")
    return found


def number(row: Mapping[str, Any], *names: str) -> float | None:
    """A finite number, or a text that is one.

    Raises:
        RowError: something else.
    """
    value = first(row, *names)
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise RowError(f"{names[0]} must be a number, got {_short(value)}")
        found = float(value)
    except (ValueError, OverflowError):
        raise RowError(f"{names[0]} must be a number, got {_short(value)}") from None
    if not math.isfinite(found):
        raise RowError(f"{names[0]} is not finite: {_short(value)}")
    return found


def whole(row: Mapping[str, Any], *names: str, most: int = MAX_RANK) -> int | None:
    """A whole number in [0, most].

    Raises:
        RowError: something else.
    """
    found = number(row, *names)
    if found is None:
        return None
    if found != int(found) or not 0 <= found <= most:
        raise RowError(f"{names[0]} must be a whole number up to {most}, got {_short(found)}")
    return int(found)


def mapping(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """An object; empty where absent.

    Raises:
        RowError: another kind.
    """
    value = first(row, *names)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RowError(f"{names[0]} must be an object, got {_short(value)}")
    return value


def listing(row: Mapping[str, Any], *names: str) -> list[Any]:
    """A list; empty where absent.

    Raises:
        RowError: another kind.
    """
    value = first(row, *names)
    if value is None:
        return []
    if not isinstance(value, list):
        raise RowError(f"{names[0]} must be a list, got {_short(value)}")
    return value


def _short(value: Any) -> str:
    try:
        shown = repr(value)
    except ValueError:  # an integer of thousands of digits
        shown = type(value).__name__
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
