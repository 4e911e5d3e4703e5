"""int8 in torch against float32 torch, and against integers multiplied by numpy."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from ranking.errors import InputError
from scorer.model.scorer import load_scorer
from scorer.serving import ServingOptions, int8, write_repository
from scorer.serving.errors import NothingToQuantize
from scorer.serving.weights import load_weights
from tests.unit.scorer.test_export_int8 import MODEL, in_torch, pictures, write_vit

INT8 = ServingOptions(precision="int8")
KINDS = {  # what `write_vit` makes otherwise
    "gelu": {},
    "quick gelu": {"quick_gelu": True},
    "layer scale": {"vision_cfg": MODEL["vision_cfg"] | {"ls_init_value": 0.7}},
    "mean of the tokens": {"vision_cfg": MODEL["vision_cfg"] | {"pool_type": "avg"}},
    "mirrored": {"mirror": True},
}


def export(folder, scorer_folder, photos=None):
    return write_repository(
        folder, str(scorer_folder), options=INT8, photos=pictures(48) if photos is None else photos
    )


def test_a_product_is_that_of_the_integers():
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(0, 0.1, (24, 40)).astype(np.float32), rng.normal(0, 1, 24).astype(np.float32)
    x = rng.integers(0, 256, (7, 40), dtype=np.uint8)
    low, high = -1.5, 3.6  # a scale of 0.02, zero at 75
    product = int8._Product(*map(torch.tensor, (weight, bias, low, high)))
    levels = np.abs(weight).max(1) / 63
    whole = np.rint(weight / levels[:, None]).astype(np.int64)
    assert np.abs(whole).max() == 63, "seven bits"
    expected = (x.astype(np.int64) - 75) @ whole.T * (0.02 * levels) + bias
    np.testing.assert_allclose(product(torch.from_numpy(x)).numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_nearly_those_of_float32(tmp_path, kind, bfloat16, monkeypatch):
    monkeypatch.setattr("scorer.serving.cpu.multiplies_bfloat16", lambda: bfloat16)
    (tmp_path / "vit").mkdir()
    scorer = write_vit(tmp_path / "vit", **KINDS[kind])
    exported = export(tmp_path / "models", tmp_path / "vit")
    small = load_weights(exported.version_folder / "weights", precision="int8")
    assert small.version == exported.model_version == f"{scorer.version}+int8"
    assert f'value: {{ string_value: "{small.version}" }}' in (exported.folder / "config.pbtxt").read_text()
    images = pictures(96, seed=1)
    expected, got = in_torch(scorer, images), small.score(images)
    assert np.ptp(expected) > 0.5
    assert spearmanr(expected, got).statistic > 0.99
    assert 0 < np.abs(got - expected).max() < 0.15
    alone = np.concatenate([small.score(images[i : i + 1]) for i in range(16)])
    np.testing.assert_allclose(alone, got[:16], atol=1e-5, err_msg="a score hangs on its own photo alone")


def test_the_same_export_again_changes_nothing(tmp_path):
    (tmp_path / "vit").mkdir()
    write_vit(tmp_path / "vit")
    first = export(tmp_path / "models", tmp_path / "vit")
    again = export(tmp_path / "models", tmp_path / "vit")
    assert (again.number, again.changed) == (first.number, False)
    assert export(tmp_path / "models", tmp_path / "vit", pictures(48, seed=5)).number == first.number + 1


def test_outliers_of_a_channel_cost_the_others_nothing(tmp_path, monkeypatch):
    """As trained towers have them: a few channels leave the norm fifty times larger than the rest."""

    def outliers(visual):
        with torch.no_grad():
            for block in visual.transformer.resblocks:
                for norm, weight in (
                    (block.ln_1, block.attn.in_proj_weight),
                    (block.ln_2, block.mlp.c_fc.weight),
                ):
                    for channel in (3, 17, 40):
                        norm.weight[channel] *= 50
                        norm.bias[channel] *= 50
                        weight[:, channel] /= 50

    (tmp_path / "vit").mkdir()
    scorer = write_vit(tmp_path / "vit", change=outliers)
    images = pictures(64, seed=1)
    expected = in_torch(scorer, images)

    def error():
        scales, _ = int8.measure(scorer, pictures(48))
        small = load_scorer(tmp_path / "vit")
        int8.to_int8(small, scales, bfloat16=False)
        return np.abs(in_torch(small, images) - expected).mean()

    smoothed = error()
    monkeypatch.setattr(int8, "_smooth", lambda largest, weight: torch.ones_like(largest))
    assert error() > 3 * smoothed


def test_the_last_layer_gives_the_class_token_as_a_whole_layer_would(tmp_path):
    scorer = write_vit(tmp_path)
    scales, scores = int8.measure(scorer, pictures(16))
    np.testing.assert_allclose(scores, in_torch(scorer, pictures(16)), atol=1e-5)
    layer, mine = int8.layers_of(scorer)[1], int8.scales_of(1, scales)
    x = torch.randn(4, 17, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole, alone = (int8.Int8Layer(layer, mine, alone=a, bfloat16=False)(x) for a in (False, True))
    assert alone.shape == (4, 1, 64)
    torch.testing.assert_close(alone, whole[:, :1], atol=1e-5, rtol=1e-4)


def test_what_int8_cannot_be_is_said(tmp_path):
    (tmp_path / "vit").mkdir()
    write_vit(tmp_path / "vit")
    models, named = tmp_path / "models", str(tmp_path / "vit")
    with pytest.raises(NothingToQuantize, match="open_clip's own ViT"):
        write_repository(models, "compact", options=INT8, photos=np.zeros((2, 224, 224, 3), dtype=np.uint8))
    with pytest.raises(InputError, match="needs photos to scale by"):
        write_repository(models, named, options=INT8)
    on_gpu = ServingOptions(precision="int8", device="gpu")
    with pytest.raises(InputError, match="for CPUs"):
        write_repository(models, named, options=on_gpu, photos=pictures(8))
    with pytest.raises(InputError, match="Spearman nan"):  # one photo has no order
        write_repository(models, named, options=INT8, photos=pictures(1))
    assert not models.exists() or not list(models.iterdir()), "nothing half-written"
    with pytest.raises(InputError, match=r"no int8\.safetensors"):
        load_weights(tmp_path / "vit", precision="int8")
