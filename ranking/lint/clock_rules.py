"""Body rules about the clock: it is a parameter, a whole number of epoch milliseconds, and nothing else.

`check_body` holds every body that the toolkit sends to the first two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ranking.lint.body import Body
from ranking.lint.registry import Hit, rule

_NOW = re.compile(r"\s*now\s*(?:$|[-+/|])|.*\|\|\s*now\b")
_NOW_MATH = re.compile(r"\s*now(?:\s*[-+]\s*\d+\s*[yMwdhHms]|/[yMwdhHms])+\s*")
_NOW_IN_TEXT = re.compile(r"[\[{]\s*now\b|\bTO\s+now\b|:\s*[<>]=?\s*now\b")
_CLOCK_CALLS = re.compile(
    r"currentTimeMillis|nanoTime|new\s+Date\s*\(\s*\)|Calendar\.getInstance|Clock\.system"
    r"|\b(?:Instant|ZonedDateTime|LocalDate|LocalDateTime|OffsetDateTime)\.now"
)
_EPOCH_MS = re.compile(r"(?<![\w.])1[0-9]{12}[lL]?(?![\w.])")
_BOUNDS = {"from", "to", "min", "max", "gt", "gte", "lt", "lte"}
_LIMITS = ("gt", "gte", "lt", "lte", "from", "to")
_UNIT = re.compile(r"[0-9]+(d|h|m|s|ms|micros|nanos)")
_YEAR_1973_MS = 100_000_000_000
_PIN = "resolve the clock once (now_ms) and send it as an integer"


@rule(
    "unpinned-clock",
    level="body",
    why="The server resolves `now` anew for every request, page and retry, and returns it nowhere, so the "
    "ranking cannot be reconstructed. In a script each execution reads another moment.",
    instead=_PIN,
)
def unpinned_clock(body: Body) -> Iterator[Hit]:
    """Something reads the server's clock: `now`, a decay without an origin, a script that asks."""
    for decay in body.decays:
        if "origin" not in decay.settings:
            if decay.over_time:
                yield Hit(decay.path, "there is no origin, so the server takes its own clock")
        elif _is_now(decay.settings["origin"]):
            yield Hit(decay.path, f"origin is {decay.settings['origin']!r}")
    for clause in body.clauses:
        if clause.kind == "distance_feature" and _is_now(clause.body.get("origin")):
            yield Hit(clause.path, f"origin is {clause.body['origin']!r}")
        elif clause.kind == "range":
            for path, value in _limits(clause.body, clause.path):
                if _is_now(value):
                    yield Hit(path, f"the limit is {value!r}")
        elif clause.kind in {"term", "terms", "match"}:
            for path, value in _values(clause.body, clause.path):
                if isinstance(value, str) and _NOW_MATH.fullmatch(value):
                    yield Hit(path, f"{value!r} is date math on a date field")
        elif clause.kind in {"query_string", "simple_query_string"}:
            text = clause.body.get("query")
            if isinstance(text, str) and _NOW_IN_TEXT.search(text):
                yield Hit(f"{clause.path}.query", "the query text has a range to `now`")
    for script in body.scripts:
        if script.source is not None and _CLOCK_CALLS.search(script.source):
            yield Hit(script.path, "the script reads the server's clock", "pass params.now_ms")
    for key in ("aggs", "aggregations"):
        for path, value in _bounds(body.raw.get(key), key):
            yield Hit(path, f"the bound is {value!r}")


@rule(
    "float-origin",
    level="body",
    why="A float is written as 1.75E12, which no date format reads: HTTP 400. A numeric field may have one.",
    instead="send int(now_ms)",
)
def float_origin(body: Body) -> Iterator[Hit]:
    """A decay or distance_feature over a date has a float as its origin."""
    for decay in body.decays:
        if isinstance(decay.settings.get("origin"), float) and decay.over_time:
            yield Hit(decay.path, f"origin is the float {decay.settings['origin']!r}")
    for clause in body.clauses:
        if clause.kind == "distance_feature" and isinstance(clause.body.get("origin"), float):
            yield Hit(clause.path, f"origin is the float {clause.body['origin']!r}")


