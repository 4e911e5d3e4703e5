"""What the linter says of the server, shown on the server: each trap springs, and the linter saw it coming.

A test sends a body that goes wrong, silently or with a 400, shows what it does, and asks the linter for the
rule that names it; then it sends what the rule says to write instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elasticsearch import BadRequestError, Elasticsearch, helpers
from typer.testing import CliRunner

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from ranking.cli import full_app
from ranking.clock import DAY_MS
from ranking.errors import ServerError
from ranking.lint import (
    RULES,
    Finding,
    lint_before_publish,
    lint_body,
    lint_body_live,
    lint_live,
    lint_profile,
)
from ranking.profile import Profile, builtin_profiles
from ranking.search import Searcher

pytestmark = pytest.mark.engines

NOW = 1_795_000_000_000
N = 20
MATCH = {"match": {"title": "dress"}}


@pytest.fixture(scope="module")
def trap(es: Elasticsearch) -> Iterator[str]:
    """An index of 20 dresses where everything that can be mapped wrongly also is; document 0 is at NOW."""
    name = f"test-lint-{np.random.default_rng().integers(1 << 32):08x}"
    es.indices.create(
        index=name,
        settings={"number_of_shards": 1, "number_of_replicas": 0},
        mappings={
            "properties": {
                "item_id": {"type": "keyword"},
                "title": {"type": "text"},
                "kind": {"type": "keyword"},
                "price": {"type": "long"},
                "im": {"type": "float"},  # absent from document 19
                "half": {"type": "half_float"},
                "day": {"type": "date", "format": "strict_date_optional_time||epoch_millis"},
                "second": {"type": "date", "format": "epoch_second"},
                "plain": {"type": "date", "format": "yyyy-MM-dd"},
                "nanos": {"type": "date_nanos"},
                "bare": {"type": "long", "doc_values": False},
                "sizes": {"type": "long"},
            }
        },
    )
    actions = []
    for i in range(N):
        at = NOW - i * DAY_MS
        doc: dict[str, Any] = {
            "item_id": f"i{i:02d}",
            "title": "red dress " + "x " * i,
            "kind": "a",
            "price": 999 + i,
            "half": 0.75073,
            "day": at,
            "second": at // 1000,
            "plain": "2026-11-18",
            "nanos": at,
            "bare": 1,
            "sizes": [7, 3],
        }
        if i < N - 1:
            doc["im"] = i / N
        actions.append({"_index": name, "_id": str(i), **doc})
    helpers.bulk(es, actions, refresh=True)
    yield name
    es.indices.delete(index=name)


def search(es: Elasticsearch, index: str, body: dict[str, Any], **url: str) -> list[dict[str, Any]]:
    answer = es.perform_request(
        "POST",
        f"/{index}/_search",
        params={"size": "20", **url} if "size" not in body else url,
        headers={"content-type": "application/json", "accept": "application/json"},
        body=body,
    )
    assert answer["_shards"]["failed"] == 0
    hits: list[dict[str, Any]] = answer["hits"]["hits"]
    return hits


def scores(es: Elasticsearch, index: str, body: dict[str, Any]) -> dict[str, float]:
    return {hit["_id"]: float(hit["_score"]) for hit in search(es, index, body)}


def refused(es: Elasticsearch, index: str, body: dict[str, Any]) -> str:
    with pytest.raises(BadRequestError) as caught:
        search(es, index, body)
    return json.dumps(caught.value.body)


def names(findings: list[Finding]) -> set[str]:
    return {finding.rule for finding in findings}


def scored(**body: Any) -> dict[str, Any]:
    return {"query": {"function_score": {"query": MATCH, **body}}}


def constant(**body: Any) -> dict[str, Any]:
    """A function_score over a query that scores 1."""
    return scored(**{"query": {"constant_score": {"filter": MATCH}}, **body})


def decay(field: str, origin: Any, **settings: Any) -> dict[str, Any]:
    return constant(gauss={field: {"origin": origin, "scale": "14d", **settings}})


def script(source: str, **params: Any) -> dict[str, Any]:
    return {"query": {"script_score": {"query": MATCH, "script": {"source": source, "params": params}}}}


class TestDates:
    def test_a_decay_over_date_nanos_is_silently_zero(self, es: Elasticsearch, trap: str) -> None:
        assert scores(es, trap, decay("nanos", NOW))["0"] == 0.0  # it lies at the origin
        assert scores(es, trap, decay("day", NOW))["0"] == 1.0
        assert "date-nanos-decay" in names(lint_body_live(decay("nanos", NOW), es, trap))
        assert names(lint_body_live(decay("day", NOW), es, trap)) == set()

    def test_milliseconds_are_wrong_for_a_field_in_seconds(self, es: Elasticsearch, trap: str) -> None:
        assert scores(es, trap, decay("second", NOW))["0"] == 0.0
        assert scores(es, trap, decay("second", NOW // 1000))["0"] == 1.0
        assert "date-format" in names(lint_body_live(decay("second", NOW), es, trap))

    def test_a_format_without_milliseconds_refuses_them(self, es: Elasticsearch, trap: str) -> None:
        assert "failed to parse date field" in refused(es, trap, decay("plain", NOW))
        assert "date-format" in names(lint_body_live(decay("plain", NOW), es, trap))

    @pytest.mark.parametrize("origin", [NOW // 1000, "20261118"])
    def test_seconds_and_eight_digits_are_1970(self, es: Elasticsearch, trap: str, origin: Any) -> None:
        assert scores(es, trap, decay("day", origin))["0"] == 0.0
        assert "origin-in-1970" in names(lint_body(decay("day", origin)))

    def test_a_float_origin_is_refused(self, es: Elasticsearch, trap: str) -> None:
        refused(es, trap, decay("day", float(NOW)))
        assert "float-origin" in names(lint_body(decay("day", float(NOW))))

    @pytest.mark.parametrize("scale", ["1w", "5.5d", 432_000_000])
    def test_scales_that_are_refused(self, es: Elasticsearch, trap: str, scale: Any) -> None:
        body = decay("day", NOW, scale=scale)
        refused(es, trap, body)
        assert "decay-unit" in names(lint_body(body))

    def test_date_math_rounds_down_in_an_origin(self, es: Elasticsearch, trap: str) -> None:
        body = decay("day", "2026-11-18||/M", scale="1d")
        assert scores(es, trap, body) == scores(es, trap, decay("day", "2026-11-01", scale="1d"))
        assert "date-math" in names(lint_body(body))

    def test_a_decay_without_an_origin_takes_the_servers_clock(self, es: Elasticsearch, trap: str) -> None:
        body = constant(exp={"day": {"scale": "14d"}})
        assert 0 < scores(es, trap, body)["0"] != 1.0
        assert "unpinned-clock" in names(lint_body(body))

    def test_a_missing_date_is_fresh(self, es: Elasticsearch, trap: str) -> None:
        body = constant(gauss={"im": {"origin": 0, "scale": 0.1}})
        found = scores(es, trap, body)
        assert found["19"] == found["0"] == 1.0
        assert found["18"] < 1e-9
        assert "decay-missing-fresh" in names(lint_body(body))


class TestFields:
    def test_a_missing_value_fails_a_script_and_a_factor(self, es: Elasticsearch, trap: str) -> None:
        assert "A document doesn't have a value" in refused(es, trap, script("doc['im'].value"))
        assert "unguarded-doc-value" in names(lint_body(script("doc['im'].value")))
        guarded = script("doc['im'].size() == 0 ? params.d : doc['im'].value", d=0.5)
        assert scores(es, trap, guarded)["19"] == 0.5
        assert "unguarded-doc-value" not in names(lint_body(guarded))
        factor = scored(field_value_factor={"field": "im"})
        assert "Missing value" in refused(es, trap, factor)
        assert "fvf-without-missing" in names(lint_body(factor))

    def test_missing_hides_an_unmapped_field(self, es: Elasticsearch, trap: str) -> None:
        body = constant(field_value_factor={"field": "imm", "missing": 0.25})
        assert set(scores(es, trap, body).values()) == {0.25}
        assert "unmapped-field-hidden" in names(lint_body_live(body, es, trap))
        body = constant(functions=[{"weight": 9, "filter": {"terms": {"kindd": ["a"]}}}])
        assert set(scores(es, trap, body).values()) == {1.0}
        assert "unmapped-field-hidden" in names(lint_body_live(body, es, trap))

    def test_a_decay_or_script_on_an_unmapped_field_is_refused(self, es: Elasticsearch, trap: str) -> None:
        for body in (decay("dayy", NOW), script("doc['dayy'].size()"), {"query": MATCH, "sort": ["dayy"]}):
            refused(es, trap, body)
            assert "field-absent" in names(lint_body_live(body, es, trap))

    def test_types_that_cannot_be_read(self, es: Elasticsearch, trap: str) -> None:
        text = script("doc['title'].size() == 0 ? 0 : 1")
        keyword = scored(field_value_factor={"field": "kind", "missing": 1})
        for body in (text, keyword):
            refused(es, trap, body)
            assert "field-type" in names(lint_body_live(body, es, trap))

    def test_a_field_without_doc_values_is_refused(self, es: Elasticsearch, trap: str) -> None:
        body = scored(field_value_factor={"field": "bare", "missing": 1})
        refused(es, trap, body)
        assert "doc-values-off" in names(lint_body_live(body, es, trap))

    def test_of_several_values_the_smallest_counts(self, es: Elasticsearch, trap: str) -> None:
        body = constant(field_value_factor={"field": "sizes", "missing": 1})
        assert set(scores(es, trap, body).values()) == {3.0}
        assert "multi-valued" in names(lint_body_live(body, es, trap))

    def test_the_fields_api_refuses_a_double_as_a_floats_default(self, es: Elasticsearch, trap: str) -> None:
        for source in ("$('im', 0.5)", "field('im').get(0.5)"):
            refused(es, trap, script(source))
            assert "field-api-default" in names(lint_body(script(source)))

    def test_a_half_float_is_rounded(self, es: Elasticsearch, trap: str) -> None:
        body = constant(field_value_factor={"field": "half", "missing": 0})
        assert scores(es, trap, body)["0"] == pytest.approx(0.75048828125, abs=1e-7)  # sent: 0.75073

    def test_a_stored_script_that_is_not_there(self, es: Elasticsearch, trap: str) -> None:
        body = {"query": {"script_score": {"query": MATCH, "script": {"id": "no-such-script"}}}}
        assert "unable to find script" in refused(es, trap, body)
        assert "stored-script-absent" in names(lint_body_live(body, es, trap))


class TestFunctions:
    def test_one_function_without_a_filter_ignores_score_mode(self, es: Elasticsearch, trap: str) -> None:
        price = {"field_value_factor": {"field": "price", "missing": 1}, "weight": 4}
        alone = constant(functions=[price], score_mode="avg")
        filtered = constant(functions=[{**price, "filter": MATCH}], score_mode="avg")
        assert scores(es, trap, alone)["0"] == 4 * 999.0
        assert scores(es, trap, filtered)["0"] == 999.0
        assert "single-function-score-mode" in names(lint_body(alone))
        assert "single-function-score-mode" not in names(lint_body(filtered))

    def test_a_negative_weight_and_the_logarithm_of_less_than_one(self, es: Elasticsearch, trap: str) -> None:
        negative = scored(functions=[{"weight": -1}])
        refused(es, trap, negative)
        assert "negative-weight" in names(lint_body(negative))
        log = constant(field_value_factor={"field": "im", "missing": 1, "modifier": "log"})
        refused(es, trap, log)
        assert "fvf-modifier-range" in names(lint_body(log))

    def test_the_reciprocal_of_zero_is_the_largest_float(self, es: Elasticsearch, trap: str) -> None:
        body = constant(field_value_factor={"field": "im", "missing": 0, "modifier": "reciprocal"})
        assert [hit["_score"] for hit in search(es, trap, body)][:2] == [3.4028235e38, 3.4028235e38]
        assert "fvf-modifier-range" in names(lint_body(body))

    def test_max_boost_is_not_in_the_named_value(self, es: Elasticsearch, trap: str) -> None:
        body = constant(functions=[{"weight": 9, "_name": "nine"}], max_boost=2)
        [hit, *_] = search(es, trap, body, include_named_queries_score="true")
        assert (hit["_score"], hit["matched_queries"]["nine"]) == (2.0, 9.0)
        assert "max-boost-misuse" in names(lint_body(body))

    def test_a_named_function_that_reads_score_is_told_one(self, es: Elasticsearch, trap: str) -> None:
        entry = {"script_score": {"script": {"source": "_score * 10"}}, "_name": "ten"}
        body = scored(functions=[entry], boost_mode="replace")
        [hit, *_] = search(es, trap, body, include_named_queries_score="true")
        assert hit["matched_queries"]["ten"] == 10.0
        assert hit["_score"] != 10.0
        assert "named-function-reads-score" in names(lint_body(body))

    def test_a_random_score_without_a_seed_is_another_each_time(self, es: Elasticsearch, trap: str) -> None:
        body = constant(random_score={})
        assert scores(es, trap, body) != scores(es, trap, body)
        assert "unseeded-random" in names(lint_body(body))


class TestQueries:
    def test_a_boost_on_function_score_acts_on_relevance_only(self, es: Elasticsearch, trap: str) -> None:
        plain = scores(es, trap, {"query": MATCH})
        body = scored(functions=[{"weight": 5}], boost_mode="sum", boost=3)
        assert scores(es, trap, body)["0"] == pytest.approx(3 * plain["0"] + 5, rel=1e-6)
        assert "boost-on-function-score" in names(lint_body(body))

    def test_a_boost_on_script_score_acts_on_the_result(self, es: Elasticsearch, trap: str) -> None:
        plain = scores(es, trap, {"query": MATCH})
        inner = {"query": MATCH, "script": {"source": "_score + 5"}, "boost": 3}
        body = {"query": {"script_score": inner}}
        assert scores(es, trap, body)["0"] == pytest.approx(3 * (plain["0"] + 5), rel=1e-6)
        assert "boost-on-script-score" in names(lint_body(body))

    def test_an_enclosing_boost_is_not_in_the_named_score(self, es: Elasticsearch, trap: str) -> None:
        inner = {"function_score": {"query": MATCH, "functions": [{"weight": 5}], "_name": "inner"}}
        body = {"query": {"bool": {"must": [inner], "boost": 3}}}
        [hit, *_] = search(es, trap, body, include_named_queries_score="true")
        assert hit["_score"] == pytest.approx(3 * hit["matched_queries"]["inner"], rel=1e-6)
        assert "enclosing-boost" in names(lint_body(body))

    def test_two_of_one_name_report_one(self, es: Elasticsearch, trap: str) -> None:
        parts = [{"match": {"title": {"query": word, "_name": "rel"}}} for word in ("dress", "red")]
        body = {"query": {"bool": {"should": parts}}}
        [hit, *_] = search(es, trap, body, include_named_queries_score="true")
        assert hit["matched_queries"].get("rel") != pytest.approx(hit["_score"])
        assert "duplicate-name" in names(lint_body(body))

    def test_a_named_filter_reports_a_score_that_was_not_used(self, es: Elasticsearch, trap: str) -> None:
        named = {"match": {"title": {"query": "red", "_name": "filter"}}}
        body = {"query": {"bool": {"must": [{"match_all": {}}], "filter": [named]}}}
        [hit, *_] = search(es, trap, body, include_named_queries_score="true")
        assert hit["_score"] == 1.0
        assert 0 < hit["matched_queries"]["filter"] < 1.0
        assert "name-not-scoring" in names(lint_body(body))


class TestRequests:
    def rescore(self, window: int = 20, **parts: Any) -> dict[str, Any]:
        query = {"rescore_query": script("doc['price'].value")["query"], "query_weight": 0, **parts}
        return {"query": MATCH, "rescore": {"window_size": window, "query": query}}

    def test_beyond_the_window_scores_are_zero(self, es: Elasticsearch, trap: str) -> None:
        body = self.rescore(5) | {"size": 20}
        found = [hit["_score"] for hit in search(es, trap, body)]
        assert min(found[:5]) >= 999
        assert found[5:] == [0.0] * 15
        assert "rescore-window" in names(lint_body(body))
        assert "rescore-window" not in names(lint_body(self.rescore() | {"size": 20}))

    def test_a_rescore_refuses_a_sort(self, es: Elasticsearch, trap: str) -> None:
        body = self.rescore() | {"sort": [{"_score": "desc"}, {"item_id": "asc"}]}
        assert "rescore" in refused(es, trap, body)
        assert "rescore-with-sort" in names(lint_body(body))

    def test_min_score_looks_at_the_first_pass(self, es: Elasticsearch, trap: str) -> None:
        body = self.rescore() | {"min_score": 500}
        assert search(es, trap, body) == []  # although every hit would score 999 or more
        assert "min-score-with-rescore" in names(lint_body(body))

    @pytest.mark.parametrize(
        ("mode", "share"), [("multiply", 0.0), ("min", 0.0), ("avg", 0.5), ("total", 1.0)]
    )
    def test_modes_that_lose_the_score(self, es: Elasticsearch, trap: str, mode: str, share: float) -> None:
        body = self.rescore(score_mode=mode)
        assert scores(es, trap, body)["0"] == 999 * share
        assert ("rescore-mode" in names(lint_body(body))) == (share < 1)

    def test_a_sort_without_score_has_none(self, es: Elasticsearch, trap: str) -> None:
        body = scored(weight=2) | {"sort": [{"price": "asc"}]}
        assert search(es, trap, body)[0]["_score"] is None
        assert "sort-without-score" in names(lint_body(body))

    def test_named_scores_are_asked_for_in_the_url(self, es: Elasticsearch, trap: str) -> None:
        body = {"query": MATCH, "include_named_queries_score": True}
        refused(es, trap, body)
        assert "named-scores-in-body" in names(lint_body(body))


class TestScripts:
    @pytest.mark.parametrize(
        ("source", "params", "value"),
        [
            ("3 / 2", {}, 1.0),
            ("params.a / params.b", {"a": 3, "b": 2}, 1.0),
            ("doc['price'].size() == 0 ? 0 : doc['price'].value / 1000", {}, 0.0),
        ],
    )
    def test_integers_lose_the_remainder(
        self, es: Elasticsearch, trap: str, source: str, params: dict[str, Any], value: float
    ) -> None:
        body = script(source, **params)
        assert scores(es, trap, body)["0"] == value
        assert "integer-division" in names(lint_body(body))

    def test_a_decay_in_a_script_wants_its_origin_as_a_string(self, es: Elasticsearch, trap: str) -> None:
        source = "decayDateGauss(params.origin, '14d', '0d', 0.5, doc['day'].value)"
        refused(es, trap, script(source, origin=NOW))
        assert "script-decay-origin" in names(lint_body(script(source, origin=NOW)))
        assert scores(es, trap, script(source, origin=str(NOW)))["0"] == 1.0

    def test_a_negative_and_an_infinite_score(self, es: Elasticsearch, trap: str) -> None:
        assert "negative" in refused(es, trap, script("doc['item_id'].value == 'i07' ? -1 : 1"))
        assert search(es, trap, script("1e39"))[0]["_score"] == "Infinity"


@pytest.fixture
def items(es: Elasticsearch, prefix: str) -> str:
    """An index as the toolkit's templates make it: 30 scored and dated dresses, 0 to 290 days old."""
    wanted = desired_state(prefix)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, prefix)
    actions = [
        {
            "_index": prefix,
            "item_id": f"i{i:02d}",
            "title": "red dress" + " x" * (i % 3),
            "status": "on_sale",
            "category": "dress",
            "price": 1000 + i,
            "image_score": i / 30,
            "created_at": NOW - i * 10 * DAY_MS,
        }
        for i in range(30)
    ]
    helpers.bulk(es, actions, refresh=True)
    return prefix


