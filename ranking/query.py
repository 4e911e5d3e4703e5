"""Search bodies: what the server is sent for a profile, a text and a clock.

Bodies are built with `elasticsearch.dsl`, so that they read in the server's own words. Every body pins the
clock (`now_ms`), names the base query `rel` so that its score comes back beside the final one, sorts by
(`_score`, `item_id`), and reads components from doc values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from elasticsearch.dsl import function
from elasticsearch.dsl import query as q

from ranking import fields
from ranking.factors import CategoryWeights, Factor, NumericFactor
from ranking.freshness import Freshness
from ranking.image import ImageBoost
from ranking.lint import check_body
from ranking.native import native_boost
from ranking.painless import Script, factor_script, image_script, score_script, script_id
from ranking.profile import BaseQuery, Profile
from ranking.stored import own_script

REL_NAME = "rel"
Scripts = Literal["inline", "stored", "published", "constant"]
"""Where a script comes from: `inline`, its numbers as parameters, which works everywhere; `stored`, as
`templates apply` deploys it; `published`, the profile's own; `constant`, inline with the numbers
in its source, compiled once per profile."""

DOCVALUE_FIELDS: list[dict[str, str] | str] = [
    fields.ITEM_ID,
    fields.IMAGE_SCORE,
    {"field": fields.CREATED_AT, "format": "epoch_millis"},
    fields.CATEGORY,
    fields.PRICE,
    fields.AI_PROBABILITY,
]
TIE_POLICY: list[dict[str, str]] = [{"_score": "desc"}, {fields.ITEM_ID: "asc"}]


def base_query(
    base: BaseQuery, text: str, *, now_ms: int, filters: Sequence[q.Query] = (), named: bool = True
) -> q.Query:
    """The relevance query: nothing dated after the clock, statuses and filters applied.

    It is named `rel`, unless it stands a second time in one body: a name that is there twice loses entries.
    """
    match = q.MultiMatch(
        query=text,
        fields=[f"{name}^{boost:g}" for name, boost in base.fields.items()],
        type=base.type,
        operator=base.operator,
    )
    if base.minimum_should_match is not None:
        match.minimum_should_match = base.minimum_should_match
    status = [q.Terms(fields.STATUS, list(base.statuses))] if base.statuses else []
    future = q.Range(fields.CREATED_AT, {"gt": now_ms, "format": "epoch_millis"})
    parts: dict[str, Any] = {"must": [match], "filter": [*status, *filters], "must_not": [future]}
    return q.Bool(**parts, _name=REL_NAME) if named else q.Bool(**parts)


def boosted_query(
    profile: Profile, text: str, *, now_ms: int, filters: Sequence[q.Query] = (), scripts: Scripts = "inline"
) -> q.Query:
    """The full query of a profile (already resolved for its platform)."""
    base = base_query(profile.base_query, text, now_ms=now_ms, filters=filters)
    return boosted(profile, base, now_ms=now_ms, scripts=scripts)


def boosted(profile: Profile, base: q.Query, *, now_ms: int, scripts: Scripts = "inline") -> q.Query:
    """The profile's formula over any relevance query."""
    if profile.image.mode == "none" and profile.freshness is None and not profile.factors:
        return base
    if profile.execution == "plugin":
        return native_boost(profile, base, now_ms=now_ms)
    if profile.execution != "function_score":
        return q.ScriptScore(query=base, script=_script(profile, now_ms, scripts))
    return _outer_function_score(profile, _image_function_score(profile.image, base), now_ms)


def search_body(
    profile: Profile,
    text: str,
    *,
    now_ms: int,
    size: int | None = None,
    filters: Mapping[str, Any] | None = None,
    scripts: Scripts = "inline",
) -> dict[str, Any]:
    """The body that serves one page under a profile, components included.

    Args:
        profile: resolved for its platform.
        text: what the user typed; it travels as a value, never inside source.
        now_ms: the clock, epoch ms.
        size: hits to return; the profile's k by default.
        filters: field names to a value or a list of values, as `term` or `terms`.
        scripts: `inline` works on any cluster; `stored` needs `rank-cli templates apply`; `published` needs
            the profile to be published, and runs the script stored for it.

    The native query is asked for the page alone: a count of the matches would visit every one of them.

    Raises:
        LintError: the body would read a clock of its own.
    """
    query = boosted_query(
        profile, text, now_ms=now_ms, filters=filter_clauses(filters), scripts=scripts
    ).to_dict()
    return _body(profile, query, size or profile.k, track_total_hits=profile.execution != "plugin")


