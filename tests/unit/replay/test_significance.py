"""Tests of differences against scipy, full enumeration and by hand; adjustment, power and segments."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ranking.capture import CapturedItem
from ranking.errors import InputError
from ranking.profile import Profile
from replay import compare_rankings, rank
from replay.log import CaptureLog
from replay.measures import measure
from replay.significance import (
    adjust,
    assess,
    cluster,
    days_needed,
    frequency_bands,
    minimum_effect,
    search_categories,
    segments,
)
from tests.unit.replay import captured
from tests.unit.replay.captured import NOW, PLAIN, record

IMAGE = Profile.model_validate({"name": "image", "image": {"mode": "additive", "weight": 4.0}})


def draw(n_queries: int, effect: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    queries = np.repeat(np.arange(n_queries), rng.integers(1, 6, size=n_queries))
    return effect + rng.normal(size=n_queries)[queries] + rng.normal(size=len(queries)), queries


def fresh() -> np.random.Generator:
    return np.random.default_rng(1)


def test_t_is_scipys_paired_t_of_the_query_means() -> None:
    delta, queries = draw(50, 0.2)
    means = np.array([delta[queries == q].mean() for q in range(50)])
    expected = stats.ttest_rel(means + 5, np.full(50, 5.0))
    found = assess(cluster(delta, queries), "t", fresh())
    assert found.p == pytest.approx(expected.pvalue, rel=1e-12)
    assert found.low == pytest.approx(expected.confidence_interval(0.95).low, rel=1e-9)
    assert found.high == pytest.approx(expected.confidence_interval(0.95).high, rel=1e-9)


def test_wilcoxon_is_scipys_of_the_query_means_and_has_no_interval() -> None:
    delta, queries = draw(50, 0.2)
    means = [delta[queries == q].mean() for q in range(50)]
    found = assess(cluster(delta, queries), "wilcoxon", fresh())
    assert (found.low, found.high, found.p) == (None, None, pytest.approx(stats.wilcoxon(means).pvalue))


def test_randomization_flips_whole_queries() -> None:
    delta, queries = draw(11, 0.4, seed=4)
    sums = np.array([delta[queries == q].sum() for q in range(11)])
    flips = np.array(list(itertools.product((-1, 1), repeat=11)))
    totals = flips @ sums
    expected = min(1.0, 2 * min((totals >= sums.sum() - 1e-12).mean(), (totals <= sums.sum() + 1e-12).mean()))
    assert assess(cluster(delta, queries), "randomization", fresh()).p == pytest.approx(expected, abs=1e-12)


def test_randomization_draws_where_there_are_too_many_flips() -> None:
    delta, queries = draw(80, 0.25, seed=4)
    found = assess(cluster(delta, queries), "randomization", fresh())
    clustered = assess(cluster(delta, queries), "clustered", fresh())
    assert found.p == pytest.approx(clustered.p, abs=0.02)
    assert (found.low, found.high) == (clustered.low, clustered.high)


def test_bca_is_scipys_where_every_query_was_searched_once() -> None:
    delta = np.random.default_rng(6).exponential(size=60) - 0.7
    expected = stats.bootstrap((delta,), np.mean, method="BCa", n_resamples=4999, rng=fresh())
    found = assess(cluster(delta, np.arange(60)), "bca", fresh())
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=0.02)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=0.02)


@pytest.mark.parametrize("effect", [0.0, 0.1, 0.2, 0.25, 0.3, 0.6, -0.3])
def test_the_p_value_of_bca_agrees_with_its_interval(effect: float) -> None:
    delta, queries = draw(60, effect, seed=8)
    found = assess(cluster(delta, queries), "bca", fresh())
    assert found.low is not None
    assert found.high is not None
    assert found.p is not None
    assert (found.p < 0.05) == (not found.low <= 0 <= found.high)


@pytest.mark.parametrize("test", ["clustered", "t", "randomization", "bca", "wilcoxon"])
def test_no_test_finds_more_than_its_level_where_searches_of_a_query_move_together(test: str) -> None:
    runs, found = (400, 0) if test in ("clustered", "t", "wilcoxon") else (60, 0)
    for seed in range(runs):
        p = assess(cluster(*draw(40, 0.0, seed)), test, fresh()).p
        assert p is not None
        found += p < 0.05
    assert found / runs < 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
    naive = sum(stats.ttest_1samp(draw(40, 0.0, seed)[0], 0.0).pvalue < 0.05 for seed in range(400))
    assert naive / 400 > 0.1, "taking searches for independent is what this must not do"


@pytest.mark.parametrize("test", ["clustered", "t", "wilcoxon", "randomization", "bca"])
def test_no_difference_at_all_is_p_1_and_one_query_is_no_test(test: str) -> None:
    still = assess(cluster(np.zeros(6), np.array([0, 0, 1, 1, 2, 2])), test, fresh())
    assert (still.low, still.high, still.p) == (0.0, 0.0, 1.0)
    alone = assess(cluster(np.array([1.0, 2.0]), np.array(["q", "q"])), test, fresh())
    assert (alone.low, alone.high, alone.p) == (None, None, None)


@pytest.mark.parametrize("test", ["wilcoxon", "randomization"])
def test_one_changed_query_among_many_proves_nothing(test: str) -> None:
    delta = np.array([0.0, 0.0, 0.0, 0.7, 0.0])
    assert assess(cluster(delta, np.arange(5)), test, fresh()).p == 1.0


def test_holm_and_bh_by_hand() -> None:
    p = [0.01, None, 0.04, 0.03, 0.005]
    # Holm: sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04, never falling: .02 .03 .06 .06
    assert adjust(p, "holm") == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06), 0.02]
    # BH: times 4/1 4/2 4/3 4/4 = .02 .02 .04 .04
    assert adjust(p, "bh") == [0.02, None, pytest.approx(0.04), pytest.approx(0.04), 0.02]
    assert adjust(p, "none") == p
    assert adjust([None], "holm") == [None]
    assert adjust([0.6, 0.7], "holm") == [1.0, 1.0]
    with pytest.raises(InputError, match="no adjustment 'bonferroni'"):
        adjust(p, "bonferroni")


def test_the_minimum_effect_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(2)
    effect = minimum_effect(1 / np.sqrt(100), 99)
    assert effect is not None
    found = stats.ttest_1samp(rng.normal(effect, 1.0, size=(4000, 100)), 0.0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.02)
    assert minimum_effect(float("nan"), 3) is None


def test_half_the_effect_takes_four_times_the_days() -> None:
    assert days_needed(0.5, 1.0, 7) == 28
    assert days_needed(-2.0, 1.0, 8) == 2
    assert days_needed(0.0, 1.0, 7) is None
    assert days_needed(0.5, None, 7) is None


def test_bands_of_frequency_by_hand() -> None:
    # 10 searches: a begins at 0 %: head; b and c, equally frequent, at 40 %: head; d at 80 %: tail
    queries = np.array(list("aaaabbccde"), dtype=object)
    assert "".join(band[0] for band in frequency_bands(queries)) == "hhhhhhhhtt"
    # 20 searches: a begins at 0 %, b at 50 %, c at 75 %, d at 85 %; single ones are tail wherever they begin
    queries = np.array(list("a" * 10 + "b" * 5 + "ccc" + "dd"), dtype=object)
    assert {q: band[:2] for q, band in zip(queries, frequency_bands(queries), strict=True)} == {
        "a": "he",
        "b": "to",
        "c": "to",
        "d": "ta",
    }
    assert set(frequency_bands(np.array(list("abc"), dtype=object))) == {"tail"}


def log_of(folder: Path, searches: list[tuple[str, str, list[str | None], dict[str, str]]]) -> CaptureLog:
    rng = np.random.default_rng(9)

    def items(categories: list[str | None]) -> list[CapturedItem]:
        return [
            CapturedItem(
                f"i{j}",
                rel=float(np.float32(rng.random())),
                image_score=float(np.float32(rng.random())),
                category=category,
                rank=j + 1 if j < 3 else None,
                created_ms=NOW,
            )
            for j, category in enumerate(categories)
        ]

    return captured.log_of(
        folder,
        [
            record(f"s{i}", query, items(categories), platform=platform, filters=filters)
            for i, (query, platform, categories, filters) in enumerate(searches)
        ],
    )


def test_the_category_of_a_search_by_hand(tmp_path: Path) -> None:
    log = log_of(
        tmp_path,
        [
            ("a", "web", ["shoes", "bags", "bags", "shoes", "shoes"], {}),  # served: the first three
            ("b", "web", ["shoes", "bags", None], {}),  # a draw goes to the first by name
            ("c", "web", ["shoes", "shoes"], {"category": "hats"}),
            ("d", "web", [None, None], {}),
        ],
    )
    assert search_categories(log).tolist() == ["bags", "bags", "hats", None]
    found = {(d, s): searches.tolist() for d, s, searches in segments(log, ["category", "frequency"])}
    assert found == {
        ("all", "all"): [0, 1, 2, 3],
        ("category", "bags"): [0, 1],
        ("category", "hats"): [2],
        ("frequency", "tail"): [0, 1, 2, 3],
    }
    with pytest.raises(InputError, match="no dimension 'seller'"):
        list(segments(log, ["seller"]))


@pytest.mark.parametrize("test", ["clustered", "t", "wilcoxon", "randomization", "bca"])
def test_a_comparison_by_every_dimension(tmp_path: Path, test: str) -> None:
    searches = [
        (f"q{i % 9}", ("web", "ios")[i % 2], ["shoes" if i % 3 else "bags"] * 30, {}) for i in range(40)
    ]
    log = log_of(tmp_path, searches)
    found = compare_rankings(
        log,
        rank(log, PLAIN),
        rank(log, IMAGE),
        None,
        chosen=[measure("image_score@5")],
        dimensions=("platform", "category", "frequency"),
        test=test,
        adjustment="holm",
    )
    assert {(row.dimension, row.segment) for row in found.differences} >= {
        ("all", "all"),
        ("platform", "ios"),
        ("platform", "web"),
        ("category", "bags"),
        ("category", "shoes"),
    }
    whole = found.difference("image_score@5")
    assert whole.significant
    assert whole.p_raw is not None
    assert whole.p is not None
    assert whole.p >= whole.p_raw
    assert whole.detectable is not None
    assert whole.delta == pytest.approx(whole.contender - whole.baseline)
    assert found.days == 1.0
    needed = whole.days_needed(0.01, 2.0)
    assert needed == pytest.approx(2 * (whole.detectable / (0.01 * whole.baseline)) ** 2)
    assert whole.unit == ("query" if test in ("t", "wilcoxon") else "search")
    overlap = {row.segment: row for row in found.agreements if row.measure == "overlap@10"}["all"]
    assert overlap.mean == pytest.approx(1 - found.entered.mean() / 10)
    assert 0 <= {row.measure: row for row in found.agreements}["RBO@10"].mean <= 1


def test_searches_cluster_by_user_and_those_without_one_stand_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    users = ["ann", "ann", "bob", "bob", None, None]
    records = [
        record(
            f"s{i}",
            "dress",
            [
                CapturedItem(f"i{j}", rel=float(j), image_score=float(np.float32(rng.random())))
                for j in range(9)
            ],
            user_id=user,
        )
        for i, user in enumerate(users)
    ]
    log = captured.log_of(tmp_path, records)
    sides = rank(log, PLAIN), rank(log, IMAGE)
    chosen = [measure("image_score@3")]
    by_query = compare_rankings(log, *sides, None, chosen=chosen).difference("image_score@3")
    assert (by_query.n_queries, by_query.p) == (1, None)
    by_user = compare_rankings(log, *sides, None, chosen=chosen, clusters="user").difference("image_score@3")
    delta = np.subtract(*(chosen[0].values(log, side) for side in sides[::-1]))
    expected = assess(cluster(delta, np.array([0, 0, 1, 1, 2, 3])), "clustered", fresh())
    assert (by_user.n_queries, by_user.p_raw) == (4, pytest.approx(expected.p, rel=1e-12))
    with pytest.raises(InputError, match="cannot be clustered by 'session'"):
        compare_rankings(log, *sides, None, clusters="session")