def profile(**parts: Any) -> Profile:
    return Profile.model_validate({"name": "p", **parts})


class TestProfiles:
    @pytest.mark.parametrize("name", sorted(builtin_profiles()))
    def test_shipped_profiles_fit_the_shipped_templates(
        self, es: Elasticsearch, items: str, name: str
    ) -> None:
        assert lint_before_publish(builtin_profiles()[name], es, items) == []

    def test_a_short_gauss_leaves_only_the_tie_break(self, es: Elasticsearch, items: str) -> None:
        short = profile(freshness={"scale": "7d"})
        page = Searcher(es, items, short).search("dress", now_ms=NOW)
        zero = [item for item in page.items if item.score == 0]
        assert all(NOW - (item.created_ms or 0) >= 85 * DAY_MS for item in zero)
        assert [item.item_id for item in zero] == sorted(item.item_id for item in zero)
        assert len(zero) == 21  # of 90 days and more
        assert "zero-freshness" in names(lint_profile(short))

    @pytest.mark.parametrize("execution", ["function_score", "script_score"])
    def test_a_large_weight_swallows_relevance(self, es: Elasticsearch, items: str, execution: str) -> None:
        def distinct(weight: float) -> int:
            flat = {"type": "piecewise", "points": [[0, 1], [1, 1]]}
            image = {"mode": "additive", "weight": weight, "transform": flat}
            p = profile(image=image, execution=execution)
            page = Searcher(es, items, p).search("dress", now_ms=NOW)
            return len({item.score for item in page.items})

        assert distinct(3.0) == 3  # titles of three lengths
        assert distinct(1e6) < 3
        assert "relevance-swamped" in names(
            lint_profile(profile(image={"mode": "additive", "weight": 1e6}, execution=execution))
        )

    @pytest.mark.parametrize("execution", ["function_score", "script_score"])
    def test_a_small_weight_is_swallowed(self, es: Elasticsearch, items: str, execution: str) -> None:
        tiny = profile(image={"mode": "multiplicative", "weight": 1e-9}, execution=execution)
        page = Searcher(es, items, tiny).search("dress", now_ms=NOW)
        assert len({item.score for item in page.items}) == 3
        assert "boost-swamped" in names(lint_profile(tiny))

    def test_unscored_items_score_zero(self, es: Elasticsearch, items: str) -> None:
        new = {"item_id": "new", "title": "red dress", "status": "on_sale", "created_at": NOW}
        es.index(index=items, document=new, refresh=True)
        product = profile(image={"mode": "multiplicative", "weight": 1.0})
        page = Searcher(es, items, product).search("dress", now_ms=NOW)
        assert {item.item_id: item.score for item in page.items}["new"] == 0.0
        assert "unscored-zeroed" in names(lint_profile(product))

    def test_a_product_of_maxima_is_infinite(self, es: Elasticsearch, items: str) -> None:
        rules = [{"type": "rule", "field": "price", "gte": i, "weight": 1e6} for i in range(7)]
        huge = profile(factors=rules)
        for rel, score in ((1, 3.4028235e38), (2, "Infinity")):  # the factor is cut, their product is not
            base = {"constant_score": {"filter": MATCH, "boost": rel}}
            body = {"query": {"function_score": {"query": base, "functions": [{"weight": 1e6}] * 7}}}
            assert search(es, items, body)[0]["_score"] == score
        assert "infinite-score" in names(lint_profile(huge))

    def test_a_weight_above_one_is_negative(self, es: Elasticsearch, items: str) -> None:
        valid = profile(image={"mode": "multiplicative", "weight": 1.0}, execution="script_score")
        wild = valid.model_copy(update={"image": valid.image.model_copy(update={"weight": 5.0})})
        with pytest.raises(ServerError, match="negative"):
            Searcher(es, items, wild).search("dress", now_ms=NOW)
        assert "negative-score" in names(lint_profile(wild))