def window_body(
    profile: Profile, text: str, *, now_ms: int, size: int, filters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The body of the `size` most relevant documents: the base query alone, so block-max skipping works."""
    query = base_query(profile.base_query, text, now_ms=now_ms, filters=filter_clauses(filters)).to_dict()
    return _body(profile, query, size, track_total_hits=False)


def filter_clauses(filters: Mapping[str, Any] | None) -> list[q.Query]:
    """`{"category": "dress"}` as a `term`, a list of values as `terms`."""
    return [
        q.Terms(name, list(value)) if isinstance(value, list | tuple) else q.Term(name, value)
        for name, value in (filters or {}).items()
    ]


def docvalue_fields(profile: Profile) -> list[dict[str, str] | str]:
    """What each hit brings along: the usual fields, and those that the profile's factors read."""
    usual = {name if isinstance(name, str) else name["field"] for name in DOCVALUE_FIELDS}
    return [*DOCVALUE_FIELDS, *(name for name in profile.factor_fields if name not in usual)]


def _body(profile: Profile, query: dict[str, Any], size: int, *, track_total_hits: bool) -> dict[str, Any]:
    body = {
        "query": query,
        "size": size,
        "sort": TIE_POLICY,
        "track_total_hits": track_total_hits,
        "docvalue_fields": docvalue_fields(profile),
        "stored_fields": "_none_",
    }
    check_body(body)
    return body


def _script(profile: Profile, now_ms: int, scripts: Scripts) -> dict[str, Any]:
    if scripts == "published" and (own := own_script(profile, now_ms)) is not None:
        return {"id": own[0], "params": own[1].params}
    script = score_script(profile, now_ms, literal=scripts == "constant")
    name = script_id(profile)
    if scripts == "stored" and name is not None:
        return {"id": name, "params": script.params}
    return _inline(script)


def _inline(script: Script) -> dict[str, Any]:
    return {"source": script.source, "params": script.params}


def _image_function_score(image: ImageBoost, base: q.Query) -> q.Query:
    if image.mode == "none":
        return base
    boost: function.ScoreFunction
    if image.is_plain:
        boost = function.FieldValueFactor(
            field=fields.IMAGE_SCORE, factor=image.weight, missing=image.missing
        )
    else:
        boost = function.ScriptScore(script=_inline(image_script(image)), weight=image.weight)
    if image.mode == "additive":
        return q.FunctionScore(query=base, functions=[boost], boost_mode="sum")
    floor = [function.SF({"weight": 1.0 - image.weight})] if image.weight < 1 else []
    return q.FunctionScore(query=base, functions=[*floor, boost], score_mode="sum", boost_mode="multiply")


def _outer_function_score(profile: Profile, inner: q.Query, now_ms: int) -> q.Query:
    functions = [] if profile.freshness is None else _freshness_functions(profile.freshness, now_ms)
    for factor in profile.factors:
        functions += _factor_functions(factor)
    if not functions:
        return inner
    if len(functions) == 1:
        return q.FunctionScore(query=inner, functions=functions, boost_mode="multiply")
    return q.FunctionScore(query=inner, functions=functions, score_mode="multiply", boost_mode="multiply")


def _freshness_functions(freshness: Freshness, now_ms: int) -> list[function.ScoreFunction]:
    curve: Any = {"gauss": function.Gauss, "exp": function.Exp, "linear": function.Linear}[freshness.curve]
    decay: dict[str, Any] = {
        "origin": now_ms,
        "scale": f"{freshness.scale}ms",
        "offset": f"{freshness.offset}ms",
        "decay": freshness.decay,
    }
    if freshness.missing == 1:
        return [curve(**{fields.CREATED_AT: decay})]
    dated = q.Exists(field=fields.CREATED_AT)
    undated = q.Bool(must_not=[dated])
    return [
        curve(**{fields.CREATED_AT: decay}, filter=dated),
        function.SF({"filter": undated.to_dict(), "weight": freshness.missing}),
    ]


def _factor_functions(factor: Factor) -> list[function.ScoreFunction]:
    if isinstance(factor, NumericFactor):
        return [function.ScriptScore(script=_inline(factor_script(factor)))]
    if isinstance(factor, CategoryWeights):
        found = [
            _weighted(
                q.Terms(factor.field, [value for value, w in factor.weights.items() if w == weight]), weight
            )
            for weight in sorted(set(factor.weights.values()))
        ]
        if factor.default != 1:
            others = q.Bool(must_not=[q.Terms(factor.field, list(factor.weights))])
            found.append(_weighted(others, factor.default))
        return found
    if factor.any_of is not None:
        return [_weighted(q.Terms(factor.field, list(factor.any_of)), factor.weight)]
    limits = {name: value for name in ("gte", "lt") if (value := getattr(factor, name)) is not None}
    return [_weighted(q.Range(factor.field, limits), factor.weight)]


def _weighted(condition: q.Query, weight: float) -> function.ScoreFunction:
    return function.SF({"filter": condition.to_dict(), "weight": weight})
