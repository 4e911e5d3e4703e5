"""Losses, measures, labels and degradations against numbers worked out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from ranking.errors import ConfigError, InputError
from scorer.model.attributes import ATTRIBUTES, image_attributes
from scorer.model.head import Calibration, scores_from_logits
from scorer.model.statistics import NAMES, image_statistics
from scorer.training.config import read_config
from scorer.training.degrade import KINDS, degrade
from scorer.training.labels import read_labels
from scorer.training.losses import focal, pairwise_loss
from scorer.training.measures import opa, pair_counts
from scorer.training.teacher import Standard, Teacher, weigh_blocks
from scorer.training.views import WHOLE, make_view


def test_pairwise_loss_is_the_hand_computed_one():
    # pairs: 0 > 1 with margin 1, 0 > 2 with margin -1; photos 1 and 2 are tied
    logits, truth = torch.tensor([[1.0, 0.0, 2.0]]), torch.tensor([[7.0, 4.0, 4.0]])
    p1, p2 = 1 / (1 + math.exp(-1.0)), 1 / (1 + math.exp(1.0))
    cross_entropy = -(math.log(p1) + math.log(p2)) / 2
    with_focus = -((1 - p1) ** 2 * math.log(p1) + (1 - p2) ** 2 * math.log(p2)) / 2
    assert pairwise_loss(logits, truth, gamma=0.0).item() == pytest.approx(cross_entropy, rel=1e-5)
    assert pairwise_loss(logits, truth, gamma=2.0).item() == pytest.approx(with_focus, rel=1e-5)


def test_a_pair_weighs_as_its_gap_up_to_three_points():
    logits, truth = torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[9.0, 8.0, 2.0]])
    loss = [math.log(1 + math.exp(m)) for m in (1.0, 2.0, 1.0)]  # 0>1 gap 1, 0>2 gap 7, 1>2 gap 6
    expected = (1 * loss[0] + 3 * loss[1] + 3 * loss[2]) / 7
    assert pairwise_loss(logits, truth, gamma=0.0, by_gap=True).item() == pytest.approx(expected, rel=1e-5)


def test_focal_with_gamma_zero_is_the_cross_entropy():
    margin = torch.linspace(-20, 20, 41, dtype=torch.float64)
    two = torch.stack([margin, torch.zeros_like(margin)], dim=1)
    expected = torch.nn.functional.cross_entropy(two, torch.zeros(41, dtype=torch.long), reduction="none")
    torch.testing.assert_close(focal(margin, 0.0), expected)
    assert (focal(margin, 2.0) <= focal(margin, 0.0)).all()


def test_pairs_of_different_pages_do_not_meet_and_a_tied_page_costs_nothing():
    logits = torch.tensor([[0.0, 1.0], [50.0, 51.0]])
    truth = torch.tensor([[1.0, 2.0], [3.0, 3.0]])
    assert pairwise_loss(logits, truth, gamma=0.0).item() == pytest.approx(
        math.log(1 + math.exp(-1)), rel=1e-5
    )
    assert pairwise_loss(logits[1:], truth[1:]).item() == 0.0


def test_opa_of_a_hand_made_page():
    truth = np.array([3.0, 2.0, 2.0, 1.0])
    scores = np.array([0.9, 0.9, 0.5, 0.7])
    # five ordered pairs: 0>1 tie, 0>2 right, 0>3 right, 1>3 right, 2>3 wrong; 1 and 2 are no pair
    assert pair_counts(truth, scores) == (3.5, 5)
    result = opa([(truth, scores)])
    assert (result.value, result.n_pairs) == (pytest.approx(70.0), 5)
    assert (result.low, result.high) == (pytest.approx(70.0), pytest.approx(70.0))  # one page: no spread


def test_the_interval_covers_the_pages_spread():
    right, wrong = (np.array([2.0, 1.0]), np.array([1.0, 0.0])), (np.array([2.0, 1.0]), np.array([0.0, 1.0]))
    result = opa([right] * 20 + [wrong] * 20)
    # a binomial share of 40: 0.5 +- 1.96 * sqrt(0.25 / 40)
    assert result.value == 50.0
    assert result.low == pytest.approx(34.5, abs=3)
    assert result.high == pytest.approx(65.5, abs=3)
    assert math.isnan(opa([(np.ones(3), np.arange(3.0))]).value)


def test_calibrated_scores_of_normal_logits_are_spread_evenly():
    logits = torch.randn(20_000, generator=torch.manual_seed(0)) * 0.3 + 5.0
    scores = scores_from_logits(logits, Calibration.fit(logits))
    deciles = np.quantile(scores.numpy(), np.linspace(0.1, 0.9, 9))
    np.testing.assert_allclose(deciles, np.linspace(0.1, 0.9, 9), atol=0.02)


def write(path, *rows):
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def test_labels_of_several_judges_become_their_mean(tmp_path):
    page = {"serp_id": "s", "category": "hat", "images": ["a", "b"]}
    path = write(tmp_path / "l", page | {"scores": [1, 4]}, page | {"scores": [2, 8]})
    (serp,) = read_labels(path)
    assert serp.truth.tolist() == [1.5, 6.0]
    assert serp.n_judges == 2


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"serp_id": "s", "images": ["a", "b"], "scores": [1]}, "line 1: 2 images but 1 scores"),
        ({"serp_id": "s", "images": ["a"], "scores": [1]}, "line 1: images"),
        ({"images": ["a", "b"], "scores": [1, 2]}, "line 1: serp_id"),
    ],
)
def test_a_wrong_label_line_is_named(tmp_path, row, words):
    with pytest.raises(InputError, match=words):
        read_labels(write(tmp_path / "l", row))


def test_a_wrong_config_names_every_field(tmp_path):
    path = tmp_path / "c.json"
    path.write_text('{"focal_gama": 2, "lr": -1}')
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert len(caught.value.problems) == 2
    path.write_text('{"epochs": 3}')
    assert (read_config(path, seed=5).epochs, read_config(path, seed=5).seed) == (3, 5)


def scene(size=160):
    y, x = np.mgrid[0:size, 0:size]
    rgb = np.full((size, size, 3), 210, dtype=np.uint8)
    rgb[size // 4 : -size // 4, size // 3 : -size // 3] = (180, 60, 50)
    rgb[(x // 6 + y // 6) % 2 == 0] -= 20
    return rgb


@pytest.mark.parametrize("kind", KINDS)
def test_every_degradation_changes_the_photo_more_when_stronger(kind):
    photo = scene()
    mild, strong = (degrade(photo, kind, s, np.random.default_rng(0), scene()[::-1]) for s in (0.2, 1.0))
    assert mild.shape == strong.shape == photo.shape
    assert mild.dtype == strong.dtype == np.uint8
    change = [np.abs(p.astype(int) - photo).mean() for p in (mild, strong)]
    assert 0.5 < change[0] < change[1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (41, 7)])
def test_degradations_take_any_size(kind, shape):
    photo = np.full((*shape, 3), 90, dtype=np.uint8)
    assert (
        degrade(photo, kind, 1.0, np.random.default_rng(0), np.zeros((5, 9, 3), np.uint8)).shape
        == photo.shape
    )


def statistic(name, photo):
    return image_statistics(torch.from_numpy(photo[None].copy()))[0, NAMES.index(name)].item()


def test_statistics_say_what_their_names_say():
    photo, rng = scene(), np.random.default_rng(0)
    flat = np.full((160, 160, 3), 128, dtype=np.uint8)
    assert statistic("luma_mean", flat) == pytest.approx(128 / 255, abs=1e-5)
    assert statistic("background_flatness", flat) > 0.99
    assert statistic("saturation_mean", flat) == 0.0
    assert statistic("laplacian", degrade(photo, "blur", 1.0, rng)) < statistic("laplacian", photo)
    assert statistic("warmth", np.full((32, 32, 3), (200, 100, 50), np.uint8)) == pytest.approx(
        150 / 255, abs=1e-5
    )
    left = flat.copy()
    left[::2, :20] = 0
    assert statistic("left_edge", left[:, :]) == pytest.approx(
        statistic("right_edge", left[:, ::-1]), abs=1e-5
    )
    assert statistic("center_luma", photo) < statistic("border_luma", photo)


@pytest.mark.parametrize("value", [0, 255])
def test_statistics_of_a_blank_photo_are_finite(value):
    assert torch.isfinite(image_statistics(torch.full((2, 160, 160, 3), value, dtype=torch.uint8))).all()


def test_statistics_by_sorted_position_are_numpys():
    pixels = np.random.default_rng(4).integers(0, 256, (3, 64, 48, 3), dtype=np.uint8)
    found = dict(zip(NAMES, image_statistics(torch.from_numpy(pixels)).numpy().T, strict=True))
    rgb = pixels / 255.0
    luma = (rgb @ (0.299, 0.587, 0.114))[:, ::2, ::2].reshape(3, -1)
    for name, share in (("luma_p05", 0.05), ("luma_p50", 0.5), ("luma_p95", 0.95)):
        np.testing.assert_allclose(found[name], np.quantile(luma, share, axis=1), atol=1e-6)
    frame = np.ones((64, 48), dtype=bool)
    frame[10:-10, 7:-7] = False  # 15 % of each side
    np.testing.assert_allclose(found["border_color_std"], rgb[:, frame].std(1, ddof=1).mean(1), rtol=1e-5)
    cells = rgb @ (0.299, 0.587, 0.114)
    grid = cells.reshape(3, 4, 16, 4, 12).mean((2, 4)).reshape(3, -1)
    np.testing.assert_allclose(found["grid_luma_std"], grid.std(1, ddof=1), rtol=1e-5)
    shares = [np.bincount((row * 31.99).astype(int), minlength=32) / len(row) for row in luma]
    entropy = [-(s[s > 0] * np.log(s[s > 0])).sum() / np.log(32) for s in shares]
    np.testing.assert_allclose(found["luma_entropy"], entropy, atol=2e-3)  # a value on a bin's edge may move


@pytest.mark.parametrize("of", ["whole", "crop", "degraded"])
def test_a_view_is_the_same_for_the_same_seed(of):
    photos = np.stack([scene()] * 3)
    first, second = (make_view(photos, of, 4) for _ in range(2))
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert first.pixels.shape == photos.shape
    assert ((first.severity > 0) == (of == "degraded")).all()
    assert ((first.kind == WHOLE) == (of != "degraded")).all()
    assert (of == "whole") == bool((first.pixels == photos).all())


def test_a_cropped_view_is_mirrored():
    photo = np.zeros((1, 64, 64, 3), dtype=np.uint8)
    photo[:, :, :32] = 255
    assert make_view(photo, "crop", 0).pixels[0, 32, 60].tolist() == [255, 255, 255]


def test_the_teacher_learns_a_curve_from_scores_that_mean_something_within_a_page_only():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 8, 3))
    wanted = np.sin(x[..., 0]) + x[..., 1] ** 2
    pages = [(s, t + rng.uniform(-5, 5)) for s, t in zip(x, wanted, strict=True)]
    teacher = Teacher.fit(pages, gamma=0.1, ridge=0.01)
    fresh = rng.normal(size=(200, 3))
    found = teacher.predict(fresh)
    assert np.corrcoef(found, np.sin(fresh[:, 0]) + fresh[:, 1] ** 2)[0, 1] > 0.9


def test_the_teacher_is_the_ridge_regression_that_scikit_learn_fits_to_one_page():
    from sklearn.kernel_ridge import KernelRidge

    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(30, 4)), rng.normal(size=30)
    fresh = rng.normal(size=(50, 4))
    # with many pages' worth of ridge, centering the kernel's rows is all that differs: undo it by hand
    centred = KernelRidge(alpha=0.5, kernel="precomputed")
    kernel = np.exp(-0.2 * ((x[:, None] - x[None]) ** 2).sum(axis=2))
    weights = np.linalg.solve(kernel - kernel.mean(axis=0) + 0.5 * np.eye(30), y - y.mean())
    across = np.exp(-0.2 * ((fresh[:, None] - x[None]) ** 2).sum(axis=2))
    found = Teacher.fit([(x, y)], gamma=0.2, ridge=0.5).predict(fresh)
    np.testing.assert_allclose(found, across @ weights, atol=1e-9)
    assert np.corrcoef(found, centred.fit(kernel, y - y.mean()).predict(across))[0, 1] > 0.95


def test_blocks_have_the_same_say_however_wide_they_are():
    rng = np.random.default_rng(0)
    wide, narrow = rng.normal(size=(4000, 90)), rng.normal(size=(4000, 3))
    weighed = weigh_blocks(Standard.fit(wide)(wide), Standard.fit(narrow)(narrow))
    share = (weighed**2).mean(axis=0)
    assert share[:90].sum() == pytest.approx(0.5, abs=0.03)
    assert share[90:].sum() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("attribute", "kind"),
    [
        ("brightness", "dark"),
        ("contrast", "flat"),
        ("sharpness", "blur"),
        ("cleanness", "clutter"),
        ("colorfulness", "flat"),
    ],
)
def test_an_attribute_falls_when_the_photo_is_degraded_that_way(attribute, kind):
    worse = degrade(scene(), kind, 1.0, np.random.default_rng(0))
    before, after = image_attributes(torch.from_numpy(np.stack([scene(), worse])))[
        :, ATTRIBUTES.index(attribute)
    ]
    assert 0.0 <= after < before <= 1.0
