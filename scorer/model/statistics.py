"""Image statistics: what can be said of a photo by arithmetic on its pixels, without a trained network.

They are the targets that the compact tower learns to see before it learns to judge, the inputs of the
statistics baseline, and the source of `image_attributes`. The compact tower computes them of its own input,
so they are written in operations that ONNX has: sorted positions rather than quantiles, picked pixels rather
than masks.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

BORDER: Final = 0.15  # width of the border frame, as a share of the side
_LUMA: Final = (0.299, 0.587, 0.114)
_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
_SIDES: Final = ("top", "bottom", "left", "right")

NAMES: Final[tuple[str, ...]] = (
    "luma_mean", "luma_std", "luma_p05", "luma_p25", "luma_p50", "luma_p75", "luma_p95", "luma_range",
    "dark_share", "bright_share", "luma_entropy",
    "red_mean", "green_mean", "blue_mean", "warmth", "tint",
    "saturation_mean", "saturation_std", "saturation_p90", "colorfulness", "color_entropy",
    "edge_mean", "edge_p90", "edge_share", "laplacian",
    "detail_fine", "detail_middle", "detail_coarse", "detail_slope",
    "border_luma", "border_luma_std", "border_saturation", "border_edge", "border_edge_share",
    "border_color_std",
    "top_edge", "bottom_edge", "left_edge", "right_edge",
    "top_luma_std", "bottom_luma_std", "left_luma_std", "right_luma_std",
    "side_luma_spread",
    "center_luma", "center_luma_std", "center_saturation", "center_edge", "center_edge_ratio",
    "center_border_luma", "center_border_color",
    "background_flatness", "background_share", "subject_x", "subject_y", "subject_width", "subject_height",
    "subject_cut",
    "grid_luma_std", "grid_edge_std", "light_slope_x", "light_slope_y",
    "mirror_difference", "flip_difference",
)  # fmt: skip


def image_statistics(pixels: Tensor) -> Tensor:
    """Statistics of each photo.

    Args:
        pixels: uint8 RGB, shape (n, height, width, 3); height and width at least 16.

    Returns:
        float32, shape (n, len(NAMES)), columns in the order of `NAMES`; all finite.
    """
    return statistics_of_rgb(pixels.permute(0, 3, 1, 2).to(torch.float32) / 255.0)


def statistics_of_rgb(rgb: Tensor) -> Tensor:
    """The same of float32 RGB in [0, 1], shape (n, 3, height, width)."""
    maps = _Maps(rgb)
    parts = [
        _light(maps),
        _color(maps),
        _detail(maps),
        _border(maps),
        _center(maps),
        _subject(maps),
        _layout(maps),
    ]
    return torch.cat(parts, dim=1)


class _Maps:
    """Per-pixel maps that several statistics share; each of shape (n, height, width)."""

    def __init__(self, rgb: Tensor) -> None:
        self.rgb = rgb
        weights = rgb.new_tensor(_LUMA).view(1, 3, 1, 1)
        self.luma = (rgb * weights).sum(1)
        top = rgb.amax(1)
        self.saturation = (top - rgb.amin(1)) / top.clamp_min(1 / 255)
        gray = self.luma[:, None]
        soft = functional.avg_pool2d(functional.pad(gray, (1, 1, 1, 1), mode="replicate"), 3, stride=1)[:, 0]
        self.laplacian = (self.luma - soft).abs()
        padded = functional.pad(gray, (1, 1, 1, 1), mode="replicate")[:, 0]
        self.edge = _length(
            padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2], padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
        )
        height, width = (int(side) for side in self.luma.shape[1:])  # also where the shapes are traced
        rows, columns = max(2, round(height * BORDER)), max(2, round(width * BORDER))
        self.rows, self.columns = rows, columns
        frame = torch.ones(height, width, dtype=torch.bool, device=rgb.device)
        frame[rows:-rows, columns:-columns] = False
        center = torch.zeros_like(frame)
        center[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
        self.frame, self.center = (mask.flatten().nonzero()[:, 0] for mask in (frame, center))

    def of(self, where: Tensor, values: Tensor) -> Tensor:
        """Values (..., height, width) at the pixels `where`, shape (..., len(where))."""
        return values.flatten(-2).index_select(-1, where)


def _stack(*columns: Tensor) -> Tensor:
    return torch.stack(columns, dim=1)


def _length(a: Tensor, b: Tensor) -> Tensor:
    return (a * a + b * b).sqrt()


def _quantiles(values: Tensor, shares: tuple[float, ...]) -> list[Tensor]:
    """Quantiles of each row of (n, k), linear between neighbours as `torch.quantile`; each of shape (n,)."""
    n = int(values.shape[1])
    ascending = values.sort(dim=1).values
    found = []
    for share in shares:
        at = share * (n - 1)
        low = int(at)
        below, above = ascending[:, low], ascending[:, min(low + 1, n - 1)]
        found.append(below + (above - below) * (at - low))
    return found


def _entropy(bins: Tensor, n_bins: int) -> Tensor:
    """Entropy of integer bins, shape (n, pixels), as a share of the largest possible."""
    empty = torch.zeros_like(bins[:, :1], dtype=torch.float32).expand(-1, n_bins)
    share = empty.scatter_add(1, bins, torch.ones_like(bins, dtype=torch.float32)) / int(bins.shape[1])
    entropy = -(share * share.clamp_min(1e-9).log()).sum(1)
    return entropy / math.log(n_bins)


def _light(m: _Maps) -> Tensor:
    flat = m.luma[:, ::2, ::2].flatten(1)  # every fourth pixel: enough for shares and quantiles
    quantiles = _quantiles(flat, _QUANTILES)
    return _stack(
        flat.mean(1), flat.std(1), *quantiles, quantiles[-1] - quantiles[0],
        (flat < 0.2).float().mean(1), (flat > 0.85).float().mean(1),
        _entropy((flat * 31.99).long(), 32),
    )  # fmt: skip


def _color(m: _Maps) -> Tensor:
    red, green, blue = m.rgb[:, :, ::2, ::2].flatten(2).unbind(1)
    saturation = m.saturation[:, ::2, ::2].flatten(1)
    rg, yb = red - green, 0.5 * (red + green) - blue
    # Hasler and Süsstrunk, "Measuring colourfulness in natural images", 2003
    colorfulness = _length(rg.std(1), yb.std(1)) + 0.3 * _length(rg.mean(1), yb.mean(1))
    bins = (red * 3.99).long() * 16 + (green * 3.99).long() * 4 + (blue * 3.99).long()
    return _stack(
        red.mean(1), green.mean(1), blue.mean(1), (red - blue).mean(1), (green - 0.5 * (red + blue)).mean(1),
        saturation.mean(1), saturation.std(1), *_quantiles(saturation, (0.9,)),
        colorfulness, _entropy(bins, 64),
    )  # fmt: skip


def _detail(m: _Maps) -> Tensor:
    edge = m.edge.flatten(1)
    bands, level = [], m.luma[:, None]
    for _ in range(3):
        smaller = functional.avg_pool2d(level, 2)
        again = functional.interpolate(smaller, size=level.shape[-2:], mode="nearest")
        bands.append(torch.log((level - again).flatten(1).std(1) + 1e-3))
        level = smaller
    return _stack(
        edge.mean(1), *_quantiles(edge[:, ::4], (0.9,)), (edge > 0.15).float().mean(1),
        torch.log(m.laplacian.flatten(1).mean(1) + 1e-3), *bands, bands[0] - bands[2],
    )  # fmt: skip


def _border(m: _Maps) -> Tensor:
    luma, edge = m.of(m.frame, m.luma), m.of(m.frame, m.edge)
    color_std = m.of(m.frame, m.rgb).std(2).mean(1)
    r, c = m.rows, m.columns
    boxes = {
        "top": (slice(None), slice(None, r), slice(None)),
        "bottom": (slice(None), slice(-r, None), slice(None)),
        "left": (slice(None), slice(None), slice(None, c)),
        "right": (slice(None), slice(None), slice(-c, None)),
    }
    edges = [m.edge[boxes[side]].flatten(1).mean(1) for side in _SIDES]
    stds = [m.luma[boxes[side]].flatten(1).std(1) for side in _SIDES]
    means = torch.stack([m.luma[boxes[side]].flatten(1).mean(1) for side in _SIDES])
    return _stack(
        luma.mean(1), luma.std(1), m.of(m.frame, m.saturation).mean(1), edge.mean(1),
        (edge > 0.15).float().mean(1), color_std, *edges, *stds, means.amax(0) - means.amin(0),
    )  # fmt: skip


def _center(m: _Maps) -> Tensor:
    luma, edge = m.of(m.center, m.luma), m.of(m.center, m.edge)
    border_edge = m.of(m.frame, m.edge).mean(1)
    inside, outside = m.of(m.center, m.rgb).mean(2), m.of(m.frame, m.rgb).mean(2)
    return _stack(
        luma.mean(1), luma.std(1), m.of(m.center, m.saturation).mean(1), edge.mean(1),
        torch.log((edge.mean(1) + 0.01) / (border_edge + 0.01)),
        luma.mean(1) - m.of(m.frame, m.luma).mean(1), (inside - outside).norm(dim=1),
    )  # fmt: skip


def _subject(m: _Maps) -> Tensor:
    """The background is what looks like the median of the border; the subject is the rest."""
    border = m.of(m.frame, m.rgb)
    median = border.sort(dim=2).values[:, :, (int(border.shape[2]) - 1) // 2, None, None]
    distance = (m.rgb - median).norm(dim=1)
    background = torch.sigmoid((0.2 - distance) / 0.04)
    subject = 1.0 - background
    height, width = (int(side) for side in subject.shape[1:])
    mass = subject.flatten(1).sum(1).clamp_min(1.0)
    xs = torch.linspace(-1, 1, width, device=subject.device)
    ys = torch.linspace(-1, 1, height, device=subject.device)
    x = (subject.sum(1) * xs).sum(1) / mass
    y = (subject.sum(2) * ys).sum(1) / mass
    spread_x = ((subject.sum(1) * (xs - x[:, None]) ** 2).sum(1) / mass).sqrt()
    spread_y = ((subject.sum(2) * (ys - y[:, None]) ** 2).sum(1) / mass).sqrt()
    cut = torch.stack(
        [subject[:, 0].mean(1), subject[:, -1].mean(1), subject[:, :, 0].mean(1), subject[:, :, -1].mean(1)]
    )
    return _stack(
        m.of(m.frame, background).mean(1), background.flatten(1).mean(1), x.abs(), y, spread_x, spread_y,
        cut.mean(0),
    )  # fmt: skip


def _cells(maps: Tensor, n_cells: int) -> Tensor:
    """Means over a grid of n_cells x n_cells; an exporter takes the fixed window, not the adaptive one."""
    height, width = (int(side) for side in maps.shape[-2:])
    if height % n_cells or width % n_cells:
        return functional.adaptive_avg_pool2d(maps, n_cells)
    return functional.avg_pool2d(maps, (height // n_cells, width // n_cells))


def _layout(m: _Maps) -> Tensor:
    luma_grid = _cells(m.luma[:, None], 4).flatten(1)
    edge_grid = _cells(m.edge[:, None], 4).flatten(1)
    xs = torch.tensor([-1.0, -1 / 3, 1 / 3, 1.0], device=m.luma.device)
    grid = luma_grid.view(-1, 4, 4)
    small = _cells(m.rgb, 16)
    return _stack(
        luma_grid.std(1), edge_grid.std(1), (grid.mean(1) * xs).mean(1).abs(), (grid.mean(2) * xs).mean(1),
        (small - small.flip(3)).abs().flatten(1).mean(1), (small - small.flip(2)).abs().flatten(1).mean(1),
    )  # fmt: skip


__all__ = ["BORDER", "NAMES", "image_statistics", "statistics_of_rgb"]
