"""The shipped model on real photos of second-hand clothes, judged by three judges."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scorer.model.scorer import load_scorer
from scorer.training.evaluate import degraded_accuracy, evaluate
from scorer.training.labels import read_labels

SHARED = Path(os.environ.get("RANK_SHARED", Path(__file__).parents[4] / "shared"))


@pytest.fixture(scope="module")
def labels():
    path = SHARED / "labels" / "validation.jsonl"
    if not path.is_file():
        reason = "../shared holds no labels: the real photos are not part of the project"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return read_labels(path)


def test_the_compact_model_orders_held_out_pages_as_the_judges_do(labels):
    result = evaluate(load_scorer(), SHARED / "photos", labels)
    assert result.n_photos == 320
    assert result.overall.value >= 82.5  # 83.9 on the machine that trained it
    assert result.overall.low > max(baseline.high for baseline in result.baselines.values())
    low, _, high = result.quantiles
    assert low < 0.25
    assert high > 0.75


def test_a_photo_beats_its_degraded_copy(labels):
    names = [serp.images[0] for serp in labels][:24]
    accuracy = degraded_accuracy(load_scorer(), SHARED / "photos", names, severities=(0.7,))
    assert accuracy.n_photos == 24
    assert accuracy.means()[0.7] >= 95.0  # 98.3 on 80 photos
