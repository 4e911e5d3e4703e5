"""What is printed on chests and caps: small pictures, a word, a number. All ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from marketplace.render.sketch import OVER, Colour, Layers, Placement, Points, rounded

Pen = Callable[[Points, Colour], None]
INK: Final[tuple[tuple[Colour, Colour, Colour], ...]] = (
    ((236, 110, 76), (245, 200, 100), (52, 72, 110)),
    ((72, 150, 140), (240, 222, 180), (210, 90, 90)),
    ((245, 240, 228), (250, 180, 170), (120, 170, 200)),
    ((250, 214, 90), (90, 170, 210), (236, 96, 110)),
)
_CIRCLE: Final = np.linspace(0, 2 * np.pi, 40, endpoint=False)


def add_print(
    layers: Layers,
    placement: Placement,
    *,
    box: tuple[float, float, float, float],
    word: str,
    dark: bool,
    rng: np.random.Generator,
) -> None:
    """Draw a print into a box of the garment.

    Args:
        layers: changed in place: the print's colours, and no pattern where it is.
        placement: where the garment lies.
        box: x0, y0, x1, y1 in garment units.
        word: the brand, for prints that are a word.
        dark: whether the cloth is dark, so that the ink must be light.
        rng: source of chance.
    """
    x0, y0, x1, y1 = box
    size = min(x1 - x0, y1 - y0) / 2
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    corners = placement.pixels(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))
    left, top = (int(v) - 4 for v in corners.min(axis=0))
    right, bottom = (int(v) + 5 for v in corners.max(axis=0))
    if right - left < 16 or bottom - top < 16:
        return
    extent = ((right - left) * OVER, (bottom - top) * OVER)
    sheet = Image.new("RGBA", extent, (0, 0, 0, 0))
    draw = ImageDraw.Draw(sheet)

    def pen(points: Points, fill: Colour) -> None:
        pixels = (placement.pixels(points * size + centre) - [left, top]) * OVER
        draw.polygon(pixels.ravel().tolist(), fill=(*fill, 255))

    inks = INK[int(rng.integers(len(INK)))]
    outline: Colour = (240, 236, 226) if dark else (52, 48, 56)
    motif = int(rng.integers(len(_MOTIFS) + 2))
    if motif < len(_MOTIFS):
        _MOTIFS[motif](pen, inks, outline)
    else:
        text = word.upper() if motif == len(_MOTIFS) else str(int(rng.integers(1, 99)))
        fill = inks[0] if rng.random() < 0.5 else outline
        height = 1.5 if motif > len(_MOTIFS) else 0.6
        plate = _word(text, size * placement.scale * OVER, height, placement.angle)
        at = (placement.pixels(centre[None])[0] - [left, top]) * OVER - np.array(plate.size) / 2
        sheet.paste((*fill, 255), (int(at[0]), int(at[1])), plate)
    sheet = sheet.reduce(OVER)
    alpha = sheet.getchannel("A").point(lambda a: int(a * 0.92))
    layers.colour.paste(sheet.convert("RGB"), (left, top), alpha)
    layers.turn.paste(0, (left, top, right, bottom), alpha.point(lambda a: 255 if a > 60 else 0))


def _disc(x: float, y: float, rx: float, ry: float | None = None) -> Points:
    return np.column_stack([x + rx * np.cos(_CIRCLE), y + (rx if ry is None else ry) * np.sin(_CIRCLE)])


def _mountains(pen: Pen, inks: tuple[Colour, Colour, Colour], outline: Colour) -> None:
    pen(_disc(0, 0, 0.95), inks[1])
    pen(_disc(0.1, -0.3, 0.4), inks[0])
    a = np.linspace(0.12, np.pi - 0.12, 30)
    arc = np.column_stack([0.95 * np.cos(a), 0.95 * np.sin(a)])
    pen(
        np.vstack(
            [[[0.94, 0.05], [0.5, -0.05], [0.3, 0.15], [-0.25, -0.5], [-0.6, 0.05], [-0.94, 0.1]], arc[::-1]]
        ),
        inks[2],
    )
    pen(
        np.array([[-0.25, -0.5], [-0.06, -0.26], [-0.2, -0.3], [-0.27, -0.2], [-0.42, -0.24]]),
        (250, 246, 240),
    )


def _cat(pen: Pen, inks: tuple[Colour, Colour, Colour], outline: Colour) -> None:
    for side in (-1, 1):
        pen(np.array([[side * 0.75, -0.2], [side * 0.72, -0.95], [side * 0.15, -0.5]]), inks[0])
        pen(np.array([[side * 0.62, -0.4], [side * 0.62, -0.75], [side * 0.32, -0.5]]), inks[1])
    pen(_disc(0, 0.1, 0.82, 0.7), inks[0])
    for side in (-1, 1):
        pen(_disc(side * 0.34, 0.0, 0.12, 0.15), (36, 32, 40))
        pen(_disc(side * 0.37, -0.05, 0.04), (250, 250, 250))
        for dy in (0.0, 0.16):
            pen(
                np.array([[side * 0.45, 0.3 + dy], [side * 1.0, 0.2 + dy * 2], [side * 1.0, 0.23 + dy * 2]]),
                outline,
            )
    pen(np.array([[-0.1, 0.22], [0.1, 0.22], [0, 0.34]]), inks[1])


def _wave(pen: Pen, inks: tuple[Colour, Colour, Colour], outline: Colour) -> None:
    pen(_disc(0, 0, 0.92), inks[1])
    pen(_disc(0.32, -0.38, 0.26), inks[0])
    crest = rounded([(-0.86, 0.3), (-0.5, -0.3), (0.05, -0.5), (0.4, -0.15), (0.32, 0.12), (0.12, 0.02),
                     (0.0, 0.1), (0.1, 0.3),
                     (0.5, 0.42), (0.88, 0.25), (0.6, 0.7), (0.0, 0.92), (-0.6, 0.7)])  # fmt: skip
    pen(crest, inks[2])
    pen(rounded([(-0.2, -0.32), (0.1, -0.38), (0.32, -0.12), (0.28, 0.06), (0.1, -0.14)]), (250, 248, 244))


def _flower(pen: Pen, inks: tuple[Colour, Colour, Colour], outline: Colour) -> None:
    pen(np.array([[-0.03, 0.2], [0.03, 0.2], [0.06, 0.98], [-0.02, 0.98]]), (70, 120, 80))
    pen(rounded([(0.02, 0.75), (0.3, 0.45), (0.5, 0.5), (0.3, 0.72)]), (84, 140, 92))
    for k in range(7):
        a = 2 * np.pi * k / 7
        pen(_disc(0.38 * np.cos(a), -0.28 + 0.38 * np.sin(a), 0.25), inks[0] if k % 2 else inks[2])
    pen(_disc(0, -0.28, 0.24), inks[1])


def _fish(pen: Pen, inks: tuple[Colour, Colour, Colour], outline: Colour) -> None:
    for k, fill in ((-0.55, inks[0]), (0.05, inks[2]), (0.65, inks[1])):
        pen(
            rounded(
                [(-0.6, k), (-0.1, k - 0.26), (0.5, k - 0.1), (0.62, k), (0.5, k + 0.1), (-0.1, k + 0.26)]
            ),
            fill,
        )
        pen(np.array([[0.5, k], [0.9, k - 0.22], [0.82, k], [0.9, k + 0.22]]), fill)
        pen(_disc(-0.36, k - 0.04, 0.05), (250, 250, 250))


def _stripes(pen: Pen, inks: tuple[Colour, Colour, Colour], outline: Colour) -> None:
    for k, fill in enumerate((inks[0], inks[1], inks[2], outline)):
        y = -0.45 + 0.25 * k
        pen(np.array([[-1.0, y], [1.0, y], [1.0, y + 0.16], [-1.0, y + 0.16]]), fill)


_MOTIFS: Final = (_mountains, _cat, _wave, _flower, _fish, _stripes)


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font at a size in pixels."""
    return ImageFont.load_default(size)


def _word(text: str, half: float, height: float, angle: float) -> Image.Image:
    """Set a word at most `2 * half` pixels wide and `height * half` high, turned: a mask."""
    letters = font(64)
    x0, y0, x1, y1 = letters.getbbox(text)
    plate = Image.new("L", (int(x1 - x0) + 8, int(y1 - y0) + 8))
    pen = ImageDraw.Draw(plate)
    pen.text((4 - x0, 4 - y0), text, fill=255, font=letters, stroke_width=2, stroke_fill=255)
    zoom = min(2 * half / plate.width, height * half / plate.height)
    size = (max(4, int(plate.width * zoom)), max(4, int(plate.height * zoom)))
    return plate.resize(size, Image.Resampling.BILINEAR).rotate(
        -np.degrees(angle), Image.Resampling.BILINEAR, expand=True
    )
