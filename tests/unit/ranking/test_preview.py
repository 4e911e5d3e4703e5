"""Two pages of one query, compared by hand; nDCG beside ir_measures."""

from __future__ import annotations

import math

import ir_measures
import numpy as np
import pytest

from ranking.capture import CapturedItem
from ranking.clock import DAY_MS
from ranking.preview import Move, Preview, _changes, compare_pages
from ranking.profile import Profile

NOW = 1_795_000_000_000
PLAIN = Profile.model_validate({"name": "plain"})
BOOST = Profile.model_validate(
    {"name": "boost", "freshness": {"curve": "linear", "scale": "10d"}, "image": {"mode": "additive"}}
)


def page(*names: str) -> list[CapturedItem]:
    """Item `n` has image score n / 10 and is n days old; x is unscored, undated and AI-generated."""
    return [
        CapturedItem(
            name,
            rel=1.0,
            image_score=None if name == "x" else int(name) / 10,
            created_ms=None if name == "x" else NOW - int(name) * DAY_MS,
            ai_prob=0.9 if name == "x" else None,
        )
        for name in names
    ]


def test_entered_left_and_moves() -> None:
    found = compare_pages(
        "q", (page("1", "2", "3", "4"), page("4", "1", "x", "2")), (PLAIN, BOOST), now_ms=NOW, k=3, hits=9
    )
    assert (found.entered, found.left, found.hits) == (("4", "x"), ("2", "3"), 9)
    assert set(found.moves) == {
        Move("4", 4, 1),
        Move("1", 1, 2),
        Move("x", None, 3),
        Move("2", 2, 4),
        Move("3", 3, None),
    }
    assert found.changed == pytest.approx(2 / 3)
    assert found.image_score == pytest.approx(((0.1 + 0.2 + 0.3) / 3, (0.4 + 0.1) / 2))
    assert found.age_days == pytest.approx((2.0, 2.5))
    assert found.ai_share == pytest.approx((0.0, 1 / 3))
    # one curve for both sides, the contender's: 1 - 0.05 a day; undated counts as fresh
    assert found.freshness == pytest.approx(((0.95 + 0.9 + 0.85) / 3, (0.8 + 0.95 + 1.0) / 3))
    assert found.ndcg is None


def test_equal_pages_change_nothing() -> None:
    found = compare_pages("q", (page("1", "2"), page("1", "2")), (PLAIN, PLAIN), now_ms=NOW, k=10, hits=2)
    assert (found.entered, found.left, found.moves, found.changed) == ((), (), (), 0.0)


def test_empty_pages_are_compared_too() -> None:
    found = compare_pages("q", ([], []), (PLAIN, BOOST), now_ms=NOW, k=10, hits=0, grades={"1": 2.0})
    assert (found.changed, found.ndcg) == (0.0, (0.0, 0.0))


def test_ndcg_by_hand() -> None:
    grades = {"1": 3.0, "2": 1.0, "9": 2.0}
    found = compare_pages(
        "q", (page("2", "5"), page("1", "2")), (PLAIN, PLAIN), now_ms=NOW, k=2, hits=5, grades=grades
    )
    ideal = 3 + 2 / math.log2(3)
    assert found.ndcg == pytest.approx((1 / ideal, (3 + 1 / math.log2(3)) / ideal))
    assert found.judged == (0.5, 1.0)


def test_ndcg_is_that_of_ir_measures() -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        names = [str(n) for n in rng.permutation(30)]
        grades = {name: float(rng.integers(0, 4)) for name in names[:20]}
        served = [str(n) for n in rng.permutation(30)]
        found = compare_pages(
            "q", (page(*served), page(*served)), (PLAIN, PLAIN), now_ms=NOW, k=10, hits=30, grades=grades
        )
        qrels = [ir_measures.Qrel("q", name, int(grade)) for name, grade in grades.items()]
        run = [ir_measures.ScoredDoc("q", name, -float(rank)) for rank, name in enumerate(served)]
        expected = ir_measures.calc_aggregate([ir_measures.nDCG @ 10], qrels, run)[ir_measures.nDCG @ 10]
        assert (found.ndcg or (-1.0,))[0] == pytest.approx(expected, abs=1e-9)


def test_a_mean_difference_has_the_interval_of_t() -> None:
    rows = [
        compare_pages("q", (page(a), page(b)), (PLAIN, PLAIN), now_ms=NOW, k=1, hits=2)
        for a, b in (("1", "2"), ("1", "3"), ("1", "4"))
    ]
    found = Preview(1, tuple(rows), _changes(rows, 1)).changes["image_score@1"]
    # differences 0.1, 0.2, 0.3: mean 0.2, sd 0.1; t(0.975, 2) = 4.302653
    assert (found.n, found.delta) == (3, pytest.approx(0.2))
    half = 4.302653 * 0.1 / math.sqrt(3)
    assert (found.low, found.high) == (
        pytest.approx(0.2 - half, abs=1e-6),
        pytest.approx(0.2 + half, abs=1e-6),
    )
