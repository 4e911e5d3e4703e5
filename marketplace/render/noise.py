"""Smooth noise, drawn once per process and cropped ever after.

Cloth, wood, plaster and film grain are all crops of periodic fields: one spectrum of white noise under a low
pass that may be stretched and turned. Turns are rounded to 22.5 degrees, so that few fields are needed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Field = NDArray[np.float32]

SIZE: Final = 512
_SEED: Final = 20_240
_TURNS: Final = 8  # steps in half a turn
_FEATURE: Final = {"broad": 90.0, "folds": 34.0, "creases": 12.0, "fine": 3.0}  # pixels, about one wave


@lru_cache(maxsize=1)
def _white() -> NDArray[np.complex64]:
    """Spectrum of white noise."""
    noise = np.random.default_rng(_SEED).normal(size=(SIZE, SIZE))
    return np.fft.rfft2(noise).astype(np.complex64)


@lru_cache(maxsize=128)
def _field(name: str, stretch: tuple[float, float], turn: int) -> Field:
    """Make a field of unit variance, repeated so that a crop of any photo may cross its seam."""
    fx, fy = np.fft.rfftfreq(SIZE)[None, :], np.fft.fftfreq(SIZE)[:, None]
    angle = turn * np.pi / _TURNS
    along = (np.cos(angle) * fx + np.sin(angle) * fy) * stretch[0]
    across = (np.cos(angle) * fy - np.sin(angle) * fx) * stretch[1]
    radius2 = (along * along + across * across) * _FEATURE[name] ** 2
    spectrum = _white() / (1.0 + radius2 * radius2)
    spectrum[0, 0] = 0.0
    field = np.fft.irfft2(spectrum, s=(SIZE, SIZE))
    return np.tile((field / field.std()).astype(np.float32), (3, 2))


@lru_cache(maxsize=1)
def _grain() -> NDArray[np.float32]:
    """White noise of unit variance with a little of each neighbour in it, as sensors and JPEG leave it."""
    rng = np.random.default_rng(_SEED + 1)
    white = rng.normal(size=(1024, 1024)).astype(np.float32)
    soft = white + 0.45 * np.roll(white, 1, 0) + 0.45 * np.roll(white, 1, 1)
    return np.asarray(soft / soft.std(), dtype=np.float32)


def smooth(
    name: str,
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    stretch: tuple[float, float] = (1.0, 1.0),
    angle: float = 0.0,
) -> Field:
    """Crop a field of unit variance.

    Args:
        name: "broad", "folds", "creases" or "fine".
        size: (width, height) of the crop, at most 512 x 1024.
        rng: decides where the crop lies.
        stretch: factors by which waves are lengthened along x and y, before the turn.
        angle: turn in radians, clockwise in the picture.
    """
    width, height = size
    x, y = (int(v) for v in rng.integers(0, SIZE, size=2))
    field = _field(name, stretch, round(angle * _TURNS / np.pi) % _TURNS)
    return field[y : y + height, x : x + width]


def grain(size: tuple[int, int], rng: np.random.Generator) -> Field:
    """Crop film grain of unit variance; `size` is (width, height), at most 1024 each."""
    x = int(rng.integers(0, 1025 - size[0]))
    y = int(rng.integers(0, 1025 - size[1]))
    return _grain()[y : y + size[1], x : x + size[0]]


def enlarge(field: Field, size: tuple[int, int]) -> Field:
    """Resize a field to (width, height), bilinear."""
    return np.asarray(Image.fromarray(field).resize(size, Image.Resampling.BILINEAR))


def planes(picture: Image.Image) -> Field:
    """Return an RGB image as fields in 0..1, shape (3, height, width): channels apart compute faster."""
    stack = np.stack([np.asarray(channel) for channel in picture.split()])
    return np.asarray(stack * np.float32(1 / 255))


def relief(height: Field, light: tuple[float, float]) -> Field:
    """Light a height map from one side: its slope along `light` (x, y), positive where it faces the light."""
    out = np.zeros_like(height)
    out[:, 1:-1] = (height[:, 2:] - height[:, :-2]) * (-0.5 * light[0])
    out[1:-1, :] += (height[2:, :] - height[:-2, :]) * (-0.5 * light[1])
    return out
