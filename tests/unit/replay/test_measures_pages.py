"""What a page shows and how pages agree, by hand and against the `rbo` package; spellings; joins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranking.capture import CapturedItem
from ranking.clock import DAY_MS
from ranking.errors import InputError
from ranking.profile import Profile
from replay import measures as m
from replay import rank
from replay.judgments import Judgments, read_judgments
from replay.log import CaptureLog
from tests.unit.replay import captured
from tests.unit.replay.captured import NOW, PLAIN, record

SWAPPED = Profile.model_validate({"name": "swapped", "image": {"mode": "additive", "weight": 1000000.0}})
FRESH = Profile.model_validate({"name": "fresh", "freshness": {"scale": "2d"}})


def log_of(folder: Path, *searches: list[CapturedItem], profile: Profile = PLAIN) -> CaptureLog:
    return captured.log_of(
        folder, [record(f"s{i}", f"q{i}", items, profile) for i, items in enumerate(searches)], profile
    )


def shown(*values: dict[str, Any]) -> list[CapturedItem]:
    """Items in this order."""
    return [
        CapturedItem(f"i{at}", rel=float(100 - at), **{"created_ms": NOW - DAY_MS} | value)
        for at, value in enumerate(values)
    ]


def value(log: CaptureLog, spelling: str, profile: Profile = PLAIN) -> float:
    return float(m.measure(spelling).values(log, rank(log, profile))[0])


def test_shares_of_exposure_by_hand(tmp_path: Path) -> None:
    categories = ["shoes", "bags", "shoes", None, "hats"]
    log = log_of(tmp_path, shown(*({"category": name} for name in categories)), shown({"category": None}))
    weights = np.array([1, 1 / np.log2(3), 1 / 2, 0, 1 / np.log2(6)])
    shoes, bags, hats = np.array([weights[0] + weights[2], weights[1], weights[4]]) / weights.sum()
    assert value(log, "exposure(field='category',value='shoes')@5") == pytest.approx(shoes, abs=1e-15)
    assert value(log, "exposure(field='category',value='hats')@5") == pytest.approx(hats, abs=1e-15)
    assert value(log, "exposure(field='category',value='none such')@5") == 0.0
    assert value(log, "top_share@5") == pytest.approx(shoes, abs=1e-15)
    bits = -sum(share * np.log2(share) for share in (shoes, bags, hats))
    assert value(log, "entropy@5") == pytest.approx(bits, abs=1e-15)
    assert value(log, "top_share@1") == 1.0
    assert value(log, "entropy@1") == 0.0
    for spelling in ("entropy@5", "top_share@5", "exposure(field='category',value='shoes')@5"):
        assert np.isnan(m.measure(spelling).values(log, rank(log, PLAIN))[1]), "no item has a category"


def test_exposure_of_sellers_reads_a_captured_field(tmp_path: Path) -> None:
    items = shown(*({"extras": {"seller_id": name}} for name in ("ann", "bob", "ann")))
    log = log_of(tmp_path, items)
    weights = np.array([1, 1 / np.log2(3), 1 / 2])
    assert value(log, "top_share(field='seller_id')@3") == pytest.approx(1 - weights[1] / weights.sum())
    with pytest.raises(InputError, match="does not hold the field 'shop'"):
        value(log, "entropy(field='shop')@3")


def test_price_and_generated_photos_by_hand(tmp_path: Path) -> None:
    log = log_of(
        tmp_path,
        shown(
            {"price": 100.0, "ai_prob": 0.9},
            {"price": None, "ai_prob": None},
            {"price": 400.0, "ai_prob": 0.5},
            {"price": 700.0, "ai_prob": 0.25},
        ),
    )
    assert value(log, "price@3") == 250.0
    assert value(log, "price") == 400.0
    assert value(log, "ai_share@4") == pytest.approx(2 / 3)
    assert value(log, "ai_share(threshold=0.8)@4") == pytest.approx(1 / 3)
    assert value(log, "ai_share@2") == 1.0


def test_freshness_is_measured_with_the_curve_that_served(tmp_path: Path) -> None:
    log = log_of(tmp_path, shown({"created_ms": NOW}, {"created_ms": NOW - 2 * DAY_MS}), profile=FRESH)
    slow = Profile.model_validate({"name": "slow", "freshness": {"scale": "200d"}})
    for profile in (FRESH, slow, PLAIN):
        assert value(log, "freshness@2", profile) == pytest.approx(0.75), "gauss: 1 and 0.5"
    assert value(log, "freshness(scale='1d',curve='exp')@2") == pytest.approx((1 + 0.25) / 2)
    unserved = log_of(tmp_path / "plain", shown({}))
    assert np.isnan(value(unserved, "freshness@2"))


@pytest.mark.parametrize(
    ("one", "two", "p", "expected"),
    [
        ("abcde", "abdce", 0.9, 0.973),
        ("abcdefgh", "hgfedcba", 0.9, 0.5894589857142858),
        ("abcdefg", "acb", 0.8, 0.92),
        ("abcdefgh", "xaycz", 0.9, 0.37089),
        ("abc", "xyz", 0.5, 0.0),
        ("abc", "abc", 0.7, 1.0),
    ],
)
def test_rbo_is_that_of_the_rbo_package(
    tmp_path: Path, one: str, two: str, p: float, expected: float
) -> None:
    """Values of rbo_ext of the package `rbo` 0.1.3."""
    ids = sorted({*one, *two})
    items = []
    for name in ids:
        first = len(ids) - one.index(name) if name in one else 0
        second = len(ids) - two.index(name) if name in two else 0
        items.append(CapturedItem(name, rel=float(first), image_score=second / 100))
    log = log_of(tmp_path, items)
    left, right = rank(log, PLAIN), rank(log, SWAPPED)
    left, right = (_only(log, side, set(names)) for side, names in ((left, one), (right, two)))
    assert m.rbo(log, left, right, p=p)[0] == pytest.approx(expected, abs=1e-12)
    assert m.rbo(log, right, left, p=p)[0] == pytest.approx(expected, abs=1e-12)


def _only(log: CaptureLog, ranking: Any, names: set[str]) -> Any:
    """The ranking of some of the items: the others as if created after the clock."""
    from dataclasses import replace

    eligible = np.array([name in names for name in log.item_id])
    order = np.lexsort((log.item_code, -ranking.scores, ~eligible, log.owner))
    ranks = np.empty(log.n_candidates, dtype=np.int32)
    ranks[order] = np.arange(log.n_candidates) + 1
    ranks[~eligible] = 0
    return replace(ranking, eligible=eligible, order=order, ranks=ranks)


def test_overlap_counts_what_stays(tmp_path: Path) -> None:
    items = [CapturedItem(n, rel=r, image_score=s) for n, r, s in (("a", 3, 0), ("b", 2, 0.5), ("c", 1, 1))]
    log = log_of(tmp_path, items)
    before, after = rank(log, PLAIN), rank(log, SWAPPED)  # a b c; c b a
    assert [m.overlap(log, before, after, k)[0] for k in (1, 2, 3, 10)] == [0.0, 0.5, 1.0, 1.0]


@pytest.mark.parametrize(
    ("spelling", "message", "hint"),
    [
        ("nDGC@10", "no measure 'nDGC'", "did you mean nDCG"),
        ("zzz@10", "no measure 'zzz'", "there are nDCG, P"),
        ("P", "needs a cutoff", "P@10"),
        ("P(relevance=2)@5", "no parameter 'relevance'", "rel, judged_only"),
        ("P(rel=0)@5", "cannot take rel=0", None),
        ("P(2)@5", "need names", "P(rel=2)@5"),
        ("nDCG@0", "cutoff", None),
        ("nDCG@ten", "not the spelling", "nDCG@10"),
        ("nDCG@10.5", "cutoff", None),
        ("nDCG@@10", "not the spelling", "nDCG@10"),
        ("nDCG@10; import os", "not the spelling", None),
        ("RBP(p=1.5)@10", "cannot take p=1.5", None),
        ("exposure@10", "needs field and value", "exposure(field="),
        ("freshness(curve='exp')@10", "needs a scale", "scale='14d'"),
        ("", "not the spelling", None),
    ],
)
def test_a_wrong_spelling_says_what_would_be_right(spelling: str, message: str, hint: str | None) -> None:
    with pytest.raises(InputError, match=message) as caught:
        m.measure(spelling)
    assert hint is None or hint in (caught.value.hint or "")


@given(st.one_of(st.text(max_size=40), st.from_regex(r"\A(nDCG|P|RBP|age)(\([a-z]+=.{0,8}\))?(@.{0,4})?\Z")))
def test_any_text_is_a_measure_or_one_sentence(text: str) -> None:
    try:
        found = m.measure(text)
    except InputError:
        return
    assert m.measure(found.name).name == found.name


def test_a_list_of_measures_splits_outside_brackets() -> None:
    text = " nDCG@10, P(rel=2,judged_only=True)@5 ,nDCG(gains={1:2,2:3})@5,"
    assert m.split(text) == ["nDCG@10", "P(rel=2,judged_only=True)@5", "nDCG(gains={1:2,2:3})@5"]


def test_a_judged_measure_without_judgments_says_so(tmp_path: Path) -> None:
    log = log_of(tmp_path, shown({}))
    with pytest.raises(InputError, match="nDCG@10 needs judgments"):
        m.measure("nDCG@10").values(log, rank(log, PLAIN))


def test_err_refuses_grades_above_those_of_gdeval(tmp_path: Path) -> None:
    log = log_of(tmp_path, shown({}))
    with pytest.raises(InputError, match="grades 0 to 4, the judgments hold 10"):
        m.measure("ERR@10").values(log, rank(log, PLAIN), Judgments({"q0": {"i0": 10.0}}, ("hand",)))


def test_what_is_undefined_is_nan_and_what_is_nothing_is_zero(tmp_path: Path) -> None:
    log = log_of(tmp_path, shown({}), shown({}), shown({}))
    grades = Judgments({"q0": {"i0": 0.0}, "q1": {"elsewhere": 2.0}, "q7": {"i0": 1.0}}, ("hand",))
    nan = float("nan")
    for spelling, expected in {
        "nDCG@3": [nan, 0, nan],
        "R@3": [nan, 0, nan],
        "AP@3": [nan, 0, nan],
        "RR@3": [0, 0, nan],
        "P@3": [0, 0, nan],
        "ERR@3": [0, 0, nan],
        "RBP@3": [0, 0, nan],
        "Judged@3": [1, 0, 0],
    }.items():
        got = m.measure(spelling).values(log, rank(log, PLAIN), grades)
        np.testing.assert_array_equal(got, expected, err_msg=spelling)


def test_grades_join_as_a_lookup_would(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    searches = [shown(*({} for _ in range(rng.integers(1, 30)))) for _ in range(20)]
    log = log_of(tmp_path, *searches)
    known: dict[str, dict[str, float]] = {
        f"q{q}": {f"i{i}": float(rng.integers(0, 5)) for i in rng.permutation(40)[:15]} for q in range(5, 30)
    }
    judgments = Judgments(known, ("random",))
    looked_up = [
        known.get(log.searches["query"][i], {}).get(item, np.nan)
        for i, item in zip(log.owner, log.item_id, strict=True)
    ]
    np.testing.assert_array_equal(judgments.grades(log), looked_up)
    best = judgments.best(log, 4)
    for i, query in enumerate(log.searches["query"]):
        expected = sorted(known[query].values(), reverse=True)[:4] if query in known else [np.nan] * 4
        np.testing.assert_array_equal(best[i], expected)
    assert judgments.by_query == known


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"query": ["q"], "item_id": ["a"]}, "lacks the columns grade"),
        ({"query": ["q"], "item_id": ["a"], "grade": [-1.0]}, r"grade -1.0 of a for 'q'"),
        ({"query": ["q"], "item_id": ["a"], "grade": [float("nan")]}, "is not a number >= 0"),
        ({"query": ["q"], "item_id": ["a"], "grade": [None]}, "grade None of a|grade"),
        ({"query": [None], "item_id": ["a"], "grade": [1.0]}, "1 judgments have no query"),
        ({"query": ["q"], "item_id": [None], "grade": [1.0]}, "1 judgments have no item_id"),
        ({"query": ["q"], "item_id": ["a"], "grade": ["good"]}, "wrong type"),
    ],
)
def test_a_broken_file_of_judgments_is_one_sentence(
    tmp_path: Path, columns: dict[str, list[Any]], message: str
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "grades.parquet")
    with pytest.raises(InputError, match=message):
        read_judgments(tmp_path / "grades.parquet")
