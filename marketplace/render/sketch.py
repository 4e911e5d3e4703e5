"""A garment as a drawing: parts, strokes and dots in its own coordinates, and how they become pixels.

Garments are drawn in a box of about [-1, 1] in x and y, y pointing down, upright. A `Placement` puts the
drawing into the photo: a soft warp (nothing lies perfectly flat), scale, turn and shift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Points = NDArray[np.float64]  # shape (n, 2)
Colour = tuple[int, int, int]
Line = Points | Sequence[Sequence[float] | Points]  # points, written by hand or computed

WIDTH: Final = 400
HEIGHT: Final = 533
OVER: Final = 2  # outlines are drawn at twice the size and reduced, which smooths their edges


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of cloth (or sole, or brim)."""

    points: Points
    role: str = "main"  # a key of the palette
    level: int = 170  # height above the floor, 0..255: where levels meet there is a shaded edge
    turn: float = 0.0  # radians by which a pattern is turned on this part


@dataclass(frozen=True, slots=True)
class Stroke:
    """A seam, fold line, lace or zip."""

    points: Points
    width: float = 0.012
    tone: int = -70  # added to the colour: negative darkens, positive lightens
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Dot:
    """A button, eyelet or rivet."""

    x: float
    y: float
    radius: float
    role: str = "button"


@dataclass(slots=True)
class Sketch:
    """A garment's drawing."""

    things: list[Part | Stroke | Dot] = field(default_factory=list)  # in the order in which they are drawn
    print_box: tuple[float, float, float, float] | None = None  # where a print may go: x0, y0, x1, y1
    hanger_y: float | None = None  # y of the shoulders' middle, for garments that can hang
    drape: float = 0.0  # how far folds follow the length rather than lie at random, 0..1
    pleats: float = 0.0  # strength of folds fanning out from the waist
    stiff: float = 0.0  # 1 for shoes and hats: hardly any folds
    quilted: float = 0.0  # height of quilting, in garment units; 0 for none

    def add(self, *things: Part | Stroke | Dot) -> None:
        """Put something on top."""
        self.things += things

    def both(self, part: Part) -> None:
        """Add a part and its mirror image."""
        self.add(part, Part(mirrored(part.points), part.role, part.level, -part.turn))

    def seam(
        self,
        points: Line,
        *,
        width: float = 0.012,
        tone: int = -70,
        dashed: bool = False,
        mirror: bool = False,
        curved: bool = True,
    ) -> None:
        """Add a stroke through points, smoothed, with its mirror image if asked."""
        line = np.asarray(points, dtype=np.float64)
        line = rounded(line, closed=False) if curved else line
        self.add(Stroke(line, width, tone, dashed))
        if mirror:
            self.add(Stroke(mirrored(line), width, tone, dashed))


def choose(rng: np.random.Generator, style: str, kinds: Mapping[str, str]) -> str:
    """Choose a kind: the first whose words (separated by spaces) meet the style's, else any."""
    said = set(style.split())
    fitting = [kind for kind, words in kinds.items() if said & set(words.split())]
    drawn = list(kinds)[int(rng.integers(len(kinds)))]
    return fitting[0] if fitting else drawn


def rounded(points: Line, *, closed: bool = True, rounds: int = 3) -> Points:
    """Cut corners (Chaikin). A point given twice in a row stays a sharp corner."""
    line = np.asarray(points, dtype=np.float64)
    for _ in range(rounds):
        following = np.roll(line, -1, axis=0) if closed else line[1:]
        start = line if closed else line[:-1]
        cut = np.empty((2 * len(start), 2))
        cut[0::2] = 0.75 * start + 0.25 * following
        cut[1::2] = 0.25 * start + 0.75 * following
        line = cut if closed else np.vstack([line[:1], cut, line[-1:]])
    return line


def mirrored(points: Points) -> Points:
    """Mirror left and right."""
    return np.asarray(points * np.array([-1.0, 1.0]))


def symmetric(right: Line) -> Points:
    """Close a right-hand outline, given from top to bottom, with its mirror image."""
    half = np.asarray(right, dtype=np.float64)
    return rounded(np.vstack([half, mirrored(half)[::-1]]))


