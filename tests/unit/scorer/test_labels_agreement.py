"""Agreement against scikit-learn, scipy and hand-worked pages, and the known figures of real judges."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from ranking.cli import full_app
from ranking.errors import InputError
from scorer.labels import JudgedPage, read_pages
from scorer.labels.agreement import agreement, kappa, krippendorff_alpha, majority_vote, measures_of

LABELS = Path(os.environ.get("RANK_SHARED", "../shared")) / "labels" / "validation.jsonl"


def page(scores, *, serp_id="s", judges="ab", category="hat"):
    scores = np.asarray(scores, dtype=float)
    images = tuple(f"{serp_id}-{i}.jpg" for i in range(scores.shape[1]))
    return JudgedPage(serp_id, category, images, tuple(judges), scores)


def test_measures_are_those_of_scikit_learn_and_scipy():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    for _ in range(30):
        x = rng.integers(1, 11, 60).astype(float)
        y = np.clip(x + rng.integers(-3, 4, 60), 1, 10)
        got = measures_of(x, y)
        assert kappa(x, y) == pytest.approx(metrics.cohen_kappa_score(x, y, weights="quadratic"))
        assert got["pearson"] == pytest.approx(stats.pearsonr(x, y).statistic)
        assert got["spearman"] == pytest.approx(stats.spearmanr(x, y).statistic)
        assert got["exact"] == pytest.approx(metrics.accuracy_score(x, y))


def alpha_by_hand(scores):
    """The definition: 1 - observed / expected disagreement over all pairs of values of units, squared."""
    units = [column[~np.isnan(column)] for column in scores.T]
    units = [unit for unit in units if len(unit) > 1]
    values = np.concatenate(units)
    n = len(values)
    observed = sum(((u[:, None] - u[None, :]) ** 2).sum() / (len(u) - 1) for u in units) / n
    expected = ((values[:, None] - values[None, :]) ** 2).sum() / (n * (n - 1))
    return 1 - observed / expected


def test_alpha_is_that_of_the_definition_with_holes_too():
    rng = np.random.default_rng(2)
    scores = np.clip(rng.integers(1, 11, 40) + rng.integers(-2, 3, (3, 40)), 1, 10).astype(float)
    scores[rng.random(scores.shape) < 0.2] = np.nan
    assert krippendorff_alpha(scores) == pytest.approx(alpha_by_hand(scores))


def test_the_majority_is_the_mode_and_of_equally_many_the_median():
    nan = np.nan
    scores = np.array([[3.0, 1.0, 5.0, nan], [3.0, 2.0, nan, nan], [9.0, 4.0, nan, nan]])
    np.testing.assert_array_equal(majority_vote(scores), [3.0, 2.0, 5.0, nan])


def test_a_ceiling_worked_by_hand():
    # others of c: means 2, 4, 6; c orders 0<1 right, 0<2 tie, 1<2 wrong: 1.5 of 3
    told = agreement([page([[1, 4, 6], [3, 4, 6], [2, 5, 2]], judges="abc")], n_resamples=0)[0]
    assert told.ceiling["c"].value == pytest.approx(0.5)
    # of a, the others' means are 2.5, 4.5, 4: 0<1 right, 0<2 right, 2<1 wrong
    assert told.ceiling["a"].value == pytest.approx(2 / 3)
    assert told.between["a and b"]["exact"].value == pytest.approx(2 / 3)
    # the majority of a and c: median of {1,2}, {4,5}, {6,2}: 1.5, 4.5, 4 against b's 3, 4, 6
    assert told.majority["b"]["exact"].value == 0
    assert told.majority["b"]["within_one"].value == pytest.approx(1 / 3)


def test_an_interval_is_over_pages_not_photos():
    same, opposed = [[1, 5, 9]] * 2, [[1, 5, 9], [9, 5, 1]]
    pages = [page(same if i % 2 else opposed, serp_id=str(i)) for i in range(60)]
    figure = agreement(pages, n_resamples=400)[0].mean["exact"]
    # a page is 1 or 1/3, equally often: sd 1/3, so the mean of 60 has 1.96 * 1/3 / sqrt(60)
    assert figure.value == pytest.approx(2 / 3)
    assert figure.high - figure.low == pytest.approx(2 * 1.96 / 3 / 60**0.5, rel=0.2)


def test_categories_are_told_apart_and_a_hole_costs_one_photo():
    pages = [
        page([[1, 2], [1, 3]], serp_id="x"),
        page([[1, np.nan, 3], [1, 2, 4]], serp_id="y", category="bag"),
    ]
    whole, bag, hat = agreement(pages, n_resamples=10)
    assert (whole.name, bag.name, hat.name) == ("all", "bag", "hat")
    assert bag.mean["exact"].value == 0.5
    assert whole.mean["exact"].value == 0.5


def test_one_judge_agrees_with_nobody():
    with pytest.raises(InputError, match="two judges"):
        agreement([page([[1, 2]], judges="a")])


def test_judges_who_never_vary_give_no_number_and_no_crash():
    told = agreement([page([[5, 5], [5, 5]])], n_resamples=5)[0]
    assert told.to_dict()["mean"]["kappa"]["value"] is None
    assert told.mean["exact"].value == 1


def test_the_three_judges_of_the_validation_pages_agree_as_their_readme_says():
    if not LABELS.is_file():
        if os.environ.get("CI"):
            pytest.fail("no validation labels")
        pytest.skip(f"no {LABELS}; set RANK_SHARED")
    told = agreement(read_pages(LABELS).pages, n_resamples=0)
    whole = told[0]
    assert (whole.n_pages, whole.n_photos, len(told)) == (40, 320, 11)

    def range_of(measure):
        values = [figures[measure].value for figures in whole.between.values()]
        return round(min(values), 2), round(max(values), 2)

    assert range_of("kappa") == (0.88, 0.90)
    assert range_of("pearson") == (0.89, 0.90)
    assert range_of("exact") == (0.44, 0.46)
    assert range_of("within_one") == (0.91, 0.93)
    ceilings = [100 * figure.value for figure in whole.ceiling.values()]
    assert (round(min(ceilings), 1), round(max(ceilings), 1)) == (89.4, 89.9)


def test_the_command_prints_tables_and_json(tmp_path):
    rows = [
        {"serp_id": "s", "judge": "a", "images": ["x", "y"], "scores": [1, 2]},
        {"serp_id": "s", "judge": "b", "images": ["x", "y"], "scores": [1, 3]},
        {"serp_id": "s", "judge": "b", "images": ["x", "y"], "scores": [1, 3]},
    ]
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    done = CliRunner().invoke(full_app(), ["scorer", "agreement", str(path), "--format", "json"])
    told = json.loads(done.stdout)
    assert told["skipped"] == {"duplicate": 1}
    assert told["sets"][0]["between"]["a and b"]["exact"]["value"] == 0.5
    done = CliRunner().invoke(full_app(), ["scorer", "agreement", str(path), "--resamples", "10"])
    assert "a and b" in done.stdout
    assert "1 duplicate" in done.stderr
