"""Networks that only teach: what larger ImageNet networks see in nine cells of each training photo.

The compact tower must be fast; its teacher need not be. So the teacher reads each photo once with three
networks at their own sizes, and where in the photo a thing is seen counts too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch.nn import functional

from scorer.model.fuse import fold_batch_norm
from scorer.training.data import load_photos
from scorer.training.start import Network, load_imagenet

SIZES: Final[dict[Network, int]] = {"lite0": 160, "lite1": 192, "lite2": 224}  # pixels a side
STAGES: Final = (2, 3, 4, 5, 6)
CELLS: Final = 3  # a side
_BATCH: Final = 32
Cells = NDArray[np.float16]


def read_cells(
    folder: Path,
    names: Sequence[str],
    network: Network,
    *,
    advance: Callable[[int], object] | None = None,
) -> list[Cells]:
    """Means of each channel over a grid of 3 x 3 cells, after each stage of STAGES.

    Args:
        folder: the photo folder.
        names: photos below it.
        network: which one looks.
        advance: called with how many more photos were read.

    Returns:
        One array a stage, each of shape (n_photos, 9 x its channels).

    Raises:
        InputError: the network's weights are not installed, or a photo cannot be read.
    """
    net: Any = timm.create_model(f"tf_efficientnet_{network}", pretrained=False, num_classes=0)
    load_imagenet(net, network=network)
    fold_batch_norm(net.eval())
    parts: list[list[torch.Tensor]] = [[] for _ in STAGES]
    with torch.inference_mode():
        for start in range(0, len(names), _BATCH):
            pixels = load_photos(folder, names[start : start + _BATCH], SIZES[network]).pixels
            x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1.0
            x = net.bn1(net.conv_stem(x))
            for stage, block in enumerate(net.blocks):
                x = block(x)
                if stage in STAGES:
                    cells = functional.adaptive_avg_pool2d(x, CELLS).flatten(1)
                    parts[STAGES.index(stage)].append(cells.half())
            if advance is not None:
                advance(len(pixels))
    return [torch.cat(stage).numpy() for stage in parts]


__all__ = ["CELLS", "SIZES", "STAGES", "Cells", "read_cells"]