@dataclass(frozen=True, slots=True)
class Placement:
    """From garment coordinates to pixels."""

    scale: float  # pixels per garment unit
    x: float  # where the drawing's origin goes, pixels
    y: float
    angle: float  # radians, clockwise
    bend: tuple[float, float, float, float]  # amplitudes and phases of the warp

    def pixels(self, points: Points) -> Points:
        """Map points, shape (n, 2), to pixels of the photo."""
        ax, ay, px, py = self.bend
        gx, gy = points[:, 0], points[:, 1]
        wx = gx + ax * np.sin(2.6 * gy + px) + 0.35 * ax * np.sin(6.1 * gy + 3.1 * gx + py)
        wy = gy + ay * np.sin(2.9 * gx + py) + 0.35 * ay * np.sin(5.7 * gx - 2.2 * gy + px)
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.column_stack(
            [self.x + self.scale * (c * wx - s * wy), self.y + self.scale * (s * wx + c * wy)]
        )

    def garment_coordinates(self, size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Garment x and y of each pixel of a (width, height) grid over the photo; the warp left out."""
        width, height = size
        px = (np.arange(width, dtype=np.float32) + 0.5) * (WIDTH / width) - self.x
        py = ((np.arange(height, dtype=np.float32) + 0.5) * (HEIGHT / height) - self.y)[:, None]
        c, s = np.float32(np.cos(self.angle) / self.scale), np.float32(np.sin(self.angle) / self.scale)
        return c * px + s * py, c * py - s * px


@dataclass(frozen=True, slots=True)
class Layers:
    """A sketch as pixels, all of the photo's size."""

    mask: Image.Image  # L: how much of the pixel is garment
    colour: Image.Image  # RGB: flat colours
    level: Image.Image  # L: height above the floor
    turn: Image.Image  # L: 0 where no pattern goes, else 128 + turn * 40
    ink: Image.Image  # L: 128 + tone of the strokes


def rasterise(sketch: Sketch, placement: Placement, palette: dict[str, Colour]) -> Layers:
    """Draw a sketch."""
    big = (WIDTH * OVER, HEIGHT * OVER)
    layers = (
        Image.new("L", big),
        Image.new("RGB", big, palette["main"]),
        Image.new("L", (WIDTH, HEIGHT)),
        Image.new("L", (WIDTH, HEIGHT)),
        Image.new("L", big, 128),
    )
    mask, colour, level, turn, ink = (ImageDraw.Draw(layer) for layer in layers)
    per_unit = placement.scale * OVER
    for thing in sketch.things:
        if isinstance(thing, Part):
            small = placement.pixels(thing.points)
            large, flat = (small * OVER).ravel().tolist(), small.ravel().tolist()
            mask.polygon(large, fill=255)
            colour.polygon(large, fill=palette.get(thing.role, palette["main"]))
            level.polygon(flat, fill=thing.level)
            turn.polygon(flat, fill=128 + round(thing.turn * 40) if thing.role == "main" else 0)
            ink.polygon(large, fill=128)  # a part covers the strokes below it
        elif isinstance(thing, Stroke):
            line = placement.pixels(thing.points) * OVER
            width = max(1, round(thing.width * per_unit))
            fill = int(np.clip(128 + thing.tone, 0, 255))
            for piece in _dashes(line, 0.02 * per_unit) if thing.dashed else [line]:
                ink.line(piece.ravel().tolist(), fill=fill, width=width, joint="curve")
        else:
            (x, y), r = placement.pixels(np.array([[thing.x, thing.y]]))[0] * OVER, thing.radius * per_unit
            box = (x - r, y - r, x + r, y + r)
            colour.ellipse(box, fill=palette.get(thing.role, palette["main"]))
            ink.ellipse(box, fill=128)
            ink.arc(box, 20, 200, fill=70, width=max(1, int(r / 3)))
            turn.ellipse([v / OVER for v in box], fill=0)
    return Layers(
        layers[0].reduce(OVER), layers[1].reduce(OVER), layers[2], layers[3], layers[4].reduce(OVER)
    )


def _dashes(line: Points, length: float) -> list[Points]:
    """Cut a line into dashes of about `length` pixels, with gaps as long."""
    steps = np.hypot(*np.diff(line, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    n = max(1, int(along[-1] / (2 * length)))
    starts = np.linspace(0, along[-1], n, endpoint=False)
    ends = starts + along[-1] / (2 * n)
    xs = np.column_stack([np.interp(starts, along, line[:, 0]), np.interp(ends, along, line[:, 0])])
    ys = np.column_stack([np.interp(starts, along, line[:, 1]), np.interp(ends, along, line[:, 1])])
    return [np.column_stack([x, y]) for x, y in zip(xs, ys, strict=True)]


def bounds(sketch: Sketch) -> tuple[float, float, float, float]:
    """Box around all parts: x0, y0, x1, y1 in garment units."""
    points = np.vstack([thing.points for thing in sketch.things if isinstance(thing, Part)])
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)
