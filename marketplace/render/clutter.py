"""Things that lie about: books, mugs, boxes, cables, plants, cushions. And a hanger, which helps."""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from marketplace.render.sketch import HEIGHT, OVER, WIDTH, Colour, Placement, Points, rounded

Rng = np.random.Generator
PAINT: Final[tuple[Colour, ...]] = (
    (196, 74, 62), (62, 106, 156), (226, 178, 74), (78, 138, 96), (214, 206, 190), (92, 74, 112),
    (60, 62, 70), (222, 140, 120), (130, 178, 190), (150, 112, 78),
)  # fmt: skip
_TURN: Final = np.linspace(0, 2 * np.pi, 36, endpoint=False)


class Table:
    """A black sheet of photo size on which things are drawn, and a record of where it is covered."""

    def __init__(self) -> None:
        size = (WIDTH * OVER, HEIGHT * OVER)
        self._colour, self._cover = Image.new("RGB", size), Image.new("L", size)
        self._pens = (ImageDraw.Draw(self._colour), ImageDraw.Draw(self._cover))

    def shape(self, points: Points, fill: Colour, factor: float = 1.0) -> None:
        """Draw a polygon in pixels of the photo, `factor` making its colour lighter or darker."""
        flat = (points * OVER).ravel().tolist()
        r, g, b = (int(min(255, v * factor)) for v in fill)
        self._pens[0].polygon(flat, fill=(r, g, b))
        self._pens[1].polygon(flat, fill=255)

    def line(self, points: Points, fill: Colour, width: float) -> None:
        """Draw a line `width` pixels of the photo wide."""
        flat = (points * OVER).ravel().tolist()
        self._pens[0].line(flat, fill=fill, width=int(width * OVER), joint="curve")
        self._pens[1].line(flat, fill=255, width=int(width * OVER), joint="curve")

    def layers(self) -> tuple[Image.Image, Image.Image, Image.Image]:
        """Return colour times cover (RGB), cover (L) and shadow (L), at photo size."""
        cover = self._cover.reduce(OVER)
        shadow = cover.reduce(4).filter(ImageFilter.GaussianBlur(1.6))
        return self._colour.reduce(OVER), cover, shadow.resize(cover.size, Image.Resampling.BILINEAR)


def scatter(table: Table, n: int, rng: Rng) -> None:
    """Put `n` things down, mostly towards the edges of the photo."""
    kinds = (_books, _mug, _box, _cable, _plant, _cushion, _heap, _bottle, _remote, _ball)
    for _ in range(n):
        edge = int(rng.integers(4))
        t = float(rng.random())
        out = float(rng.uniform(-0.06, 0.13))
        x, y = ((t, out), (1 - out, t), (t, 1 - out), (out, t))[edge]
        kind = kinds[int(rng.integers(len(kinds)))]
        kind(table, np.array([x * WIDTH, y * HEIGHT]), float(rng.uniform(0.8, 1.35)), rng)


def furniture(table: Table, rng: Rng) -> None:
    """Put a shelf, a bed, a curtain or a chair into the back of a room."""
    kind = int(rng.integers(4))
    side = 1 if rng.random() < 0.5 else -1
    x0 = WIDTH * (0.72 if side > 0 else 0.0) + float(rng.uniform(-20, 20))
    if kind == 0:  # a shelf of books
        wood: Colour = (150, 108, 74)
        table.shape(_rect(x0, -5, x0 + 130, 330), wood, 0.7)
        for top in (20.0, 120.0, 220.0):
            table.shape(_rect(x0 + 6, top, x0 + 124, top + 88), wood, 0.42)
            x = x0 + 8
            while x < x0 + 112:
                w, h = float(rng.uniform(7, 16)), float(rng.uniform(52, 80))
                table.shape(_rect(x, top + 88 - h, x + w, top + 88), _paint(rng), 0.85)
                x += w + 1
    elif kind == 1:  # a bed
        y0 = float(rng.uniform(300, 380))
        table.shape(
            rounded(
                [(-20, y0), (-20, y0), (260, y0 - 20), (430, y0 + 10), (430, y0 + 10), (430, 560), (-20, 560)]
            ),
            _paint(rng),
            0.9,
        )
        table.shape(
            rounded([(-20, y0 + 60), (120, y0 + 46), (300, y0 + 70), (430, y0 + 50), (430, 560), (-20, 560)]),
            _paint(rng),
            0.95,
        )
        _cushion(table, np.array([x0 + 50, y0]), 1.5, rng)
    elif kind == 2:  # a curtain
        fill = _paint(rng)
        for k in range(8):
            table.shape(
                _rect(x0 + 15 * k, -5, x0 + 15 * k + 16, 420),
                fill,
                0.72 + 0.22 * (k % 2) + 0.05 * float(rng.random()),
            )
    else:  # a chair
        wood = (124, 86, 60)
        for x in (x0, x0 + 84):
            table.shape(_rect(x, 190, x + 12, 470), wood, 0.9)
        for y in (200, 240, 330):
            table.shape(_rect(x0, y, x0 + 96, y + (14 if y < 300 else 26)), wood, 1.05)


