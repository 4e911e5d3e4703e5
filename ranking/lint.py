"""Rules a query body must keep. Today: the clock is a parameter.

Each finding is one sentence that begins with its rule's name and the place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ranking.errors import LintError

_DATE_MATH_NOW = re.compile(r"\s*now\s*(?:$|[-+/|])|.*\|\|\s*now\b")
_CLOCK_CALLS = re.compile(r"currentTimeMillis|new\s+Date\s*\(|Instant\.now|ZonedDateTime\.now|nanoTime")
_DECAYS = ("gauss", "exp", "linear")
_DECAY_OPTIONS = ("_name", "filter", "weight", "multi_value_mode")


def lint_body(body: Mapping[str, Any]) -> list[str]:
    """Findings of one search body; an empty list where it keeps every rule."""
    return list(_walk(body, ""))


def check_body(body: Mapping[str, Any]) -> None:
    """Refuse a body that breaks a rule.

    Raises:
        LintError: with every finding.
    """
    findings = lint_body(body)
    if findings:
        raise LintError(findings, hint="resolve the clock once (now_ms) and send it as an integer")


def _walk(node: Any, path: str) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            here = f"{path}.{key}" if path else str(key)
            if key in _DECAYS and isinstance(value, Mapping):
                yield from _decay(value, here)
            elif key == "range" and isinstance(value, Mapping):
                yield from _range(value, here)
            elif key == "distance_feature" and isinstance(value, Mapping):
                yield from _origin(value.get("origin"), here)
            elif key == "script" and isinstance(value, Mapping):
                yield from _script(value, here)
            else:
                yield from _walk(value, here)
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from _walk(value, f"{path}[{i}]")


def _decay(decay: Mapping[str, Any], path: str) -> Iterator[str]:
    for field, settings in decay.items():
        if field in _DECAY_OPTIONS or not isinstance(settings, Mapping):
            continue
        here = f"{path}.{field}"
        if "origin" not in settings:
            yield f"unpinned-clock: {here} has no origin, so the server takes its own clock"
        else:
            yield from _origin(settings["origin"], here)


def _origin(origin: Any, path: str) -> Iterator[str]:
    if isinstance(origin, str) and _DATE_MATH_NOW.match(origin):
        yield f"unpinned-clock: {path} has origin {origin!r}"
    elif isinstance(origin, float):
        yield f"float-origin: {path} has origin {origin!r}; Elasticsearch reads only whole epoch milliseconds"


def _range(ranges: Mapping[str, Any], path: str) -> Iterator[str]:
    for field, limits in ranges.items():
        if not isinstance(limits, Mapping):
            continue
        for limit, value in limits.items():
            if isinstance(value, str) and _DATE_MATH_NOW.match(value):
                yield f"unpinned-clock: {path}.{field}.{limit} is {value!r}"


def _script(script: Mapping[str, Any], path: str) -> Iterator[str]:
    source = script.get("source")
    if isinstance(source, str) and _CLOCK_CALLS.search(source):
        yield f"unpinned-clock: {path} reads the server's clock"
    elif isinstance(source, Mapping):
        yield from _walk(source, f"{path}.source")
