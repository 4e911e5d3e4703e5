import io

import numpy as np
import pytest
from PIL import Image

from marketplace.colours import NAMES, RGB, centre_colour
from marketplace.render.camera import draw_shot
from marketplace.render.photo import GARMENTS, PhotoSpec, render, render_jpeg
from marketplace.titles import CLASSES

QUALITIES = np.linspace(0.02, 0.98, 36)


def spec(number, quality):
    rng = np.random.default_rng(number)
    category = list(GARMENTS)[number % 10]
    colour = str(rng.choice(NAMES))
    return PhotoSpec(category=category, colour=colour, quality=quality, seed=1000 + number, brand="Kazemori")


@pytest.fixture(scope="module")
def roll():
    """Three dozen photos as JPEG bytes, worst first, classes taking turns."""
    order = np.random.default_rng(0).permutation(36)
    return [render_jpeg(spec(int(number), float(q))) for number, q in zip(order, QUALITIES, strict=True)]


@pytest.fixture(scope="module")
def measures(roll):
    """Brightness, sharpness and noise of each photo of the roll."""
    fields = []
    for jpeg in roll:
        with Image.open(io.BytesIO(jpeg)) as photo:
            fields.append(np.asarray(photo.convert("L"), dtype=float))
    return {
        "brightness": [field.mean() for field in fields],
        "sharpness": [np.quantile(np.abs(laplacian(halved(field))), 0.995) for field in fields],
        "noise": [quietest_blocks(laplacian(field)) for field in fields],
    }


def laplacian(a):
    return 4 * a[1:-1, 1:-1] - a[:-2, 1:-1] - a[2:, 1:-1] - a[1:-1, :-2] - a[1:-1, 2:]


def halved(a):
    """Half the size, so that noise weighs less than edges."""
    a = a[: a.shape[0] // 2 * 2, : a.shape[1] // 2 * 2]
    return (a[0::2, 0::2] + a[1::2, 0::2] + a[0::2, 1::2] + a[1::2, 1::2]) / 4


def quietest_blocks(a):
    """Standard deviation inside blocks, of the quietest twentieth: where nothing is drawn, noise is left."""
    h, w = a.shape[0] // 13, a.shape[1] // 16
    return np.quantile(a[: h * 13, : w * 16].reshape(h, 13, w, 16).std(axis=(1, 3)), 0.05)


def spearman(a, b):
    return np.corrcoef(np.argsort(np.argsort(a)), np.argsort(np.argsort(b)))[0, 1]


def test_good_photos_are_brighter_sharper_and_less_noisy(measures):
    assert spearman(measures["brightness"], QUALITIES) > 0.5
    assert spearman(measures["sharpness"], QUALITIES) > 0.5
    assert spearman(measures["noise"], QUALITIES) < -0.5


def test_no_single_statistic_gives_quality_away(measures):
    for name, values in measures.items():
        assert abs(spearman(values, QUALITIES)) < 0.9, name


def test_photos_have_the_size_of_real_ones(roll):
    with Image.open(io.BytesIO(roll[0])) as photo:
        assert photo.size == (400, 533)
        assert photo.format == "JPEG"
    sizes = np.array([len(jpeg) for jpeg in roll])
    assert 15_000 < np.median(sizes) < 40_000
    assert sizes.min() > 5_000
    assert sizes.max() < 55_000


def test_the_same_specification_gives_the_same_bytes(roll):
    assert render_jpeg(spec(3, 0.4)) == render_jpeg(spec(3, 0.4))
    assert render_jpeg(spec(3, 0.4)) != render_jpeg(spec(13, 0.4))


@pytest.mark.parametrize("field", ["category", "colour", "quality", "seed", "brand", "style", "generated"])
def test_every_field_of_a_specification_changes_the_file_name(field):
    base = {
        "category": "hat",
        "colour": "red",
        "quality": 0.5,
        "seed": 1,
        "brand": "A",
        "style": "",
        "generated": False,
    }
    other = base | {field: {"category": "dress", "colour": "blue", "quality": 0.6, "seed": 2, "brand": "B",
                            "style": "wool beanie", "generated": True}[field]}  # fmt: skip
    assert PhotoSpec(**base).digest() != PhotoSpec(**other).digest()


def test_the_colour_in_the_title_can_be_seen_in_a_good_photo():
    plain = [
        n for n in range(200) if list(GARMENTS)[n % 10] in ("t-shirt", "pants", "longsleeve", "outwear")
    ][:24]
    seen = [centre_colour(render(spec(n, 0.95))) == spec(n, 0.95).colour for n in plain]
    assert np.mean(seen) > 0.5  # patterns and prints hide some; a guess would be right for one in fourteen


def test_every_class_and_every_style_can_be_drawn():
    assert set(GARMENTS) == set(CLASSES)
    for category, kind in CLASSES.items():
        for word in kind.words:
            style = f"{kind.materials[0]} {word}"
            photo = render(PhotoSpec(category=category, colour="green", quality=0.5, seed=1, style=style))
            assert np.asarray(photo).std() > 5


def test_quality_moves_every_habit_of_the_seller():
    rng = np.random.default_rng(4)
    bad = [draw_shot(0.1, False, rng) for _ in range(300)]
    good = [draw_shot(0.9, False, rng) for _ in range(300)]

    def mean(shots, habit):
        return np.mean([abs(getattr(shot, habit)) for shot in shots])

    for habit in ("n_clutter", "crumple", "angle", "falloff", "vignette", "haze", "blur", "noise"):
        assert mean(bad, habit) > 1.5 * mean(good, habit), habit
    for habit in ("contrast", "saturation", "jpeg"):
        assert mean(bad, habit) < mean(good, habit), habit
    # Too small in the frame, or cut off.
    assert np.std([shot.fill for shot in bad]) > 2 * np.std([shot.fill for shot in good])
    for shots, least, most in ((good, 0.1, 0.5), (bad, 0.0, 0.03)):
        assert least <= np.mean([shot.background == "studio" for shot in shots]) <= most


@pytest.mark.parametrize("name", NAMES)
def test_the_paint_of_every_colour_is_given_that_colours_name(name):
    assert centre_colour(Image.new("RGB", (40, 50), RGB[name])) == name