def hanger(table: Table, placement: Placement, y: float, rng: Rng) -> None:
    """Hang the garment: a hook and arms whose middle lies at garment height `y`."""
    wood: Colour = ((186, 140, 92), (60, 58, 62), (226, 224, 220))[int(rng.integers(3))]
    arms = rounded(
        [(-0.47, y + 0.12), (-0.3, y + 0.03), (0.0, y - 0.05), (0.3, y + 0.03), (0.47, y + 0.12)],
        closed=False,
    )
    hook = rounded(
        [
            (0.0, y - 0.03),
            (0.0, y - 0.14),
            (0.05, y - 0.2),
            (0.04, y - 0.28),
            (-0.04, y - 0.28),
            (-0.06, y - 0.22),
        ],
        closed=False,
    )
    table.line(placement.pixels(hook), (150, 152, 156), 3.0)
    table.line(placement.pixels(arms), wood, 0.05 * placement.scale)
    nail = placement.pixels(np.array([[0.0, y - 0.29]]))[0]
    table.shape(nail + 4.0 * np.column_stack([np.cos(_TURN), np.sin(_TURN)]), (120, 116, 112))


def leaves(table: Table, rng: Rng) -> None:
    """Lay a sprig into a corner, as careful sellers do."""
    corner = np.array([[-6.0, -6.0], [WIDTH + 6.0, -6.0], [WIDTH + 6.0, HEIGHT + 6.0], [-6.0, HEIGHT + 6.0]])[
        int(rng.integers(4))
    ]
    to = np.array([WIDTH / 2, HEIGHT / 2]) - corner
    to = to / np.hypot(*to)
    turn = float(rng.uniform(-0.35, 0.35))
    to = np.array([to[0] * np.cos(turn) - to[1] * np.sin(turn), to[0] * np.sin(turn) + to[1] * np.cos(turn)])
    across = np.array([-to[1], to[0]])
    green: Colour = ((92, 128, 92), (122, 146, 112), (146, 150, 118))[int(rng.integers(3))]
    length = float(rng.uniform(75, 110))
    table.line(np.array([corner, corner + to * length]), green, 2.2)
    for k in range(5):
        root = corner + to * length * (0.25 + 0.17 * k)
        for side in (-1, 1):
            tip = root + (to * 0.62 + across * side * 0.72) * (34 - 3.5 * k)
            middle = (root + tip) / 2
            bulge = across * side * 2 + to * 7
            table.shape(
                rounded([root, middle + bulge, tip, middle - bulge * 0.9]),
                green,
                0.9 + 0.22 * float(rng.random()),
            )


def _books(table: Table, at: Points, size: float, rng: Rng) -> None:
    turn = float(rng.uniform(-0.8, 0.8))
    for k in range(int(rng.integers(1, 4))):
        box = _turned(_rect(-34, -24, 34, 24) * size, turn + 0.15 * k) + at - np.array([0, 5 * k])
        table.shape(box + np.array([2, 4]), (232, 226, 212), 0.9)
        table.shape(box, _paint(rng))


def _mug(table: Table, at: Points, size: float, rng: Rng) -> None:
    fill = _paint(rng)
    table.line(_disc(at + np.array([20 * size, 0]), 10 * size), fill, 5 * size)
    table.shape(_disc(at, 20 * size), fill)
    table.shape(_disc(at, 16 * size), fill, 0.6)
    table.shape(_disc(at + np.array([0, 1.5]), 14 * size), (84, 54, 36))


def _box(table: Table, at: Points, size: float, rng: Rng) -> None:
    turn = float(rng.uniform(-0.5, 0.5))
    card: Colour = (190, 152, 108)
    table.shape(_turned(_rect(-46, -36, 46, 36) * size, turn) + at, card)
    table.shape(_turned(_rect(-46, -36, 46, -8) * size, turn) + at, card, 0.86)
    table.shape(_turned(_rect(-7, -36, 7, 36) * size, turn) + at, (222, 200, 160))


