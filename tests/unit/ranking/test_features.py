"""What is said of a cluster, from node lists as servers send them."""

from __future__ import annotations

import pytest
from elasticsearch import Elasticsearch

from ranking.features import Features, _module, _rank_boost, version_key

NODE = {
    "version": "9.4.3",
    "modules": [{"name": "lang-mustache"}],
    "plugins": [{"name": "rank-boost", "version": "0.1.0"}],
}
BARE = {"version": "8.19.13", "modules": [], "plugins": []}


def test_a_module_counts_where_every_node_has_it() -> None:
    def never() -> object:
        pytest.fail("asked although the nodes say it")

    assert _module([NODE, NODE], "lang-mustache", never) is True
    assert _module([NODE, BARE], "lang-mustache", never) is False


@pytest.mark.parametrize(
    ("versions", "there"),
    [
        (["0.1.0", "0.1.0"], True),
        (["0.1.0", "0.2.0"], False),  # a roll-out of the plugin is under way
        (["0.1.0", None], False),
        ([None], False),
    ],
)
def test_the_native_query_needs_one_version_on_every_node(versions: list[str | None], there: bool) -> None:
    plugins = [[{"name": "rank-boost", "version": v}] if v else [{"name": "other"}] for v in versions]
    es = Elasticsearch("http://never.asked:9200")
    assert _rank_boost(es, [{"plugins": found} for found in plugins]) is there


def test_versions_are_ordered_by_number() -> None:
    assert min(["9.4.3", "8.19.13", "8.9.1", "10.0.0-SNAPSHOT"], key=version_key) == "8.9.1"


def test_the_summary_names_what_is_missing_and_not_what_is_unknown() -> None:
    found = Features(
        version="9.4.3",
        distribution="elasticsearch",
        nodes=3,
        mixed_versions=True,
        mustache=False,
        mapper_extras=True,
        script_rescorer=True,
        rank_boost=None,
        rank_eval=False,
    )
    assert found.summary == (
        "Elasticsearch 9.4.3 (nodes of several versions), 3 nodes; without mustache, rank_eval"
    )
    rows = {row["feature"]: row["found"] for row in found.rows()}
    assert rows["rank_boost"] == "not allowed to ask"
    assert rows["mapper_extras"] == "yes"
