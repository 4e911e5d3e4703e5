"""Shoes: sneakers, boots and loafers from the side, or a pair from above."""

from __future__ import annotations

import numpy as np

from marketplace.render.sketch import Dot, Part, Points, Sketch, Stroke, choose, rounded

Rng = np.random.Generator


def shoes(rng: Rng, style: str = "") -> Sketch:
    """A pair of sneakers, boots or loafers from the side, or a pair from above."""
    s = Sketch(stiff=1.0)
    kinds = {"boot": "boots", "sneaker": "sneakers canvas", "loafer": "", "top": ""}
    kind = choose(rng, style, kinds)
    if kind == "sneaker" and rng.random() < 0.4:
        kind = "top"
    if kind == "top":
        for side in (-1, 1):
            _from_above(s, 0.4 * side, float(rng.normal(0, 0.06)) + 0.06 * side, side)
        return s
    draw = {"sneaker": _sneaker, "boot": _boot, "loafer": _loafer}[kind]
    shift = float(rng.uniform(0.42, 0.58))
    for dx, dy, size in ((-0.14, -shift, 0.94), (0.08, 0.12, 1.0)):
        one = draw()
        _move(s, one, dx, dy, size)
    return s


def _move(s: Sketch, one: Sketch, dx: float, dy: float, size: float) -> None:
    """Add a drawing to another, scaled and shifted."""
    move = np.array([dx, dy])
    for thing in one.things:
        if isinstance(thing, Part):
            s.add(Part(thing.points * size + move, thing.role, thing.level, thing.turn))
        elif isinstance(thing, Stroke):
            s.add(Stroke(thing.points * size + move, thing.width * size, thing.tone, thing.dashed))
        else:
            s.add(Dot(thing.x * size + dx, thing.y * size + dy, thing.radius * size, thing.role))


def _sole(s: Sketch, heel: float = 0.0) -> None:
    sole = rounded([(-0.93, 0.2), (-0.93, 0.2), (-0.2, 0.24), (0.5, 0.22), (0.98, 0.14), (1.02, 0.26),
                    (0.92, 0.36),
                    (0.3, 0.37), (-0.3, 0.37), (-0.92, 0.37 + heel), (-0.97, 0.3)])  # fmt: skip
    s.add(Part(sole, "sole", 150))
    s.add(Stroke(rounded([(-0.93, 0.29), (0.0, 0.31), (0.98, 0.26)], closed=False), 0.012, -40))


def _sneaker() -> Sketch:
    s = Sketch()
    s.add(
        Part(rounded([(-0.8, -0.38), (-0.5, -0.5), (-0.2, -0.5), (-0.1, -0.3), (-0.6, -0.2)]), "inside", 80)
    )
    s.add(
        Part(rounded([(-0.34, -0.36), (-0.3, -0.62), (-0.12, -0.66), (0.06, -0.4), (0.0, -0.2)]), "trim", 150)
    )
    upper = rounded([(-0.93, 0.22), (-0.95, -0.1), (-0.9, -0.46), (-0.9, -0.46), (-0.8, -0.5),
                     (-0.62, -0.36), (-0.42, -0.34),
                     (-0.2, -0.46), (-0.12, -0.46), (0.1, -0.26), (0.5, -0.1), (0.88, -0.02),
                     (0.99, 0.16), (0.9, 0.24),
                     (0.0, 0.25)])  # fmt: skip
    s.add(Part(upper, "main", 185))
    s.add(
        Part(
            rounded([(0.62, 0.22), (0.56, 0.06), (0.7, -0.07), (0.9, -0.01), (0.99, 0.14), (0.94, 0.23)]),
            "trim",
            200,
        )
    )
    s.add(
        Part(
            rounded(
                [
                    (-0.94, 0.0),
                    (-0.92, -0.44),
                    (-0.92, -0.44),
                    (-0.8, -0.44),
                    (-0.72, -0.1),
                    (-0.84, 0.2),
                    (-0.94, 0.2),
                ]
            ),
            "trim",
            200,
        )
    )
    for i in range(5):
        x, y = -0.14 + 0.115 * i, -0.4 + 0.075 * i
        s.seam([(x - 0.12, y + 0.1), (x + 0.02, y - 0.02)], width=0.035, tone=100, curved=False)
        s.add(Dot(x - 0.12, y + 0.1, 0.016, "inside"))
    s.seam([(-0.62, 0.1), (-0.3, 0.02), (0.05, -0.12), (0.2, -0.14)], width=0.05, tone=80)
    s.seam(
        [(-0.7, -0.12), (-0.4, -0.2), (-0.16, -0.24), (0.25, -0.02), (0.55, 0.08)],
        tone=-45,
        dashed=True,
        width=0.009,
    )
    _sole(s)
    return s


