"""Profiles served natively, and by their script where a node lacks the plugin: the same pages and bits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elasticsearch import Elasticsearch, helpers

from index_templates import apply_steps, desired_state, plan_steps, read_live
from ranking.capture import read_captures, write_captures
from ranking.clock import DAY_MS
from ranking.explain import explain_items
from ranking.features import find_features
from ranking.interleaver import Interleaver
from ranking.native import scripted
from ranking.planner import Asked, PlannedTopK, plan_execution
from ranking.profile import Profile, parse_profile
from ranking.publish import publish
from ranking.query import TIE_POLICY, native_boost
from ranking.recorder import Recorder
from ranking.search import Searcher
from ranking.topk import Strategy, TopK
from replay import read_log, verify
from tests.integration.conftest import missing
from tests.integration.test_parity import NOW, WORDS, random_documents, random_profile

pytestmark = pytest.mark.engines

BOOST: dict[str, Any] = {
    "image": {"mode": "additive", "weight": 2.0, "ai_generated": {"above": 0.6, "cap": 0.4}},
    "freshness": {"scale": "14d", "missing": 0.4},
    "factors": [{"type": "category", "weights": {"dress": 1.3, "hat": 0.7}}],
    "k": 20,
    "window": 200,
}


def native(name: str, **more: Any) -> Profile:
    return parse_profile({"name": name, **BOOST, "execution": "plugin", **more}, name)


def fill(es: Elasticsearch, name: str, shards: int = 1, n: int = 2_000) -> str:
    """An index of the family `name`, in several segments and with deleted documents."""
    wanted = desired_state(name)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    index = f"{name}-000001"
    es.indices.create(index=index, settings={"number_of_shards": shards, "number_of_replicas": 0})
    documents = list(random_documents(np.random.default_rng(5), n))
    for start in range(0, n, n // 4):
        part = documents[start : start + n // 4]
        helpers.bulk(es, ({"_index": index, "_id": doc["item_id"], **doc} for doc in part), refresh=True)
    for i in range(0, n, 17):
        es.delete(index=index, id=f"i{i:05d}")
    es.indices.refresh(index=index)
    return index


@pytest.fixture
def index(es: Elasticsearch, prefix: str) -> str:
    if not find_features(es, refresh=True).rank_boost:
        missing("the local Elasticsearch runs without the rank-boost plugin: rank-cli plugin install")
    return fill(es, prefix, shards=2)


class TestServedNatively:
    def test_pages_of_random_profiles_are_those_of_the_script(self, es: Elasticsearch, index: str) -> None:
        rng = np.random.default_rng(21)
        compared = 0
        for i in range(150):
            profile = random_profile(rng, i).model_copy(
                update={"execution": "plugin", "k": int(rng.choice([1, 10, 200]))}
            )
            text = " ".join(rng.choice(WORDS, size=rng.integers(1, 4)))
            now_ms = NOW + int(rng.integers(-5, 30)) * DAY_MS
            page = Searcher(es, index, profile).search(text, now_ms=now_ms)
            script = Searcher(es, index, scripted(profile)).search(text, now_ms=now_ms)
            assert page.items == script.items, profile.model_dump_json()
            assert page.execution == "plugin"
            assert all(row.exact for row in explain_items(profile, page.items, now_ms))
            compared += len(page.items)
        assert compared > 3_000

    def test_a_log_of_native_searches_verifies_bit_for_bit(
        self, es: Elasticsearch, index: str, prefix: str, tmp_path: Path
    ) -> None:
        profile = native(prefix)
        searcher = Searcher(es, index, profile)
        records = [searcher.capture(text, now_ms=NOW) for text in ("w0 w3", "w1", "w2 w5", "nothing")]
        write_captures(tmp_path, records, [profile])
        assert {record.execution for record in read_captures(tmp_path)} == {"plugin"}
        # matches are not counted, but where there are fewer than a page, they are all there
        assert [record.total_hits for record in records] == [None, None, None, 0]
        parity = verify(read_log(tmp_path))
        assert parity.scores == parity.bit_equal == sum(len(r.items) >= 20 for r in records) * 20

    def test_a_recorder_says_what_served(
        self, es: Elasticsearch, index: str, prefix: str, tmp_path: Path
    ) -> None:
        with Recorder(Searcher(es, index, native(prefix)), tmp_path) as recorder:
            served = recorder.search("w0 w3", now_ms=NOW, user_id="u")
        assert served.page.execution == "plugin"
        assert [record.execution for record in read_captures(tmp_path)] == ["plugin"]

    def test_the_server_names_each_part_of_a_score(self, es: Elasticsearch, index: str, prefix: str) -> None:
        from elasticsearch.dsl import query as q

        profile = native(prefix)
        query = native_boost(profile, q.Match(title="w0"), now_ms=NOW).to_dict()
        query["rank_boost"] |= {"_name": "b", "name_parts": True}
        found = es.search(
            index=index, query=query, sort=TIE_POLICY, size=20, include_named_queries_score=True
        )
        for hit in found["hits"]["hits"]:
            named = hit["matched_queries"]
            assert named["b"] == hit["_score"]
            parts = [np.float32(named[f"b.{part}"]) for part in ("rel", "image", "freshness", "factor.0")]
            rel, image, fresh, factor = (float(part) for part in parts)
            assert hit["_score"] == pytest.approx((rel + 2.0 * image) * fresh * factor, rel=1e-6)

    def test_a_plan_prefers_it_where_it_is_fastest_and_serves_the_same_page(
        self, es: Elasticsearch, index: str, prefix: str
    ) -> None:
        profile = native(prefix)
        asked = [Asked(text, NOW, {}, 500) for text in ("w0 w3", "w1 w2")]
        plan = plan_execution(es, index, profile, asked, rounds=2)
        assert "plugin" in plan.classes[0].ms
        server = TopK(es, index, profile)
        full, _ = server.search("w0 w3", now_ms=NOW, strategy=Strategy("full"))
        page, certificate = server.search("w0 w3", now_ms=NOW)
        assert (certificate.strategy, certificate.certified, certificate.passes) == ("plugin", True, 1)
        assert page.items == full.items
        planned, _ = PlannedTopK(server, plan).search("w0 w3", now_ms=NOW)
        assert planned.items == full.items
        server.point_in_time.close()

    def test_interleaved_pages_are_those_of_the_scripts(
        self, es: Elasticsearch, index: str, prefix: str
    ) -> None:
        sides = [native(f"{prefix}-a"), native(f"{prefix}-b", image={"mode": "multiplicative"})]
        both = [
            Interleaver(es, index, profiles).capture("w0 w3", now_ms=NOW, search_id="s")
            for profiles in (sides, [scripted(side) for side in sides])
        ]
        assert [item.item_id for item in both[0].items if item.rank] == [
            item.item_id for item in both[1].items if item.rank
        ]

    def test_a_published_profile_has_native_bodies_and_those_without_the_plugin(
        self, es: Elasticsearch, index: str, prefix: str
    ) -> None:
        where = f"{prefix}-profiles"
        profile = native(prefix, platforms={"ios": {"image": {"weight": 1.0}}})
        publish(es, profile, now_ms=NOW, replaces=None, index=where)
        found = es.get(index=where, id=prefix)["_source"]
        assert found["execution"] == "plugin"
        for platform in ("default", "ios"):
            assert "rank_boost" in found["bodies"][platform]["query"]
            assert "script_score" in found["fallback_bodies"][platform]["query"]
            script = found["scripts"][platform]["id"]
            assert found["fallback_bodies"][platform]["query"]["script_score"]["script"]["id"] == script


class TestErrors:
    @pytest.mark.parametrize(
        ("part", "value", "named"),
        [
            ("image", {"field": "image_score", "mode": "multiplicative", "weight": 2.0}, "weight"),
            ("image", {"field": "image_score", "mode": "additive", "wieght": 2.0}, "wieght"),
            ("freshness", {"field": "created_at", "origin": "now", "scale": "1d"}, "origin"),
            ("freshness", {"field": "created_at", "origin": 1.75e12, "scale": "1d"}, "origin"),
            ("factors", [{"type": "numeric", "field": "price", "missing": 0}], "max"),
        ],
    )
    def test_a_wrong_key_is_named(
        self, es: Elasticsearch, index: str, part: str, value: Any, named: str
    ) -> None:
        query = {"rank_boost": {"query": {"match_all": {}}, part: value}}
        answer = es.options(ignore_status=400).search(index=index, query=query)
        assert answer.meta.status == 400
        assert named in json.dumps(answer.body)
