from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from marketplace import (
    Intent,
    Query,
    Search,
    attract_prob,
    exam_prob,
    generate,
    judge,
    perceived_quality,
    simulate_clicks,
)

NOW_MS = 1_760_000_000_000


@pytest.fixture
def item():
    made = generate(1, 1, seed=1, now_ms=NOW_MS, photo_dir=None).items[0]
    return replace(
        made,
        category="dress",
        colour="red",
        brand="Velluna",
        condition="good",
        photo_quality=1.0,
        ai_probability=None,
    )


def query(**intent):
    return Query(query_id="q1", text="x", intent=Intent(**intent), weight=1.0)


@pytest.mark.parametrize(
    ("intent", "quality", "grade"),
    [
        ({"category": "hat"}, 1.0, 0),  # another class
        ({"category": "dress"}, 1.0, 4),  # 1 + 1.5 + 1.5
        ({"category": "dress"}, 0.5, 3),  # 1 + 1.5 + 0.75 = 3.25
        ({"category": "dress"}, 0.0, 3),  # 2.5, half up
        ({"category": "dress", "colour": "blue"}, 0.0, 1),
        ({"category": "dress", "colour": "blue"}, 1.0, 3),  # 2.5, half up
        ({"category": "dress", "colour": "blue", "brand": "Velluna"}, 0.5, 3),  # 1 + 0.75 + 0.75 = 2.5
        ({"category": "dress", "colour": "blue", "brand": "Velluna"}, 0.4, 2),  # 2.35
        ({"category": "dress", "colour": "red", "condition": "fair"}, 0.2, 2),  # 1 + 1.0 + 0.3 = 2.3
        ({"brand": "Velluna"}, 1.0, 4),
        ({"brand": "Kazemori"}, 1.0, 0),  # no class named, no wish met
    ],
)
def test_grades_follow_the_documented_formula(item, intent, quality, grade):
    assert judge(query(**intent), replace(item, photo_quality=quality)) == grade


def test_the_callers_quality_counts_only_where_the_truth_is_unknown(item, tmp_path):
    wish = query(category="dress", colour="blue")
    assert judge(wish, replace(item, photo_quality=0.0), quality=1.0) == 1
    unknown = replace(item, photo_quality=None, image_path=tmp_path / "a.jpg")
    assert [judge(wish, unknown, quality=q) for q in (0.0, 1.0)] == [1, 3]
    assert perceived_quality(unknown) == 0.5
    assert perceived_quality(replace(unknown, image_path=None), quality=0.9) == 0.1


def test_a_photo_taken_for_generated_is_not_trusted(item):
    wish = query(category="dress")
    assert judge(wish, item) == 4
    assert judge(wish, replace(item, ai_probability=0.9)) == 3  # 1 + 1.5 + 1.5 * 0.4
    assert perceived_quality(replace(item, ai_probability=0.1)) == 1.0


def visit(platform):
    return Search(
        search_id="s1",
        query=query(category="dress"),
        platform=platform,
        user_id="u",
        session_id="v",
        now_ms=NOW_MS,
    )


@pytest.mark.parametrize("platform", ["web", "ios", "android"])
def test_click_rates_follow_examination_times_attraction(platform):
    shown = [f"i{k}" for k in range(10)]
    grades = {item_id: k % 5 for k, item_id in enumerate(shown)}
    qualities = {item_id: k / 9 for k, item_id in enumerate(shown)}
    rng = np.random.default_rng(11)
    n, counts = 20_000, np.zeros(10)
    for _ in range(n):
        for click in simulate_clicks(visit(platform), shown, grades, rng, qualities=qualities):
            counts[click.rank - 1] += 1
            assert click.item_id == shown[click.rank - 1]
    p = np.array([exam_prob(k + 1, platform) * attract_prob(k % 5, platform, k / 9) for k in range(10)])
    sigma = np.sqrt(p * (1 - p) / n)
    assert np.all(np.abs(counts / n - p) < 3.5 * sigma)  # ten ranks, three platforms: one in 2000 by chance
    assert np.abs((counts / n - p) / sigma).mean() < 1.5


def test_clicks_come_after_the_search_in_rank_order_and_say_they_are_simulated():
    shown = [f"i{k}" for k in range(30)]
    clicks = simulate_clicks(visit("web"), shown, dict.fromkeys(shown, 4), np.random.default_rng(5))
    assert len(clicks) > 1
    assert [c.rank for c in clicks] == sorted(c.rank for c in clicks)
    assert all(a.at_ms < b.at_ms for a, b in pairwise(clicks))
    assert clicks[0].at_ms > NOW_MS
    assert all(c.simulated and c.search_id == "s1" for c in clicks)


def test_nobody_clicks_on_nothing():
    assert simulate_clicks(visit("web"), [], {}, np.random.default_rng(5)) == []


def test_photo_quality_moves_web_buyers_more_than_phone_buyers():
    def lift(platform):
        return attract_prob(3, platform, 1.0) / attract_prob(3, platform, 0.0)

    assert lift("web") == pytest.approx(np.exp(1.2))
    assert lift("web") > 2 * lift("ios") > 2 * lift("android") > 2


def test_examination_falls_with_rank_and_attraction_rises_with_grade():
    for platform in ("web", "ios", "android"):
        seen = [exam_prob(rank, platform) for rank in range(1, 40)]
        assert seen[0] == 1.0
        assert seen == sorted(seen, reverse=True)
        liked = [attract_prob(grade, platform) for grade in range(5)]
        assert liked == sorted(liked)


def test_unknown_platforms_and_grades_are_refused():
    with pytest.raises(ValueError, match="platform must be one of web, ios, android, got 'fax'"):
        exam_prob(1, "fax")
    with pytest.raises(ValueError, match=r"grade must be in 0\.\.4, got 5"):
        attract_prob(5, "web")