class TestLive:
    def test_one_bad_image_score_fails_the_search_and_is_found(self, es: Elasticsearch, prefix: str) -> None:
        es.indices.create(
            index=prefix,
            mappings={
                "properties": {
                    "item_id": {"type": "keyword"},
                    "title": {"type": "text"},
                    "description": {"type": "text"},
                    "status": {"type": "keyword"},
                    "image_score": {"type": "float"},
                    "created_at": {"type": "date"},
                }
            },
        )
        for i, score in enumerate((0.5, -9.0)):
            doc = {"item_id": f"i{i}", "title": "dress", "status": "on_sale", "image_score": score}
            es.index(index=prefix, document=doc, refresh=True)
        boosted = profile(image={"mode": "additive", "weight": 3.0}, freshness={"scale": "14d"})
        with pytest.raises(ServerError, match="negative"):
            Searcher(es, prefix, boosted).search("dress", now_ms=NOW)
        found = {finding.rule: finding for finding in lint_live(boosted, es, prefix)}
        assert found.keys() == {"image-score-range", "undated-items", "pipeline-absent"}
        assert "from -9 to 0.5" in found["image-score-range"].why
        assert "2 of 2 items" in found["undated-items"].why

    def test_an_index_that_is_all_wrong(self, es: Elasticsearch, prefix: str) -> None:
        es.indices.create(
            index=prefix,
            mappings={
                "properties": {
                    "item_id": {"type": "long"},
                    "title": {"type": "keyword"},
                    "description": {"type": "text"},
                    "status": {"type": "text"},
                    "image_score": {"type": "integer"},
                    "created_at": {"type": "date_nanos"},
                    "price": {"type": "keyword"},
                }
            },
            settings={"index.default_pipeline": "no-such-pipeline"},
        )
        boosted = profile(
            image={"mode": "additive", "weight": 3.0},
            freshness={"scale": "14d"},
            factors=[
                {"type": "numeric", "field": "price", "missing": 1, "max": 5},
                {"type": "category", "weights": {"dress": 2.0}},
            ],
        )
        assert names(lint_live(boosted, es, prefix)) == {
            "tie-break-field",
            "field-type",
            "image-score-type",
            "date-nanos-decay",
            "unmapped-field-hidden",
            "pipeline-absent",
        }

    def test_an_alias_is_looked_at_index_by_index(self, es: Elasticsearch, items: str) -> None:
        old = f"{items}.old"  # not of the template's pattern
        es.indices.create(index=old, mappings={"properties": {"item_id": {"type": "keyword"}}})
        es.indices.put_alias(index=old, name=f"{items}-both")
        behind = next(iter(es.indices.get_alias(index=items)))
        es.indices.put_alias(index=behind, name=f"{items}-both")
        found = lint_live(builtin_profiles()["additive"], es, f"{items}-both")
        absent = [finding for finding in found if finding.rule == "field-absent"]
        assert [(finding.where, old in finding.why) for finding in absent] == [("freshness", True)]

    def test_an_index_that_is_not_there_is_said(self, es: Elasticsearch) -> None:
        with pytest.raises(ServerError, match="no-such-index"):
            lint_live(builtin_profiles()["additive"], es, "no-such-index")


