"""What is claimed of the shipped compact model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

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


def still_life(light, scraps, size, seed=0):
    """A red garment on a plain ground of this light (0-255), with scraps of color lying around it."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (size, size), (light, light, light))
    pen = ImageDraw.Draw(image)
    for _ in range(scraps):
        x, y = rng.integers(0, size, 2)
        pen.rectangle(
            (x, y, x + size // 8, y + size // 6), fill=tuple(int(v) for v in rng.integers(0, 256, 3))
        )
    pen.polygon([(size * x, size * y) for x, y in GARMENT], fill=(170, 40, 40))
    return image


GARMENT = [
    *((0.35, 0.2), (0.65, 0.2), (0.85, 0.35), (0.75, 0.45), (0.68, 0.4)),
    *((0.68, 0.8), (0.32, 0.8), (0.32, 0.4), (0.25, 0.45), (0.15, 0.35)),
]


def test_scores_are_in_range_and_differ(scorer):
    photos = [
        still_life(light, scraps, scorer.image_size) for light in (30, 130, 230) for scraps in (0, 8, 25)
    ]
    scores = scorer.score_images(photos)
    assert scores.shape == (9,)
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()
    assert len(set(scores.round(4).tolist())) == 9
    assert scores.max() - scores.min() > 0.2


@pytest.mark.parametrize("light", [200, 230])
def test_a_garment_on_a_plain_light_ground_beats_the_same_among_clutter(scorer, light):
    clean, *cluttered = (
        still_life(light, scraps, scorer.image_size, s) for s, scraps in enumerate((0, 25, 25, 25))
    )
    best, *others = scorer.score_images([clean, *cluttered])
    assert best > max(others)


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


def test_a_mirrored_photo_scores_nearly_the_same(scorer):
    photos = [still_life(light, scraps, scorer.image_size) for light in (90, 160, 220) for scraps in (0, 9)]
    mirrored = [photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for photo in photos]
    assert np.abs(scorer.score_images(photos) - scorer.score_images(mirrored)).max() < 0.1


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
