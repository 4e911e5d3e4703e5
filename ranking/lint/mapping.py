"""Which fields a profile or a body uses, in which role, and what a live index knows of them.

`read_live_index` asks the server once; the live rules then look at the answer alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from elasticsearch import ApiError, Elasticsearch

from ranking import fields
from ranking.errors import ServerError
from ranking.es import server_errors
from ranking.features import find_features
from ranking.lint.body import Body, Clause
from ranking.lint.script_rules import doc_fields
from ranking.profile import Profile

Role = Literal["text", "number", "keyword", "decay", "script", "sort", "filter"]
SAMPLE = 500  # documents looked at for fields with several values
_QUERY_FIELDS = {"multi_match", "query_string", "simple_query_string", "combined_fields"}
_FIELD_CLAUSES = {
    "range",
    "term",
    "terms",
    "prefix",
    "wildcard",
    "match",
    "match_phrase",
    "match_phrase_prefix",
}
_TEXT_CLAUSES = {"match", "match_phrase", "match_phrase_prefix"}
_OPTIONS = {"boost", "_name"}


@dataclass(frozen=True, slots=True)
class FieldUse:
    """One use of a field; `silent` where the server takes an unmapped field without a word."""

    field: str
    role: Role
    where: str
    silent: bool = False


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """What a mapping says of a field."""

    type: str
    doc_values: bool = True
    format: str | None = None  # of a date; None for the default


@dataclass(frozen=True, slots=True)
class LiveIndex:
    """What the live rules look at: the uses, and the indices behind the name."""

    name: str
    uses: tuple[FieldUse, ...]
    mappings: Mapping[str, Mapping[str, FieldInfo]]  # index -> field -> info
    profile: Profile | None = None
    pipelines: Mapping[str, str | None] = field(default_factory=dict)  # index -> default or final pipeline
    absent_pipelines: frozenset[str] = frozenset()
    absent_scripts: tuple[tuple[str, str], ...] = ()  # id and path in the body
    multi_valued: Mapping[str, int] = field(default_factory=dict)  # field -> documents of the sample
    n_docs: int = 0
    n_undated: int = 0
    n_unscored: int = 0
    score_range: tuple[float, float] | None = None  # of image_score
    native: bool | None = None  # whether every node runs rank_boost; None where it was not asked

    def infos(self, name: str) -> Iterator[tuple[str, FieldInfo]]:
        """The field in each index that maps it."""
        for index, mapping in self.mappings.items():
            if name in mapping:
                yield index, mapping[name]


def profile_uses(profile: Profile) -> list[FieldUse]:
    """Every field that a profile reads, by the key that asks for it."""
    nested = profile.execution == "function_score"
    uses = [FieldUse(name, "text", f"base_query.fields.{name}", True) for name in profile.base_query.fields]
    uses.append(FieldUse(fields.ITEM_ID, "sort", "sort"))
    uses.append(FieldUse(fields.CREATED_AT, "filter", "base_query", True))
    if profile.base_query.statuses:
        uses.append(FieldUse(fields.STATUS, "filter", "base_query.statuses", True))
    image = profile.image
    if image.mode != "none":
        uses.append(FieldUse(fields.IMAGE_SCORE, "number", "image", nested and image.is_plain))
        if image.ai_generated is not None:
            uses.append(FieldUse(fields.AI_PROBABILITY, "number", "image.ai_generated"))
    if profile.freshness is not None:
        uses.append(FieldUse(fields.CREATED_AT, "decay" if nested else "script", "freshness"))
    for i, factor in enumerate(profile.factors):
        silent = nested and factor.type != "numeric"
        role: Role = "keyword" if factor.kind == "keyword" else "number"
        uses.append(FieldUse(factor.field, role, f"factors[{i}].field", silent))
    return uses


def body_uses(body: Body) -> list[FieldUse]:
    """Every field that a body names in a place where its mapping matters."""
    uses: list[FieldUse] = []
    for function in body.functions:
        factor = function.entry.get("field_value_factor")
        if isinstance(factor, Mapping) and isinstance(factor.get("field"), str):
            path = f"{function.path}.field_value_factor"
            uses.append(FieldUse(factor["field"], "number", path, "missing" in factor))
    uses += [FieldUse(d.field, "decay" if d.over_time else "number", d.path) for d in body.decays]
    for script in body.scripts:
        names = dict.fromkeys(doc_fields(script.source or "", script.params))
        uses += [FieldUse(name, "script", script.path) for name in names]
    for clause in body.clauses:
        if clause.kind == "rank_boost":
            uses += _native_uses(clause)
        elif clause.kind in _QUERY_FIELDS:
            listed = clause.body.get("fields", [])
            names = dict.fromkeys(str(entry).split("^")[0] for entry in listed if isinstance(listed, list))
            uses += [FieldUse(name, "text", clause.path, True) for name in names if "*" not in name]
        elif clause.kind in _FIELD_CLAUSES:
            role: Role = "text" if clause.kind in _TEXT_CLAUSES else "filter"
            uses += [
                FieldUse(str(name), role, clause.path, True) for name in clause.body if name not in _OPTIONS
            ]
        elif clause.kind in {"exists", "distance_feature"} and isinstance(clause.body.get("field"), str):
            uses.append(FieldUse(clause.body["field"], "filter", clause.path, clause.kind == "exists"))
    return uses + list(_sort_uses(body.raw.get("sort")))


def _runs_natively(es: Elasticsearch) -> bool | None:
    """Whether every node runs rank_boost; None where this user may not ask."""
    try:
        return find_features(es).rank_boost
    except ServerError:
        return None


def _native_uses(clause: Clause) -> Iterator[FieldUse]:
    """The fields of a rank_boost: read as a script reads them, so an unmapped one is a 400."""
    image = clause.body.get("image")
    parts: list[tuple[Any, str, Role]] = [(image, "image", "number")]
    if isinstance(image, Mapping):
        parts.append((image.get("ai_generated"), "image.ai_generated", "number"))
    parts.append((clause.body.get("freshness"), "freshness", "script"))
    factors = clause.body.get("factors")
    for i, factor in enumerate(factors if isinstance(factors, list) else []):
        by_value = isinstance(factor, Mapping) and (factor.get("type") == "category" or "any_of" in factor)
        parts.append((factor, f"factors[{i}]", "keyword" if by_value else "number"))
    for part, key, role in parts:
        if isinstance(part, Mapping) and isinstance(part.get("field"), str):
            yield FieldUse(part["field"], role, f"{clause.path}.{key}")


def read_live_index(
    es: Elasticsearch,
    name: str,
    uses: Iterable[FieldUse],
    *,
    profile: Profile | None = None,
    scripts: Iterable[tuple[str, str]] = (),
) -> LiveIndex:
    """Ask the server for mappings, pipelines and counts. Reads only.

    Args:
        es: the cluster.
        name: index or alias.
        uses: fields to look at.
        profile: whose image score and dates are counted.
        scripts: ids of stored scripts, with the path that names each.

    Raises:
        ServerError: there is no such index, or the server refused.
    """
    found = tuple(uses)
    with server_errors(f"read index {name}"):
        raw = es.indices.get(index=name, allow_no_indices=False)
        mappings = {index: flatten(body.get("mappings", {})) for index, body in raw.items()}
        pipelines = {index: _pipeline(body.get("settings", {})) for index, body in raw.items()}
        absent = frozenset(p for p in pipelines.values() if p is not None and not _exists(es, "pipeline", p))
        return LiveIndex(
            name,
            found,
            mappings,
            profile,
            pipelines,
            absent,
            tuple((id_, path) for id_, path in scripts if not _exists(es, "script", id_)),
            native=_runs_natively(es) if profile and profile.execution == "plugin" else None,
            **_counts(es, name, found, mappings),
        )


def flatten(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, FieldInfo]:
    """Fields by full name: objects opened, multi-fields, runtime fields and aliases included."""
    found: dict[str, FieldInfo] = {}
    aliases: dict[str, str] = {}
    for name, settings in mapping.get("properties", {}).items():
        full, kind = f"{prefix}{name}", settings.get("type", "object")
        if kind == "alias":
            aliases[full] = settings["path"]
        elif kind not in {"object", "nested"}:
            found[full] = FieldInfo(kind, settings.get("doc_values", True), settings.get("format"))
        found |= flatten(settings, f"{full}.")
        found |= flatten({"properties": settings.get("fields", {})}, f"{full}.")
    for name, settings in mapping.get("runtime", {}).items():
        found[name] = FieldInfo(settings["type"], True, settings.get("format"))
    for alias, target in aliases.items():
        if target in found:
            found[alias] = found[target]
    return found


def _counts(
    es: Elasticsearch, name: str, uses: Iterable[FieldUse], mappings: Mapping[str, Mapping[str, FieldInfo]]
) -> dict[str, Any]:
    """Documents without a date or score, the range of scores, and fields with several values in a sample."""
    everywhere = [mapping for mapping in mappings.values() if mapping]
    wanted = [
        use.field
        for use in uses
        if use.role != "text" and all(_countable(mapping.get(use.field)) for mapping in everywhere)
    ]
    aggs: dict[str, Any] = {
        "undated": {"missing": {"field": fields.CREATED_AT}},
        "unscored": {"missing": {"field": fields.IMAGE_SCORE}},
    }
    if fields.IMAGE_SCORE in wanted:
        aggs["lowest"] = {"min": {"field": fields.IMAGE_SCORE}}
        aggs["highest"] = {"max": {"field": fields.IMAGE_SCORE}}
    answer = es.search(
        index=name,
        query={"match_all": {}},
        size=SAMPLE,
        aggs=aggs,
        docvalue_fields=[{"field": name} for name in sorted(set(wanted))],
        stored_fields="_none_",
        track_total_hits=True,
    )
    several: dict[str, int] = {}
    for hit in answer["hits"]["hits"]:
        for key, values in hit.get("fields", {}).items():
            several[key] = several.get(key, 0) + (len(values) > 1)
    found = answer["aggregations"]
    low = found.get("lowest", {}).get("value")
    return {
        "multi_valued": {key: n for key, n in several.items() if n},
        "n_docs": answer["hits"]["total"]["value"],
        "n_undated": found["undated"]["doc_count"],
        "n_unscored": found["unscored"]["doc_count"],
        "score_range": None if low is None else (low, found["highest"]["value"]),
    }


def _countable(info: FieldInfo | None) -> bool:
    return info is not None and info.doc_values and info.type not in {"text", "match_only_text"}


def _pipeline(settings: Mapping[str, Any]) -> str | None:
    index = settings.get("index", {})
    for key in ("final_pipeline", "default_pipeline"):
        if index.get(key, "_none") != "_none":
            return str(index[key])
    return None


def _exists(es: Elasticsearch, kind: Literal["pipeline", "script"], name: str) -> bool:
    """Whether it is there; taken as there where this user may not look."""
    try:
        if kind == "pipeline":
            es.ingest.get_pipeline(id=name)
        else:
            es.get_script(id=name)
    except ApiError as e:
        if e.status_code == 404:
            return False
        if e.status_code != 403:
            raise
    return True


def _sort_uses(sort: Any) -> Iterator[FieldUse]:
    for i, entry in enumerate(sort if isinstance(sort, list) else []):
        name = next(iter(entry), "_score") if isinstance(entry, Mapping) else str(entry)
        if not name.startswith("_"):
            yield FieldUse(name, "sort", f"sort[{i}]")
