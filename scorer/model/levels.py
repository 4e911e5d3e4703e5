"""`efficientnet_lite0_levels`: an ImageNet network that is read at several depths, as a timm model.

A classifier's last layer has forgotten light, grain and framing on purpose; its middle layers have not. So
the mean and the spread of every channel after each of the later stages are kept, standardized, and
projected to one embedding. Importing this module registers the model with timm, and so with open_clip,
whose configurations name it under `timm_model_name`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import timm
import torch
from timm.models import register_model
from torch import Tensor, nn

NAME: Final = "efficientnet_lite0_levels"
STAGES: Final = (2, 3, 4, 5, 6)  # of the network's seven
CLAMP: Final = 3.0  # standard deviations: beyond this, a statistic says no more
_CHANNELS: Final = (40, 80, 112, 192, 320)
N_LEVELS: Final = 2 * sum(_CHANNELS)
_STARTS: Final = [2 * sum(_CHANNELS[:i]) for i in range(len(_CHANNELS) + 1)]
STAGE_COLUMNS: Final = tuple(slice(a, b) for a, b in pairwise(_STARTS))  # of `levels`, by stage


class Levels(nn.Module):
    """The network, the statistics of its stages, and their projection."""

    shift: Tensor
    scale: Tensor
    conv_stem: nn.Module
    bn1: nn.Module
    blocks: nn.Sequential
    classifier: nn.Linear

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        net: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
        self.conv_stem, self.bn1, self.blocks = net.conv_stem, net.bn1, net.blocks
        self.register_buffer("shift", torch.zeros(N_LEVELS))
        self.register_buffer("scale", torch.ones(N_LEVELS))
        self.classifier = nn.Linear(N_LEVELS, num_classes)
        self.num_features = N_LEVELS

    def levels(self, x: Tensor) -> Tensor:
        """Mean and spread of each channel after each stage: float32, shape (n, N_LEVELS)."""
        x = self.bn1(self.conv_stem(x))
        parts: list[Tensor] = []
        for stage, block in enumerate(self.blocks):
            x = block(x)
            if stage in STAGES:
                maps = x.float().flatten(2)
                mean = maps.mean(2, keepdim=True)
                parts += [mean.squeeze(2), ((maps - mean) ** 2).mean(2).add(1e-6).sqrt()]
        return torch.cat(parts, dim=1)

    def project(self, levels: Tensor) -> Tensor:
        """Standardize and clamp what `levels` gave, and project it: shape (n, num_classes)."""
        standard = ((levels - self.shift.float()) * self.scale.float()).clamp(-CLAMP, CLAMP)
        embedding: Tensor = self.classifier(standard.to(next(self.conv_stem.parameters()).dtype))
        return embedding

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings, shape (n, num_classes), of normalised photos (n, 3, height, width)."""
        return self.project(self.levels(x))


def efficientnet_lite0_levels(pretrained: bool = False, **options: Any) -> Levels:
    """What `timm.create_model` calls; there are no weights to fetch."""
    if pretrained:
        raise RuntimeError(f"{NAME} has no weights on a hub")
    return Levels(int(options["num_classes"]))


if not timm.is_model(NAME):
    register_model(efficientnet_lite0_levels)

__all__ = ["CLAMP", "NAME", "N_LEVELS", "STAGES", "STAGE_COLUMNS", "Levels", "efficientnet_lite0_levels"]