def run(*words: str, stdin: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(full_app(), list(words), input=stdin)
    return result.exit_code, result.stdout, result.stderr


class TestCommands:
    def test_exit_codes_of_lint(self, trap: str, items: str, tmp_path: Path) -> None:
        assert run("boost", "lint", "additive", "--index", items, "--strict")[0] == 0
        bad = tmp_path / "bad.yaml"
        bad.write_text("name: bad\nfreshness: {scale: 14ms}\n")
        code, stdout, _ = run("boost", "lint", str(bad), "--format", "json")
        found = json.loads(stdout)
        assert (code, found["kind"], found["errors"]) == (2, "profile", 2)
        words = ("--ignore", "zero-freshness", "--ignore", "decay-out-of-sense")
        assert run("boost", "lint", str(bad), *words)[0] == 0
        assert run("boost", "lint", str(bad), *words, "--strict")[0] == 2  # missing-date-fresh

    def test_a_body_from_a_file_and_from_stdin(self, trap: str, tmp_path: Path) -> None:
        body = json.dumps(decay("nanos", NOW))
        path = tmp_path / "body.json"
        path.write_text(body)
        assert run("boost", "lint", str(path))[0] == 0
        code, stdout, _ = run("boost", "lint", str(path), "--index", trap)
        assert (code, "date-nanos-decay" in stdout) == (2, True)
        assert run("boost", "lint", "-", "--index", trap, stdin=body)[0] == 2

    def test_apply_boost_refuses_errors_and_says_warnings(
        self, es: Elasticsearch, items: str, tmp_path: Path
    ) -> None:
        path = tmp_path / f"{items}.yaml"
        path.write_text(f"name: {items}\nfreshness: {{scale: 14ms}}\n")
        code, _, stderr = run("apply-boost", str(path), "--index", items, "--dry-run")
        assert code == 1
        path.write_text(f"name: {items}\nimage: {{mode: additive, weight: 90}}\n")
        code, _, stderr = run("apply-boost", str(path), "--index", items, "--dry-run")
        assert code == 0
        assert "additive-dwarfs-relevance" in stderr

    def test_the_list_of_rules(self) -> None:
        code, stdout, _ = run("boost", "lint", "--rules", "--format", "json")
        assert (code, {row["rule"] for row in json.loads(stdout)["rules"]}) == (0, set(RULES))
