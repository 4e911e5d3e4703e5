"""Cloth: patterns, weave, and the light and shade of its folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageFilter

from marketplace.render.noise import Field, enlarge, relief, smooth
from marketplace.render.sketch import HEIGHT, WIDTH, Layers, Placement, Sketch

HALF: Final = (WIDTH // 2, HEIGHT // 2)
PATTERNS: Final = (
    "stripes",
    "pinstripes",
    "breton",
    "gingham",
    "plaid",
    "dots",
    "camo",
    "waves",
    "marl",
    "blocks",
)


@dataclass(frozen=True, slots=True)
class Folds:
    """How the cloth lies."""

    shade: Field  # factor on the colour, photo size; about 1
    sheen: Field  # light added, photo size; 0 or more
    shift: Field  # garment units by which a pattern is displaced, half the photo's size


def lay(
    sketch: Sketch,
    layers: Layers,
    placement: Placement,
    *,
    crumple: float,
    light: tuple[float, float],
    gloss: float,
    rng: np.random.Generator,
) -> Folds:
    """Fold the cloth and light it.

    Args:
        sketch: how the garment drapes.
        layers: its layers, for the levels of its parts.
        placement: where it lies.
        crumple: 0 (ironed) to 1 (out of the laundry basket).
        light: where the light comes from, x and y; pixels of slope are lit along it.
        gloss: 0 (wool) to 1 (patent leather).
        rng: source of chance.
    """
    soft = 1.0 - 0.85 * sketch.stiff
    turn = placement.angle
    drape = round(2 * sketch.drape) / 2  # few steps: each needs its own noise
    along = 1.0 + 2.6 * drape
    broad = smooth("folds", HALF, rng, stretch=(1.15, along), angle=turn)
    ridges = np.abs(
        smooth("folds", HALF, rng, stretch=(0.75, 0.9 + drape), angle=float(rng.uniform(-0.9, 0.9)))
    )
    creases = smooth("creases", HALF, rng, stretch=(1.0, 1.0 + drape), angle=float(rng.uniform(-0.6, 0.6)))
    shift = broad * np.float32(0.010 * soft)
    height = (1.6 + 1.6 * crumple) * soft * broad
    height -= (0.8 + 3.6 * crumple) * soft * np.sqrt(ridges + 0.02)
    height += (0.10 + 0.62 * crumple) * soft * creases
    gu, gv = placement.garment_coordinates(HALF)
    if sketch.pleats:
        fan = gu / np.maximum(gv + 1.5, 0.35)
        ramp = np.clip((gv + 0.45) * 1.1, 0, 1.2)
        height += sketch.pleats * 1.5 * ramp * np.sin(fan * 26 + 1.1 * broad)
    if sketch.quilted:
        puff = np.sqrt(np.abs(np.sin(np.pi * (gv + 0.40) / sketch.quilted)) + 0.02)
        height += 7.5 * puff + 0.9 * creases * puff
    # Where parts overlap, and towards the outline, the cloth falls off: that is what makes it thick.
    level = layers.level.resize(HALF, Image.Resampling.BILINEAR)
    edges = np.asarray(level.filter(ImageFilter.GaussianBlur(1.0)), dtype=np.float32) * (1 / 26)
    body = np.asarray(level.filter(ImageFilter.GaussianBlur(5.0)), dtype=np.float32) * (1 / 22)
    slope = relief(height + edges + body, light)
    occlusion = np.clip((body * 22 - edges * 26) * (1 / 255), 0, 0.5)
    shade = 1.0 + np.clip(0.22 * slope, -0.5, 0.36) - 0.55 * occlusion
    sheen = np.clip(slope - 0.35, 0, 2) ** 1.5 * np.float32(0.02 + 0.16 * gloss)
    size = (WIDTH, HEIGHT)
    return Folds(
        enlarge(shade, size),
        enlarge(sheen.astype(np.float32), size),
        np.asarray(shift, dtype=np.float32),
    )


def pattern(name: str, layers: Layers, placement: Placement, folds: Folds, rng: np.random.Generator) -> Field:
    """Share of the second colour in each pixel, 0..1, photo size; 0 where a part takes no pattern."""
    code = np.asarray(layers.turn)
    gu, gv = placement.garment_coordinates((WIDTH, HEIGHT))
    angles = (np.arange(256, dtype=np.float32) - 128) / 40
    c, s = np.cos(angles)[code], np.sin(angles)[code]
    shift = enlarge(folds.shift, (WIDTH, HEIGHT))
    u = c * gu + s * gv + shift
    v = c * gv - s * gu + shift
    soft = np.float32(placement.scale)  # edges are about a pixel wide
    match name:
        case "stripes":
            t = _band(v * float(rng.uniform(3.0, 6.0)), 0.5, soft / 5)
        case "breton":
            t = _band(v * float(rng.uniform(7.0, 9.5)), 0.3, soft / 9)
        case "pinstripes":
            t = 0.75 * _band(u * float(rng.uniform(9, 14)), 0.16, soft / 12)
        case "gingham":
            k = float(rng.uniform(5, 9))
            t = 0.5 * (_band(u * k, 0.5, soft / k) + _band(v * k, 0.5, soft / k))
        case "plaid":
            k = float(rng.uniform(2.6, 4.0))
            wide = 0.34 * (_band(u * k, 0.42, soft / k) + _band(v * k, 0.42, soft / k))
            t = wide + 0.28 * (_band(u * k + 0.29, 0.07, soft / k) + _band(v * k + 0.29, 0.07, soft / k))
        case "dots":
            k = float(rng.uniform(6, 10))
            row = np.floor(v * k)
            du, dv = (u * k + 0.5 * row) % 1 - 0.5, (v * k) % 1 - 0.5
            t = np.clip((0.26 - np.sqrt(du * du + dv * dv)) * soft / k + 0.5, 0, 1)
        case "camo":
            blot = smooth("folds", (WIDTH, HEIGHT), rng, stretch=(1.1, 0.8))
            patch = smooth("folds", (WIDTH, HEIGHT), rng, stretch=(0.8, 0.7))
            t = np.clip(blot * 6, 0, 1) * 0.55 + np.clip(patch * 6 - 3, 0, 1) * 0.45
        case "waves":
            t = _band(v * 5 + 0.22 * np.sin(u * 22), 0.45, soft / 5)
        case "marl":
            t = np.clip(0.35 + 0.3 * smooth("fine", (WIDTH, HEIGHT), rng, stretch=(0.9, 0.45)), 0, 1)
        case "blocks":
            t = np.clip((v - float(rng.uniform(-0.25, 0.1))) * soft + 0.5, 0, 1)
        case _:
            raise ValueError(f"pattern must be one of {', '.join(PATTERNS)}, got {name!r}")
    return np.where(code == 0, 0, t).astype(np.float32)


def weave(kind: str, placement: Placement, rng: np.random.Generator) -> Field:
    """Fine texture of a material, about 0, photo size."""
    size = (WIDTH, HEIGHT)
    fine = smooth("fine", size, rng, stretch=(0.45, 0.45))
    if kind == "knit":
        gu, gv = placement.garment_coordinates(size)
        rows = np.sin(gv * 150 + 2.2 * np.abs((gu * 16) % 1 - 0.5))
        cable = np.abs(np.sin(gu * 50)) - 0.6
        return np.asarray(0.035 * rows + 0.06 * cable + 0.03 * fine, dtype=np.float32)
    if kind == "denim":
        worn = smooth("folds", size, rng, stretch=(1.0, 1.6))
        twill = smooth("fine", size, rng, stretch=(0.7, 2.6), angle=0.6)
        return np.asarray(0.05 * twill + 0.075 * worn + 0.02 * fine, dtype=np.float32)
    return np.asarray((0.012 if kind == "smooth" else 0.028) * fine, dtype=np.float32)


def _band(x: Field, share: float, soft: np.float32) -> Field:
    """1 within `share` of each period of x, 0 elsewhere, with edges `1 / soft` wide."""
    distance = share / 2 - np.abs(x % 1 - 0.5)
    return np.asarray(np.clip(distance * soft + 0.5, 0, 1))
