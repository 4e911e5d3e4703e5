"""Bodies compared with literals: what the server is sent, in its own words."""

from __future__ import annotations

import pytest

from ranking.errors import LintError
from ranking.lint import check_body, lint_body
from ranking.painless import script_files
from ranking.profile import Profile
from ranking.query import boosted_query, search_body, window_body

NOW = 1_795_000_000_000
BASE = {
    "bool": {
        "_name": "rel",
        "must": [
            {
                "multi_match": {
                    "query": "red dress",
                    "fields": ["title^2", "description^1"],
                    "type": "best_fields",
                    "operator": "or",
                }
            }
        ],
        "filter": [{"terms": {"status": ["on_sale"]}}, {"term": {"category": "dress"}}],
        "must_not": [{"range": {"created_at": {"gt": NOW, "format": "epoch_millis"}}}],
    }
}


def profile(**parts: object) -> Profile:
    return Profile.model_validate({"name": "p", **parts})


def query(p: Profile, **more: object) -> dict[str, object]:
    return search_body(p, "red dress", now_ms=NOW, filters={"category": "dress"}, **more)["query"]  # type: ignore[arg-type,no-any-return]


def test_control_is_the_base_query_under_a_pinned_decay() -> None:
    assert query(profile(freshness={"scale": "14d", "offset": "1d"})) == {
        "function_score": {
            "query": BASE,
            "functions": [
                {
                    "gauss": {
                        "created_at": {
                            "origin": NOW,
                            "scale": "1209600000ms",
                            "offset": "86400000ms",
                            "decay": 0.5,
                        }
                    }
                }
            ],
            "boost_mode": "multiply",
        }
    }


def test_no_boost_and_no_freshness_is_the_base_query_itself() -> None:
    assert query(profile()) == BASE


def test_multiplicative_function_score_adds_floor_and_image() -> None:
    assert query(profile(image={"mode": "multiplicative", "weight": 0.75, "missing": 0.5})) == {
        "function_score": {
            "query": BASE,
            "functions": [
                {"weight": 0.25},
                {"field_value_factor": {"field": "image_score", "factor": 0.75, "missing": 0.5}},
            ],
            "score_mode": "sum",
            "boost_mode": "multiply",
        }
    }


def test_script_score_sends_the_clock_and_the_weights_as_parameters() -> None:
    p = profile(
        image={"mode": "additive", "weight": 3.0},
        freshness={"scale": "14d", "curve": "linear"},
        execution="script_score",
    )
    script = query(p, scripts="stored")["script_score"]["script"]  # type: ignore[index]
    assert script == {
        "id": "rank-boost-linear-v1",
        "params": {
            "rel_base": 1.0,
            "rel_image": 0.0,
            "add_image": 3.0,
            "missing": 0.0,
            "now_ms": NOW,
            "offset_ms": 0.0,
            "shape": 2.0 * 14 * 86_400_000,
        },
    }
    inline = query(p)["script_score"]["script"]  # type: ignore[index]
    assert inline["source"] == script_files()["rank-boost-linear-v1"]


@pytest.mark.parametrize("hostile", ['"}}, "match_all": {', "'; return 1e9; //", "${jndi:x}", "\x00\u2028"])
def test_what_the_user_typed_stays_a_value(hostile: str) -> None:
    p = profile(image={"mode": "additive"}, freshness={"scale": "1d"}, execution="script_score")
    body = boosted_query(p, hostile, now_ms=NOW).to_dict()
    assert body["script_score"]["query"]["bool"]["must"][0]["multi_match"]["query"] == hostile
    assert hostile not in body["script_score"]["script"]["source"]


def test_the_window_is_the_base_query_without_a_count() -> None:
    body = window_body(profile(), "red dress", now_ms=NOW, size=300, filters={"category": "dress"})
    assert body["query"] == BASE
    assert (body["size"], body["track_total_hits"]) == (300, False)


def clock_findings(body: dict[str, object]) -> list[str]:
    return [found.rule for found in lint_body(body) if found.rule in {"unpinned-clock", "float-origin"}]


@pytest.mark.parametrize(
    "body",
    [
        {"query": {"function_score": {"functions": [{"gauss": {"created_at": {"scale": "1d"}}}]}}},
        {"query": {"function_score": {"gauss": {"created_at": {"origin": "now", "scale": "1d"}}}}},
        {"query": {"function_score": {"linear": {"created_at": {"origin": "now-1d/d", "scale": "1d"}}}}},
        {"query": {"function_score": {"exp": {"created_at": {"origin": 1.75e12, "scale": "1d"}}}}},
        {"query": {"bool": {"filter": [{"range": {"created_at": {"gte": "now-90d"}}}]}}},
        {"query": {"range": {"created_at": {"lte": "2026-01-01||now"}}}},
        {"query": {"distance_feature": {"field": "created_at", "origin": "now", "pivot": "7d"}}},
        {"rescore": {"query": {"rescore_query": {"script_score": {"script": {"source": "new Date()"}}}}}},
        {"query": {"script_score": {"script": {"source": "System.currentTimeMillis()"}}}},
    ],
)
def test_a_body_with_a_clock_of_its_own_is_refused(body: dict[str, object]) -> None:
    assert len(clock_findings(body)) == 1
    with pytest.raises(LintError):
        check_body(body)


def test_a_user_who_types_now_is_not_refused() -> None:
    assert clock_findings({"query": {"match": {"title": "now or never"}}}) == []
    assert clock_findings({"query": {"range": {"brand": {"gte": "nowhere"}}}}) == []
