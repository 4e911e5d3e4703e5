"""The native query's body, and what serves a profile where a node lacks the plugin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ranking.errors import ServerError
from ranking.formula import Candidates, bound, final_scores
from ranking.native import Native, lacks_plugin, natively, scripted
from ranking.profile import Profile, parse_profile
from ranking.query import search_body
from ranking.stored import own_script

NOW = 1_795_000_000_000
UNKNOWN = "Elasticsearch: search in items: unknown query [rank_boost] (HTTP 400)"
HALF = "1 of 3 shards failed: Unknown NamedWriteable [org.elasticsearch.index.query.QueryBuilder][rank_boost]"


def profile(**more: Any) -> Profile:
    return parse_profile({"name": "p", "execution": "plugin", **more}, "p")


FULL = profile(
    image={
        "mode": "additive",
        "weight": 3,
        "missing": 0.2,
        "transform": {"type": "power", "exponent": 2},
        "ai_generated": {"above": 0.7, "cap": 0.4},
    },
    freshness={"curve": "exp", "scale": "14d", "offset": "1d", "decay": 0.4, "missing": 0.5},
    factors=[
        {"type": "category", "field": "category", "weights": {"dress": 1.2}},
        {"type": "numeric", "field": "seller_rating", "missing": 1, "max": 2, "modifier": "ln1p"},
        {"type": "rule", "field": "price", "lt": 20, "weight": 1.5},
    ],
)


def test_the_body_is_the_profile_in_the_words_of_the_query() -> None:
    body = search_body(FULL, "red dress", now_ms=NOW)
    found = body["query"]["rank_boost"]
    assert found.pop("query")["bool"]["_name"] == "rel"
    assert found == {
        "image": {
            "field": "image_score",
            "mode": "additive",
            "weight": 3.0,
            "missing": 0.2,
            "transform": {"type": "power", "exponent": 2.0},
            "ai_generated": {"field": "ai_generated.probability", "above": 0.7, "cap": 0.4},
        },
        "freshness": {
            "field": "created_at",
            "curve": "exp",
            "origin": NOW,
            "scale": "1209600000ms",
            "offset": "86400000ms",
            "decay": 0.4,
            "missing": 0.5,
        },
        "factors": [
            {"type": "category", "field": "category", "weights": {"dress": 1.2}, "default": 1.0},
            {
                "type": "numeric",
                "field": "seller_rating",
                "modifier": "ln1p",
                "factor": 1.0,
                "missing": 1.0,
                "min": 0.0,
                "max": 2.0,
            },
            {"type": "rule", "field": "price", "lt": 20.0, "weight": 1.5},
        ],
    }
    assert body["track_total_hits"] is False  # a count would visit every match


def test_what_boosts_nothing_is_the_plain_query() -> None:
    assert "bool" in search_body(profile(), "red dress", now_ms=NOW)["query"]


def test_its_twin_is_that_of_the_script() -> None:
    rng = np.random.default_rng(3)
    n = 500
    docs = Candidates(
        rng.gamma(2, 3, n).astype(np.float32),
        rng.random(n).astype(np.float32),
        NOW - rng.exponential(1e9, n),
        rng.random(n).astype(np.float32),
        {
            "category": np.array(["dress", "hat"] * (n // 2), dtype=object),
            "seller_rating": rng.random(n) * 5,
            "price": rng.random(n) * 40,
        },
    )
    other = scripted(FULL)
    assert other.execution == "script_score"
    np.testing.assert_array_equal(final_scores(FULL, docs, NOW), final_scores(other, docs, NOW))
    np.testing.assert_array_equal(bound(FULL, docs.rel), bound(other, docs.rel))


def test_a_profile_served_natively_has_a_script_for_where_the_plugin_is_missing() -> None:
    assert own_script(FULL, NOW) == own_script(scripted(FULL), NOW)


def test_a_copy_with_another_execution_has_a_hash_of_its_own() -> None:
    before = FULL.hash
    assert scripted(FULL).hash != before
    assert natively(scripted(FULL)).hash == before


def test_function_score_is_not_served_natively() -> None:
    with pytest.raises(ValueError, match="rounds differently"):
        natively(profile(execution="function_score"))


@pytest.mark.parametrize(
    ("message", "lacks"),
    [
        (UNKNOWN, True),
        ("search in items: [1:161] unknown field [rank_boost] (HTTP 400)", True),
        (HALF, True),
        ("[rank_boost] image.weight must be at most 1, got 2.0 (HTTP 400)", False),
        ("[rank_boost] unknown field [wieght] (HTTP 400)", False),
        ("unknown query [rank_bost] did you mean [rank_boost]?", False),
        ("no answer in time", False),
    ],
)
def test_a_missing_plugin_is_told_from_other_failures(message: str, lacks: bool) -> None:
    assert lacks_plugin(ServerError("Elasticsearch", message)) is lacks


class Cluster:
    """Knows the query or not, and remembers what it was asked."""

    def __init__(self) -> None:
        self.error: str | None = None
        self.asked: list[str] = []

    def ask(self, served: Profile) -> str:
        self.asked.append(served.execution)
        if self.error and served.execution == "plugin":
            raise ServerError("Elasticsearch", self.error)
        return served.execution


def test_the_script_serves_while_the_plugin_is_missing_and_the_plugin_once_it_is_back() -> None:
    time = [100.0]
    native, cluster = Native(retry_after_s=60, clock=lambda: time[0]), Cluster()
    assert native.run(FULL, cluster.ask) == "plugin"
    cluster.error = UNKNOWN
    assert native.run(FULL, cluster.ask) == "script_score"
    time[0] += 59
    assert native.run(FULL, cluster.ask) == "script_score"
    assert cluster.asked == ["plugin", "plugin", "script_score", "script_score"]  # asked natively once
    cluster.error = None
    time[0] += 2
    assert native.run(FULL, cluster.ask) == "plugin"


def test_any_other_failure_is_raised() -> None:
    native, cluster = Native(), Cluster()
    cluster.error = "no answer in time"
    with pytest.raises(ServerError, match="no answer"):
        native.run(FULL, cluster.ask)
    assert cluster.asked == ["plugin"]
