"""Hats: caps, beanies, bucket hats, straw hats."""

from __future__ import annotations

import numpy as np

from marketplace.render.sketch import Dot, Part, Sketch, Stroke, choose, rounded, symmetric

Rng = np.random.Generator


def hat(rng: Rng, style: str = "") -> Sketch:
    """A cap, a beanie, a bucket hat or a straw hat."""
    kind = choose(
        rng, style, {"straw": "straw", "beanie": "beanie wool knit", "cap": "cap", "bucket": "bucket"}
    )
    s = Sketch(stiff=0.75)
    {"straw": _straw, "beanie": _beanie, "cap": _cap, "bucket": _bucket}[kind](s, rng)
    return s


def _cap(s: Sketch, rng: Rng) -> None:
    dome = rounded([(-0.72, 0.22), (-0.74, -0.15), (-0.55, -0.56), (-0.05, -0.72), (0.42, -0.58),
                    (0.62, -0.2), (0.62, 0.2),
                    (0.0, 0.3)])  # fmt: skip
    s.add(Part(dome, "main", 185))
    role = "trim" if rng.random() < 0.5 else "main"
    brim = rounded(
        [
            (-0.1, 0.2),
            (0.3, 0.08),
            (0.62, 0.12),
            (1.02, 0.3),
            (1.08, 0.44),
            (0.8, 0.5),
            (0.3, 0.46),
            (-0.18, 0.36),
        ]
    )
    s.add(Part(brim, role, 220, 0.3))
    s.seam([(-0.06, -0.7), (0.18, -0.35), (0.22, 0.14)], tone=-46)
    s.seam([(-0.1, -0.7), (-0.38, -0.4), (-0.42, 0.24)], tone=-46)
    s.seam([(-0.72, 0.15), (-0.2, 0.24), (0.25, 0.1), (0.62, 0.13)], tone=-40, dashed=True, width=0.01)
    for k in (0.0, 0.07, 0.14):
        s.seam(
            [(-0.1, 0.34 - k * 0.3), (0.35, 0.41 - k), (0.8, 0.45 - k * 0.9), (1.02, 0.4 - k)],
            tone=-26,
            dashed=True,
            width=0.008,
        )
    s.add(
        Dot(-0.08, -0.69, 0.05, role),
        Dot(-0.28, -0.36, 0.022, "inside"),
        Dot(0.3, -0.4, 0.022, "inside"),
    )
    s.print_box = (-0.3, -0.34, 0.14, 0.1)


def _beanie(s: Sketch, rng: Rng) -> None:
    if rng.random() < 0.6:
        a = np.linspace(0, 2 * np.pi, 120, endpoint=False)
        r = 0.2 + 0.022 * rng.random(120)
        s.add(Part(np.column_stack([r * np.cos(a), -0.86 + r * np.sin(a)]), "trim", 150))
        for _ in range(46):  # strands of wool
            turn, reach = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.05, 0.2))
            tip = np.array([np.cos(turn), np.sin(turn)]) * reach
            strand = np.array([tip, tip * 0.55]) + np.array([0, -0.86])
            s.add(Stroke(strand, 0.012, int(rng.choice([-34, 26]))))
    s.add(Part(symmetric([(0.0, -0.8), (0.3, -0.74), (0.56, -0.4), (0.62, 0.2), (0.0, 0.3)]), "main", 175))
    for x in np.linspace(-0.5, 0.5, 11):
        s.seam([(x * 0.25, -0.76), (x * 0.9, -0.4), (x * 1.14, 0.2)], tone=-34, width=0.016)
    fold = rounded([(-0.66, 0.14), (-0.66, 0.14), (0, 0.22), (0.66, 0.14), (0.66, 0.14), (0.65, 0.5),
                    (0.65, 0.5), (0, 0.6),
                    (-0.65, 0.5), (-0.65, 0.5)])  # fmt: skip
    s.add(Part(fold, "collar", 220))
    for x in np.linspace(-0.6, 0.6, 21):
        y = 0.08 * (1 - (x / 0.65) ** 2)
        s.seam([(x, 0.17 + y), (x, 0.49 + y)], tone=-34, width=0.014, curved=False)
    s.add(Part(np.array([(0.28, 0.3), (0.46, 0.28), (0.46, 0.44), (0.28, 0.46)]), "label", 235))


def _bucket(s: Sketch, rng: Rng) -> None:
    s.add(Part(symmetric([(0.0, -0.62), (0.36, -0.6), (0.42, -0.54), (0.55, 0.1), (0.0, 0.2)]), "main", 185))
    brim = rounded([(-0.56, 0.04), (0, 0.16), (0.56, 0.04), (0.74, 0.22), (0.9, 0.46), (0.9, 0.46),
                    (0.5, 0.6), (0, 0.64),
                    (-0.5, 0.6), (-0.9, 0.46), (-0.9, 0.46), (-0.74, 0.22)])  # fmt: skip
    s.add(Part(brim, "main", 205))
    s.seam([(-0.42, -0.53), (0, -0.46), (0.42, -0.53)], tone=-40)
    for k in (0.12, 0.24, 0.36):
        s.seam(
            [(-0.6 - k * 0.6, 0.08 + k * 0.86), (0, 0.18 + k), (0.6 + k * 0.6, 0.08 + k * 0.86)],
            tone=-30,
            dashed=True,
            width=0.008,
        )
    s.add(*(Dot(0.3 * side, y, 0.02, "metal") for side in (-1, 1) for y in (-0.16, -0.05)))
    s.add(Part(np.array([(-0.09, -0.3), (0.09, -0.3), (0.09, -0.2), (-0.09, -0.2)]), "label", 210))
    s.drape = 0.2 * float(rng.random())


def _straw(s: Sketch, rng: Rng) -> None:
    a = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    wobble = 1 + 0.012 * np.sin(5 * a + float(rng.random()) * 6)
    s.add(Part(np.column_stack([np.cos(a) * wobble, 0.18 + 0.46 * np.sin(a) * wobble]), "main", 150))
    for k in (0.96, 0.88, 0.8, 0.72):
        s.add(Stroke(np.column_stack([np.cos(a) * k, 0.18 + 0.46 * np.sin(a) * k]), 0.009, -28, True))
    crown = rounded(
        [
            (-0.5, 0.14),
            (-0.46, -0.3),
            (-0.3, -0.56),
            (0.0, -0.6),
            (0.3, -0.56),
            (0.46, -0.3),
            (0.5, 0.14),
            (0.0, 0.3),
        ]
    )
    s.add(Part(crown, "main", 205))
    ribbon = rounded([(-0.5, -0.02), (-0.5, -0.02), (0, 0.12), (0.5, -0.02), (0.5, -0.02), (0.51, 0.13),
                      (0.51, 0.13), (0, 0.29),
                      (-0.51, 0.13), (-0.51, 0.13)])  # fmt: skip
    s.add(Part(ribbon, "trim", 215))
    for k in (0.0, 0.12, 0.24, 0.36):
        s.seam(
            [(-0.47 + k * 0.3, -0.1 - k), (0, 0.03 - k * 1.05), (0.47 - k * 0.3, -0.1 - k)],
            tone=-24,
            dashed=True,
            width=0.008,
        )
