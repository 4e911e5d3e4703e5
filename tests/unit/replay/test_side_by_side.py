"""One search under two profiles as an HTML file: whole, closed to the outside, safe from hostile titles."""

import re

import pytest
from PIL import Image

from ranking.capture import CapturedItem
from ranking.explain import explain_items, rank_steps
from ranking.preview import compare_pages
from ranking.profile import Profile
from replay.report import ItemCard
from replay.report.side_by_side import Side, build_side_by_side

NOW = 1_795_000_000_000
EVIL = "</style></script><img src=x onerror=alert(1)>{{ 7*7 }}\"'"
PLAIN = Profile.model_validate({"name": "plain"})
BOOST = Profile.model_validate({"name": "boost", "image": {"mode": "multiplicative", "weight": 0.5}})


def side(label, profile, ids):
    items = [
        CapturedItem(name, rel=5.0 - i, rank=i, score=None, image_score=0.5) for i, name in enumerate(ids, 1)
    ]
    return items, Side(label, profile, explain_items(profile, items, NOW), rank_steps(profile, items, NOW))


@pytest.fixture
def build(tmp_path):
    def write(query, cards, before=("a", "b"), after=("b", "c"), label="boost@2"):
        old, left = side("plain", PLAIN, before)
        new, right = side(label, BOOST, after)
        found = compare_pages(query, (old, new), (PLAIN, BOOST), now_ms=NOW, k=2, hits=2)
        out = tmp_path / "deep" / "c.html"
        path = build_side_by_side(
            query,
            left,
            right,
            found,
            items=cards,
            ai_items=frozenset({"b"}),
            now_ms=NOW,
            platform="ios",
            out=out,
        )
        return path.read_text(encoding="utf-8")

    return write


def test_hostile_titles_queries_and_labels_stay_text(build):
    page = build(EVIL, {"b": ItemCard(title=EVIL, category=EVIL)}, label=EVIL)
    assert "<img src=x" not in page
    assert "{{ 7*7 }}" in page.replace("&#39;", "'")  # not evaluated
    assert page.count("</style>") == 1
    assert "<script" not in page


def test_nothing_is_loaded_from_outside(build, tmp_path):
    photo = tmp_path / "b.jpg"
    Image.new("RGB", (300, 200), "red").save(photo)
    page = build("dress", {"b": ItemCard("Red dress", 1200.0, "dress", photo)})
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline';" in page.replace("&#39;", "'")
    assert not re.search(r"(src|href)=[\"'](?!data:)", page)
    assert page.count("data:image/webp;base64,") == 2  # b stands on both pages


def test_what_came_and_went_is_said(build):
    page = build("dress", {})
    assert page.count('class="item gone"') == 1
    assert page.count('class="item new"') == 1
    assert "falls to below 2" in page
    assert "↑ 1" in page
    assert page.count('<path class="up"') == 1
    assert '<span class="ai">AI</span>' in page


def test_pages_without_hits_are_shown(build):
    assert page_has_both_sides(build("nothing", {}, before=(), after=()))


def page_has_both_sides(page):
    return page.count("no hit") == 2


def test_it_is_written_again_over_the_old_one(build, tmp_path):
    build("one", {})
    assert "two" in build("two", {})
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["c.html"]