def _boot() -> Sketch:
    s = Sketch()
    s.add(Part(rounded([(-0.86, -0.98), (-0.5, -1.03), (-0.2, -0.98), (-0.5, -0.9)]), "inside", 80))
    upper = rounded([(-0.9, 0.22), (-0.93, -0.2), (-0.86, -0.6), (-0.88, -0.98), (-0.88, -0.98),
                     (-0.5, -0.93), (-0.2, -0.98),
                     (-0.2, -0.98), (-0.17, -0.55), (0.0, -0.28), (0.45, -0.14), (0.88, -0.04),
                     (0.98, 0.16), (0.9, 0.24),
                     (0.0, 0.25)])  # fmt: skip
    s.add(Part(upper, "main", 185))
    s.add(Part(rounded([(-0.92, 0.22), (-0.93, -0.2), (-0.72, -0.22), (-0.64, 0.22)]), "main", 205))
    s.add(
        Part(
            rounded([(0.5, 0.22), (0.5, -0.02), (0.72, -0.08), (0.9, -0.02), (0.98, 0.15), (0.92, 0.23)]),
            "main",
            205,
        )
    )
    s.seam([(0.5, 0.22), (0.48, 0.0), (0.66, -0.08)], tone=-50)
    for i in range(6):
        y = -0.86 + 0.11 * i
        x = -0.2 + 0.02 * i + (0.06 * max(0, i - 4))
        s.seam([(x - 0.14, y + 0.03), (x + 0.02, y)], width=0.032, tone=-80, curved=False)
        s.add(Dot(x - 0.15, y + 0.03, 0.02, "metal"))
    s.seam([(-0.34, -0.92), (-0.32, -0.4), (-0.1, -0.1), (0.3, 0.0)], tone=-45, dashed=True, width=0.01)
    s.seam([(-0.7, -0.95), (-0.78, -0.5), (-0.72, -0.22)], tone=-40)
    s.add(
        Part(
            rounded(
                [
                    (-0.93, 0.36),
                    (-0.93, 0.36),
                    (-0.4, 0.36),
                    (-0.4, 0.36),
                    (-0.44, 0.48),
                    (-0.44, 0.48),
                    (-0.93, 0.48),
                    (-0.93, 0.48),
                ]
            ),
            "sole",
            140,
        )
    )
    _sole(s)
    return s


def _loafer() -> Sketch:
    s = Sketch()
    s.add(
        Part(rounded([(-0.86, -0.2), (-0.6, -0.3), (0.0, -0.22), (0.1, -0.1), (-0.5, -0.02)]), "inside", 80)
    )
    upper = rounded([(-0.93, 0.22), (-0.95, -0.05), (-0.9, -0.27), (-0.9, -0.27), (-0.7, -0.16),
                     (-0.3, -0.05), (0.0, -0.2),
                     (0.16, -0.26), (0.55, -0.12), (0.88, -0.02), (1.0, 0.16), (0.9, 0.24),
                     (0.0, 0.25)])  # fmt: skip
    s.add(Part(upper, "main", 185))
    s.add(
        Part(
            rounded([(0.02, -0.2), (0.14, -0.25), (0.34, -0.2), (0.26, 0.02), (0.16, 0.16), (0.02, 0.1)]),
            "main",
            215,
        )
    )
    s.seam([(0.1, 0.13), (0.2, -0.02), (0.3, -0.19)], tone=-60)
    s.seam([(0.35, -0.16), (0.62, -0.02), (0.9, 0.05)], tone=-50, width=0.016)
    s.add(Dot(0.16, -0.06, 0.035, "metal"))
    s.seam([(-0.9, -0.2), (-0.6, -0.08), (-0.25, 0.0)], tone=-45, dashed=True, width=0.009)
    _sole(s)
    return s


def _from_above(s: Sketch, x: float, turn: float, side: int) -> None:
    """One shoe seen from above, toe up."""
    c, k = np.cos(turn), np.sin(turn)

    def at(points: Points) -> Points:
        turned = points @ np.array([[c, k], [-k, c]])
        return np.asarray(turned * np.array([side, 1.0]) + np.array([x, 0.0]))

    sole = rounded([(0.05, -0.95), (0.28, -0.78), (0.33, -0.35), (0.25, 0.1), (0.27, 0.6), (0.2, 0.92),
                    (0.0, 0.98), (-0.2, 0.92),
                    (-0.26, 0.6), (-0.24, 0.1), (-0.28, -0.4), (-0.18, -0.8)])  # fmt: skip
    s.add(Part(at(sole * 1.06), "sole", 120))
    s.add(Part(at(sole), "main", 185))
    s.add(
        Part(
            at(
                rounded(
                    [(0.05, -0.93), (0.27, -0.75), (0.29, -0.55), (0.0, -0.5), (-0.22, -0.55), (-0.17, -0.78)]
                )
            ),
            "trim",
            200,
        )
    )
    opening = rounded(
        [
            (0.0, 0.0),
            (0.15, 0.12),
            (0.18, 0.5),
            (0.13, 0.8),
            (0.0, 0.85),
            (-0.13, 0.8),
            (-0.18, 0.5),
            (-0.15, 0.12),
        ]
    )
    s.add(Part(at(opening), "inside", 60))
    s.add(
        Part(
            at(
                rounded([(0.1, -0.42), (0.13, 0.1), (0.09, 0.26), (-0.09, 0.26), (-0.13, 0.1), (-0.1, -0.42)])
            ),
            "trim",
            190,
        )
    )
    s.add(Part(at(np.array([(-0.07, 0.6), (0.07, 0.6), (0.07, 0.7), (-0.07, 0.7)])), "label", 62))
    for i in range(5):
        y = -0.36 + 0.1 * i
        s.add(Stroke(at(np.array([(-0.13, y + 0.03), (0.13, y - 0.03)])), 0.04, 100))
        s.add(Stroke(at(np.array([(-0.13, y - 0.03), (0.13, y + 0.03)])), 0.03, 70))
    s.add(
        Stroke(
            at(rounded([(0.25, -0.3), (0.19, 0.1), (0.22, 0.6), (0.1, 0.9)], closed=False)), 0.01, -45, True
        )
    )
