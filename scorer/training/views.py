"""Views of the training photos: whole, slightly cropped, varied and degraded, with what is known of each.

Made once before training, since the statistics of a view cost more than the network's own pass over it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from scorer.model.statistics import BORDER, NAMES
from scorer.training.data import statistics_of
from scorer.training.degrade import KINDS, degrade

WHOLE: Final = len(KINDS)  # the kind of a view that is not degraded
_PLAIN_SHARE: Final = 0.3  # of the varied views get a plain ground
_MIRRORED: Final = (("left_edge", "right_edge"), ("left_luma_std", "right_luma_std"))


@dataclass(frozen=True, slots=True)
class Views:
    """Several views of n photos: first `n_good` good ones, then `n_varied` varied ones, then degraded ones.

    A good view (whole, or mildly cropped) would be judged as the photo was. A varied view is another photo
    of the same thing, better or worse: only its statistics, and so the teacher's score, are known. A
    degraded view is worse than the good ones.
    """

    pixels: NDArray[np.uint8]  # (n_views, n, size, size, 3)
    statistics: NDArray[np.float64]  # (n_views, n, n_statistics)
    kind: NDArray[np.int64]  # (n_views, n), index into KINDS, or WHOLE
    severity: NDArray[np.float64]  # (n_views, n), 0 for good views
    n_good: int
    n_varied: int


def make_views(
    pixels: NDArray[np.uint8],
    rng: np.random.Generator,
    *,
    n_crops: int = 1,
    n_varied: int = 4,
    n_degraded: int = 4,
    advance: Callable[[int], object] | None = None,
) -> Views:
    """Make the views of photos of shape (n, size, size, 3)."""
    n = len(pixels)
    n_good = 1 + n_crops
    first_bad = n_good + n_varied
    n_views = first_bad + n_degraded
    views = np.empty((n_views, *pixels.shape), dtype=np.uint8)
    kind = np.full((n_views, n), WHOLE, dtype=np.int64)
    severity = np.zeros((n_views, n))
    views[0] = pixels
    for v in range(1, n_good):
        views[v] = np.stack([mild_crop(photo, rng) for photo in pixels])
    for v in range(n_good, first_bad):
        views[v] = np.stack([vary(photo, rng) for photo in pixels])
    for v in range(first_bad, n_views):
        kind[v] = rng.integers(0, len(KINDS), n)
        severity[v] = rng.uniform(0.2, 1.0, n)
        others = rng.integers(0, n, n)
        for i in range(n):
            views[v, i] = degrade(pixels[i], KINDS[kind[v, i]], float(severity[v, i]), rng, pixels[others[i]])
    statistics = np.empty((n_views, n, len(NAMES)))
    for v in range(n_views):
        statistics[v] = statistics_of(views[v])
        if advance is not None:
            advance(n)
    return Views(views, statistics, kind, severity, n_good, n_varied)


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


def mirror(pixels: NDArray[np.uint8], flip: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Photos of shape (n, height, width, 3), mirrored left to right where `flip` is set."""
    return np.where(flip[:, None, None, None], pixels[:, :, ::-1], pixels)


def mirror_statistics(statistics: NDArray[np.float64], flip: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The statistics of mirrored photos, shape (n, n_statistics): left and right change places."""
    out = statistics.copy()
    for left, right in _MIRRORED:
        a, b = NAMES.index(left), NAMES.index(right)
        out[flip, a], out[flip, b] = statistics[flip, b], statistics[flip, a]
    return out


def batches(n: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Shuffled rows in batches of `size`; the remainder below `size` waits for the next epoch."""
    order = rng.permutation(n)
    for start in range(0, n - size + 1, size):
        yield order[start : start + size]


__all__ = [
    "WHOLE",
    "Views",
    "batches",
    "make_views",
    "mild_crop",
    "mirror",
    "mirror_statistics",
    "plain_ground",
    "vary",
]
