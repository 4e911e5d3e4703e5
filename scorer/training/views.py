"""Views of the training photos: whole, slightly cropped, varied and degraded, with what is known of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from scorer.model.statistics import BORDER
from scorer.training.degrade import KINDS, degrade

WHOLE: Final = len(KINDS)  # the kind of a view that is not degraded
_PLAIN_SHARE: Final = 0.3  # of the varied views get a plain ground
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class View:
    """One view of each of n photos.

    A good view (whole, or mildly cropped and mirrored) would be judged as the photo was. A varied view is
    another photo of the same thing, better or worse. A degraded view is worse than the good ones.
    """

    pixels: Pixels  # (n, size, size, 3)
    kind: NDArray[np.int64]  # (n,), index into KINDS, or WHOLE
    severity: NDArray[np.float64]  # (n,), 0 where not degraded


def make_view(pixels: Pixels, of: Literal["whole", "crop", "varied", "degraded"], seed: int) -> View:
    """Make one view of photos of shape (n, size, size, 3); the same seed gives the same view."""
    rng, n = np.random.default_rng(seed), len(pixels)
    kind, severity = np.full(n, WHOLE, dtype=np.int64), np.zeros(n)
    match of:
        case "whole":
            return View(pixels, kind, severity)
        case "crop":
            out = np.stack([mild_crop(photo, rng)[:, ::-1] for photo in pixels])
        case "varied":
            out = np.stack([vary(photo, rng) for photo in pixels])
            flip = rng.random(n) < 0.5
            out[flip] = out[flip, :, ::-1]
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


def vary(photo: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Another light, color and framing, or a plain light ground; better or worse."""
    height, width = photo.shape[:2]
    turned = Image.fromarray(photo).rotate(float(rng.uniform(-4, 4)), Image.Resampling.BILINEAR)
    inner = np.asarray(turned)[height // 20 : height - height // 20, width // 20 : width - width // 20]
    inner = mild_crop(inner, rng, most=0.15)
    if rng.random() < _PLAIN_SHARE:
        plain = plain_ground(inner, rng.uniform(190, 255))
        return np.asarray(Image.fromarray(plain).resize((width, height), Image.Resampling.BILINEAR))
    x = inner / 255.0
    gray = x.mean(axis=2, keepdims=True)
    x = gray + (x - gray) * rng.uniform(0.5, 1.5)  # saturation
    x = 0.5 + (x - 0.5) * rng.uniform(0.75, 1.3)  # contrast
    x = np.clip(x * rng.uniform(0.7, 1.35) * rng.uniform(0.92, 1.08, 3), 0.0, 1.0)  # light, white balance
    part = Image.fromarray((x ** rng.uniform(0.8, 1.25) * 255.0 + 0.5).astype(np.uint8))
    return np.asarray(part.resize((width, height), Image.Resampling.BILINEAR))


def plain_ground(photo: NDArray[np.uint8], light: float) -> NDArray[np.uint8]:
    """Lay what looks like the border's median color under paper of this light (0-255), as in a studio.

    Sellers' photos hold next to no white grounds, but a marketplace does: without these views, a white
    ground is taken for overexposure.
    """
    height, width = photo.shape[:2]
    frame = np.ones((height, width), dtype=bool)
    rows, columns = max(1, round(height * BORDER)), max(1, round(width * BORDER))
    frame[rows:-rows, columns:-columns] = False
    median = np.median(photo[frame], axis=0)
    distance = np.linalg.norm((photo - median) / 255.0, axis=2)
    ground = Image.fromarray((255.0 / (1.0 + np.exp((distance - 0.2) / 0.03))).astype(np.uint8))
    ground = ground.filter(ImageFilter.MedianFilter(5)).filter(ImageFilter.GaussianBlur(1))
    share = np.asarray(ground)[:, :, None] / 255.0
    paper = light + 0.15 * (photo - median)  # some of the ground's own shade stays
    return np.asarray(np.clip(photo * (1.0 - share) + share * paper, 0.0, 255.0).astype(np.uint8))


def batches(n: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Shuffled rows in batches of `size`; the remainder below `size` waits for the next epoch."""
    order = rng.permutation(n)
    for start in range(0, n - size + 1, size):
        yield order[start : start + size]


__all__ = ["WHOLE", "View", "batches", "make_view", "mild_crop", "plain_ground", "vary"]
