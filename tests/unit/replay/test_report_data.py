"""What goes into a report, against numbers worked out by hand."""

import json

import numpy as np
import pytest
from PIL import Image

from ranking.capture import CapturedItem, CaptureRecord, write_captures
from ranking.explain import candidates
from ranking.formula import final_scores
from ranking.profile import Profile
from replay.compare import compare_rankings
from replay.engine import rank
from replay.judgments import Judgments
from replay.log import read_log
from replay.parity import verify
from replay.report import ItemCard, shown_items
from replay.report.data import assemble, profile_rows, to_json
from replay.report.selection import choose_searches, items_to_show, subset

NOW = 1_800_000_000_000
DAY = 86_400_000
CONTROL = Profile.model_validate({"name": "control", "k": 2, "window": 4})
ADDITIVE = Profile.model_validate(
    {
        "name": "additive",
        "k": 2,
        "window": 4,
        "image": {"mode": "additive", "weight": 3.0},
        "platforms": {"ios": {"image": {"weight": 1.5}}},
    }
)


def record(n, query, platform, rows, rel_floor=None):
    """`rows` are (item_id, rel, image_score); the page is served under CONTROL."""
    items = [
        CapturedItem(item_id, rel, image_score=image, created_ms=NOW - i * DAY, price=100.0 * (i + 1))
        for i, (item_id, rel, image) in enumerate(rows)
    ]
    scores = final_scores(CONTROL, candidates(items), NOW)
    served = sorted(range(len(items)), key=lambda i: (-scores[i], items[i].item_id))
    place = {i: at + 1 for at, i in enumerate(served)}
    items = [
        CapturedItem(
            one.item_id,
            one.rel,
            rank=place[i],
            score=float(scores[i]),
            image_score=one.image_score,
            created_ms=one.created_ms,
            price=one.price,
        )
        for i, one in enumerate(items)
    ]
    return CaptureRecord(
        f"s{n}",
        query,
        NOW,
        "items",
        "control",
        CONTROL.hash,
        2,
        len(items),
        4,
        rel_floor,
        tuple(items),
        platform,
    )


@pytest.fixture
def log(tmp_path):
    rows = [("a", 4.0, 0.0), ("b", 3.0, 1.0), ("c", 2.0, 0.5), ("d", 1.0, None)]
    records = [
        record(0, "dress", "web", rows),
        record(1, "dress", "ios", rows),
        record(2, "hat", "web", [("c", 5.0, 0.1), ("a", 1.0, 0.1)], rel_floor=1.0),
    ]
    write_captures(tmp_path, records, [CONTROL])
    return read_log(tmp_path)


@pytest.fixture
def judgments():
    return Judgments({"dress": {"b": 1.0}}, ("simulated-buyers",))


def build(log, judgments, items=None, **options):
    pair = compare_rankings(log, rank(log, CONTROL), rank(log, ADDITIVE), judgments, k=2)
    settings = {
        "simulated_clicks": True,
        "max_searches": 60,
        "max_photos": 100,
        "title": "t",
    }
    return assemble(
        log,
        [pair],
        verify(log),
        live=None,
        judgments=judgments,
        items=items or {},
        currency="¥",
        **(settings | options),
    )


def test_the_head_of_the_data_counts_the_log(log, judgments):
    data = build(log, judgments)
    assert (data["n_searches"], data["n_shown"], data["n_candidates"]) == (3, 3, 10)
    assert data["index"] == ["items"]
    assert data["platforms"] == ["web", "ios"]
    assert data["dates"] == "15 Jan 2027"
    assert data["simulated_clicks"]
    assert data["simulated_judgments"]
    assert data["parity"]["holds"]
    assert data["live"] is None


def test_items_stand_in_keyword_order_and_searches_point_at_them(log, judgments):
    data = build(log, judgments, {"a": ItemCard("a dress", 7.0, "dress")})
    assert data["items"] == [
        ["a", "a dress", 7.0, "dress", -1],
        ["b", "", 200.0, "", -1],
        ["c", "", 300.0, "", -1],
        ["d", "", 400.0, "", -1],
    ]
    assert [one["item"] for one in data["searches"]] == [[0, 1, 2, 3], [0, 1, 2, 3], [2, 0]]


def test_a_search_carries_what_the_formula_needs(log, judgments):
    search = json.loads(to_json(build(log, judgments)["searches"][0]))
    assert search["rel"] == [4.0, 3.0, 2.0, 1.0]
    assert search["image_score"] == [0.0, 1.0, 0.5, None]
    assert search["created_ms"] == [NOW, NOW - DAY, NOW - 2 * DAY, NOW - 3 * DAY]
    assert search["grade"] == [None, 1.0, None, None]
    assert search["ideal"] == 1.0
    assert search["rel_floor"] is None
    assert search["served_rank"] == [1, 2, 3, 4]


def test_expected_pages_are_those_of_the_replay(log, judgments):
    expected = build(log, judgments)["comparisons"][0]["expected"]
    assert expected["baseline"] == [[0, 1], [0, 1], [0, 1]]
    # web, w 3: a 4.0, b 6.0, c 3.5, d 1.0; ios, w 1.5: a 4.0, b 4.5, c 2.75
    assert expected["contender"] == [[1, 0], [1, 0], [0, 1]]