def _cable(table: Table, at: Points, size: float, rng: Rng) -> None:
    steps = rng.normal(0, 34 * size, size=(8, 2)).cumsum(axis=0)
    fill: Colour = ((34, 34, 38), (232, 232, 230))[int(rng.integers(2))]
    table.line(rounded(at + steps, closed=False, rounds=4), fill, 3.2)


def _plant(table: Table, at: Points, size: float, rng: Rng) -> None:
    table.shape(_disc(at, 18 * size), (176, 104, 72))
    table.shape(_disc(at, 14 * size), (70, 52, 40))
    for _ in range(11):
        a, r = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(22, 46)) * size
        to, across = np.array([np.cos(a), np.sin(a)]), np.array([-np.sin(a), np.cos(a)])
        leaf = rounded(
            [at, at + to * r * 0.5 + across * 8 * size, at + to * r, at + to * r * 0.5 - across * 8 * size]
        )
        table.shape(leaf, (70, 122, 78), float(rng.uniform(0.75, 1.25)))


def _cushion(table: Table, at: Points, size: float, rng: Rng) -> None:
    r = 44 * size
    fill = _paint(rng)
    corners = [(-r, -r * 0.8), (-r, -r * 0.8), (0, -r * 0.62), (r, -r * 0.8), (r, -r * 0.8),
               (r * 0.86, 0), (r, r * 0.8), (r, r * 0.8),
               (0, r * 0.64), (-r, r * 0.8), (-r, r * 0.8), (-r * 0.86, 0)]  # fmt: skip
    turn = float(rng.uniform(-0.6, 0.6))
    table.shape(_turned(rounded(corners), turn) + at, fill)
    table.shape(_turned(rounded(corners) * 0.6, turn) + at - [3, 4], fill, 1.08)


def _heap(table: Table, at: Points, size: float, rng: Rng) -> None:
    for _ in range(3):
        r = (34 + 12 * rng.random(14)) * size
        a = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        blob = rounded(np.column_stack([r * np.cos(a), 0.7 * r * np.sin(a)])) + at + rng.normal(0, 16, 2)
        fill = _paint(rng)
        table.shape(blob, fill, 0.9)
        table.line(blob[3:28], tuple(int(v * 0.6) for v in fill), 1.5)  # type: ignore[arg-type]


def _bottle(table: Table, at: Points, size: float, rng: Rng) -> None:
    turn = float(rng.uniform(-1.5, 1.5))
    fill = _paint(rng)
    table.shape(
        _turned(
            rounded([(-9, -34), (9, -34), (13, -18), (13, 36), (13, 36), (-13, 36), (-13, 36), (-13, -18)])
            * size,
            turn,
        )
        + at,
        fill,
    )
    table.shape(_turned(_rect(-7, -46, 7, -33) * size, turn) + at, (240, 238, 232))
    table.shape(_turned(_rect(-13, -6, 13, 20) * size, turn) + at, (240, 234, 220))


def _remote(table: Table, at: Points, size: float, rng: Rng) -> None:
    turn = float(rng.uniform(-1.5, 1.5))
    table.shape(
        _turned(rounded([(-11, -38), (11, -38), (11, 38), (-11, 38)], rounds=2) * size * 1.1, turn) + at,
        (42, 42, 48),
    )
    for k in range(5):
        for x in (-5, 0, 5):
            spot = _turned(np.array([[x, -22.0 + 9 * k]]) * size, turn)[0] + at
            table.shape(_disc(spot, 1.8 * size), (196, 70, 60) if k == 0 and x == -5 else (170, 170, 176))


def _ball(table: Table, at: Points, size: float, rng: Rng) -> None:
    fill = _paint(rng)
    table.shape(_disc(at, 24 * size), fill, 0.85)
    table.shape(_disc(at - [4 * size, 5 * size], 17 * size), fill, 1.0)
    table.shape(_disc(at - [8 * size, 10 * size], 6 * size), fill, 1.35)


def _paint(rng: Rng) -> Colour:
    return PAINT[int(rng.integers(len(PAINT)))]


def _rect(x0: float, y0: float, x1: float, y1: float) -> Points:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=np.float64)


def _disc(at: Points, radius: float) -> Points:
    return np.asarray(at + radius * np.column_stack([np.cos(_TURN), np.sin(_TURN)]))


def _turned(points: Points, angle: float) -> Points:
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[c, s], [-s, c]]))
