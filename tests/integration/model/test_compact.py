"""What is claimed of the shipped compact model."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image

from marketplace.render.photo import PhotoSpec, render
from scorer.model.scorer import load_scorer
from scorer.model.tower import COMPACT_FOLDER, WEIGHTS_FILE, load_tower


@pytest.fixture(scope="module")
def scorer():
    return load_scorer()


def noise(n, size, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8))


def test_the_tower_is_small():
    assert load_tower().n_parameters <= 5_000_000
    assert (COMPACT_FOLDER / WEIGHTS_FILE).stat().st_size < 15_000_000


@pytest.fixture(scope="module")
def drawn():
    """Simulated photos of twelve garments, each taken carelessly, so-so and with care: (12, 3)."""
    return [
        [render(PhotoSpec(category=c, colour=k, quality=q, seed=seed)) for q in (0.02, 0.5, 0.98)]
        for seed, (c, k) in enumerate(
            product(("dress", "pants", "shirt", "t-shirt"), ("black", "white", "red"))
        )
    ]


def test_scores_are_in_range_and_differ(scorer, drawn):
    photos = [photo for row in drawn for photo in row]
    scores = scorer.score_images(photos)
    assert scores.shape == (36,)
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()
    assert len(set(scores.round(4).tolist())) > 30
    assert scores.max() - scores.min() > 0.5


def test_a_simulated_photo_taken_with_care_beats_the_same_taken_carelessly(scorer, drawn):
    careless, middling, careful = np.array([scorer.score_images(row) for row in drawn]).T
    assert (careful > careless).mean() >= 0.8
    assert careless.mean() < middling.mean() < careful.mean()


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (5, 3), (640, 480)])
def test_no_size_gives_nan(scorer, size):
    assert np.isfinite(scorer.score_images([Image.new("RGB", size, (40, 80, 120))])).all()


def test_a_photo_scores_the_same_alone_and_in_a_batch(scorer):
    batch = noise(7, scorer.image_size)
    with torch.inference_mode():
        alone = torch.cat([scorer(photo[None]) for photo in batch])
        torch.testing.assert_close(scorer(batch), alone, atol=1e-5, rtol=0)


def test_two_loads_score_alike_and_have_one_version(scorer):
    again, batch = load_scorer("compact"), noise(3, scorer.image_size)
    with torch.inference_mode():
        assert torch.equal(scorer(batch), again(batch))
    assert again.version == scorer.version
    assert scorer.version.startswith("compact-")


def test_scores_and_embeddings_come_from_one_pass(scorer):
    batch = noise(3, scorer.image_size)
    with torch.inference_mode():
        scores, embeddings = scorer.score_and_embed(batch)
        assert torch.equal(scores, scorer(batch))
    assert embeddings.shape == (3, scorer.embed_dim)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))


def test_a_mirrored_photo_scores_nearly_the_same(scorer, drawn):
    photos = [photo for row in drawn for photo in row]
    mirrored = [photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for photo in photos]
    apart = np.abs(scorer.score_images(photos) - scorer.score_images(mirrored))
    assert apart.mean() < 0.06
    assert apart.max() < 0.3


def test_no_photos_are_no_scores(scorer):
    assert scorer.score_images([]).shape == (0,)


def test_exif_rotation_scores_as_the_rotated_pixels(scorer):
    rng = np.random.default_rng(3)
    upright = Image.fromarray(rng.integers(0, 256, (24, 16, 3), dtype=np.uint8)).resize((320, 480))
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.info["exif"] = exif.tobytes()
    turned_score, upright_score, as_stored = scorer.score_images(
        [turned, upright, upright.transpose(Image.Transpose.ROTATE_90)]
    )
    assert turned_score == pytest.approx(upright_score, abs=1e-6)
    assert as_stored != pytest.approx(upright_score, abs=1e-4)
