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
from replay.report import ItemCard, Limits, shown_items
from replay.report.columns import NONE, pack, pack_codes, pack_floats, unpack
from replay.report.data import assemble, profile_rows, to_json
from replay.report.selection import choose_searches, select, subset

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
        "limits": Limits(60, 60, 100),
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
    assert (data["n_searches"], data["n_listed"], data["n_detailed"], data["n_candidates"]) == (3, 3, 3, 10)
    assert data["index"] == ["items"]
    assert data["platforms"] == ["web", "ios"]
    assert data["dates"] == "15 Jan 2027"
    assert data["simulated_clicks"]
    assert data["simulated_judgments"]
    assert data["parity"]["holds"]
    assert data["live"] is None


def test_items_stand_in_keyword_order_and_searches_point_at_them(log, judgments):
    data = build(log, judgments, {"a": ItemCard("a dress", 7.0, "dress")})
    assert data["items"]["item_id"] == ["a", "b", "c", "d"]
    assert data["items"]["title"] == ["a dress", "", "", ""]
    assert unpack(data["items"]["price"]).tolist() == [7.0, 200.0, 300.0, 400.0]
    assert data["items"]["category"]["names"] == ["dress"]
    assert unpack(data["items"]["category"]["codes"]).tolist() == [0, NONE, NONE, NONE]
    assert unpack(data["items"]["photo"]).tolist() == [0, 0, 0, 0]  # past the last photo: there is none
    assert unpack(data["candidates"]["item"]).tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 2, 0]


def test_candidates_carry_what_the_formula_needs(log, judgments):
    data = json.loads(to_json(build(log, judgments)))
    found = {
        name: unpack(data["candidates"][name])[:4] for name in ("rel", "image_score", "created_ms", "grade")
    }
    np.testing.assert_array_equal(found["rel"], [4.0, 3.0, 2.0, 1.0])
    np.testing.assert_array_equal(found["image_score"], [0.0, 1.0, 0.5, np.nan])
    np.testing.assert_array_equal(found["created_ms"], [NOW, NOW - DAY, NOW - 2 * DAY, NOW - 3 * DAY])
    np.testing.assert_array_equal(found["grade"], [np.nan, 1.0, np.nan, np.nan])
    searches = data["searches"]
    np.testing.assert_array_equal(unpack(searches["ideal"]), [1.0, 1.0, np.nan])
    np.testing.assert_array_equal(unpack(searches["rel_floor"]), [np.nan, np.nan, 1.0])
    assert unpack(searches["offsets"]).tolist() == [0, 4, 8, 10]
    assert [searches["query"]["names"][code] for code in unpack(searches["query"]["codes"])] == [
        "dress",
        "dress",
        "hat",
    ]
    assert data["candidates"]["ai_prob"] is None  # no profile asks for it


def test_pages_are_those_of_the_replay(log, judgments):
    pair = build(log, judgments)["comparisons"][0]
    assert unpack(pair["baseline"]["pages"]).tolist() == [0, 1, 0, 1, 0, 1]
    # web, w 3: a 4.0, b 6.0, c 3.5, d 1.0; ios, w 1.5: a 4.0, b 4.5, c 2.75
    assert unpack(pair["contender"]["pages"]).tolist() == [1, 0, 1, 0, 0, 1]


def test_a_search_that_is_not_detailed_carries_the_items_of_its_pages(log, judgments):
    data = build(log, judgments, limits=Limits(3, 1, 100))
    detailed = unpack(data["searches"]["detailed"]).tolist()
    sizes = np.diff(unpack(data["searches"]["offsets"])).tolist()
    assert sum(detailed) == 1
    assert [size for size, full in zip(sizes, detailed, strict=True) if not full] == [2, 2]
    assert unpack(data["searches"]["n_candidates"]).tolist() == [4, 4, 2]
    pair = data["comparisons"][0]
    np.testing.assert_array_equal(unpack(pair["measures"][0]["after"])[:2], [1.0, 1.0])


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
    # every search is proven down to 2, or to its last candidate; hat's floor of 1.0 proves only its first
    assert [(row["segment"], row["n_exact"]) for row in ndcg["rows"]] == [("all", 2), ("web", 1), ("ios", 1)]


def test_distributions_count_the_first_page_of_every_search(log, judgments):
    images, ages, scores = build(log, judgments)["comparisons"][0]["distributions"]
    # both sides show a (0.0) and b (1.0) twice, and c (0.1) and a (0.1) for hat
    assert (images["n"], images["absent"]) == ([6, 6], [0, 0])
    assert [images["counts"][0][i] for i in (0, 2, 19)] == [2, 2, 2]
    assert images["counts"][0] == images["counts"][1]
    assert images["quartiles"][0][1] == pytest.approx(0.1)
    assert ages["counts"][0][:2] == [3, 3]  # today and a day old, three each
    # a 0, b +3 (web), a 0, b +1.5 (ios), hat: twice +0.3
    assert sum(scores["counts"][0]) == 6
    assert scores["quartiles"][0][1] == pytest.approx(0.3)


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
    assert data["candidates"]["grade"] is None
    assert data["searches"]["ideal"] is None
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
    assert data["photos"][0].startswith("data:image/webp;base64,")
    assert unpack(data["items"]["photo"]).tolist() == [0, 0, 1, 1]
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


def one_page(log):
    return [compare_rankings(log, rank(log, CONTROL), rank(log, ADDITIVE), None, k=1)]


def test_items_on_a_page_come_first_then_those_a_slider_brings_up(log):
    found = select(log, one_page(log), Limits(10, 10, 10))
    assert sorted(found.cards) == ["a", "b", "c"]  # d is best under no setting
    assert found.cards == found.with_photo
    assert select(log, one_page(log), Limits(10, 10, 1)).with_photo == found.cards[:1]


def test_shown_items_are_those_with_a_card(log, judgments):
    pairs = one_page(log)
    shown, with_photo = shown_items(log, pairs)
    assert sorted(shown) == sorted(with_photo) == ["a", "b", "c"]
    data = assemble(
        log,
        pairs,
        verify(log),
        live=None,
        judgments=judgments,
        items={item: ItemCard(f"title of {item}") for item in "abcd"},
        simulated_clicks=False,
        limits=Limits(),
        title="t",
        currency="",
    )
    assert data["items"]["title"] == ["title of a", "title of b", "title of c", ""]


def test_columns_come_back_bit_for_bit():
    values = np.array([1.5, np.nan, -0.0, np.inf, 1e-45], dtype=np.float32)
    assert unpack(pack(values, np.float32)).tobytes() == values.tobytes()
    few, halves, tenths = np.array([0.1, np.nan, 0.1, 7.0]), np.arange(300) / 2, np.arange(300) / 10
    for column, kind in ((few, "u1"), (halves, "f4"), (tenths, "f8"), (np.full(2, np.nan), "u1")):
        assert pack_floats(column)["type"] == kind
        np.testing.assert_array_equal(unpack(pack_floats(column)), column)
    with pytest.raises(OverflowError):
        pack([70_000], np.uint16)
    codes = pack_codes(["web", None, "ios", "fax"], ["ios", "web"])
    assert unpack(codes["codes"]).tolist() == [1, NONE, 0, NONE]