@rule(
    "origin-in-1970",
    level="body",
    why="A date's default format reads digits as epoch milliseconds: 1750000000 (seconds) and the string "
    '"20250615" are days in January 1970, silently, and every item decays to 0.',
    instead="send epoch milliseconds, 13 digits",
)
def origin_in_1970(body: Body) -> Iterator[Hit]:
    """A date origin in seconds, or a date of eight digits, that the server reads as a moment in 1970."""
    for decay in body.decays:
        origin = decay.settings.get("origin")
        digits = str(origin) if isinstance(origin, int | str) and not isinstance(origin, bool) else ""
        if decay.over_time and digits.isdigit() and int(digits) < _YEAR_1973_MS:
            yield Hit(
                decay.path, f"origin {origin!r} is a moment in 1970 to 1973, unless the format is seconds"
            )


@rule(
    "date-math",
    level="body",
    severity="warning",
    why="`2025-06-15||/M` is rounded in UTC, down in an origin or a `gte`, up in a `gt` or `lte`; `||+1d/d`"
    " adds before it rounds. What was meant cannot be read off the log.",
    instead="send the moment itself, as epoch milliseconds",
)
def date_math(body: Body) -> Iterator[Hit]:
    """Date math on a fixed date, whose rounding depends on where it stands."""
    for decay in body.decays:
        if isinstance(decay.settings.get("origin"), str) and "||" in decay.settings["origin"]:
            yield Hit(decay.path, f"origin is {decay.settings['origin']!r}")
    for clause in body.clauses:
        if clause.kind == "range":
            for path, value in _limits(clause.body, clause.path):
                if isinstance(value, str) and "||" in value:
                    yield Hit(path, f"the limit is {value!r}")


@rule(
    "decay-unit",
    level="body",
    why="On a date, `scale` and `offset` need a whole number and a unit of d, h, m, s or ms: 432000000, "
    "5.5d and 1w are answered with 400. M is no unit for months.",
    instead='write "5d", "132h" or "432000000ms"',
)
def decay_unit(body: Body) -> Iterator[Hit]:
    """The scale or offset of a date decay lacks a unit, or has one that the server does not read."""
    for decay in body.decays:
        origin = decay.settings.get("origin")
        dated = isinstance(origin, int) and not isinstance(origin, bool) and origin >= _YEAR_1973_MS
        for key in ("scale", "offset"):
            value = decay.settings.get(key, "0d")
            number = isinstance(value, int | float) or (isinstance(value, str) and value.isdigit())
            where = f"{decay.path}.{key}"
            if dated and number and value not in {0, "0"}:
                yield Hit(where, f"{value!r} has no unit, which a date field needs", None, "warning")
            elif number or not (dated or decay.over_time):
                continue
            elif isinstance(value, str) and not _UNIT.fullmatch(value.strip()):
                yield Hit(where, f"{value!r} is not a whole number of d, h, m, s or ms")


@rule(
    "decay-missing-fresh",
    level="body",
    severity="warning",
    why="The server takes a document without the field as distance 0: a factor of 1, the highest there is.",
    instead='add `"filter": {"exists": ...}` to the function, and one with a weight for the rest',
)
def decay_missing_fresh(body: Body) -> Iterator[Hit]:
    """A decay whose function also meets documents without the field."""
    for decay in body.decays:
        if not decay.function.has_filter:
            yield Hit(decay.path, f"a document without {decay.field} gets 1, as if it were at the origin")


@rule(
    "clock-in-source",
    level="body",
    severity="warning",
    why="Each source is compiled on its own, and the server limits compilations (400, too many dynamic "
    "script compilations). A moment in the source makes every request another script.",
    instead="pass it as a parameter: params.now_ms",
)
def clock_in_source(body: Body) -> Iterator[Hit]:
    """A moment in epoch milliseconds stands in a script's source."""
    for script in body.scripts:
        found = _EPOCH_MS.search(script.source or "")
        if found:
            yield Hit(script.path, f"{found[0]} is part of the source")


def _is_now(value: Any) -> bool:
    return isinstance(value, str) and _NOW.match(value) is not None


def _limits(ranges: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, limits in ranges.items():
        if isinstance(limits, Mapping):
            for limit in _LIMITS:
                if limit in limits:
                    yield f"{path}.{name}.{limit}", limits[limit]


def _values(fields: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield f"{path}.{name}", value.get("value", value.get("query"))
        elif isinstance(value, list):
            yield from ((f"{path}.{name}", each) for each in value)
        else:
            yield f"{path}.{name}", value


def _bounds(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Bounds of aggregations that are date math; queries among them are clauses already."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in _BOUNDS and _is_now(value):
                yield f"{path}.{key}", value
            elif key not in {"filter", "filters", "query", "script"}:
                yield from _bounds(value, f"{path}.{key}")
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _bounds(value, f"{path}[{i}]")
