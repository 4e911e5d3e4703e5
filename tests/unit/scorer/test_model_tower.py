"""Any open_clip tower loads through one path; weights here are made on the fly."""

from __future__ import annotations

import json

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from ranking.errors import ConfigError, InputError, ServerError
from scorer.model.head import Calibration, Head, HeadConfig
from scorer.model.scorer import ImageScorer, ScorerConfig, load_scorer
from scorer.model.tower import COMPACT_FOLDER, load_tower, new_tower, save_tower, tower_of
from scorer.training.config import COMPACT_MODEL, COMPACT_PREPROCESS

TEXT = {"context_length": 4, "vocab_size": 16, "width": 16, "heads": 2, "layers": 1}


def write_clip(folder, model, model_cfg, **preprocess):
    """The layout that open_clip pushes to a hub."""
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": model_cfg, "preprocess_cfg": preprocess})
    )
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    return f"local-dir:{folder}"


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    """A two-layer vision transformer with random weights, and its folder."""
    vision = {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16}
    cfg = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": TEXT}
    torch.manual_seed(0)
    model = open_clip.model.CLIP(**cfg).eval()
    mean, std = [0.48, 0.46, 0.41], [0.27, 0.26, 0.28]
    spec = write_clip(tmp_path_factory.mktemp("clip") / "vit", model, cfg, size=32, mean=mean, std=std)
    return model, spec


@pytest.fixture
def head_folder(vit, tmp_path):
    """A scorer folder that names the tower, with a random head."""
    _, spec = vit
    torch.manual_seed(1)
    head = Head(HeadConfig(embed_dim=24, hidden=(8,)))
    config = ScorerConfig(
        name="mine", tower=spec, head=head.config, calibration=Calibration(center=0.1, slope=3.0)
    )
    scorer = ImageScorer(load_tower(spec), head, config).eval()
    scorer.save_head(tmp_path / "scorer")
    return scorer, tmp_path / "scorer"


def test_a_local_folder_gives_what_open_clip_gives_in_process(vit, head_folder):
    model, _ = vit
    scorer = load_scorer(head_folder[1])
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8))
    mean = torch.tensor([0.48, 0.46, 0.41]).view(3, 1, 1)
    std = torch.tensor([0.27, 0.26, 0.28]).view(3, 1, 1)
    x = (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / std
    with torch.inference_mode():
        expected = model.encode_image(x)
        torch.testing.assert_close(scorer.embed_raw(pixels), expected, atol=1e-5, rtol=1e-4)
        normalized = torch.nn.functional.normalize(expected, dim=1) * 24**0.5
        hidden = torch.nn.functional.gelu(scorer.head.layers[0](normalized))
        logit = scorer.head.layers[3](hidden)[:, 0]
        torch.testing.assert_close(scorer(pixels), torch.sigmoid((logit - 0.1) * 3.0), atol=1e-5, rtol=1e-4)


def test_a_saved_scorer_is_the_same_scorer(head_folder):
    scorer, folder = head_folder
    again = load_scorer(folder)
    pixels = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8, generator=torch.manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(again(pixels), scorer(pixels))
    assert again.version == scorer.version
    assert again.version.startswith("mine-")


def test_a_bare_tower_takes_the_head_of_a_folder(vit, head_folder):
    _, spec = vit
    assert load_scorer(spec, head=head_folder[1]).version == head_folder[0].version
    with pytest.raises(InputError, match="no head"):
        load_scorer(spec)


def test_the_version_follows_weights_and_calibration(head_folder):
    scorer, folder = head_folder
    before = scorer.version
    path = folder / "scorer.json"
    path.write_text(path.read_text().replace('"slope": 3.0', '"slope": 2.0'))
    assert load_scorer(folder).version != before


def test_a_compact_tower_survives_its_folder_within_float16(tmp_path):
    tower = new_tower(COMPACT_MODEL, COMPACT_PREPROCESS, seed=0)
    save_tower(tower.visual, tmp_path / "t", COMPACT_MODEL, COMPACT_PREPROCESS)
    again = load_tower(f"local-dir:{tmp_path / 't'}")
    assert (again.mean, again.std, again.image_size) == (tower.mean, tower.std, tower.image_size)
    for name, value in tower.visual.state_dict().items():
        torch.testing.assert_close(again.visual.state_dict()[name], value, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("ViT-B-16", "names no weights"),
        ("ViT-Z-99:openai", "knows no model"),
        ("ViT-B-16:nobody", "has no weights 'nobody'"),
        ("local-dir:/nowhere/at/all", "cannot be loaded"),
    ],
)
def test_a_wrong_tower_is_one_sentence(spec, words):
    with pytest.raises(InputError, match=words) as caught:
        load_tower(spec)
    assert "\n" not in str(caught.value)


def test_a_folder_without_weights_is_refused_rather_than_scored_at_random(tmp_path):
    (tmp_path / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": COMPACT_MODEL, "preprocess_cfg": COMPACT_PREPROCESS})
    )
    with pytest.raises(InputError):
        load_tower(f"local-dir:{tmp_path}")


@pytest.mark.parametrize("spec", ["hf-hub:some/repo", "ViT-B-16:laion2b_s34b_b88k"])
def test_a_hub_out_of_reach_is_one_sentence_with_a_way_out(spec, monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError("Connection refused\nby 127.0.0.1")

    monkeypatch.setattr("open_clip.pretrained.hf_hub_download", unreachable)
    monkeypatch.setattr("open_clip.factory.download_pretrained_from_hf", unreachable)
    with pytest.raises(ServerError, match="cannot be fetched") as caught:
        load_tower(spec)
    assert "\n" not in str(caught.value)
    assert "local-dir:" in caught.value.hint


def test_a_wrong_scorer_file_names_its_keys(tmp_path):
    (tmp_path / "scorer.json").write_text('{"name": "x", "tower": "compact", "heads": {}}')
    with pytest.raises(ConfigError) as caught:
        load_scorer(tmp_path)
    assert {p.split(":")[0] for p in caught.value.problems} == {"head", "heads"}


def test_a_head_for_another_tower_is_refused(head_folder):
    with pytest.raises(InputError, match="takes embeddings of 24"):
        load_scorer(f"local-dir:{COMPACT_FOLDER}", head=head_folder[1])


def test_a_tower_that_wants_an_oblong_is_refused():
    class Oblong(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.visual = torch.nn.Identity()
            self.visual.image_size = (32, 48)

    with pytest.raises(InputError, match="32 x 48"):
        tower_of(Oblong(), "oblong")
