"""Attributes of a photo for `image_attributes.*`: plain arithmetic on pixels, each in [0, 1], higher is more.

brightness     mean luma
contrast       luma at 95 % minus luma at 5 %
sharpness      finest detail, on a logarithmic scale; 0 for a blurred or empty photo
colorfulness   Hasler and Süsstrunk's measure over 0.6, the most that photos reach
cleanness      share of the border that looks like the border's median color: a plain background
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from scorer.model.statistics import NAMES, image_statistics

SIZE: Final = (
    128  # pixels a side at which attributes are measured, whatever the model: sharpness depends on it
)
ATTRIBUTES: Final = ("brightness", "cleanness", "colorfulness", "contrast", "sharpness")
_DETAIL: Final = (math.log(0.003), math.log(0.06))  # mean absolute Laplacian that is 0 and 1


def image_attributes(pixels: Tensor) -> Tensor:
    """Attributes of each photo.

    Args:
        pixels: uint8 RGB, shape (n, height, width, 3); only values of one size compare: use `SIZE`.

    Returns:
        float32 in [0, 1], shape (n, 5), columns in the order of `ATTRIBUTES`.
    """
    statistics = image_statistics(pixels)

    def column(name: str) -> Tensor:
        return statistics[:, NAMES.index(name)]

    low, high = _DETAIL
    columns = [
        column("luma_mean"),
        column("background_flatness"),
        column("colorfulness") / 0.6,
        column("luma_range"),
        (column("laplacian") - low) / (high - low),
    ]
    return torch.stack(columns, dim=1).clamp(0.0, 1.0)


__all__ = ["ATTRIBUTES", "SIZE", "image_attributes"]
