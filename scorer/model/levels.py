"""`efficientnet_lite0_readings`: an ImageNet network read at several depths, as a timm model.

A classifier's last layer has forgotten light, grain and framing on purpose; its middle layers have not. So
the mean and the spread of every channel after each of the middle stages are kept, beside the image
statistics of the photo at half its size, standardized, and projected to one embedding. The stages tell what
kind of picture it is; the statistics hold on set-ups that no training photo had. Importing this module
registers the model with timm, and so with open_clip, whose configurations name it under `timm_model_name`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import timm
import torch
from timm.models import register_model
from torch import Tensor, nn
from torch.nn import functional

from scorer.model.statistics import NAMES as STATISTICS
from scorer.model.statistics import statistics_of_rgb

NAME: Final = "efficientnet_lite0_readings"
STAGES: Final = (2, 3, 4, 5)  # of the network's seven; the last is left out, and what follows it
CLAMP: Final = 3.0  # standard deviations: beyond this, a reading says no more
STATISTICS_SAY: Final = 3.0  # what a statistic weighs before the projection; a channel weighs 1
_CHANNELS: Final = (40, 80, 112, 192)
N_LEVELS: Final = 2 * sum(_CHANNELS) + len(STATISTICS)
_STARTS: Final = [2 * sum(_CHANNELS[:i]) for i in range(len(_CHANNELS) + 1)]
STAGE_COLUMNS: Final = tuple(slice(a, b) for a, b in pairwise(_STARTS))  # of `levels`, by stage
STATISTICS_COLUMNS: Final = slice(_STARTS[-1], N_LEVELS)


class Levels(nn.Module):
    """The network, what is read of it and of the photo, and the projection of both.

    Its input is normalised with mean 0.5 and spread 0.5, so that the photo can be had back.
    """

    shift: Tensor
    scale: Tensor
    say: Tensor
    conv_stem: nn.Module
    bn1: nn.Module
    blocks: nn.Sequential
    classifier: nn.Linear

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        net: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
        self.conv_stem, self.bn1, self.blocks = net.conv_stem, net.bn1, net.blocks[: max(STAGES) + 1]
        self.register_buffer("shift", torch.zeros(N_LEVELS))
        self.register_buffer("scale", torch.ones(N_LEVELS))
        say = torch.ones(N_LEVELS)
        say[STATISTICS_COLUMNS] = STATISTICS_SAY
        self.register_buffer("say", say, persistent=False)
        self.classifier = nn.Linear(N_LEVELS, num_classes)
        self.num_features = N_LEVELS

    def levels(self, x: Tensor) -> Tensor:
        """Mean and spread of each channel after each stage, then the statistics: float32, (n, N_LEVELS)."""
        half = functional.avg_pool2d(x.float(), 2).mul(0.5).add(0.5).clamp(0.0, 1.0)
        x = self.bn1(self.conv_stem(x))
        parts: list[Tensor] = []
        for stage, block in enumerate(self.blocks):
            x = block(x)
            if stage in STAGES:
                maps = x.float().flatten(2)
                mean = maps.mean(2, keepdim=True)
                parts += [mean.squeeze(2), ((maps - mean) ** 2).mean(2).add(1e-6).sqrt()]
        return torch.cat([*parts, statistics_of_rgb(half)], dim=1)

    def standardize(self, levels: Tensor) -> Tensor:
        """What `levels` gave in standard deviations from the training photos' mean, clamped and weighed."""
        spread = (levels - self.shift.float()) * self.scale.float()
        return spread.clamp(-CLAMP, CLAMP) * self.say.float()

    def project(self, levels: Tensor) -> Tensor:
        """Embeddings, shape (n, num_classes), of what `levels` gave."""
        standard = self.standardize(levels)
        embedding: Tensor = self.classifier(standard.to(next(self.conv_stem.parameters()).dtype))
        return embedding

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings, shape (n, num_classes), of normalised photos (n, 3, height, width), even sides."""
        return self.project(self.levels(x))


def efficientnet_lite0_readings(pretrained: bool = False, **options: Any) -> Levels:
    """What `timm.create_model` calls; there are no weights to fetch."""
    if pretrained:
        raise RuntimeError(f"{NAME} has no weights on a hub")
    return Levels(int(options["num_classes"]))


if not timm.is_model(NAME):
    register_model(efficientnet_lite0_readings)

__all__ = [
    "CLAMP",
    "NAME",
    "N_LEVELS",
    "STAGES",
    "STAGE_COLUMNS",
    "STATISTICS_COLUMNS",
    "STATISTICS_SAY",
    "Levels",
    "efficientnet_lite0_readings",
]
