"""Attributes and tips: what is measured is what was done to the photo, and the words say it."""

import json

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from ranking.cli import full_app
from ranking.errors import InputError
from scorer.model.attributes import ATTRIBUTES
from scorer.model.prompts import KNOWN_WORDS_FILE, PROMPTS, NoTextSide, Prompts, load_prompts
from scorer.model.tips import Measured, attribute_values, furthest_from_good, measure, suggest_hero, tips_for
from scorer.training.degrade import degrade
from tests.unit.scorer.photo_zoo import photos

VIT = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16, "head_width": 32},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}


def listing(width=800, height=600):
    """A striped garment in the middle of a plain, evenly lit ground: nothing to say about it."""
    y, x = np.mgrid[0:height, 0:width]
    u, v = x / width, y / height
    pixels = np.full((height, width, 3), 150.0) + 8 * np.sin(40 * u + 25 * v)[..., None]
    inside = (abs(u - 0.5) < 0.27) & (abs(v - 0.5) < 0.32)
    stripes = np.where((x // (width // 40)) % 2 == 0, 225.0, 40.0)
    pixels[inside] = stripes[inside][:, None] * [0.9, 0.75, 1.0]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def abouts(image):
    return [tip.about for tip in tips_for(measure(image))]


def worse(kind, severity=1.0):
    return Image.fromarray(degrade(np.asarray(listing()), kind, severity, np.random.default_rng(0)))


def test_a_good_photo_gets_no_tip():
    assert tips_for(measure(listing())) == []
    assert "furthest from good photos" in furthest_from_good(measure(listing()))


@pytest.mark.parametrize(
    ("kind", "about", "says"),
    [
        ("dark", "brightness", "dark"),
        ("overexposed", "brightness", "washed out"),
        ("blur", "sharpness", "blurred"),
        ("flat", "contrast", "flat"),
    ],
)
def test_what_was_done_to_a_photo_is_what_the_tip_says(kind, about, says):
    (tip,) = [tip for tip in tips_for(measure(worse(kind))) if tip.about == about]
    assert says in tip.sentence
    assert f"{round(100 * tip.measured)}" in tip.sentence  # the measured value is in the words


def test_a_busy_ground_an_uneven_light_and_a_small_item_are_told():
    noisy = np.asarray(listing()).copy()
    edge = np.random.default_rng(0).integers(0, 256, noisy.shape, dtype=np.uint8)
    noisy[:110], noisy[-110:], noisy[:, :110], noisy[:, -110:] = (
        edge[:110], edge[-110:], edge[:, :110], edge[:, -110:],
    )  # fmt: skip
    assert "cleanness" in abouts(Image.fromarray(np.asarray(Image.fromarray(noisy).resize((160, 120), 0))))
    shade = np.linspace(0.4, 1.4, 800)[None, :, None]
    assert "light" in abouts(Image.fromarray((np.asarray(listing()) * shade).clip(0, 255).astype(np.uint8)))
    far = Image.new("RGB", (1600, 1200), (150, 150, 150))
    far.paste(listing().crop((184, 108, 616, 492)), (600, 400))
    assert "distance" in abouts(far)


def test_few_pixels_are_told_as_they_were_sent():
    (tip,) = tips_for(measure(listing(240, 180)))
    assert (tip.about, tip.measured) == ("size", 180)
    assert "240 x 180" in tip.sentence


def test_the_worst_comes_first():
    measured = measure(worse("dark"))
    tips = tips_for(Measured({**measured.values, "cleanness": 0.39}, 800, 600))
    assert tips[0].about == "brightness"
    assert "cleanness" in [tip.about for tip in tips[1:]]


def test_the_hero_is_the_best_photo_and_the_reason_is_what_sets_it_apart():
    images = [worse("dark", 0.5), listing(), worse("dark", 0.7)]
    hero = suggest_hero([0.2, 0.8, 0.3], [measure(image) for image in images])
    assert hero is not None
    assert (hero.index, hero.score) == (1, 0.8)
    assert "0.80, 0.50 above the next" in hero.reason
    assert "brighter" in hero.reason


@pytest.mark.parametrize("scores", [[0.5], [0.5, None], [None, None], []])
def test_one_photo_has_no_rival(scores):
    assert suggest_hero(scores, [None if s is None else measure(listing()) for s in scores]) is None


def test_of_equal_photos_the_first_is_shown():
    hero = suggest_hero([0.5, 0.5], [measure(listing())] * 2)
    assert hero is not None
    assert (hero.index, hero.reason) == (0, "it scores 0.50, level with the next")


@pytest.mark.parametrize("name", photos())
def test_any_photo_can_be_measured(name):
    from scorer.model.photo import open_photo

    image = open_photo(photos()[name])
    assert all(np.isfinite(list(measure(image).values.values())))
    values = attribute_values([image])
    assert ((values >= 0) & (values <= 1)).all()
    for tip in tips_for(measure(image)):
        assert "nan" not in tip.sentence


@pytest.fixture
def clip_folder(tmp_path):
    """A tower with both sides, random weights, as `local-dir:`."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = open_clip.model.CLIP(**VIT).eval()
    folder = tmp_path / "clip"
    folder.mkdir()
    config = {"model_cfg": VIT, "preprocess_cfg": {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    return model, folder


def test_prompt_attributes_are_the_softmax_over_each_pair_of_texts(clip_folder):
    """The twin is the textbook form: scaled similarities, softmax over the two, the first one's share."""
    model, folder = clip_folder
    images = torch.randn(6, 3, 32, 32, generator=torch.manual_seed(1))
    texts = open_clip.tokenize([text for pair in PROMPTS.values() for text in pair], context_length=16)
    with torch.inference_mode():
        e = model.encode_image(images, normalize=True)
        t = model.encode_text(texts, normalize=True)
        logits = (model.logit_scale.exp() * e @ t.T).reshape(6, len(PROMPTS), 2)
        expected = logits.softmax(2)[..., 0].numpy()
    prompts = load_prompts(f"local-dir:{folder}")
    assert prompts.names == ATTRIBUTES
    got = prompts.attributes(e.numpy())
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert len(np.unique(got.round(6))) > 20  # values vary between photos


def test_the_high_end_of_each_pair_is_the_one_the_name_says():
    prompts = Prompts(("sharpness",), np.array([[2.0], [0.0]], dtype=np.float32))
    sharp, blurry = prompts.attributes(np.array([[1, 0], [-1, 0]], dtype=np.float32))[:, 0]
    assert sharp == pytest.approx(1 / (1 + np.exp(-2)))
    assert blurry == pytest.approx(1 - sharp)
    assert [pair[0].split()[1] for pair in PROMPTS.values()] == [
        "bright",
        "photo",
        "colorful",
        "high",
        "sharp",
    ]


def test_a_tower_without_a_text_side_says_so():
    with pytest.raises(NoTextSide, match="no text side"):
        load_prompts("compact")


def test_a_tower_that_never_saw_the_words_says_which(clip_folder):
    _, folder = clip_folder
    (folder / KNOWN_WORDS_FILE).write_text(json.dumps({"words": ["red", "dress", "photo"]}))
    with pytest.raises(NoTextSide, match="never say 'background'"):
        load_prompts(f"local-dir:{folder}")
    assert load_prompts(f"local-dir:{folder}", {"redness": ("red photo", "dress photo")}).names == (
        "redness",
    )
    (folder / KNOWN_WORDS_FILE).write_text("[")
    with pytest.raises(InputError, match="no list of known words"):
        load_prompts(f"local-dir:{folder}")


def test_embeddings_of_another_tower_or_with_nan_are_refused(clip_folder):
    prompts = load_prompts(f"local-dir:{clip_folder[1]}")
    with pytest.raises(InputError, match="not of this tower"):
        prompts.attributes(np.zeros((2, 7), dtype=np.float32))
    broken = np.zeros((3, 24), dtype=np.float32)
    broken[1, 5] = np.nan
    with pytest.raises(InputError, match="embedding 1 holds"):
        prompts.attributes(broken)


@pytest.fixture
def files(tmp_path):
    listing().save(tmp_path / "good.png")
    worse("dark").save(tmp_path / "dark.png")
    (tmp_path / "text.jpg").write_text("no photo")
    return [str(tmp_path / name) for name in ("good.png", "dark.png", "text.jpg")]


def test_scores_with_tips_as_json(files):
    done = CliRunner().invoke(full_app(), ["scorer", "score", *files, "--tips", "--format", "json"])
    assert done.exit_code == 1  # one cannot be read
    found = json.loads(done.stdout)
    good, dark, text = found["photos"]
    assert good["tips"] == []
    assert {"brightness"} <= {tip["about"] for tip in dark["tips"]}
    assert set(dark["tips"][0]) == {"about", "measured", "limit", "sentence"}
    assert text["error"].endswith("not an image that Pillow can read")
    best = max((good, dark), key=lambda row: row["score"])
    assert found["hero"]["photo"] == best["photo"]
    plain = CliRunner().invoke(full_app(), ["scorer", "score", files[0], "--format", "json"])
    assert "tips" not in json.loads(plain.stdout)["photos"][0]


def test_attributes_fall_back_to_statistics_and_say_so(files):
    done = CliRunner().invoke(full_app(), ["scorer", "attributes", *files[:2], "--format", "json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["source"] == "statistics"
    assert "no text side" in done.stderr
    good, dark = found["photos"]
    assert good["brightness"] > dark["brightness"] + 0.1
    assert set(good) == {"photo", *ATTRIBUTES, "error"}


def test_attributes_of_a_tower_with_a_text_side_are_the_prompts(clip_folder, files):
    from scorer.model.photo import read_photo

    model, folder = clip_folder
    words = ["scorer", "attributes", files[0], "--model", f"local-dir:{folder}", "--format", "json"]
    done = CliRunner().invoke(full_app(), words)
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)
    assert found["source"] == "prompts"
    x = (torch.from_numpy(read_photo(files[0], 32)).permute(2, 0, 1)[None] / 255 - 0.5) / 0.5
    with torch.inference_mode():
        e = torch.nn.functional.normalize(model.encode_image(x) + model.encode_image(x.flip(3)), dim=1)
    expected = load_prompts(f"local-dir:{folder}").attributes(e.numpy())[0]
    got = [found["photos"][0][name] for name in ATTRIBUTES]
    np.testing.assert_allclose(got, expected, atol=1e-3)
    told = CliRunner().invoke(full_app(), ["scorer", "attributes", files[0], "--source", "prompts"])
    assert isinstance(told.exception, NoTextSide)
