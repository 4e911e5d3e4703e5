"""Every rule of the linter, with a case that fires and one that does not.

Expected numbers are from hand; what the rules claim about the server is shown in
tests/integration/test_lint_traps.py.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from docs.lint_page import TARGET, page
from ranking.errors import LintError
from ranking.formula import Candidates, final_scores
from ranking.lint import RULES, Finding, check_body, lint_body, lint_profile, refuse
from ranking.lint.freshness_rules import zero_age_ms
from ranking.lint.intervals import Interval, score_range
from ranking.lint.mapping import FieldInfo, FieldUse, LiveIndex, flatten, profile_uses
from ranking.lint.registry import run
from ranking.profile import Profile, builtin_profiles
from ranking.query import search_body

NOW = 1_795_000_000_000
DAY_MS = 86_400_000


def profile(**parts: Any) -> Profile:
    return Profile.model_validate({"name": "p", **parts})


def image(mode: str = "additive", **parts: Any) -> Profile:
    return profile(image={"mode": mode, **parts})


def changed(p: Profile, part: str, **parts: Any) -> Profile:
    """As in a notebook: `model_copy` validates nothing."""
    return p.model_copy(update={part: getattr(p, part).model_copy(update=parts)})


def fresh(**parts: Any) -> Profile:
    return profile(freshness={"scale": "14d", **parts})


def factors(*listed: dict[str, Any], **more: Any) -> Profile:
    return profile(factors=list(listed), **more)


def category(weights: dict[str, float], **more: Any) -> dict[str, Any]:
    return {"type": "category", "weights": weights, **more}


def numeric(**more: Any) -> dict[str, Any]:
    return {"type": "numeric", "field": "price", "missing": 1000, "max": 5, **more}


def rule(**more: Any) -> dict[str, Any]:
    return {"type": "rule", "field": "price", "weight": 1.5, **more}


def native(clock: dict[str, Any]) -> dict[str, Any]:
    boost = {"query": {"match": {"title": "a"}}, "freshness": {"field": "created_at", "scale": "1d", **clock}}
    return {"query": {"rank_boost": boost}}


PROFILES: dict[str, tuple[list[Profile], list[Profile]]] = {
    "negative-score": (
        [
            changed(image(), "image", weight=-1.0),
            changed(image("multiplicative"), "image", weight=5.0),
            changed(fresh(), "freshness", missing=-0.5),
        ],
        [image(weight=1e6), image("multiplicative", weight=1.0, missing=0.5), factors(numeric())],
    ),
    "nan-score": (
        [
            changed(image(), "image", weight=math.nan),
            changed(image(transform={"type": "power", "exponent": 0.5}), "image", missing=-0.1),
        ],
        [image(transform={"type": "power", "exponent": 0.5}), image(transform={"type": "sigmoid"})],
    ),
    "infinite-score": (
        [factors(*[rule(weight=1e6, gte=i) for i in range(6)])],
        [factors(*[rule(weight=1e6, gte=i) for i in range(5)]), image(weight=1e6)],
    ),
    "every-score-zero": (
        [factors(category({"dress": 0.0}, default=0.0)), factors(numeric(max=0))],
        [factors(category({"dress": 0.0})), fresh(missing=0)],
    ),
    "zero-factor": (
        [
            fresh(missing=0),
            factors(category({"dress": 0.0})),
            factors(category({"dress": 1.0}, default=0.0)),
            factors(rule(gte=5, weight=0)),
            factors(numeric(modifier="log1p")),
            factors(numeric(min=0.1, max=0.5).copy() | {"missing": 0, "min": 0}),
        ],
        [fresh(missing=0.5), factors(category({"dress": 0.1})), factors(numeric(modifier="log2p"))],
    ),
    "unscored-zeroed": (
        [image("multiplicative", weight=1.0)],
        [image("multiplicative", weight=1.0, missing=0.4), image("multiplicative", weight=0.9)],
    ),
    "unscored-best": (
        [
            image(missing=1.0),
            image(missing=0.9, transform={"type": "piecewise", "points": [(0, 0), (0.5, 1)]}),
        ],
        [image(missing=0.5), image()],
    ),
    "relevance-swamped": ([image(weight=262_144.0)], [image(weight=65_536.0), image("multiplicative")]),
    "boost-swamped": (
        [
            image(weight=0.0),
            image(weight=1e-8),
            image("multiplicative", weight=1e-9),
            image("multiplicative", weight=1e-9).model_copy(update={"execution": "script_score"}),
            image(transform={"type": "piecewise", "points": [(0, 0.5), (1, 0.5)]}),
        ],
        [image(weight=0.01), image("multiplicative", weight=0.01), profile()],
    ),
    "additive-dwarfs-relevance": ([image(weight=51.0)], [image(weight=50.0)]),
    "weight-not-float32": (
        [
            image(weight=0.1),
            factors(category({"a": 1.0, "b": 1.00000001})),
            factors(rule(gte=1, weight=1e-50)),
        ],
        [image(weight=0.125), image(weight=0.1).model_copy(update={"execution": "script_score"})],
    ),
    "zero-freshness": (
        [fresh(scale="7d"), fresh(curve="linear", scale="14d"), fresh(curve="exp", scale="8h")],
        [fresh(), fresh(curve="linear", scale="60d"), fresh(curve="exp", scale="7d"), profile()],
    ),
    "decay-out-of-sense": (
        [fresh(scale="14ms"), fresh(scale="14000d"), fresh(offset="400d"), fresh(decay=0.999)],
        [fresh(), fresh(curve="linear", scale="180d", decay=0.9)],
    ),
    "missing-date-fresh": ([fresh()], [fresh(missing=0.5), profile()]),
    "window-shorter-than-k": ([profile().model_copy(update={"k": 501})], [profile(k=500)]),
    "rule-never-applies": (
        [factors(rule(gte=5, lt=5)), factors(rule(lt=5, weight=1)), factors(category({"a": 1.0}))],
        [factors(rule(gte=5, lt=6)), factors(category({"a": 1.1})), factors(numeric())],
    ),
    "factor-field-unknown": (
        [factors(numeric(field="prise")), factors(category({"a": 2.0}, field="categorie"))],
        [factors(numeric()), factors(rule(field="image_attributes.sharpness", gte=0.5))],
    ),
    "unknown-rule": ([profile(lint_ignore=["no-such-rule"])], [profile(lint_ignore=["zero-factor"])]),
}


def scored(**body: Any) -> dict[str, Any]:
    inner = {"query": {"match": {"title": "dress"}}}
    return {"query": {"function_score": inner | body}}


def decay(origin: Any = NOW, *, curve: str = "gauss", **settings: Any) -> dict[str, Any]:
    pinned = {} if origin is None else {"origin": origin}
    found = {"filter": {"exists": {"field": "created_at"}}}
    return scored(functions=[found | {curve: {"created_at": pinned | {"scale": "14d"} | settings}}])


def script(source: str, **params: Any) -> dict[str, Any]:
    return {
        "query": {
            "script_score": {"query": {"match_all": {}}, "script": {"source": source, "params": params}}
        }
    }


def fvf(**settings: Any) -> dict[str, Any]:
    return scored(field_value_factor={"field": "image_score"} | settings)


def rescored(rescore: dict[str, Any], **body: Any) -> dict[str, Any]:
    query = {"rescore_query": {"match_all": {}}}
    mode = {key: rescore.pop(key) for key in ("score_mode", "query_weight") if key in rescore}
    return {"query": {"match_all": {}}, "rescore": {"query": query | mode} | rescore} | body


def clause(kind: str, **body: Any) -> dict[str, Any]:
    return {"query": {kind: body}}


MATCH = {"match": {"title": "dress"}}
BOOSTED = scored(weight=2)["query"]

BODIES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "unpinned-clock": (
        [
            decay(None),
            decay("now"),
            decay("now-1d/d", curve="linear"),
            clause("bool", filter=[{"range": {"created_at": {"gte": "now-90d"}}}]),
            clause("range", created_at={"lte": "2026-01-01||now"}),
            clause("term", created_at="now-1d/d"),
            clause("query_string", query="created_at:[now-7d TO now]"),
            clause("distance_feature", field="created_at", origin="now", pivot="7d"),
            {"rescore": {"query": {"rescore_query": script("new Date()")["query"]}}},
            script("System.currentTimeMillis()"),
            {"aggs": {"days": {"date_range": {"field": "created_at", "ranges": [{"from": "now-7d"}]}}}},
            {"aggs": {"new": {"filter": {"range": {"created_at": {"gte": "now-7d"}}}}}},
            {"knn": {"field": "v", "filter": {"range": {"created_at": {"gte": "now-7d"}}}}},
            {"retriever": {"standard": {"query": {"range": {"created_at": {"gte": "now-7d"}}}}}},
            {"sort": [{"_script": {"type": "number", "script": "new Date().getTime()"}}]},
            {"source": decay("now"), "params": {}},
            decay("now")["query"],  # a bare query
        ],
        [
            decay(),
            clause("match", title="now or never"),
            clause("match", title="now"),
            clause("range", brand={"gte": "nowhere"}),
            scored(gauss={"price": {"origin": 0, "scale": 500}}),
            script("return params.query", query={"range": {"created_at": {"gte": "now"}}}),
        ],
    ),
    "float-origin": (
        [decay(1.75e12), clause("distance_feature", field="created_at", origin=1.75e12, pivot="7d")],
        [decay(), scored(gauss={"price": {"origin": 99.5, "scale": 10.0}})],
    ),
    "origin-in-1970": (
        [decay(1_750_000_000), decay("20250615")],
        [decay(), decay("2025-06-15"), scored(gauss={"price": {"origin": 2000, "scale": 500}})],
    ),
    "date-math": (
        [decay("2025-06-15||/M"), clause("range", created_at={"gte": "2025-06-15||+1d/d"})],
        [decay("2025-06-15"), clause("range", created_at={"gte": NOW})],
    ),
    "decay-unit": (
        [decay(scale="1w"), decay(scale="5.5d"), decay(scale=432_000_000), decay(offset="1M")],
        [
            decay(offset="0d"),
            decay(scale="432000000ms"),
            decay(offset=0),
            scored(gauss={"place": {"origin": "35.6,139.7", "scale": "2km"}}),
            scored(gauss={"price": {"origin": 0, "scale": 500}}),
        ],
    ),
    "decay-missing-fresh": (
        [scored(gauss={"created_at": {"origin": NOW, "scale": "14d"}})],
        [decay()],
    ),
    "clock-in-source": (
        [script("return 1795000000000L - doc['d'].value.millis")],
        [script("return params.now_ms - 86400000", now_ms=NOW)],
    ),
    "single-function-score-mode": (
        [scored(functions=[{"weight": 2}], score_mode="avg"), scored(weight=2, score_mode="sum")],
        [
            scored(functions=[{"weight": 2}]),
            scored(functions=[{"weight": 2, "filter": MATCH}], score_mode="avg"),
            scored(functions=[{"weight": 2}, {"weight": 3}], score_mode="avg"),
        ],
    ),
    "negative-weight": (
        [scored(functions=[{"weight": -1}]), clause("bool", must=[MATCH], boost=-2)],
        [scored(functions=[{"weight": 0.5}])],
    ),
    "fvf-without-missing": ([fvf()], [fvf(missing=0)]),
    "fvf-modifier-range": (
        [
            fvf(modifier="log", missing=1),
            fvf(modifier="ln", missing=1),
            fvf(modifier="reciprocal", missing=0),
        ],
        [fvf(modifier="log1p", missing=0), fvf(modifier="reciprocal", missing=1)],
    ),
    "max-boost-misuse": (
        [
            scored(max_boost=5),
            scored(functions=[{"weight": 9}], max_boost=5),
            scored(functions=[{"weight": 3}], max_boost=0),
            scored(functions=[{"gauss": {"d": {"origin": NOW, "scale": "1d"}}, "_name": "f"}], max_boost=0.9),
        ],
        [fvf(missing=0) | {}, scored(field_value_factor={"field": "x", "missing": 1}, max_boost=5)],
    ),
    "named-function-reads-score": (
        [scored(functions=[{"script_score": {"script": {"source": "_score * 2"}}, "_name": "twice"}])],
        [
            scored(functions=[{"script_score": {"script": {"source": "_score * 2"}}}]),
            scored(functions=[{"script_score": {"script": {"source": "2"}}, "_name": "two"}]),
        ],
    ),
    "unseeded-random": (
        [scored(random_score={}), scored(random_score={"seed": 7}), script("Math.random()")],
        [scored(random_score={"seed": 7, "field": "item_id"})],
    ),
    "boost-on-function-score": ([scored(weight=2, boost=3)], [scored(weight=2, boost=1), scored(weight=2)]),
    "native-origin": (
        [
            native({}),
            native({"origin": "now"}),
            native({"origin": "2026-11-20"}),
            native({"origin": float(NOW)}),
            native({"origin": True}),
            native({"origin": NOW // 1000}),
        ],
        [native({"origin": NOW}), native({"origin": 0}), {"query": {"rank_boost": {"query": {}}}}],
    ),
    "boost-on-script-score": (
        [{"query": {"script_score": script("1")["query"]["script_score"] | {"boost": 2}}}],
        [script("1")],
    ),
    "enclosing-boost": (
        [clause("bool", must=[BOOSTED], boost=2), clause("dis_max", queries=[BOOSTED], boost=2)],
        [
            clause("bool", must=[BOOSTED]),
            clause("bool", must=[MATCH], boost=2),
            clause("bool", filter=[BOOSTED], boost=2),
        ],
    ),
    "duplicate-name": (
        [
            clause("bool", must=[{"match": {"title": {"query": "x", "_name": "rel"}}}], _name="rel"),
            scored(functions=[{"weight": 1, "_name": "f"}, {"weight": 2, "_name": "f"}]),
        ],
        [clause("bool", must=[{"match": {"title": {"query": "x", "_name": "inner"}}}], _name="rel")],
    ),
    "name-not-scoring": (
        [
            clause("bool", filter=[{"term": {"status": {"value": "on_sale", "_name": "s"}}}]),
            clause("bool", must_not=[{"term": {"status": "sold", "_name": "s"}}]),
            clause("constant_score", filter={"match": {"title": {"query": "x", "_name": "m"}}}),
        ],
        [clause("bool", must=[{"match": {"title": {"query": "x", "_name": "m"}}}], filter=[MATCH])],
    ),
    "rank-feature-precision": ([clause("rank_feature", field="image_rank")], [BOOSTED]),
    "rescore-window": (
        [
            rescored({}, size=50),
            rescored({"window_size": 50}, size=50, **{"from": 50}),
            rescored({"window_size": 20_000}),
            {"rescore": {"script": {"script": {"source": "1"}}, "window_size": 200}, "size": 203},
        ],
        [rescored({"window_size": 100}, size=50), rescored({}), clause("match_all")],
    ),
    "rescore-with-sort": (
        [rescored({}, sort=[{"_score": "desc"}, {"item_id": "asc"}]), rescored({}, sort="price")],
        [rescored({}, sort=["_score"]), rescored({}), clause("match_all") | {"sort": "price"}],
    ),
    "min-score-with-rescore": ([rescored({}, min_score=1)], [clause("match_all") | {"min_score": 1}]),
    "rescore-mode": (
        [
            rescored({"score_mode": "multiply", "query_weight": 0}),
            rescored({"score_mode": "avg", "query_weight": 0}),
            rescored({"score_mode": "multiply"}),
        ],
        [rescored({"score_mode": "total", "query_weight": 0}), rescored({})],
    ),
    "sort-without-score": (
        [scored(weight=2) | {"sort": [{"price": "asc"}]}],
        [
            scored(weight=2) | {"sort": [{"_score": "desc"}, {"item_id": "asc"}]},
            scored(weight=2) | {"sort": ["price"], "track_scores": True},
            clause("match_all") | {"sort": "price"},
        ],
    ),
    "no-tie-break": (
        [scored(weight=2), clause("match", title="x") | {"sort": ["_score"]}],
        [scored(weight=2) | {"sort": [{"_score": "desc"}, {"item_id": "asc"}]}, BOOSTED | {"size": 0}],
    ),
    "forbids-skipping": (
        [
            {"query": MATCH, "track_total_hits": True},
            {"query": MATCH, "aggs": {"n": {"max": {"field": "x"}}}},
        ],
        [{"query": MATCH, "track_total_hits": False}, scored(weight=2) | {"track_total_hits": True}],
    ),
    "explain-cost": ([{"query": MATCH, "explain": True}], [{"query": MATCH, "explain": False}]),
    "named-scores-in-body": ([{"query": MATCH, "include_named_queries_score": True}], [{"query": MATCH}]),
    "unguarded-doc-value": (
        [
            script("doc['im'].value"),
            script('doc["im"].value + (doc["other"].size() == 0 ? 0 : doc["other"].value)'),
            script("doc[params.f].value", f="im"),
            script("/* doc['im'].size() */ doc['im'].value"),
        ],
        [
            script("doc['im'].size() == 0 ? 0 : doc['im'].value"),
            script("if (doc[ 'im' ].empty) { return 0 } return doc['im'].value"),
            script("doc[params.f].size() == 0 ? 0 : doc[params.f].value", f="im"),
            script("// doc['im'].value\nreturn 1"),
        ],
    ),
    "integer-division": (
        [
            script("return 3 / 2 * _score"),
            script("return params.a / params.b", a=3, b=2),
            script("return doc['price'].value / 1000"),
            script("return doc['price'].value / params.k", k=1000),
        ],
        [
            script("return 3.0 / 2"),
            script("return 3 / 2.5"),
            script("return params.a / params.b", a=3.0, b=2),
            script("return doc['price'].value / 1000.0"),
            script("return _score * 3 / 2"),
            script("return (double) params.a / params.b", a=3, b=2),
            script("return 1 // 3 / 2"),
        ],
    ),
    "script-decay-origin": (
        [
            script("decayDateGauss(params.o, '14d', '0d', 0.5, doc['d'].value)", o=NOW),
            script("decayDateExp('now', '14d', '0d', 0.5, doc['d'].value)"),
        ],
        [
            script("decayDateGauss(params.o, '14d', '0d', 0.5, doc['d'].value)", o=str(NOW)),
            script("decayNumericGauss(params.o, 5.0, 0.0, 0.5, doc['p'].value)", o=5.0),
        ],
    ),
    "field-api-default": (
        [script("$('im', 0.5)"), script("field('im').get(0.5)")],
        [script("$('im', null)"), script("field('price').get(1)")],
    ),
}

FLOAT, DATE, TEXT = FieldInfo("float"), FieldInfo("date"), FieldInfo("text")
MAPPED = {
    "item_id": FieldInfo("keyword"),
    "title": TEXT,
    "description": TEXT,
    "status": FieldInfo("keyword"),
    "category": FieldInfo("keyword"),
    "price": FieldInfo("long"),
    "created_at": FieldInfo("date", format="strict_date_optional_time||epoch_millis"),
    "image_score": FLOAT,
}
BOOST = profile(
    image={"mode": "additive", "weight": 3},
    freshness={"scale": "14d"},
    factors=[numeric(), category({"dress": 1.5})],
)


def live(p: Profile = BOOST, mapping: dict[str, FieldInfo | None] | None = None, **more: Any) -> LiveIndex:
    """An index that fits, but for what is given; None unmaps a field."""
    known = {name: info for name, info in {**MAPPED, **(mapping or {})}.items() if info is not None}
    healthy: dict[str, Any] = {
        "profile": p,
        "pipelines": {"items-1": "rank-items"},
        "n_docs": 1000,
        "score_range": (0.1, 0.9),
    }
    return LiveIndex("items", tuple(profile_uses(p)), {"items-1": known}, **healthy | more)


SCRIPTED = BOOST.model_copy(update={"execution": "script_score"})
LIVE: dict[str, tuple[list[LiveIndex], list[LiveIndex]]] = {
    "field-absent": (
        [
            live(mapping={"price": None}),
            live(mapping={"created_at": None}),
            live(SCRIPTED, {"image_score": None}),
        ],
        [live(), live(mapping={"image_score": None}), live(SCRIPTED)],
    ),
    "unmapped-field-hidden": (
        [
            live(mapping={"image_score": None}),
            live(mapping={"title": None}),
            live(mapping={"category": None}),
        ],
        [live(), live(SCRIPTED, {"image_score": None})],
    ),
    "field-type": (
        [
            live(mapping={"price": FieldInfo("keyword")}),
            live(mapping={"category": TEXT}),
            live(mapping={"created_at": FieldInfo("long")}),
            live(mapping={"title": FieldInfo("long")}),
            live(mapping={"title": FieldInfo("keyword")}),
        ],
        [live(), live(mapping={"price": FLOAT}), live(mapping={"unused": TEXT})],
    ),
    "date-nanos-decay": (
        [live(mapping={"created_at": FieldInfo("date_nanos")})],
        [live(), live(profile(), {"created_at": FieldInfo("date_nanos")})],
    ),
    "date-format": (
        [
            live(mapping={"created_at": FieldInfo("date", format="epoch_second")}),
            live(mapping={"created_at": FieldInfo("date", format="yyyy-MM-dd")}),
        ],
        [
            live(),
            live(mapping={"created_at": DATE}),
            live(SCRIPTED, {"created_at": FieldInfo("date", format="epoch_second")}),
        ],
    ),
    "image-score-type": (
        [
            live(mapping={"image_score": FieldInfo("half_float")}),
            live(mapping={"image_score": FieldInfo("integer")}),
        ],
        [live(), live(profile(), {"image_score": FieldInfo("half_float")})],
    ),
    "tie-break-field": (
        [
            live(mapping={"item_id": FieldInfo("long")}),
            live(mapping={"item_id": FieldInfo("keyword", False)}),
        ],
        [live()],
    ),
    "doc-values-off": ([live(mapping={"price": FieldInfo("long", False)})], [live()]),
    "multi-valued": ([live(multi_valued={"price": 3})], [live(), live(multi_valued={"status": 3})]),
    "image-score-range": (
        [live(score_range=(-0.1, 0.9)), live(score_range=(0.0, 1.5))],
        [live(), live(score_range=None), live(profile(), score_range=(-1.0, 1.0))],
    ),
    "undated-items": (
        [live(n_undated=3)],
        [live(), live(fresh(missing=0.5), n_undated=3), live(image(), n_undated=3)],
    ),
    "mostly-unscored": ([live(n_unscored=501)], [live(n_unscored=500), live(fresh(), n_unscored=1000)]),
    "pipeline-absent": (
        [live(absent_pipelines=frozenset({"rank-items"})), live(pipelines={"items-1": None})],
        [live(), live(fresh(), pipelines={"items-1": None})],
    ),
    "native-missing": (
        [live(image().model_copy(update={"execution": "plugin"}), native=False)],
        [
            live(image().model_copy(update={"execution": "plugin"}), native=True),
            live(image().model_copy(update={"execution": "plugin"}), native=None),
            live(native=False),
        ],
    ),
    "stored-script-absent": ([live(absent_scripts=(("s-v1", "query.script_score.script"),))], [live()]),
}


def cases(level: str, table: dict[str, Any], side: int) -> list[Any]:
    return [
        pytest.param(name, subject, id=f"{name}-{i}")
        for name, sides in table.items()
        for i, subject in enumerate(sides[side])
        if RULES[name].level == level
    ]


def names(findings: list[Finding]) -> set[str]:
    return {finding.rule for finding in findings}


@pytest.mark.parametrize(("name", "subject"), cases("profile", PROFILES, 0))
def test_a_profile_rule_fires(name: str, subject: Profile) -> None:
    assert name in names(lint_profile(subject))


@pytest.mark.parametrize(("name", "subject"), cases("profile", PROFILES, 1))
def test_a_profile_rule_is_silent(name: str, subject: Profile) -> None:
    assert name not in names(lint_profile(subject))


@pytest.mark.parametrize(("name", "body"), cases("body", BODIES, 0))
def test_a_body_rule_fires(name: str, body: dict[str, Any]) -> None:
    found = [finding for finding in lint_body(body) if finding.rule == name]
    assert len(found) >= 1


@pytest.mark.parametrize(("name", "body"), cases("body", BODIES, 1))
def test_a_body_rule_is_silent(name: str, body: dict[str, Any]) -> None:
    assert name not in names(lint_body(body))


@pytest.mark.parametrize(("name", "index"), cases("live", LIVE, 0))
def test_a_live_rule_fires(name: str, index: LiveIndex) -> None:
    assert name in names(run("live", index))


@pytest.mark.parametrize(("name", "index"), cases("live", LIVE, 1))
def test_a_live_rule_is_silent(name: str, index: LiveIndex) -> None:
    assert name not in names(run("live", index))


def test_every_rule_has_a_case_on_both_sides() -> None:
    assert {**PROFILES, **BODIES, **LIVE}.keys() == RULES.keys()
    assert all(fires and silent for fires, silent in [*PROFILES.values(), *BODIES.values(), *LIVE.values()])


def test_the_page_is_that_of_the_rules() -> None:
    assert TARGET.read_text(encoding="utf-8") == page(), "run `make docs`"
    for rule in RULES.values():
        assert f"\n### {rule.name}\n" in page()
        assert rule.what.endswith(".")
        assert rule.why.endswith(".")


def test_findings_say_where_why_and_what_instead() -> None:
    [found] = [f for f in lint_body(decay("now-1d/d")) if f.rule == "unpinned-clock"]
    assert found == Finding(
        "unpinned-clock",
        "query.function_score.functions[0].gauss.created_at",
        "origin is 'now-1d/d'",
        "resolve the clock once (now_ms) and send it as an integer",
    )
    assert str(found).startswith("unpinned-clock: query.function_score")


class TestSuppression:
    def test_a_profile_names_rules_and_may_give_reasons(self) -> None:
        assert names(lint_profile(fresh())) == {"missing-date-fresh"}
        for ignore in (["missing-date-fresh"], {"missing-date-fresh": "every item has a date"}):
            assert lint_profile(profile(freshness={"scale": "14d"}, lint_ignore=ignore)) == []
        assert lint_profile(fresh(), ignore=["missing-date-fresh"]) == []

    def test_a_suppression_does_not_change_the_hash(self) -> None:
        assert fresh().hash == profile(freshness={"scale": "14d"}, lint_ignore=["missing-date-fresh"]).hash

    def test_a_platform_keeps_the_suppressions(self) -> None:
        p = profile(
            freshness={"scale": "14d"},
            lint_ignore=["missing-date-fresh"],
            platforms={"ios": {"freshness": {"scale": "10d"}}},
        )
        assert lint_profile(p) == []


def test_what_only_a_platform_does_wrong_is_said_once_and_by_its_name() -> None:
    p = profile(
        image={"mode": "additive", "weight": 3},
        platforms={"ios": {"image": {"weight": 500}}, "web": {"image": {"weight": 2}}},
    )
    [found] = lint_profile(p)
    assert (found.rule, found.where) == ("additive-dwarfs-relevance", "platforms.ios: image.weight")


@pytest.mark.parametrize("name", sorted(builtin_profiles()))
def test_shipped_profiles_have_no_findings(name: str) -> None:
    assert lint_profile(builtin_profiles()[name]) == []


class TestBodies:
    def test_every_body_of_ours_keeps_the_clock(self) -> None:
        with pytest.raises(LintError) as refused:
            check_body(decay("now"))
        assert len(refused.value.findings) == 1
        check_body(decay() | {"explain": True})

    def test_no_body_of_a_valid_profile_breaks_a_rule(self) -> None:
        rng = np.random.default_rng(6)
        kept = [p for p in (random_profile(rng) for _ in range(200)) if valid(p)]
        assert len(kept) > 80
        for p in kept:
            findings = lint_body(search_body(p, "red dress", now_ms=NOW))
            assert [f for f in findings if f.severity == "error"] == []

    def test_refuse_takes_errors_and_if_strict_warnings(self) -> None:
        warnings = lint_body({"query": MATCH, "explain": True, "sort": ["_score", "item_id"]})
        assert [f.severity for f in warnings] == ["warning"]
        refuse(warnings)
        with pytest.raises(LintError, match="explain-cost"):
            refuse(warnings, strict=True)

    @pytest.mark.parametrize(
        "odd",
        [
            {},
            {"query": None},
            {"query": []},
            {"query": {"function_score": None}},
            {"query": {"function_score": {"functions": {"gauss": 1}}}},
            {"query": {"function_score": {"functions": [None, 3, {"gauss": {"d": 1}}], "query": "x"}}},
            {"query": {"bool": {"must": "x", "boost": "2", "filter": [1, None]}}},
            {"query": {"script_score": {"script": 3}}, "sort": 3, "rescore": "x", "size": "ten", "aggs": []},
            {"query": {"function_score": {"field_value_factor": 3, "weight": "x", "random_score": 1}}},
            {"query": {"range": {"created_at": "now"}}, "rescore": [{"query": 1, "window_size": "a"}]},
            {"query": {"multi_match": {"fields": "title"}}, "sort": [[], {}, 3]},
        ],
    )
    def test_a_body_that_no_server_would_take_raises_nothing(self, odd: dict[str, Any]) -> None:
        from ranking.lint.body import Body
        from ranking.lint.mapping import body_uses

        lint_body(odd)
        body_uses(Body.of(odd))
        json.dumps([finding.as_dict() for finding in lint_body(odd)])


def random_profile(rng: np.random.Generator) -> Profile:
    """A valid profile; then, as in a notebook, some of its numbers changed to anything."""
    transform = [
        {"type": "identity"},
        {"type": "power", "exponent": float(rng.uniform(0.2, 4))},
        {"type": "sigmoid", "center": float(rng.random())},
        {"type": "piecewise", "points": [[0.1, 0.2], [0.6, float(rng.uniform(0.2, 1))]]},
    ][rng.integers(4)]
    mode = str(rng.choice(["none", "additive", "multiplicative"]))
    boost = {"mode": mode, "weight": float(rng.random()), "transform": transform}
    if rng.random() < 0.5:
        boost["ai_generated"] = {str(rng.choice(["cap", "neutral"])): float(rng.random())}
    listed = [
        category({"dress": float(rng.uniform(0, 3))}, default=float(rng.uniform(0, 2))),
        numeric(modifier=str(rng.choice(["none", "log1p", "sqrt", "square", "reciprocal"]))),
        rule(gte=float(rng.integers(5000)), weight=float(rng.uniform(0, 3))),
    ]
    p = profile(
        image=boost,
        freshness={"scale": "9d", "missing": float(rng.random())},
        factors=listed[: rng.integers(4)],
        execution=str(rng.choice(["function_score", "script_score"])),
    )
    wild = [-2.0, -1e-3, 3.0, math.nan, 1e30]
    if rng.random() < 0.3:
        p = changed(p, "image", weight=float(rng.choice(wild)))
    if rng.random() < 0.2:
        p = changed(p, "image", missing=float(rng.choice(wild)))
    if rng.random() < 0.2:
        p = changed(p, "freshness", missing=float(rng.choice(wild)))
    return p


def valid(p: Profile) -> bool:
    try:
        return Profile.model_validate(p.model_dump(mode="json")) == p
    except ValueError:
        return False


def test_no_score_leaves_the_range_that_the_intervals_give() -> None:
    rng = np.random.default_rng(5)
    n, refused = 200, 0
    for _ in range(400):
        p = random_profile(rng)

        def maybe(values: Any) -> Any:
            return np.where(rng.random(n) < 0.3, np.nan, values)

        docs = Candidates(
            rng.uniform(0, 60, n).astype(np.float32),
            maybe(rng.random(n)).astype(np.float32),
            maybe(NOW - rng.exponential(20 * DAY_MS, n)),
            maybe(rng.random(n)).astype(np.float32),
            {
                "category": rng.choice(np.array(["dress", "hat", None], dtype=object), n),
                "price": maybe(rng.uniform(0, 9000, n)),
            },
        )
        with np.errstate(all="ignore"):
            final = final_scores(p, docs, NOW).astype(np.float64)
            found = score_range(p).final
        slack = 1e-5 * max(abs(found.lo), abs(found.hi), 1e-30)  # the casts between nodes
        numbers = final[~np.isnan(final)]
        assert found.nan or len(numbers) == n
        assert np.all((numbers >= found.lo - slack) & (numbers <= found.hi + slack)), p
        rules = names(lint_profile(p))
        assert "nan-score" in rules or len(numbers) == n
        if not found.nan:
            assert "negative-score" in rules or numbers.min() >= 0
        refused += bool(rules & {"negative-score", "nan-score"})
    assert 80 < refused < 320


def test_no_body_that_a_valid_profile_makes_has_an_error() -> None:
    rng = np.random.default_rng(6)
    profiles = [p for p in (random_profile(rng) for _ in range(200)) if valid(p)]
    assert len(profiles) > 80
    for p in profiles:
        for scripts in ("inline", "constant"):
            body = search_body(p, "dress", now_ms=NOW, scripts=scripts)
            assert [found for found in lint_body(body) if found.severity == "error"] == [], p


class TestIntervals:
    def test_products_take_the_outermost_corners(self) -> None:
        assert Interval(-1, 2) * Interval(-3, 5) == Interval(-6, 10)
        assert Interval(-1, 2) + Interval(-3, 5) == Interval(-4, 7)
        assert (Interval(0, 1) * Interval(0, math.inf)).nan

    def test_ranges_of_a_multiplicative_boost_and_its_factors(self) -> None:
        p = factors(
            numeric(min=0.5, max=4), category({"a": 3.0}), image={"mode": "multiplicative", "weight": 0.75}
        )
        found = score_range(p)
        assert (found.boost.lo, found.boost.hi) == (0.25, 1.0)
        assert found.factors == {"factors[0]": Interval(0.5, 4.0), "factors[1]": Interval(1.0, 3.0)}
        # 47.3 points a term and field, 32 terms, boosts 2 + 1, and factors of at most 4 * 3
        assert found.final.hi == pytest.approx(47.3 * 32 * 3 * 12, rel=1e-6)

    def test_the_ai_rule_widens_the_image(self) -> None:
        p = image(
            transform={"type": "piecewise", "points": [(0.2, 0.5), (1, 1)]}, ai_generated={"neutral": 0.1}
        )
        assert score_range(p).image == Interval(0.5, 1.0)


def test_the_age_at_which_a_gauss_is_zero() -> None:
    # 50 * 2^-x^2 < 2^-150  <=>  x^2 > 150 + log2(50) = 155.64
    expected = 7 * math.sqrt(150 + math.log2(50))
    freshness = fresh(scale="7d").freshness
    assert freshness is not None
    assert zero_age_ms(freshness) / DAY_MS == pytest.approx(expected, rel=1e-4)
    assert zero_age_ms(freshness.model_copy(update={"curve": "exp", "scale": 10_000 * DAY_MS})) == math.inf


def test_a_mapping_is_flattened_with_multi_fields_aliases_and_runtime_fields() -> None:
    found = flatten(
        {
            "properties": {
                "title": {"type": "text", "fields": {"raw": {"type": "keyword", "doc_values": False}}},
                "ai": {"properties": {"p": {"type": "float"}}},
                "listed": {"type": "alias", "path": "created"},
                "created": {"type": "date", "format": "epoch_second"},
            },
            "runtime": {"age": {"type": "long"}},
        }
    )
    assert found == {
        "title": TEXT,
        "title.raw": FieldInfo("keyword", False),
        "ai.p": FLOAT,
        "created": FieldInfo("date", format="epoch_second"),
        "listed": FieldInfo("date", format="epoch_second"),
        "age": FieldInfo("long"),
    }


def test_a_field_is_absent_from_one_of_two_indices() -> None:
    index = live()
    both = replace(
        index, mappings={**index.mappings, "items-2": {k: v for k, v in MAPPED.items() if k != "price"}}
    )
    [found] = [f for f in run("live", both) if f.rule == "field-absent"]
    assert (found.where, "items-2" in found.why) == ("factors[0].field", True)
    assert FieldUse("price", "number", "factors[0].field") in both.uses
