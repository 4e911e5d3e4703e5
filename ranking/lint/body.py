"""A search body taken apart: its clauses, functions, decays and scripts, each with its path and its context.

`Body.of` walks any request to `_search`: query, filters, rescore, sort, aggregations, script fields, runtime
fields, kNN, retrievers, and search templates whose source is an object. What a user typed (`match` and the
like) and `params` are values, and are not walked into.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

_DURATION = re.compile(r"[0-9.]+\s*(d|h|m|s|ms|micros|nanos|w|M|y)")
Role = Literal["scoring", "filter", "must_not"]
Json = Mapping[str, Any]

DECAYS = ("gauss", "exp", "linear")
_FUNCTIONS = {*DECAYS, "weight", "field_value_factor", "script_score", "random_score"}
SCORED = ("function_score", "script_score", "rank_boost")
_KEYS = {
    "query", "rescore", "sort", "aggs", "aggregations", "knn", "retriever", "post_filter", "script_fields",
    "runtime_mappings", "size", "from", "source", "explain", "track_total_hits", "min_score", "_source", "id",
}  # fmt: skip
_CHILDREN: dict[str, dict[str, Role | None]] = {  # None: as the parent
    "bool": {"must": None, "should": None, "filter": "filter", "must_not": "must_not"},
    "function_score": {"query": None},
    "script_score": {"query": None},
    "rank_boost": {"query": None},
    "constant_score": {"filter": "filter"},
    "dis_max": {"queries": None},
    "boosting": {"positive": None, "negative": None},
    "nested": {"query": None},
    "has_child": {"query": None},
    "has_parent": {"query": None},
    "pinned": {"organic": None},
    "knn": {"filter": "filter"},
    "span_multi": {"match": None},
}


@dataclass(frozen=True, slots=True)
class Clause:
    """One query clause, such as a `bool` or a `match`."""

    kind: str
    body: Json
    path: str
    role: Role
    above: tuple[Clause, ...] = ()  # enclosing clauses, outermost first

    @property
    def boost(self) -> Any:
        """Its own boost; 1 where it has none."""
        return self.body.get("boost", 1)


@dataclass(frozen=True, slots=True)
class Function:
    """One entry of `functions`, or the only function in the short form."""

    entry: Json
    path: str
    clause: Clause  # the function_score

    @property
    def has_filter(self) -> bool:
        """Whether it applies to some documents only."""
        return "filter" in self.entry

    @property
    def weight(self) -> float:
        """Its weight; 1 where it has none."""
        weight = self.entry.get("weight", 1)
        return float(weight) if isinstance(weight, int | float) else 1.0


@dataclass(frozen=True, slots=True)
class Decay:
    """One decay function over one field."""

    curve: str
    field: str
    settings: Json
    path: str
    function: Function

    @property
    def over_time(self) -> bool:
        """Whether the field is a date, as far as the body shows: its scale is a duration."""
        scale, origin = self.settings.get("scale"), self.settings.get("origin")
        place = isinstance(origin, Mapping | list) or (isinstance(origin, str) and "," in origin)
        return isinstance(scale, str) and _DURATION.fullmatch(scale.strip()) is not None and not place


@dataclass(frozen=True, slots=True)
class Script:
    """One script, inline (`source`) or stored (`id`)."""

    source: str | None
    id: str | None
    params: Json
    path: str
    use: str  # the key it stands under: script_score, filter, sort, rescore, ...


@dataclass(slots=True)
class Body:
    """What a request to `_search` consists of."""

    raw: Json
    clauses: list[Clause] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    decays: list[Decay] = field(default_factory=list)
    scripts: list[Script] = field(default_factory=list)
    names: list[tuple[str, str]] = field(default_factory=list)  # _name and path

    @classmethod
    def of(cls, raw: Json) -> Body:
        """Take a body, or a bare query, apart."""
        body = cls(raw if _KEYS & set(raw) or not raw else {"query": raw})
        body._anywhere(body.raw, "", "scoring")
        return body

    @property
    def page(self) -> int:
        """How many hits must be ranked: `from` and `size` together."""
        start, size = self.raw.get("from", 0), self.raw.get("size", 10)
        return (start if isinstance(start, int) else 0) + (size if isinstance(size, int) else 10)

    @property
    def rescorers(self) -> list[tuple[Json, str]]:
        """Entries of `rescore`, one or a list, with their paths."""
        found = self.raw.get("rescore")
        if isinstance(found, Mapping):
            return [(found, "rescore")]
        entries = found if isinstance(found, list) else []
        return [(entry, f"rescore[{i}]") for i, entry in enumerate(entries) if isinstance(entry, Mapping)]

    def functions_of(self, clause: Clause) -> list[Function]:
        """The functions of one function_score."""
        return [function for function in self.functions if function.clause is clause]

    def _anywhere(self, node: Any, path: str, role: Role, key: str = "") -> None:
        """Outside of query clauses: look for queries, scripts and nothing else."""
        if isinstance(node, list):
            for i, value in enumerate(node):
                self._anywhere(value, f"{path}[{i}]", role, key)
            return
        if not isinstance(node, Mapping):
            return
        for name, value in node.items():
            here = f"{path}.{name}" if path else str(name)
            if name == "script":
                self._script(value, here, key)
            elif name == "rescore_query" or (name == "query" and key != "rescore"):
                self._query(value, here, role, ())
            elif name in {"filter", "post_filter"}:
                self._query(value, here, "filter", ())
            elif name == "filters" and isinstance(value, Mapping):  # the aggregation
                for each, query in _items(value.get("filters", value)):
                    self._query(query, f"{here}.filters.{each}", "filter", ())
            elif name not in {"params", "_source", "fields", "docvalue_fields", "ext", "highlight", "pit"}:
                self._anywhere(value, here, role, str(name) if name != "query" else key)

    def _query(self, node: Any, path: str, role: Role, above: tuple[Clause, ...]) -> None:
        """In the place of a query: a mapping of its kind to its body, or a list of them."""
        if isinstance(node, list):
            for i, value in enumerate(node):
                self._query(value, f"{path}[{i}]", role, above)
            return
        if not isinstance(node, Mapping):
            return
        for kind, value in node.items():
            if isinstance(value, Mapping):
                self._clause(Clause(str(kind), value, f"{path}.{kind}", role, above))

    def _clause(self, clause: Clause) -> None:
        self.clauses.append(clause)
        self.names += [(name, clause.path) for name in _names(clause)]
        inside = (*clause.above, clause)
        for key, role in _CHILDREN.get(clause.kind, {}).items():
            if key in clause.body:
                self._query(clause.body[key], f"{clause.path}.{key}", role or clause.role, inside)
        if clause.kind == "function_score":
            self._functions(clause, inside)
        elif "script" in clause.body:
            self._script(clause.body["script"], f"{clause.path}.script", clause.kind)

    def _functions(self, clause: Clause, inside: tuple[Clause, ...]) -> None:
        listed = clause.body.get("functions")
        entries: list[tuple[Any, str]] = [(clause.body, clause.path)]
        if isinstance(listed, list):
            entries = [(entry, f"{clause.path}.functions[{i}]") for i, entry in enumerate(listed)]
        for entry, path in entries:
            if not isinstance(entry, Mapping):
                continue
            function = Function(entry, path, clause)
            if entry is clause.body:
                if _FUNCTIONS & set(entry):
                    self.functions.append(function)
            else:
                self.functions.append(function)
                if isinstance(entry.get("_name"), str):
                    self.names.append((entry["_name"], path))
                self._query(entry.get("filter"), f"{path}.filter", "filter", inside)
            scripted = entry.get("script_score")
            if isinstance(scripted, Mapping) and "script" in scripted:
                self._script(scripted["script"], f"{path}.script_score.script", "function")
            for curve in DECAYS:
                for name, settings in _items(entry.get(curve)):
                    if isinstance(settings, Mapping):
                        self.decays.append(Decay(curve, name, settings, f"{path}.{curve}.{name}", function))

    def _script(self, node: Any, path: str, use: str) -> None:
        if isinstance(node, str):
            self.scripts.append(Script(node, None, {}, path, use))
        elif isinstance(node, Mapping):
            if "source" not in node and "id" not in node:  # one level up: {"script": {"script": {...}}}
                self._anywhere(node, path, "filter", use)
                return
            source, stored, params = node.get("source"), node.get("id"), node.get("params")
            self.scripts.append(
                Script(
                    source if isinstance(source, str) else None,
                    stored if isinstance(stored, str) else None,
                    params if isinstance(params, Mapping) else {},
                    path,
                    use,
                )
            )
            if isinstance(source, Mapping):
                self._anywhere(source, f"{path}.source", "scoring")


def _items(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        yield from ((str(key), value) for key, value in node.items())


def _names(clause: Clause) -> Iterator[str]:
    """Its own `_name`; leaf queries may carry it beside the text, one level down."""
    if isinstance(clause.body.get("_name"), str):
        yield clause.body["_name"]
    if clause.kind not in _CHILDREN:
        for value in clause.body.values():
            if isinstance(value, Mapping) and isinstance(value.get("_name"), str):
                yield value["_name"]
