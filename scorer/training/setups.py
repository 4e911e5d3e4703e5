"""Set-ups: photos that look as if one seller took them in one place, found by their borders.

The same tiled floor, magenta sheet or grey wall comes back in hundreds of photos. A scorer can learn the
set-up instead of the photo, and no random split shows it. So photos are clustered by what surrounds the
garment (color, light and texture along the four sides), and whole clusters are held out.

Clusters are cut from one hierarchical tree (Ward): a coarse cut, so that one set-up rarely lies in two.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

BORDER: Final = 0.12  # width of each side's strip, as a share of the photo's side
N_SETUPS: Final = 24
_QUANTILES: Final = (0.2, 0.5, 0.8)
_COLOR: Final = 3.0  # weight of the two color axes beside light
_TEXTURE: Final = 0.25  # weight of the logarithm of the edges' strength

Array = NDArray[np.float64]


def border_features(pixels: NDArray[np.uint8]) -> Array:
    """Color, light and texture of each side's strip.

    Args:
        pixels: RGB, shape (n, height, width, 3).

    Returns:
        Shape (n, 44): per side three quantiles of light, red-green and yellow-blue, and two edge strengths.
    """
    return np.concatenate([_border_features(pixels[i : i + 256]) for i in range(0, len(pixels), 256)])


def _border_features(pixels: NDArray[np.uint8]) -> Array:
    rgb = pixels.astype(np.float32) / 255.0
    n, height, width, _ = rgb.shape
    rows, columns = max(1, round(height * BORDER)), max(1, round(width * BORDER))
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    light = rgb.mean(axis=3)
    axes = ((light, 1.0), (red - green, _COLOR), ((red + green) / 2 - blue, _COLOR))
    edges = [np.abs(np.diff(light, axis=a, append=light.take([-1], axis=a))) for a in (2, 1)]
    strips = (
        (slice(None, rows), slice(None)),
        (slice(-rows, None), slice(None)),
        (slice(None), slice(None, columns)),
        (slice(None), slice(-columns, None)),
    )
    found = []
    for y, x in strips:
        for values, weight in axes:
            strip = values[:, y, x].reshape(n, -1)
            found.append(weight * np.quantile(strip, _QUANTILES, axis=1).T)
        strength = np.stack([edge[:, y, x].reshape(n, -1).mean(axis=1) for edge in edges], axis=1)
        found.append(_TEXTURE * np.log(strength + 0.005))
    features: Array = np.concatenate(found, axis=1).astype(np.float64)
    return features


def find_setups(pixels: NDArray[np.uint8], n_setups: int = N_SETUPS) -> NDArray[np.int64]:
    """The set-up of each photo: an integer from 0, shape (n,); at most `n_setups` of them."""
    if len(pixels) < 2:
        return np.zeros(len(pixels), dtype=np.int64)
    tree = linkage(border_features(pixels), "ward")
    cut: NDArray[np.int64] = fcluster(tree, n_setups, "maxclust").astype(np.int64) - 1
    return cut


def deal(setups: NDArray[np.int64], weight: Array, n_folds: int) -> NDArray[np.int64]:
    """Deal whole set-ups into folds of about the same weight, the heaviest first.

    Args:
        setups: of each photo, shape (n,).
        weight: of each photo, shape (n,): 1 where it is labelled.
        n_folds: at least 2.

    Returns:
        The fold of each photo, shape (n,).
    """
    totals = np.bincount(setups, weight)
    fold_of, loads = np.zeros(len(totals), dtype=np.int64), np.zeros(n_folds)
    for setup in np.argsort(-totals, kind="stable"):
        fold_of[setup] = int(loads.argmin())
        loads[fold_of[setup]] += totals[setup]
    return fold_of[setups]


__all__ = ["BORDER", "N_SETUPS", "border_features", "deal", "find_setups"]
