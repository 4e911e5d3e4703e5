"""Ways in which a photo becomes worse, and by how much: the ranking signal that needs no judge.

Each works on pixels of any size, with strengths relative to the photo's side, so that training (on small
copies) and evaluation (on whole photos) mean the same thing by a severity.
"""

from __future__ import annotations

import io
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Pixels = NDArray[np.uint8]

KINDS: Final = (
    "blur", "noise", "dark", "overexposed", "flat", "color_cast", "tilt", "crop", "jpeg", "shadow", "clutter",
)  # fmt: skip
_GRID: Final = 160  # noise grains and JPEG blocks are as large as on a photo of this side


def degrade(
    pixels: Pixels, kind: str, severity: float, rng: np.random.Generator, other: Pixels | None = None
) -> Pixels:
    """A worse copy of a photo.

    Args:
        pixels: RGB, shape (height, width, 3).
        kind: one of `KINDS`.
        severity: in (0, 1]; 0.3 is visible side by side, 1 is bad.
        rng: directions and grains.
        other: another photo, for the scraps of `clutter`; any size. Coloured blocks without it.

    Returns:
        Same shape.
    """
    match kind:
        case "blur":
            radius = float(severity) * 0.022 * max(pixels.shape[:2])
            return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))
        case "noise":
            return _noise(pixels, severity, rng)
        case "dark":
            x = (pixels / 255.0) ** (1.0 + 0.8 * severity) * (1.0 - 0.6 * severity)
            return _bytes(x)
        case "overexposed":
            return _bytes(pixels / 255.0 * (1.0 + 1.1 * severity) + 0.12 * severity)
        case "flat":
            x = pixels / 255.0
            return _bytes(x + (rng.uniform(0.4, 0.6) - x) * 0.75 * severity)
        case "color_cast":
            gain = np.ones(3)
            channels = rng.permutation(3)
            gain[channels[0]] += 0.4 * severity
            gain[channels[1]] -= 0.4 * severity
            return _bytes(pixels / 255.0 * gain)
        case "tilt":
            return _tilt(pixels, severity, rng)
        case "crop":
            return _crop(pixels, severity, rng)
        case "jpeg":
            return _jpeg(pixels, severity)
        case "shadow":
            return _shadow(pixels, severity, rng)
        case "clutter":
            return _clutter(pixels, severity, rng, other)
        case _:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")


def _bytes(x: NDArray[np.float64]) -> Pixels:
    return np.asarray(np.clip(x * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8))


def _noise(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    grains = rng.normal(0.0, 0.16 * severity, (_GRID, _GRID, 3)).astype(np.float32)
    rows, columns = np.arange(height) * _GRID // height, np.arange(width) * _GRID // width
    return _bytes(pixels / 255.0 + grains[rows][:, columns])


def _tilt(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    angle = (5.0 + 25.0 * severity) * rng.choice((-1.0, 1.0))  # degrees
    pad_y, pad_x = math.ceil(height * 0.3), math.ceil(width * 0.3)
    # mirrored at the edge, so that the turned corners show more of the same surroundings
    wide = np.pad(pixels, ((pad_y, pad_y), (pad_x, pad_x), (0, 0)), mode="symmetric")
    turned = Image.fromarray(wide).rotate(angle, Image.Resampling.BILINEAR)
    return np.asarray(turned.crop((pad_x, pad_y, pad_x + width, pad_y + height)))


def _crop(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    keep = 1.0 - 0.5 * severity
    rows, columns = max(1, round(height * keep)), max(1, round(width * keep))
    top = int(rng.integers(0, 2)) * (height - rows)
    left = int(rng.integers(0, 2)) * (width - columns)
    part = Image.fromarray(pixels[top : top + rows, left : left + columns])
    return np.asarray(part.resize((width, height), Image.Resampling.BILINEAR))


def _jpeg(pixels: Pixels, severity: float) -> Pixels:
    height, width = pixels.shape[:2]
    small = Image.fromarray(pixels).resize((_GRID, _GRID), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=max(2, round(22 - 20 * severity)))
    return np.asarray(Image.open(buffer).resize((width, height), Image.Resampling.BILINEAR))


def _shadow(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle = rng.uniform(0, 2 * math.pi)
    side = 1.0 / (1.0 + np.exp(-8.0 * (x * math.cos(angle) + y * math.sin(angle) - rng.uniform(-0.3, 0.3))))
    return _bytes(pixels / 255.0 * (1.0 - (0.25 + 0.5 * severity) * side[:, :, None]))


def _clutter(pixels: Pixels, severity: float, rng: np.random.Generator, other: Pixels | None) -> Pixels:
    """Scraps of another photo around the item: a messy background."""
    height, width = pixels.shape[:2]
    out = pixels.copy()
    for _ in range(2 + round(6 * severity)):
        rows, columns = (max(1, int(side * rng.uniform(0.12, 0.3))) for side in (height, width))
        top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
        match int(rng.integers(0, 4)):  # pushed to one side, since the item is in the middle
            case 0:
                top = 0
            case 1:
                top = height - rows
            case 2:
                left = 0
            case _:
                left = width - columns
        if other is None:
            out[top : top + rows, left : left + columns] = rng.integers(0, 256, 3)
        else:
            y, x = int(rng.integers(0, other.shape[0])), int(rng.integers(0, other.shape[1]))
            scrap = np.roll(other, (-y, -x), axis=(0, 1))[: max(1, rows), : max(1, columns)]
            scrap_rows, scrap_columns = scrap.shape[:2]
            out[top : top + scrap_rows, left : left + scrap_columns] = scrap
    return out


__all__ = ["KINDS", "degrade"]
