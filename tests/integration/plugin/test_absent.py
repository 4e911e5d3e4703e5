"""A profile that asks for the plugin, on servers of its own that lack it: on every node, or on one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch
from typer.testing import CliRunner

import stack
from ranking.capture import read_captures, write_captures
from ranking.cli import full_app
from ranking.errors import ServerError
from ranking.features import find_features, plugin_versions
from ranking.native import Native, lacks_plugin, scripted
from ranking.publish import publish, serving
from ranking.published import read_published
from ranking.recorder import Recorder
from ranking.search import Searcher
from ranking.settings import get_settings
from ranking.topk import TopK
from replay import read_log, verify
from stack.bundle import resolve_version
from tests.integration.plugin.conftest import running
from tests.integration.secure_server import es_version
from tests.integration.test_native import fill, native
from tests.integration.test_parity import NOW

pytestmark = pytest.mark.engines


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
