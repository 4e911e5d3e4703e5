"""Profiles served natively, and by their script where a node lacks the plugin: the same pages and bits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elasticsearch import Elasticsearch, helpers
from typer.testing import CliRunner

import stack
from index_templates import apply_steps, desired_state, plan_steps, read_live
from ranking.capture import read_captures, write_captures
from ranking.cli import full_app
from ranking.clock import DAY_MS
from ranking.errors import ServerError
from ranking.explain import explain_items
from ranking.features import find_features, plugin_versions
from ranking.interleaver import Interleaver
from ranking.native import Native, lacks_plugin, scripted
from ranking.planner import Asked, PlannedTopK, plan_execution
from ranking.profile import Profile, parse_profile
from ranking.publish import publish, serving
from ranking.published import read_published
from ranking.query import TIE_POLICY, native_boost
from ranking.recorder import Recorder
from ranking.search import Searcher
from ranking.settings import get_settings
from ranking.topk import Strategy, TopK
from replay import read_log, verify
from stack.bundle import resolve_version
from tests.integration.conftest import missing
from tests.integration.plugin.conftest import running
from tests.integration.secure_server import es_version
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


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state folder of a server that starts with the plugin."""
    state = tmp_path_factory.mktemp("native")
    try:
        yield state
    finally:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("ELASTICSEARCH_URL", raising=False)
            get_settings.cache_clear()
            stack.down(["elasticsearch"], state_dir=state, purge=True)
        get_settings.cache_clear()


def start(state: Path, *, plugin: bool) -> Elasticsearch:
    options = stack.Options(es_version=es_version(), es_heap="512m", es_plugin=plugin)
    found = stack.up(["elasticsearch"], options=options, state_dir=state)["elasticsearch"]
    assert found.address is not None
    return Elasticsearch(found.address, request_timeout=60)


def test_a_plugin_removed_under_a_live_profile(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Natively, then by the script without a failed search, then published anew; and back again."""
    monkeypatch.delenv("ELASTICSEARCH_URL", raising=False)
    es = start(bare, plugin=True)
    assert set((plugin_versions(es) or {}).values()) == {"0.1.0"}
    index, profile = fill(es, "shop", n=600), native("shop")
    publish(es, profile, now_ms=NOW, replaces=None)
    before = Searcher(es, index, profile).search("w0 w3", now_ms=NOW)
    assert before.execution == "plugin"

    stack.down(["elasticsearch"], state_dir=bare)
    es = start(bare, plugin=False)
    monkeypatch.setenv("ELASTICSEARCH_URL", str(es.transport.node_pool.get().base_url))
    get_settings.cache_clear()
    with pytest.raises(ServerError) as refused:
        Searcher(es, index, profile)._page(profile, "w0 w3", now_ms=NOW, size=None, filters=None)
    assert lacks_plugin(refused.value)
    searcher = Searcher(es, index, profile)
    after = searcher.search("w0 w3", now_ms=NOW)
    assert (after.items, after.execution) == (before.items, "script_score")
    record = searcher.capture("w0 w3", now_ms=NOW)
    write_captures(tmp_path, [record], [profile])
    assert [one.execution for one in read_captures(tmp_path)] == ["script_score"]
    assert verify(read_log(tmp_path)).bit_equal == len([item for item in record.items if item.rank])
    with Recorder(searcher, tmp_path / "recorded") as recorder:
        assert recorder.search("w0 w3", now_ms=NOW).page.items == before.items
    page, certificate = TopK(es, index, profile).search("w0 w3", now_ms=NOW)
    assert (page.items, certificate.strategy) == (before.items, "full")

    path = tmp_path / "shop.json"
    path.write_text(profile.model_dump_json())
    run = CliRunner()
    status = run.invoke(full_app(), ["plugin", "status", "--check", "--format", "json"])
    assert (status.exit_code, json.loads(status.stdout)["native"]) == (2, False)
    words = ["apply-boost", str(path), "--index", index, "--at", str(NOW), "--rounds", "0", "--yes"]
    again = run.invoke(full_app(), words)
    assert again.exit_code == 0, again.output
    assert "native-missing" in again.stderr
    assert "served by its script" in again.stderr
    live = read_published(es, "shop")
    assert live is not None
    assert (live.version, live.execution, dict(live.fallback_bodies)) == (2, "script_score", {})
    assert "nothing to publish" in run.invoke(full_app(), words).stderr

    monkeypatch.delenv("ELASTICSEARCH_URL")
    get_settings.cache_clear()
    stack.down(["elasticsearch"], state_dir=bare)
    es = start(bare, plugin=True)
    monkeypatch.setenv("ELASTICSEARCH_URL", str(es.transport.node_pool.get().base_url))
    get_settings.cache_clear()
    find_features(es, refresh=True)
    assert serving(es, profile).execution == "plugin"
    searcher.es, searcher.native = es, Native(retry_after_s=0)
    assert searcher.search("w0 w3", now_ms=NOW).execution == "plugin"
    assert "served natively" in run.invoke(full_app(), words).stderr


def test_a_cluster_of_which_one_node_lacks_the_plugin() -> None:
    """A plugin being rolled out: whichever node is asked, no search fails, and every page is whole."""
    with running(resolve_version(es_version()), 3, bare=[2]) as server:
        es = Elasticsearch(server.url, request_timeout=60)  # a node that knows the query
        assert sorted((plugin_versions(es) or {}).values(), key=str) == ["0.1.0", "0.1.0", None]
        assert find_features(es, refresh=True).rank_boost is False
        index, profile = fill(es, "mixed", shards=3, n=900), native("mixed")
        es.cluster.health(index=index, wait_for_status="green", timeout="60s")
        expected = Searcher(es, index, scripted(profile)).search("w0 w3", now_ms=NOW)
        assert serving(es, profile).execution == "script_score"
        nodes = es.nodes.info(metric="http")["nodes"].values()
        for node in nodes:
            one = Elasticsearch(f"http://{node['http']['publish_address']}", request_timeout=60)
            searcher = Searcher(one, index, profile)
            for _ in range(5):
                page = searcher.search("w0 w3", now_ms=NOW)
                assert page.items == expected.items
            assert searcher.native.serving(profile).execution == "script_score"
            assert searcher.capture("w0 w3", now_ms=NOW).execution == "script_score"
