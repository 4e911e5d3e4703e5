"""A window's page against scoring every match: the same ids, scores and ties, and an honest certificate."""

from __future__ import annotations

import numpy as np
import pytest
from elasticsearch import Elasticsearch, helpers

from index_templates import apply_steps, desired_state, plan_steps, read_live
from ranking.clock import DAY_MS
from ranking.errors import InputError
from ranking.planner import Asked, PlannedTopK, plan_execution
from ranking.profile import Profile
from ranking.search import Page
from ranking.topk import Strategy, TopK

pytestmark = pytest.mark.engines

NOW = 1_795_000_000_000
WORDS = [f"w{i}" for i in range(30)]


@pytest.fixture(params=[1, 3], ids=["1 shard", "3 shards"])
def index(request: pytest.FixtureRequest, es: Elasticsearch, prefix: str) -> str:
    wanted = desired_state(prefix)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    name = f"{prefix}-000001"
    es.indices.create(index=name, settings={"number_of_shards": request.param})
    rng = np.random.default_rng(5)
    share = 1 / np.arange(1, len(WORDS) + 1)
    share /= share.sum()
    actions = [
        {
            "_index": name,
            "item_id": f"i{i:05d}",
            "title": " ".join(rng.choice(WORDS, size=5, p=share)),
            "status": "on_sale",
            # few different values, so that ties abound
            "image_score": float(rng.choice([0.25, 0.5, 0.75])),
            "created_at": int(NOW - rng.integers(0, 40) * DAY_MS),
        }
        for i in range(6_000)
    ]
    helpers.bulk(es, actions, refresh=True)
    return name


def profile(mode: str, weight: float, curve: str | None) -> Profile:
    return Profile.model_validate(
        {
            "name": "p",
            "base_query": {"fields": {"title": 1.0}},
            "image": {"mode": mode, "weight": weight},
            "freshness": None if curve is None else {"scale": "60d", "curve": curve},
            "execution": "window",
            "k": 30,
        }
    )


def shown(page: Page) -> list[tuple[str, float | None]]:
    return [(item.item_id, item.score) for item in page.items]


@pytest.mark.parametrize(("mode", "weight"), [("none", 1.0), ("additive", 0.8), ("multiplicative", 0.3)])
def test_every_window_gives_the_page_of_the_full_query(
    es: Elasticsearch, index: str, mode: str, weight: float
) -> None:
    rng = np.random.default_rng(6)
    passes = []
    for curve in (None, "linear", "gauss"):
        server = TopK(es, index, profile(mode, weight, curve))
        for _ in range(12):
            text = " ".join(rng.choice(WORDS[:12], size=rng.integers(1, 4)))
            full, certificate = server.search(text, now_ms=NOW)
            assert certificate.certified
            for window in (60, 400, 2_000, 9_000):
                page, certificate = server.search(text, now_ms=NOW, strategy=Strategy("window", window))
                assert certificate.certified
                assert shown(page) == shown(full), (text, window, certificate)
                passes.append(certificate.passes)
                rough, partial = server.search(text, now_ms=NOW, strategy=Strategy("approximate", window))
                assert partial.passes == 1
                n = min(partial.exact_k, len(full.items))
                assert shown(rough)[:n] == shown(full)[:n]
        server.point_in_time.close()
    assert {1, 2} == set(passes)


def test_parts_come_with_a_window_too(es: Elasticsearch, index: str) -> None:
    server = TopK(es, index, profile("additive", 0.8, "gauss"))
    full, _ = server.search("w1 w2", now_ms=NOW)
    page, _ = server.search("w1 w2", now_ms=NOW, strategy=Strategy("window", 6_000))
    assert [(i.item_id, i.rel, i.image_score) for i in page.items] == [
        (i.item_id, i.rel, i.image_score) for i in full.items
    ]


def test_a_plan_picks_the_fastest_and_serves_the_same_pages(es: Elasticsearch, index: str) -> None:
    p = profile("additive", 0.8, "linear")
    searches = [
        Asked(text, NOW, {}, matches)
        for text, matches in [("w0 w1", 50_000), ("w1 w2", 50_000), ("w20", 300), ("w25 w26", 500)]
    ]
    plan = plan_execution(es, index, p, searches, rounds=3)
    assert [(part.low, part.high, part.n) for part in plan.classes] == [(0, 10_000, 2), (10_000, 100_000, 2)]
    for part in plan.classes:
        # of strategies within a tenth of the fastest, one that is proven every time
        assert part.ms[str(part.strategy)] <= 1.1 * min(part.ms.values()) + 0.01
        assert str(part.strategy) in part.why or "scoring every match" in part.why
    everywhere = {part.strategy.kind for part in plan.classes}
    assert plan.strategy(None).kind == ("plugin" if everywhere == {"plugin"} else "full")
    assert plan.strategy(50_000) == plan.classes[1].strategy
    server = TopK(es, index, p)
    planned = PlannedTopK(server, plan)
    for asked in searches:
        full, _ = server.search(asked.text, now_ms=NOW)
        for _ in range(2):
            page, certificate = planned.search(asked.text, now_ms=NOW)
            assert certificate.certified
            assert shown(page) == shown(full)
    server.point_in_time.close()


def test_a_profile_that_ranks_as_function_score_is_not_planned(es: Elasticsearch, index: str) -> None:
    p = profile("additive", 0.8, None).model_copy(update={"execution": "function_score"})
    with pytest.raises(InputError, match="runs as function_score"):
        plan_execution(es, index, p, [Asked("w1", NOW, {}, 10)])
