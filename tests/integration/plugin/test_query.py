"""What a search engineer meets: errors, named parts, explanations, and everything a query may stand in."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

from ranking.profile import Profile
from tests.integration.plugin import cases
from tests.integration.plugin.nodes import Server

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]
MATCH = {"match": {"title": "w1 w3"}}
PROFILE = Profile.model_validate(
    {
        "name": "all",
        "execution": "script_score",
        "image": {
            "mode": "additive",
            "weight": 3.0,
            "transform": {"type": "power", "exponent": 2},
            "ai_generated": {"cap": 0.3},
        },
        "freshness": {"scale": "14d", "offset": "1d", "missing": 0.5},
        "factors": [
            {"type": "category", "weights": {"dress": 1.2, "hat": 0.7}},
            {"type": "rule", "field": "price", "gte": 10, "lt": 2000, "weight": 1.5},
        ],
    }
)
OURS = cases.rank_boost(PROFILE, MATCH)
THEIRS = cases.script_score(PROFILE, MATCH)


def search(server: Server, query: dict[str, Any], index: str = "one", **body: Any) -> dict[str, Any]:
    answer: dict[str, Any] = server.do(
        "POST", f"/{index}/_search", {"query": query, "_source": False, **body}
    )
    return answer


def hits(answer: dict[str, Any]) -> list[tuple[str, float]]:
    return [(hit["_id"], hit["_score"]) for hit in answer["hits"]["hits"]]


def same(server: Server, index: str = "one", **body: Any) -> dict[str, Any]:
    """Both searches give the same hits; ours is returned."""
    ours, theirs = search(server, OURS, index, **body), search(server, THEIRS, index, **body)
    assert hits(ours) == hits(theirs)
    assert hits(ours)
    return ours


def test_rescoring_collapsing_sorting_and_paging_are_those_of_script_score(server: Server) -> None:
    for index in ("one", "three", "large"):
        same(server, index, size=200, **{"from": 50})
        same(server, index, sort=[{"_score": "desc"}, {"item_id": "asc"}], size=50, track_total_hits=False)
        same(server, index, sort=[{"item_id": "asc"}], track_scores=True, size=50)
        same(server, index, collapse={"field": "price"}, size=20)
        same(server, index, min_score=2.0, size=50)
        rescored = [
            search(
                server,
                MATCH,
                index,
                size=50,
                rescore={
                    "window_size": 200,
                    "query": {"rescore_query": query, "query_weight": 0.0, "score_mode": "total"},
                },
            )
            for query in (OURS, THEIRS)
        ]
        assert hits(rescored[0]) == hits(rescored[1]) != []


def test_totals_and_aggregations_count_every_match(server: Server) -> None:
    matches = server.do("POST", "/large/_count", {"query": MATCH})["count"]
    counted = search(server, OURS, "large", track_total_hits=True)
    assert counted["hits"]["total"] == {"value": matches, "relation": "eq"}
    buckets = {"by": {"terms": {"field": "category", "size": 20}}}
    plain = search(server, MATCH, "large", aggs=buckets, size=0)
    assert search(server, OURS, "large", aggs=buckets, size=5)["aggregations"] == plain["aggregations"]
    assert server.do("POST", "/large/_count", {"query": OURS})["count"] == matches


def test_skipping_leaves_documents_unscored(server: Server) -> None:
    server.do("POST", "/large/_forcemerge?max_num_segments=1")
    server.do("POST", "/large/_refresh")
    total = server.do("POST", "/large/_count", {"query": MATCH})["count"]
    answer = search(server, OURS, "large", size=10, track_total_hits=100)
    assert answer["hits"]["total"]["relation"] == "gte"
    assert answer["hits"]["total"]["value"] < total / 2


def test_other_queries_may_hold_it(server: Server) -> None:
    term = {"term": {"title": "w2"}}
    for wrap in (
        lambda q: {"bool": {"must": [q, term]}},
        lambda q: {"bool": {"should": [q, term], "minimum_should_match": 1}},
        lambda q: {"bool": {"must": [term], "should": [q]}},
        lambda q: {"dis_max": {"queries": [q, term], "tie_breaker": 0.4}},
        lambda q: {"constant_score": {"filter": q}},
        lambda q: {"boosting": {"positive": q, "negative": term, "negative_boost": 0.5}},
        lambda q: {"function_score": {"query": q, "weight": 2}},
        lambda q: cases.rank_boost(PROFILE, q),
    ):
        other = cases.script_score(PROFILE, THEIRS) if "rank_boost" in wrap(OURS) else wrap(THEIRS)
        for index in ("one", "three", "large"):
            ours, theirs = (search(server, q, index, size=50) for q in (wrap(OURS), other))
            assert hits(ours) == hits(theirs)
    assert search(server, {"bool": {"must_not": [OURS]}})["hits"]["total"]["value"] > 0


def test_a_point_in_time_keeps_lists_while_the_index_changes(server: Server) -> None:
    cases.make_index(server, "moving", docs=500, seed=9)
    pit = server.do("POST", "/moving/_pit?keep_alive=1m")["id"]
    body = {"size": 50, "pit": {"id": pit}, "_source": False}
    before = server.do("POST", "/_search", {**body, "query": OURS})
    server.do("POST", "/moving/_delete_by_query?refresh=true", {"query": {"term": {"title": "w3"}}})
    after = server.do("POST", "/_search", {**body, "query": OURS})
    theirs = server.do("POST", "/_search", {**body, "query": THEIRS})
    assert hits(before) == hits(after) == hits(theirs) != []
    server.do("DELETE", "/_pit", {"id": pit})
    server.do("DELETE", "/moving")


def test_profile_terminate_after_and_validate_work(server: Server) -> None:
    profiled = search(server, OURS, "large", profile=True, size=20)
    assert hits(profiled) == hits(search(server, THEIRS, "large", size=20))
    (tree,) = profiled["profile"]["shards"][0]["searches"][0]["query"]
    assert tree["type"] == "RankBoostQuery"
    assert tree["children"]
    assert search(server, OURS, "large", terminate_after=5, size=5)["terminated_early"]
    valid = server.do("POST", "/one/_validate/query?explain=true", {"query": OURS})
    assert valid["valid"]
    assert "rank_boost" in valid["explanations"][0]["explanation"]


def test_named_parts_multiply_to_the_score(server: Server) -> None:
    query = cases.rank_boost(PROFILE, MATCH, name_parts=True, _name="b")
    answer = server.do(
        "POST",
        "/three/_search?include_named_queries_score=true",
        {"query": query, "size": 100, "_source": False},
    )
    assert len(answer["hits"]["hits"]) == 100
    for hit in answer["hits"]["hits"]:
        parts = hit["matched_queries"]
        assert set(parts) == {"b", "b.rel", "b.image", "b.freshness", "b.factor.0", "b.factor.1"}
        assert parts["b"] == hit["_score"]
        product = (parts["b.rel"] + 3 * parts["b.image"]) * parts["b.freshness"]
        product *= parts["b.factor.0"] * parts["b.factor.1"]
        assert product == pytest.approx(hit["_score"], rel=3e-7)
    rel = search(server, MATCH, "three", size=10_000)
    by_id = dict(hits(rel))
    assert all(by_id[hit["_id"]] == hit["matched_queries"]["b.rel"] for hit in answer["hits"]["hits"])


def test_an_explanation_has_every_part_and_the_score_bit_for_bit(server: Server) -> None:
    for boost in (1.0, 0.7):
        query = cases.rank_boost(PROFILE, MATCH, boost=boost)
        for hit in search(server, query, "three", size=30, explain=True)["hits"]["hits"]:
            tree = hit["_explanation"]
            assert np.float32(tree["value"]) == np.float32(hit["_score"])
            said = json.dumps(tree)
            for word in ("relevance", "image term", "after the rule", "freshness", "factor 0", "factor 1"):
                assert word in said
    unmatched = server.do("GET", "/one/_explain/1", {"query": cases.rank_boost(PROFILE, {"match_none": {}})})
    assert unmatched["matched"] is False


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"image": {"field": "nowhere", "mode": "additive"}},
            "image.field: no field [nowhere] in the mapping",
        ),
        (
            {"image": {"field": "title", "mode": "additive"}},
            "image.field: field [title] of type [text] must be",
        ),
        (
            {"image": {"field": "category", "mode": "additive"}},
            "[category] of type [keyword] must be a number",
        ),
        ({"freshness": {"field": "gone", "origin": 1, "scale": "1d"}}, "freshness.field: no field [gone]"),
        ({"freshness": {"field": "nanos", "origin": 1, "scale": "1d"}}, "counts nanoseconds"),
        ({"freshness": {"field": "created_at", "origin": "now", "scale": "1d"}}, "freshness.origin must be"),
        ({"freshness": {"field": "price", "scale": "1d"}}, "freshness.origin is missing"),
        ({"factors": [{"type": "category", "field": "price", "weights": {"a": 1}}]}, "must be a keyword"),
        ({"factors": [{"type": "category", "field": "title", "weights": {"a": 1}}]}, "must be a keyword"),
        ({"factors": [{"type": "category", "field": "bare", "weights": {"a": 1}}]}, "has no doc values"),
        ({"factors": [{"type": "numeric", "field": "price", "missing": 1}]}, "factors[0].max is missing"),
        ({"factors": [{"type": "category", "weights": {"a": 1}}] * 21}, "factors must have 0 to 20 elements"),
        ({"colour": 1}, "unknown key colour"),
        ({"name_parts": True}, "name_parts needs _name"),
    ],
)
def test_what_is_wrong_is_a_400_that_names_the_key(
    server: Server, change: dict[str, Any], message: str
) -> None:
    mapping = {"nanos": {"type": "date_nanos"}, "bare": {"type": "keyword", "doc_values": False}}
    server.do("PUT", "/one/_mapping", {"properties": mapping})
    body = {"query": {"rank_boost": {"query": MATCH, **change}}}
    status, answer = server.call("POST", "/one/_search", body)
    assert status == 400
    assert message in json.dumps(answer).replace('\\"', '"'), answer


def test_a_key_that_is_there_twice_is_refused(server: Server) -> None:
    text = '{"query": {"rank_boost": {"query": {"match_all": {}}, "image": {"field": "a", "field": "b"}}}}'
    status, answer = server.call("POST", "/one/_search", text)
    assert (status == 400 and "uplicate" in json.dumps(answer)) or "twice" in json.dumps(answer)


def test_random_json_is_answered_with_400_or_200(server: Server) -> None:
    rng = random.Random(5)
    whole = json.dumps({"query": cases.rank_boost(PROFILE, MATCH, _name="b", name_parts=True), "size": 1})
    bits = ["", "null", "-1", "1e999", "NaN", "{}", "[]", '"x"', "{", "]", ",", ":", "true", "0", '"field":']
    seen = set()
    for _ in range(1500):
        text = whole
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice(bits) + text[at + rng.randint(0, 6) :]
        status, answer = server.call("POST", "/one/_search", text)
        seen.add(status)
        assert status in (200, 400), (text, answer)
    assert seen == {200, 400}


def test_dates_of_1970_and_before_and_longs_are_read_as_scripts_read_them(server: Server) -> None:
    fields = {"title": {"type": "text"}, "item_id": {"type": "keyword"}, "image_score": {"type": "float"}}
    dated = {"type": "date", "fields": {"ms": {"type": "long", "index": False, "ignore_malformed": True}}}
    mapping = {
        "properties": {
            **fields,
            "created_at": dated,
            "category": {"type": "keyword"},
            "price": {"type": "long"},
            "ai_generated": {"properties": {"probability": {"type": "float"}}},
        }
    }
    server.do("PUT", "/dates", {"mappings": mapping})
    dates: list[Any] = [
        0,
        -1,
        -86_400_000 * 365 * 30,
        9_999_999_999,
        10_000_000_000,
        "1969-12-31T23:59:59.999Z",
    ]
    dates += ["2025", "2026-11-14", None, cases.NOW, cases.NOW + 1, [cases.NOW, 5], 4_102_444_800_000]
    lines: list[Any] = []
    for i, date in enumerate(dates):
        lines += [{"index": {"_id": str(i)}}, {"title": "w1", "item_id": str(i), "created_at": date}]
    assert not server.do("POST", "/dates/_bulk?refresh=true", lines)["errors"]
    for curve in ("gauss", "exp", "linear"):
        fresh = {"scale": "20000d", "curve": curve, "missing": 0.4}
        profile = Profile.model_validate({"name": "d", "execution": "script_score", "freshness": fresh})
        ours, theirs = (made(profile, MATCH) for made in (cases.rank_boost, cases.script_score))
        found = hits(search(server, ours, "dates", size=50))
        assert found == hits(search(server, theirs, "dates", size=50))
        assert len(found) == len(dates)
        as_long = json.loads(json.dumps(ours).replace('"created_at"', '"created_at.ms"'))
        whole = [
            (doc, score)
            for doc, score in found
            if dates[int(doc)] not in ("2025",) and not isinstance(dates[int(doc)], str)
        ]
        assert [pair for pair in hits(search(server, as_long, "dates", size=50)) if pair in whole] == whole
    server.do("DELETE", "/dates")


def test_scores_below_zero_are_refused_as_script_score_refuses_them(server: Server) -> None:
    server.do("PUT", "/negative", {"mappings": cases.MAPPING})
    server.do("POST", "/negative/_bulk?refresh=true", [{"index": {}}, {"title": "w1", "image_score": -3.0}])
    for query in (OURS, THEIRS):
        plain = json.loads(json.dumps(query).replace('"exponent": 2.0', '"exponent": 1.0'))
        status, answer = server.call("POST", "/negative/_search", {"query": plain})
        assert (
            status == 400 and "must not be negative" in json.dumps(answer)
        ) or "non-negative" in json.dumps(answer)
    server.do("DELETE", "/negative")


def test_no_match_and_an_empty_index_give_no_hits(server: Server) -> None:
    nothing = cases.rank_boost(PROFILE, {"match": {"title": "nosuchword"}})
    assert search(server, nothing)["hits"]["total"]["value"] == 0
    server.do("PUT", "/empty", {"mappings": cases.MAPPING})
    assert search(server, OURS, "empty")["hits"]["hits"] == []
    server.do("DELETE", "/empty")
