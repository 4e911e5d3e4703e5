"""The shipped model tells what is no photo of a garment; docs/image_model.md has the shares."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from ranking.cli.scorer import app
from scorer.calibration import read_domain, score_and_describe
from scorer.model.photo import read_photo
from scorer.model.scorer import load_scorer
from scorer.model.tower import COMPACT_FOLDER
from scorer.training.data import list_photos

N = 24


def noise(rng):
    return Image.fromarray(rng.integers(0, 256, (200, 200, 3), dtype=np.uint8))


def blank(rng):
    return Image.new("RGB", (200, 200), tuple(int(v) for v in rng.integers(0, 256, 3)))


def drawing(rng):
    image = Image.new("RGB", (240, 240), (255, 255, 255))
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(4, 14))):
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        left, top, width, height = (int(v) for v in rng.integers(0, 120, 4))
        box = (left, top, left + width, top + height)
        (pen.ellipse if rng.random() < 0.5 else pen.rectangle)(
            box, outline=colour, width=int(rng.integers(1, 9))
        )
    return image


def page(rng):
    image = Image.new("RGB", (300, 400), (255, 255, 255))
    pen = ImageDraw.Draw(image)
    for y in range(10, 390, int(rng.integers(11, 22))):
        letters = rng.choice(list("abcdefghijklmnop    "), 55)
        pen.text((12, y), "".join(letters), fill=(0, 0, 0))
    return image


@pytest.fixture(scope="module")
def scorer():
    return load_scorer()


@pytest.fixture(scope="module")
def domain(scorer):
    """Fails where the weights changed and the domain did not: `scorer calibrate --domain` writes it."""
    found = read_domain(COMPACT_FOLDER, scorer.version)
    assert found is not None
    return found


def share_outside(scorer, domain, pixels):
    return float(domain.outside(score_and_describe(scorer, np.stack(pixels))[1]).mean())


@pytest.mark.parametrize("draw", [noise, blank, drawing, page], ids=lambda draw: draw.__name__)
def test_what_is_no_photo_is_out_of_domain(scorer, domain, draw):
    rng = np.random.default_rng(0)
    assert share_outside(scorer, domain, [scorer.preprocess(draw(rng)) for _ in range(N)]) >= 0.85


def test_photos_of_garments_that_it_never_saw_are_in_domain(scorer, domain, shared):
    names = list_photos(shared / "photos", "validation")[::3]
    pixels = [read_photo(shared / "photos" / name, scorer.image_size) for name in names]
    assert len(pixels) > 100
    assert share_outside(scorer, domain, pixels) <= 0.04


def test_score_says_so(tmp_path):
    noise(np.random.default_rng(1)).save(tmp_path / "noise.png")
    done = CliRunner().invoke(app, ["score", str(tmp_path / "noise.png"), "--format", "json"])
    (row,) = json.loads(done.stdout)["photos"]
    assert row["out_of_domain"] is True
    assert row["domain_distance"] > json.loads(done.stdout)["domain"]["threshold"]
    table = CliRunner().invoke(app, ["score", str(tmp_path / "noise.png")])
    assert "out_of_domain" in table.stdout
    assert "1 of 1 photos out of domain" in table.stderr
