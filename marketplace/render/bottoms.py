"""What is worn below the waist: pants, shorts, skirts."""

from __future__ import annotations

import numpy as np

from marketplace.render.sketch import Dot, Part, Sketch, choose, mirrored, rounded, symmetric

Rng = np.random.Generator


def pants(rng: Rng, style: str = "") -> Sketch:
    """Trousers, straight, tapered or wide, with a waistband or a drawstring."""
    taper = float(rng.uniform(0.14, 0.27))
    return _legs(
        rng, style, hem_y=1.05, hem_w=taper, crotch_y=-0.3, spread=float(rng.uniform(0.02, 0.14)), top=-1.0
    )


def shorts(rng: Rng, style: str = "") -> Sketch:
    """Shorts."""
    s = _legs(
        rng,
        style,
        hem_y=float(rng.uniform(0.28, 0.5)),
        hem_w=float(rng.uniform(0.4, 0.5)),
        crotch_y=0.0,
        spread=0.1,
        top=-0.62,
        wide=1.35,
    )
    s.drape = 0.4
    return s


def skirt(rng: Rng, style: str = "") -> Sketch:
    """A skirt: pencil, A-line, or pleated."""
    kind = choose(rng, style, {"pencil": "denim", "a-line": "linen", "pleated": "pleated"})
    hem = float(rng.uniform(0.55, 0.95))
    flare = {"pencil": 0.42, "a-line": 0.72, "pleated": 0.82}[kind] * float(rng.uniform(0.92, 1.08))
    s = Sketch(drape=0.9, pleats={"pencil": 0.15, "a-line": 0.75, "pleated": 1.3}[kind])
    top = -0.7
    outline = [(0.0, top + 0.1), (0.3, top + 0.08), (0.3, top + 0.08), (0.38, top + 0.35),
               (flare * 0.9, hem * 0.5),
               (flare, hem - 0.03), (flare, hem - 0.03), (flare * 0.5, hem + 0.04),
               (0, hem + 0.05)]  # fmt: skip
    s.add(Part(symmetric(outline), "main", 165))
    band = rounded([(-0.305, top), (-0.305, top), (0, top + 0.03), (0.305, top), (0.305, top),
                    (0.315, top + 0.12),
                    (0.315, top + 0.12), (0, top + 0.15), (-0.315, top + 0.12),
                    (-0.315, top + 0.12)])  # fmt: skip
    s.add(Part(band, "collar", 205))
    s.seam([(-0.315, top + 0.12), (0, top + 0.15), (0.315, top + 0.12)], tone=-58)
    if kind == "pleated":
        for x in np.linspace(-0.28, 0.28, 11):
            s.seam([(x, top + 0.14), (x * 1.5, top + 0.5), (x * flare / 0.3, hem)], tone=-40, width=0.013)
    elif rng.random() < 0.5:
        s.add(*(Dot(0.0, float(y), 0.025) for y in np.linspace(top + 0.07, hem - 0.15, 7)))
        s.seam([(0.05, top + 0.14), (0.055, hem)], tone=-40, curved=False, width=0.009)
    elif kind == "pencil":
        s.seam([(0.12, hem + 0.03), (0.11, hem - 0.35)], tone=-75, width=0.02)
    s.seam(
        [(-flare * 0.97, hem - 0.075), (0, hem - 0.005), (flare * 0.97, hem - 0.075)],
        tone=-32,
        dashed=True,
        width=0.008,
    )
    return s


def _legs(
    rng: Rng,
    style: str,
    *,
    hem_y: float,
    hem_w: float,
    crotch_y: float,
    spread: float,
    top: float,
    wide: float = 1.0,
) -> Sketch:
    s = Sketch(drape=0.7)
    hip = 0.41 * wide
    waist = 0.315 * wide
    sporty = rng.random() < 0.4 and "denim" not in style and "trousers" not in style
    s.add(
        Part(
            symmetric(
                [(0, top + 0.0), (waist - 0.03, top - 0.015), (waist - 0.02, top + 0.1), (0, top + 0.12)]
            ),
            "inside",
            70,
        )
    )
    inner = 0.05 + spread
    leg = rounded([(-0.02, top + 0.05), (waist, top + 0.03), (waist, top + 0.03), (hip, top + 0.38),
                   (max(hip, inner + hem_w) * 0.99, (hem_y + crotch_y) / 2), (inner + hem_w, hem_y),
                   (inner + hem_w, hem_y),
                   (inner, hem_y + 0.02), (inner, hem_y + 0.02),
                   (0.06 + spread * 0.4, (hem_y + crotch_y) / 2),
                   (0.01, crotch_y + 0.02), (-0.02, crotch_y)])  # fmt: skip
    s.add(Part(mirrored(leg), "main", 160, 0.08))
    s.add(Part(leg, "main", 168, -0.08))
    band = rounded([(-waist - 0.005, top), (-waist - 0.005, top), (0, top + 0.035), (waist + 0.005, top),
                    (waist + 0.005, top),
                    (waist + 0.015, top + 0.11), (waist + 0.015, top + 0.11), (0, top + 0.145),
                    (-waist - 0.015, top + 0.11), (-waist - 0.015, top + 0.11)])  # fmt: skip
    s.add(Part(band, "main", 205))
    s.seam([(-waist, top + 0.11), (0, top + 0.145), (waist, top + 0.11)], tone=-55)
    s.seam([(0.0, top + 0.14), (0.005, top + 0.35), (0.0, crotch_y)], tone=-60)
    cuff = hem_y - (0.075 if not sporty else 0.11)
    s.seam(
        [(inner, cuff + 0.015), (inner + hem_w, cuff)],
        tone=-36,
        dashed=not sporty,
        width=0.009,
        mirror=True,
        curved=False,
    )
    if sporty:
        for x in np.linspace(-waist + 0.02, waist - 0.02, 22):
            s.seam([(x, top + 0.03), (x, top + 0.12)], tone=-30, width=0.009, curved=False)
        s.seam([(-0.02, top + 0.12), (-0.06, top + 0.25), (-0.05, top + 0.4)], tone=95, width=0.018)
        s.seam([(0.02, top + 0.12), (0.05, top + 0.22), (0.07, top + 0.36)], tone=95, width=0.018)
    else:
        s.add(Dot(0.0, top + 0.085, 0.028, "metal"))
        s.seam(
            [(0.06, top + 0.15), (0.065, top + 0.36), (0.01, crotch_y - 0.08)],
            tone=-38,
            dashed=True,
            width=0.008,
        )
        for x in (-0.6, 0.6):
            s.seam([(x * waist, top), (x * waist, top + 0.13)], width=0.03, tone=-30, curved=False)
        for x in np.array([0.32, 0.9]) * waist:
            s.add(Dot(float(x), top + 0.16, 0.009, "metal"), Dot(-float(x), top + 0.16, 0.009, "metal"))
    s.seam(
        [(0.32 * waist, top + 0.13), (0.52 * waist, top + 0.3), (waist + 0.06, top + 0.33)],
        tone=-50,
        mirror=True,
    )
    if rng.random() < 0.3:
        mid = inner + hem_w / 2
        s.seam(
            [(waist * 0.55, top + 0.42), (mid, crotch_y + 0.2), (mid, hem_y - 0.12)],
            tone=24,
            width=0.016,
            mirror=True,
        )
    return s
