"""Measures against ir_measures and by hand; intervals by hand and by simulation."""

from __future__ import annotations

from pathlib import Path

import ir_measures
import numpy as np
import pytest
from ir_measures import nDCG

from ranking.capture import CapturedItem
from ranking.clock import DAY_MS
from ranking.profile import Profile
from replay import compare_rankings, rank
from replay import measures as m
from replay.compare import clustered_interval
from replay.judgments import read_judgments, write_judgments
from replay.log import CaptureLog
from tests.unit.replay import captured
from tests.unit.replay.captured import NOW, PLAIN, record

IMAGE = Profile.model_validate({"name": "image", "image": {"mode": "additive", "weight": 4.0}})


def log_of(folder: Path, searches: dict[str, list[CapturedItem]], platform: str = "web") -> CaptureLog:
    return captured.log_of(
        folder,
        [
            record(f"s{i}", query, items, platform=platform)
            for i, (query, items) in enumerate(searches.items())
        ],
    )


@pytest.mark.parametrize("k", [1, 5, 10])
def test_ndcg_is_that_of_ir_measures(tmp_path: Path, k: int) -> None:
    rng = np.random.default_rng(k)
    searches = {
        f"q{i}": [
            CapturedItem(f"i{j}", rel=float(np.float32(rng.random())), image_score=float(rng.random()))
            for j in range(rng.integers(1, 30))
        ]
        for i in range(50)
    }
    rows = [
        (query, f"i{j}", float(rng.integers(0, 5)))
        for query in searches
        for j in range(40)  # some judged items are not among the candidates
        if rng.random() < 0.6
    ]
    log = log_of(tmp_path, searches)
    write_judgments(tmp_path, rows, "random")
    judgments = read_judgments(tmp_path)
    assert judgments is not None
    ranking = rank(log, IMAGE)
    got = dict(zip(log.searches["query"], m.ndcg(log, ranking, judgments, k), strict=True))
    qrels = [ir_measures.Qrel(query, item_id, int(grade)) for query, item_id, grade in rows]
    run = [
        ir_measures.ScoredDoc(query, log.item_id[p], float(ranking.scores[p]))
        for i, query in enumerate(log.searches["query"])
        for p in range(log.span(i).start, log.span(i).stop)
    ]
    for measured in ir_measures.iter_calc([nDCG @ k], qrels, run):
        assert got[measured.query_id] == pytest.approx(measured.value, abs=1e-12)


def test_a_query_without_judgments_is_undefined_and_not_zero(tmp_path: Path) -> None:
    items = [CapturedItem("a", rel=1.0), CapturedItem("b", rel=2.0)]
    log = log_of(tmp_path, {"judged": items, "unjudged": items, "irrelevant": items})
    write_judgments(tmp_path, [("judged", "a", 1.0), ("irrelevant", "a", 0.0)], "hand")
    judgments = read_judgments(tmp_path)
    assert judgments is not None
    got = m.ndcg(log, rank(log, PLAIN), judgments, 10)
    np.testing.assert_allclose(got, [1 / np.log2(3), np.nan, np.nan])


def test_means_at_k_by_hand(tmp_path: Path) -> None:
    items = [
        CapturedItem("a", rel=3.0, image_score=0.25, created_ms=NOW - 2 * DAY_MS),
        CapturedItem("b", rel=2.0, image_score=None, created_ms=NOW - 4 * DAY_MS),
        CapturedItem("c", rel=1.0, image_score=1.0, created_ms=None),
    ]
    log = log_of(tmp_path, {"q": items})
    plain, image = rank(log, PLAIN), rank(log, IMAGE)  # a b c; then c (5), a (4), b (2)
    assert m.image_score(log, plain, 2).tolist() == [0.25]
    assert m.image_score(log, image, 2).tolist() == [0.625]
    assert m.age_days(log, plain, 2).tolist() == [3.0]
    assert m.age_days(log, image, 2).tolist() == [2.0]
    assert m.entered(log, plain, image, 2).tolist() == [1.0]
    assert m.entered(log, plain, image, 3).tolist() == [0.0]


def test_clustered_interval_by_hand() -> None:
    # clusters a: 1, 3; b: 2; c: 6. mean 3; cluster sums of residuals -2, -1, 3 -> squares 14
    low, high, p = clustered_interval(np.array([1.0, 3.0, 2.0, 6.0]), np.array(["a", "a", "b", "c"]))
    error = np.sqrt(14 * 3 / 2) / 4
    assert low == pytest.approx(3 - 4.302652729911275 * error)  # t quantile, 2 degrees of freedom
    assert high == pytest.approx(3 + 4.302652729911275 * error)
    t = 3 / error
    assert p == pytest.approx(1 - t / np.sqrt(t * t + 2))  # closed form of t with 2 degrees of freedom


def test_the_interval_covers_the_truth_where_searches_of_a_query_move_together() -> None:
    rng = np.random.default_rng(17)
    covered = 0
    for _ in range(1000):
        clusters = np.repeat(np.arange(40), rng.integers(1, 12, size=40))
        delta = 0.1 + rng.normal(size=40)[clusters] + rng.normal(size=len(clusters))
        low, high, _p = clustered_interval(delta, clusters)
        assert low is not None
        assert high is not None
        covered += low <= 0.1 <= high
    assert 920 <= covered <= 970


def test_a_comparison_counts_and_signs(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    searches = {
        f"q{i}": [
            CapturedItem(
                f"i{j}",
                rel=float(np.float32(rng.random())),
                image_score=float(np.float32(rng.random())),
                created_ms=NOW,
            )
            for j in range(30)
        ]
        for i in range(20)
    }
    log = log_of(tmp_path, searches, platform="ios")
    found = compare_rankings(log, rank(log, PLAIN), rank(log, IMAGE), None, k=5)
    assert {row.measure for row in found.differences} == {"image_score@5", "age@5"}
    assert {row.segment for row in found.differences} == {"all", "ios"}
    image = found.difference("image_score@5")
    assert (image.n, image.n_queries, image.significant) == (20, 20, True)
    assert image.delta == pytest.approx(image.contender - image.baseline)
    assert image.low is not None
    assert 0 < image.low < image.delta
    age = found.difference("age@5")
    assert (age.delta, age.low, age.high, age.significant) == (0.0, 0.0, 0.0, False)
    assert found.proven == 20
