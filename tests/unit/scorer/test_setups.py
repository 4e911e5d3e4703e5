"""Set-ups are found by the border, held out whole, and what is held out is not learned from."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ranking.cli.scorer import app
from ranking.errors import InputError
from scorer.training import by_setup
from scorer.training.by_setup import evaluate_by_setup
from scorer.training.compact import Material
from scorer.training.config import TrainConfig
from scorer.training.labels import read_labels
from scorer.training.setups import border_features, deal, find_setups

GROUNDS = ((200, 30, 120), (240, 240, 235), (60, 90, 60), (90, 60, 30))  # four sellers' sheets and floors
SMALL = TrainConfig(start="random", epochs=1, batch=8, serps=2, n_degraded=1, n_crops=0)
cli = CliRunner()


def photo(ground, rng, size=48):
    """A garment of any color on one seller's ground, with that room's noise."""
    rgb = np.full((size, size, 3), ground, dtype=float) + rng.normal(0, 6, (size, size, 3))
    rgb[size // 4 : -size // 4, size // 4 : -size // 4] = rng.integers(0, 256, 3)
    return np.clip(rgb * rng.uniform(0.92, 1.08), 0, 255).astype(np.uint8)


def test_photos_of_one_ground_are_one_set_up_whatever_lies_on_it():
    rng = np.random.default_rng(0)
    seller = np.repeat(np.arange(4), 12)
    found = find_setups(np.stack([photo(GROUNDS[s], rng) for s in seller]), 4)
    assert [len(set(found[seller == s].tolist())) for s in range(4)] == [1, 1, 1, 1]
    assert len(set(found.tolist())) == 4


def test_the_middle_of_a_photo_does_not_matter_and_the_border_does():
    rng = np.random.default_rng(1)
    plain = photo(GROUNDS[1], rng)
    middle, border = plain.copy(), plain.copy()
    middle[10:-10, 10:-10] = 0
    border[:4] = 0
    same, other_middle, other_border = border_features(np.stack([plain, middle, border]))
    np.testing.assert_array_equal(same, other_middle)
    assert np.abs(same - other_border).max() > 0.3


def test_one_photo_is_one_set_up():
    assert find_setups(np.zeros((1, 32, 32, 3), np.uint8)).tolist() == [0]


def test_whole_set_ups_are_dealt_and_the_folds_weigh_alike():
    setups = np.repeat([0, 1, 2, 3, 4], [10, 6, 5, 5, 4])
    fold = deal(setups, np.ones(30), 3)
    assert all(len(set(fold[setups == s].tolist())) == 1 for s in range(5))
    assert np.bincount(fold).tolist() == [10, 10, 10]  # 10 alone, 6 and 4, 5 and 5
    unlabelled = deal(setups, (setups == 0).astype(float), 3)  # weight counts, not the number of photos
    assert set(unlabelled.tolist()) <= {0, 1, 2}


def test_material_without_a_fold_has_none_of_its_photos():
    levels = np.arange(5, dtype=np.float16)[None, :, None] * np.ones((2, 1, 3), np.float16)
    whole = Material(
        levels=levels,
        cells=[levels[0] * 10],
        n_good=1,
        category=np.arange(5),
        page_rows=[np.array([0, 1, 2]), np.array([3, 4])],
        page_truth=[np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0])],
    )
    kept = whole.among(np.array([True, False, True, True, False]))
    assert kept.levels[0, :, 0].tolist() == [0, 2, 3]
    assert kept.cells[0][:, 0].tolist() == [0, 20, 30]
    assert kept.category.tolist() == [0, 2, 3]
    assert [rows.tolist() for rows in kept.page_rows] == [[0, 1]]  # the second page keeps one photo, and goes
    assert [truth.tolist() for truth in kept.page_truth] == [[1.0, 3.0]]


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    """Four sellers, six pages of four photos: two sellers' photos on a page."""
    folder, rng = tmp_path_factory.mktemp("market"), np.random.default_rng(0)
    (folder / "train" / "hat").mkdir(parents=True)
    lines = []
    for number in range(6):
        images = []
        for i in range(4):
            name = f"train/hat/{number}-{i}.png"
            Image.fromarray(photo(GROUNDS[(number + i // 2) % 4], rng)).save(folder / name)
            images.append(name)
        lines.append(
            json.dumps({"serp_id": f"p{number}", "category": "hat", "images": images, "scores": [1, 4, 2, 9]})
        )
    (folder / "labels.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Where views are found again: they cost most of a small run."""
    return tmp_path_factory.mktemp("work")


def test_every_photo_is_scored_by_a_model_that_saw_nothing_of_its_set_up(market, work, monkeypatch):
    serps = read_labels(market / "labels.jsonl")
    kept = []
    real = by_setup.train_compact

    def watched(config, material, *, log):
        kept.append(material.n_photos)
        return real(config, material, log=log)

    monkeypatch.setattr(by_setup, "train_compact", watched)
    arguments = (market, {"labels": serps}, work, SMALL)
    found = evaluate_by_setup(*arguments, n_folds=2, n_setups=4)
    assert kept == [12, 12]  # each fold: two sellers of six photos learned from, two held out
    assert (found.n_setups, found.n_folds, found.n_photos) == (4, 2, 24)
    same, other = found.model_same_setup.n_pairs, found.model_other_setup.n_pairs
    assert same == 6 * 2  # each page has two pairs of one seller
    assert found.model.n_pairs == same + other
    assert set(found.baselines) == {"gradient boosting on statistics", "kernel ridge on statistics"}
    again = evaluate_by_setup(*arguments, n_folds=2, n_setups=4)
    assert kept == [12, 12]  # nothing is trained again
    assert repr(again) == repr(found)  # a figure without pairs is NaN


def test_more_folds_than_set_ups_are_refused(market, tmp_path):
    with pytest.raises(InputError, match="cannot be dealt"):
        evaluate_by_setup(
            market, {"l": read_labels(market / "labels.jsonl")}, tmp_path, SMALL, n_folds=5, n_setups=4
        )


def test_the_command_prints_one_table(market, work, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(SMALL.model_dump_json())
    labels = str(market / "labels.jsonl")
    result = cli.invoke(
        app,
        [
            *("evaluate", "--photos", str(market), "--labels", labels, "--by-setup", str(work)),
            *("--config", str(config), "--folds", "2"),
        ],
    )
    assert result.exit_code == 0, result.output
    assert "set-ups never seen" in result.stdout
    assert "two set-ups" in result.stdout
    assert "fold 1:" in result.stderr


def test_two_label_files_without_by_setup_are_refused(market):
    labels = str(market / "labels.jsonl")
    result = cli.invoke(app, ["evaluate", "--photos", str(market), "--labels", labels, "--labels", labels])
    assert isinstance(result.exception, InputError)
