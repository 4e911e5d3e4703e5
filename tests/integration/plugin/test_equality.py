"""`rank_boost` against `script_score` over random cases: ids, scores bit for bit, order of ties, totals.

PLUGIN_CASES is how many cases a server is asked (2,400 by default; 12,000 takes some minutes).
"""

from __future__ import annotations

import json
import os
import random
from typing import Any

import pytest

from tests.integration.plugin import cases
from tests.integration.plugin.nodes import Server

pytestmark = [pytest.mark.engines, pytest.mark.timeout(1800)]
CASES = int(os.environ.get("PLUGIN_CASES", "2400"))
QUERIES = 8  # of each random profile


def assert_equal(server: Server, index: str, seed: int, n: int) -> None:
    rng = random.Random(seed)
    pairs = list(cases.bodies(rng, n // QUERIES, QUERIES))
    for start in range(0, len(pairs), 100):
        chunk = pairs[start : start + 100]
        lines: list[dict[str, Any]] = []
        for i, pair in enumerate(chunk):
            # copies of a shard merge their deletes at moments of their own: both bodies go to the same ones
            same = {"index": index, "preference": f"pair-{start + i}"}
            lines += [line for body in pair for line in (same, body)]
        answers = server.do("POST", "/_msearch?max_concurrent_searches=2", lines)["responses"]
        for pair, ours, theirs in zip(chunk, answers[::2], answers[1::2], strict=True):
            assert outcome(ours) == outcome(theirs), json.dumps(pair[0])


def outcome(answer: dict[str, Any]) -> tuple[Any, list[tuple[str, Any]]]:
    """Total and hits; the status code where it failed."""
    if "hits" not in answer:
        raise AssertionError(json.dumps(answer)[:1500])
    hits = answer["hits"]
    return hits.get("total"), [(hit["_id"], hit["_score"]) for hit in hits["hits"]]


@pytest.mark.parametrize(("index", "seed"), [("one", 11), ("three", 12), ("large", 13)])
def test_random_formulas_and_queries_give_the_list_of_script_score(
    server: Server, index: str, seed: int
) -> None:
    assert_equal(server, index, seed, CASES // 3)


def test_shards_of_other_nodes_and_copies_give_it_too(three_nodes: Server) -> None:
    holders = {row["node"] for row in three_nodes.do("GET", "/_cat/shards/spread?format=json")}
    assert len(holders) == 3
    assert_equal(three_nodes, "spread", 14, min(CASES // 3, 800))
