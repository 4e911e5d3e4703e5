"""Views of the training photos: whole, slightly cropped, and degraded, with what is known of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scorer.training.degrade import KINDS, degrade

WHOLE: Final = len(KINDS)  # the kind of a view that is not degraded
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class View:
    """One view of each of n photos.

    A good view (whole, or mildly cropped and mirrored) would be judged as the photo was. A degraded view is
    worse than the good ones.
    """

    pixels: Pixels  # (n, size, size, 3)
    kind: NDArray[np.int64]  # (n,), index into KINDS, or WHOLE
    severity: NDArray[np.float64]  # (n,), 0 where not degraded


def make_view(pixels: Pixels, of: Literal["whole", "crop", "degraded"], seed: int) -> View:
    """Make one view of photos of shape (n, size, size, 3); the same seed gives the same view."""
    rng, n = np.random.default_rng(seed), len(pixels)
    kind, severity = np.full(n, WHOLE, dtype=np.int64), np.zeros(n)
    match of:
        case "whole":
            return View(pixels, kind, severity)
        case "crop":
            out = np.stack([mild_crop(photo, rng)[:, ::-1] for photo in pixels])
        case "degraded":
            kind, severity = rng.integers(0, len(KINDS), n), rng.uniform(0.2, 1.0, n)
            others = rng.integers(0, n, n)
            out = np.stack(
                [
                    degrade(photo, KINDS[k], float(s), rng, pixels[o])
                    for photo, k, s, o in zip(pixels, kind, severity, others, strict=True)
                ]
            )
    return View(out, kind, severity)


def mild_crop(photo: NDArray[np.uint8], rng: np.random.Generator, most: float = 0.06) -> NDArray[np.uint8]:
    """Cut up to `most` of each side off and resize back: no one would judge the photo differently."""
    height, width = photo.shape[:2]
    top, bottom = (int(v) for v in rng.uniform(0, most, 2) * height)
    left, right = (int(v) for v in rng.uniform(0, most, 2) * width)
    part = Image.fromarray(photo[top : height - bottom, left : width - right])
    return np.asarray(part.resize((width, height), Image.Resampling.BILINEAR))


def batches(n: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Shuffled rows in batches of `size`; the remainder below `size` waits for the next epoch."""
    order = rng.permutation(n)
    for start in range(0, n - size + 1, size):
        yield order[start : start + size]


__all__ = ["WHOLE", "View", "batches", "make_view", "mild_crop"]
