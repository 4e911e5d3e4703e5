"""Body rules about Painless: missing values, integer division, decay origins.

They read the source with patterns, not with a parser, and prefer silence to a false alarm: a guard anywhere
in the source counts, and a division whose operands cannot be told is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from ranking.lint.body import Body
from ranking.lint.registry import Hit, rule

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_DOC = r"""doc\s*(?:\[\s*(?:'[^']*'|"[^"]*"|params\.\w+|\w+)\s*\]|\.\w+)"""
_VALUE = re.compile(rf"({_DOC})\s*\.\s*(?:value\b|getValue\s*\(|get\s*\(\s*0)")
_GUARD = re.compile(rf"({_DOC})\s*\.\s*(?:size\s*\(|empty\b|isEmpty\s*\(|length\b)")
_OPERAND = rf"params\.\w+|{_DOC}\.value|(?<![\w.])[0-9]+[lL]?"
_DIVISION = re.compile(rf"({_OPERAND})\s*/\s*({_OPERAND})(?![\w.])")
_DECAY_CALL = re.compile(r"decayDate(?:Gauss|Exp|Linear)\s*\(\s*(params\.(\w+)|'[^']*'|\"[^\"]*\")")
_FIELD_DEFAULT = re.compile(
    r"""(?:\$\(\s*['"]([\w.]+)['"]\s*,|field\(\s*['"]([\w.]+)['"]\s*\)\.get\()\s*[0-9]*\.[0-9]"""
)
Kind = Literal["int", "double", "doc", "unknown"]


@rule(
    "unguarded-doc-value",
    level="body",
    why="`doc['f'].value` of a document without the field: 400, A document doesn't have a value for a "
    "field, for the whole shard, from one document.",
    instead="doc['f'].size() == 0 ? params.missing : doc['f'].value",
)
def unguarded_doc_value(body: Body) -> Iterator[Hit]:
    """A script reads a doc value without asking whether there is one."""
    for path, source, _ in _sources(body):
        guarded = {_squeeze(found[1]) for found in _GUARD.finditer(source)}
        wanted = {_squeeze(found[1]): found[1] for found in _VALUE.finditer(source)}
        for name, shown in wanted.items():
            if name not in guarded:
                yield Hit(path, f"{shown}.value without {shown}.size()")


@rule(
    "integer-division",
    level="body",
    why="Painless divides integers as Java does: 3 / 2 is 1, and doc['price'].value / 1000 of an integer "
    "field is a whole number. A JSON number without a point arrives as an integer.",
    instead="write one of them as a double: 1000.0, or (double)",
)
def integer_division(body: Body) -> Iterator[Hit]:
    """A script divides an integer by an integer, or may, where a field is one."""
    for path, source, params in _sources(body):
        for found in _DIVISION.finditer(source):
            before = source[: found.start()].rstrip()[-1:]
            kinds = {_kind(found[1], params), _kind(found[2], params)}
            if before in {"*", "/", ")", "."}:  # the left side is part of a larger product, or cast
                continue
            if kinds == {"int"}:
                yield Hit(path, f"{found[0]} drops the remainder")
            elif "doc" in kinds and kinds <= {"doc", "int"}:
                yield Hit(
                    path, f"{found[0]} drops the remainder where the field is an integer", None, "warning"
                )


@rule(
    "script-decay-origin",
    level="body",
    why="`decayDateGauss` and its kin take the origin as a string: a JSON number is a class_cast 400, `now`"
    " is a 400.",
    instead="pass str(now_ms), or ISO 8601",
)
def script_decay_origin(body: Body) -> Iterator[Hit]:
    """A decayDate function in a script gets a number, or `now`, as its origin."""
    for path, source, params in _sources(body):
        for found in _DECAY_CALL.finditer(source):
            name, literal = found[2], found[1].strip("'\"")
            if name is not None and isinstance(params.get(name), int | float):
                yield Hit(path, f"params.{name} is the number {params[name]!r}")
            elif name is None and literal.startswith("now"):
                yield Hit(path, f"origin is {literal!r}")


@rule(
    "field-api-default",
    level="body",
    severity="warning",
    why="`$('im', 0.5)` and `field('im').get(0.5)` fail on a float field: the default is a double.",
    instead="doc['im'].size() == 0 ? 0.5 : doc['im'].value",
)
def field_api_default(body: Body) -> Iterator[Hit]:
    """The fields API is given a double as the default, which a float field refuses."""
    for path, source, _ in _sources(body):
        for found in _FIELD_DEFAULT.finditer(source):
            yield Hit(path, f"a double is the default of {found[1] or found[2]}")


def doc_fields(source: str, params: Mapping[str, Any]) -> Iterator[str]:
    """Names of the fields whose doc values a script reads, as far as they can be told."""
    for found in re.finditer(_DOC, _COMMENT.sub("", source)):
        inner = _squeeze(found[0])[3:]
        name = inner[1:].rstrip("]")
        if inner.startswith("[params."):
            value = params.get(name.removeprefix("params."))
            if isinstance(value, str):
                yield value
        elif inner.startswith("['") or inner.startswith('["'):
            yield name.strip("'\"")
        elif inner.startswith(".") and name != "containsKey":
            yield name


def _sources(body: Body) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for script in body.scripts:
        if script.source is not None:
            yield script.path, _COMMENT.sub("", script.source), script.params


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", "", text).replace('"', "'")


def _kind(operand: str, params: Mapping[str, Any]) -> Kind:
    if operand.startswith("doc"):
        return "doc"
    if operand.startswith("params."):
        value = params.get(operand.removeprefix("params."))
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "unknown"
        return "int" if isinstance(value, int) else "double"
    return "int"