def test_figures_come_with_the_platforms_in_a_fixed_order(log, judgments):
    pair = build(log, judgments)["comparisons"][0]
    ndcg = pair["measures"][0]
    assert ndcg["name"] == "nDCG@2"
    assert [row["segment"] for row in ndcg["rows"]] == ["all", "web", "ios"]
    assert ndcg["rows"][0]["n"] == 2  # hat is not judged
    assert ndcg["rows"][0]["delta"] == pytest.approx(1 - 1 / np.log2(3))
    assert pair["entered"]["mean"] == 0.0
    # places gained: -1 twice, 0 twice (hat), +1 twice, on pages of two
    assert pair["moves"] == {"places": [2, 2, 2], "new": 0}


def test_formula_constants_follow_the_platform(log, judgments):
    contender = build(log, judgments)["comparisons"][0]["contender"]
    assert contender["label"] == "additive w 3"
    assert {name: one["weight"] for name, one in contender["formula"].items()} == {"web": 3.0, "ios": 1.5}
    assert contender["formula"]["web"]["freshness"] is None


def test_profile_rows_mark_what_differs():
    rows = {key: (one, two, differs) for key, one, two, differs in profile_rows(CONTROL, ADDITIVE)}
    assert rows["image.mode"] == ("none", "additive", True)
    assert rows["image.weight"] == ("1", "3", True)
    assert rows["platforms.ios.image.weight"] == ("–", "1.5", True)
    assert rows["base_query.fields.title"] == ("2", "2", False)
    assert rows["execution"] == ("function_score", "function_score", False)


def test_json_is_inert_inside_a_script_and_knows_no_nan():
    text = to_json({"q": "</script><!-- & \u2028 ü", "x": float("nan"), "y": [np.float64("inf")]})
    assert text.isascii()
    assert not set(text) & {"<", ">", "&"}
    assert json.loads(text) == {"q": "</script><!-- & \u2028 ü", "x": None, "y": [None]}


def test_without_judgments_there_are_neither_grades_nor_ndcg(log):
    data = build(log, None)
    assert data["searches"][0]["grade"] is None
    assert data["searches"][0]["ideal"] is None
    assert [one["name"] for one in data["comparisons"][0]["measures"]] == ["image_score@2", "age@2"]


def test_each_photo_is_embedded_once_and_a_broken_one_not_at_all(log, judgments, tmp_path):
    photo, broken = tmp_path / "one.png", tmp_path / "two.jpg"
    Image.new("RGB", (640, 400), "teal").save(photo)
    broken.write_bytes(b"\xff\xd8 no image")
    items = {
        "a": ItemCard("a", photo=photo),
        "b": ItemCard("b", photo=photo),
        "c": ItemCard("c", photo=broken),
        "d": ItemCard("d", photo=tmp_path / "absent.jpg"),
    }
    data = build(log, judgments, items)
    assert len(data["photos"]) == 1
    assert data["photos"][0].startswith("data:image/jpeg;base64,")
    assert [row[4] for row in data["items"]] == [0, 0, -1, -1]
    assert data["n_unreadable_photos"] == 1  # d comes up under no setting, so its photo is not asked for


def test_a_long_log_shows_gains_losses_and_a_spread(tmp_path):
    # query n: the contender brings b (image 1) up, where b is judged good (gain), bad (loss) or not at all
    rows = [("a", 4.0, 0.0), ("b", 3.0, 1.0)]
    records = [record(n, f"q{n}", "web", rows) for n in range(40)]
    write_captures(tmp_path, records, [CONTROL])
    log = read_log(tmp_path)
    grades = {f"q{n}": {"b": 1.0} for n in (3, 5, 30)} | {f"q{n}": {"a": 1.0} for n in (7, 20)}
    grades |= {f"q{n}": {"a": 1.0, "b": 1.0} for n in range(40) if n not in {3, 5, 7, 20, 30}}
    pair = compare_rankings(log, rank(log, CONTROL), rank(log, ADDITIVE), Judgments(grades, ("people",)), k=2)
    chosen = choose_searches(log, pair, 12)
    queries = {str(log.searches["query"][i]) for i in chosen}
    assert len(chosen) == 12
    assert list(chosen) == sorted(chosen)
    assert {"q3", "q5", "q30", "q7", "q20"} <= queries
    assert len(choose_searches(log, pair, 100)) == 40
    assert len(choose_searches(log, pair, 1)) == 1


def test_a_subset_keeps_each_searchs_candidates_and_ranking(log):
    part = subset(log, np.array([2, 0]))
    assert list(part.searches["query"]) == ["hat", "dress"]
    assert list(part.offsets) == [0, 2, 6]
    assert list(part.owner) == [0, 0, 1, 1, 1, 1]
    whole = rank(log, ADDITIVE)
    assert list(rank(part, ADDITIVE).exact_k) == [whole.exact_k[2], whole.exact_k[0]]


def test_items_on_a_page_come_first_then_those_a_slider_brings_up(log):
    tops = [rank(log, CONTROL).top(log, i, 1) for i in range(3)]
    shown = items_to_show(log, tops, ADDITIVE, 1, 10)
    assert shown[:2] == ["a", "c"]
    assert shown[2:] == ["b"]  # d is best under no setting
    assert items_to_show(log, tops, ADDITIVE, 1, 1) == ["a"]


def test_shown_items_are_those_with_a_card(log, judgments):
    pair = compare_rankings(log, rank(log, CONTROL), rank(log, ADDITIVE), judgments, k=1)
    assert sorted(shown_items(log, [pair])) == ["a", "b", "c"]
    cards = {item: ItemCard(f"title of {item}") for item in "abcd"}
    data = assemble(
        log,
        [pair],
        verify(log),
        live=None,
        judgments=judgments,
        items=cards,
        simulated_clicks=False,
        max_searches=60,
        max_photos=100,
        title="t",
        currency="",
    )
    assert [row[1] for row in data["items"]] == ["title of a", "title of b", "title of c", ""]
