"""Colour names: the RGB a name is painted with, and the name a photo is given.

Painting and naming share one list, so that a query for "navy" means the same on rendered and real photos.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RGB: Final[dict[str, tuple[int, int, int]]] = {
    "black": (44, 43, 48),
    "white": (236, 234, 228),
    "grey": (142, 144, 148),
    "navy": (46, 62, 110),
    "blue": (58, 102, 166),
    "light blue": (150, 190, 222),
    "red": (178, 50, 52),
    "pink": (222, 154, 170),
    "green": (74, 120, 88),
    "beige": (216, 196, 164),
    "brown": (122, 82, 54),
    "yellow": (222, 184, 84),
    "orange": (208, 116, 62),
    "purple": (114, 84, 142),
}

NAMES: Final = tuple(RGB)

CENTRE = 0.45  # share of width and height that is looked at
_SAMPLE = 40  # pixels a side after shrinking


def centre_colour(photo: Image.Image) -> str:
    """Name the colour that most pixels of the photo's centre have.

    Args:
        photo: an RGB image of any size; the garment is taken to fill its middle.

    Returns:
        One of `NAMES`.
    """
    width, height = photo.size
    dx, dy = width * CENTRE / 2, height * CENTRE / 2
    box = (int(width / 2 - dx), int(height / 2 - dy), int(width / 2 + dx) + 1, int(height / 2 + dy) + 1)
    small = photo.convert("RGB").crop(box).resize((_SAMPLE, _SAMPLE), Image.Resampling.BOX)
    return NAMES[int(np.bincount(name_pixels(np.asarray(small.convert("HSV"))).ravel()).argmax())]


def name_pixels(hsv: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Give each pixel the index of its name in `NAMES`.

    Args:
        hsv: shape (..., 3), Pillow's HSV: three channels in 0..255.
    """
    hue = hsv[..., 0].astype(np.float64) * 360 / 255
    sat = hsv[..., 1] / 255.0
    val = hsv[..., 2] / 255.0
    warm = (hue < 50) | (hue >= 345)
    # First rule that holds wins: lightness first, then the weak colours, then the wheel.
    rules: list[tuple[str, NDArray[np.bool_]]] = [
        ("black", (val < 0.22) | ((val < 0.30) & (sat < 0.30))),
        ("white", (sat < 0.15) & (val > 0.70)),
        ("grey", sat < 0.14),
        ("beige", (hue >= 15) & (hue < 60) & (sat < 0.38) & (val > 0.55)),
        ("brown", (hue >= 8) & (hue < 45) & (val < 0.62)),
        ("navy", (hue >= 205) & (hue < 265) & (val < 0.46)),
        ("light blue", (hue >= 175) & (hue < 245) & (sat < 0.48) & (val > 0.55)),
        ("pink", (warm & (hue < 15) | (hue >= 290)) & (sat < 0.58) & (val > 0.60)),
        ("pink", (hue >= 300) & (hue < 345)),
        ("red", (hue < 14) | (hue >= 345)),
        ("orange", hue < 38),
        ("yellow", (hue < 66) & (val > 0.5)),
        ("green", hue < 178),
        ("blue", hue < 256),
        ("purple", hue < 361),
    ]
    return np.select([mask for _, mask in rules], [NAMES.index(name) for name, _ in rules]).astype(np.int64)
