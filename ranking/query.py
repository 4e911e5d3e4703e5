"""Search bodies: what the server is sent for a profile, a text and a clock.

Bodies are built with `elasticsearch.dsl`, so that they read in the server's own words. Every body pins the
clock (`now_ms`), names the base query `rel` so that its score comes back beside the final one, sorts by
(`_score`, `item_id`), and reads components from doc values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Literal

from elasticsearch.dsl import function
from elasticsearch.dsl import query as q

from ranking import fields
from ranking.formula import image_terms
from ranking.freshness import Freshness
from ranking.lint import check_body
from ranking.profile import BaseQuery, ImageBoost, Profile

REL_NAME = "rel"
SCRIPT_VERSION = "v1"
Scripts = Literal["inline", "stored"]

DOCVALUE_FIELDS: list[dict[str, str] | str] = [
    fields.ITEM_ID,
    fields.IMAGE_SCORE,
    {"field": fields.CREATED_AT, "format": "epoch_millis"},
    fields.CATEGORY,
    fields.PRICE,
    fields.AI_PROBABILITY,
]
TIE_POLICY: list[dict[str, str]] = [{"_score": "desc"}, {fields.ITEM_ID: "asc"}]


def script_sources() -> dict[str, str]:
    """The stored scripts by id, as the server is given them."""
    folder = resources.files("ranking") / "painless"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".painless"))
    return {
        f"{name.removesuffix('.painless')}-{SCRIPT_VERSION}": (folder / name).read_text(encoding="utf-8")
        for name in names
    }


def script_id(freshness: Freshness | None) -> str:
    """Id of the stored script for a freshness curve."""
    return f"rank-boost-{freshness.curve if freshness else 'none'}-{SCRIPT_VERSION}"


def base_query(base: BaseQuery, text: str, *, now_ms: int, filters: Sequence[q.Query] = ()) -> q.Query:
    """The relevance query, named `rel`: nothing dated after the clock, statuses and filters applied."""
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
    return q.Bool(must=[match], filter=[*status, *filters], must_not=[future], _name=REL_NAME)


def boosted_query(
    profile: Profile, text: str, *, now_ms: int, filters: Sequence[q.Query] = (), scripts: Scripts = "inline"
) -> q.Query:
    """The full query of a profile (already resolved for its platform)."""
    base = base_query(profile.base_query, text, now_ms=now_ms, filters=filters)
    if profile.image.mode == "none" and profile.freshness is None:
        return base
    if profile.execution == "script_score":
        return q.ScriptScore(query=base, script=_script(profile, now_ms, scripts))
    boosted = _image_function_score(profile.image, base)
    return _freshness_function_score(profile.freshness, boosted, now_ms)


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
        scripts: `inline` works on any cluster; `stored` needs `rank-cli templates apply`.

    Raises:
        LintError: the body would read a clock of its own.
    """
    query = boosted_query(
        profile, text, now_ms=now_ms, filters=filter_clauses(filters), scripts=scripts
    ).to_dict()
    return _body(query, size or profile.k, track_total_hits=True)


def window_body(
    profile: Profile, text: str, *, now_ms: int, size: int, filters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The body of the `size` most relevant documents: the base query alone, so block-max skipping works."""
    query = base_query(profile.base_query, text, now_ms=now_ms, filters=filter_clauses(filters)).to_dict()
    return _body(query, size, track_total_hits=False)


def filter_clauses(filters: Mapping[str, Any] | None) -> list[q.Query]:
    """`{"category": "dress"}` as a `term`, a list of values as `terms`."""
    return [
        q.Terms(name, list(value)) if isinstance(value, list | tuple) else q.Term(name, value)
        for name, value in (filters or {}).items()
    ]


def _body(query: dict[str, Any], size: int, *, track_total_hits: bool) -> dict[str, Any]:
    body = {
        "query": query,
        "size": size,
        "sort": TIE_POLICY,
        "track_total_hits": track_total_hits,
        "docvalue_fields": DOCVALUE_FIELDS,
        "stored_fields": "_none_",
    }
    check_body(body)
    return body


def _script(profile: Profile, now_ms: int, scripts: Scripts) -> dict[str, Any]:
    terms = image_terms(profile.image)
    params: dict[str, Any] = {
        "rel_base": terms.rel_base,
        "rel_image": terms.rel_image,
        "add_image": terms.add_image,
        "missing": profile.image.missing,
    }
    if profile.freshness is not None:
        params |= {
            "now_ms": now_ms,
            "offset_ms": float(profile.freshness.offset),
            "shape": profile.freshness.shape,
        }
    name = script_id(profile.freshness)
    source = {"id": name} if scripts == "stored" else {"source": script_sources()[name]}
    return {**source, "params": params}


def _image_function_score(image: ImageBoost, base: q.Query) -> q.Query:
    if image.mode == "none":
        return base
    factor = function.FieldValueFactor(field=fields.IMAGE_SCORE, factor=image.weight, missing=image.missing)
    if image.mode == "additive":
        return q.FunctionScore(query=base, functions=[factor], boost_mode="sum")
    floor = [function.SF({"weight": 1.0 - image.weight})] if image.weight < 1 else []
    return q.FunctionScore(query=base, functions=[*floor, factor], score_mode="sum", boost_mode="multiply")


def _freshness_function_score(freshness: Freshness | None, inner: q.Query, now_ms: int) -> q.Query:
    if freshness is None:
        return inner
    curve: Any = {"gauss": function.Gauss, "exp": function.Exp, "linear": function.Linear}[freshness.curve]
    decay: dict[str, Any] = {
        "origin": now_ms,
        "scale": f"{freshness.scale}ms",
        "offset": f"{freshness.offset}ms",
        "decay": freshness.decay,
    }
    return q.FunctionScore(
        query=inner, functions=[curve(**{fields.CREATED_AT: decay})], boost_mode="multiply"
    )
