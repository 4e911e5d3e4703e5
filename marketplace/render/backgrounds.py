"""Where sellers put things down: walls, floors, beds, carpets, a studio sheet.

Each function returns the bare background as float32 RGB in 0..1, shape (3, HEIGHT, WIDTH).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marketplace.render.fabric import HALF
from marketplace.render.noise import Field, enlarge, relief, smooth
from marketplace.render.sketch import HEIGHT, WIDTH

RGBField = NDArray[np.float32]
Rng = np.random.Generator
SIZE: Final = (WIDTH, HEIGHT)


def studio(rng: Rng) -> RGBField:
    """A sweep of paper: no line between wall and table, light falling off at the sides."""
    x, y = _grid()
    base = _pick(rng, (244, 242, 238), (236, 232, 226), (232, 236, 238), (240, 230, 222), (226, 234, 228))
    light = 1.03 - 0.14 * ((x - 0.45) ** 2 + 0.6 * (y - 0.42) ** 2)
    sweep = 0.035 * np.exp(-(((y - 0.82) / 0.09) ** 2))
    return _tint(light - sweep, base)


def wall(rng: Rng) -> RGBField:
    """A painted wall with a trace of plaster; sometimes a skirting board and floor below."""
    base = _pick(
        rng,
        (238, 236, 230),
        (228, 226, 222),
        (226, 216, 200),
        (206, 216, 220),
        (222, 206, 198),
        (204, 212, 196),
    )
    x, _ = _grid()
    plaster = enlarge(0.005 * smooth("creases", HALF, rng) + 0.010 * smooth("broad", HALF, rng), SIZE)
    light = 1.0 + plaster - 0.10 * float(rng.random()) * (x - 0.3)
    out = _tint(light, base)
    if rng.random() < 0.4:
        edge = int(HEIGHT * rng.uniform(0.86, 0.93))
        planks = wood(rng)[:, edge:]
        out[:, edge:] = planks * np.linspace(0.72, 1.0, HEIGHT - edge, dtype=np.float32)[:, None]
        out[:, edge - 22 : edge] = np.float32(0.93)
        out[:, edge - 23 : edge - 21] *= np.float32(0.86)
        out[:, edge - 2 : edge] *= np.float32(0.62)
    return out


def wood(rng: Rng) -> RGBField:
    """A wooden floor: planks of differing tone, grain along them, dark gaps."""
    base = _pick(
        rng, (196, 156, 112), (214, 182, 142), (150, 108, 74), (226, 206, 178), (116, 82, 60), (186, 170, 150)
    )
    turn = float(rng.choice([0.0, np.pi / 2])) + float(rng.normal(0, 0.04))
    width = float(rng.uniform(56, 96))
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    px = np.arange(WIDTH, dtype=np.float32)
    py = np.arange(HEIGHT, dtype=np.float32)[:, None]
    across = (c * px + s * py + float(rng.random()) * width) / width + 20
    along = (c * py - s * px) / (width * 6.5) + 20
    row = across.astype(np.int32) & 63
    along = along + rng.random(64, dtype=np.float32)[row]
    column = along.astype(np.int32) & 63
    tones = rng.normal(0, 0.075, size=(64, 64)).astype(np.float32)
    grain = smooth("fine", SIZE, rng, stretch=(0.9, 14.0), angle=turn)
    rings = smooth("creases", SIZE, rng, stretch=(0.8, 7.0), angle=turn)
    light = 1 + tones[row, column] + 0.028 * grain + 0.036 * rings
    gap = np.minimum(
        np.abs(across % 1 - 0.5) * -width + width * 0.5,
        np.abs(along % 1 - 0.5) * (-width * 6.5) + width * 3.25,
    )
    light *= np.clip(0.5 + gap * 0.32, 0.5, 1)
    return _tint(light, base, warm=0.35)


def sheet(rng: Rng) -> RGBField:
    """A bed sheet or blanket, plain, in soft folds."""
    base = _pick(rng, (236, 232, 226), (222, 226, 232), (206, 214, 224), (228, 212, 204), (198, 206, 192))
    return _tint(_cloth(rng, 0.14), base)


def loud_sheet(rng: Rng) -> RGBField:
    """A saturated or patterned bed sheet, crumpled."""
    base = _pick(rng, (176, 44, 52), (168, 52, 118), (44, 84, 160), (212, 120, 60), (66, 128, 104))
    light = _cloth(rng, 0.2)
    out = _tint(light, base)
    kind = int(rng.integers(4))
    if kind == 0:
        return out
    turn = float(rng.uniform(-0.7, 0.7))
    x = np.arange(WIDTH, dtype=np.float32)
    y = np.arange(HEIGHT, dtype=np.float32)[:, None]
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    u, v = u.astype(np.float32) + light * 24, v.astype(np.float32) + light * 24
    if kind == 1:
        share = 0.8 * (np.abs((u / 46) % 1 - 0.5) < 0.22)
    elif kind == 2:
        du, dv = (u / 58 + 0.5 * np.floor(v / 58)) % 1 - 0.5, (v / 58) % 1 - 0.5
        angle = np.arctan2(dv, du)
        share = 0.9 * (np.hypot(du, dv) < 0.24 + 0.08 * np.cos(5 * angle))
    else:
        blot = np.abs(smooth("creases", SIZE, rng, stretch=(1.5, 1.5)))
        share = 0.85 * ((blot > 0.35) & (blot < 0.75))
    second = np.array(_pick(rng, (236, 226, 206), (240, 190, 90), (52, 44, 60)), dtype=np.float32) / 255
    weight = share.astype(np.float32)
    return np.asarray(out * (1 - weight) + weight * second[:, None, None] * light, dtype=np.float32)


def carpet(rng: Rng) -> RGBField:
    """A pile carpet, speckled and uneven."""
    base = _pick(rng, (142, 138, 134), (168, 150, 128), (104, 110, 122), (150, 112, 104), (120, 126, 104))
    pile = 0.11 * smooth("fine", SIZE, rng, stretch=(0.7, 0.7)) + 0.05 * smooth("creases", SIZE, rng)
    return _tint(1 + pile + enlarge(0.05 * smooth("broad", HALF, rng), SIZE), base)


def tiles(rng: Rng) -> RGBField:
    """Floor tiles, often laid at an angle."""
    base = _pick(rng, (226, 218, 204), (206, 204, 200), (188, 176, 162), (172, 178, 182))
    turn = float(rng.choice([0.0, np.pi / 4])) + float(rng.normal(0, 0.08))
    side = float(rng.uniform(110, 190))
    x = np.arange(WIDTH, dtype=np.float32)
    y = np.arange(HEIGHT, dtype=np.float32)[:, None]
    c, s = np.float32(np.cos(turn) / side), np.float32(np.sin(turn) / side)
    u = x * c + y * s + np.float32(rng.random() + 9)
    v = y * c - x * s + np.float32(rng.random() + 9)
    tone = rng.normal(0, 0.02, size=(32, 32)).astype(np.float32)[
        u.astype(np.int32) & 31, v.astype(np.int32) & 31
    ]
    gap = side * np.minimum(0.5 - np.abs(u % 1 - 0.5), 0.5 - np.abs(v % 1 - 0.5))
    marble = enlarge(0.03 * smooth("folds", HALF, rng) + 0.012 * smooth("creases", HALF, rng), SIZE)
    return _tint((1 + tone + marble) * np.clip(0.34 + 0.3 * gap, 0.66, 1), base)


def room(rng: Rng) -> RGBField:
    """The corner of a lived-in room: wall above, floor below. Things are put into it by `clutter`."""
    out = wall(rng)
    horizon = int(HEIGHT * rng.uniform(0.42, 0.7))
    floor = (wood, carpet, tiles)[int(rng.integers(3))](rng)
    out *= np.float32(rng.uniform(0.78, 0.95))
    out[:, horizon:] = (
        floor[:, horizon:] * np.linspace(0.74, 1.0, HEIGHT - horizon, dtype=np.float32)[:, None]
    )
    out[:, horizon - 16 : horizon] = np.float32(0.8)
    out[:, horizon - 2 : horizon + 2] *= np.float32(0.55)
    return out


PAINTERS: Final[Mapping[str, Callable[[Rng], RGBField]]] = {
    "studio": studio,
    "wall": wall,
    "wood": wood,
    "sheet": sheet,
    "loud_sheet": loud_sheet,
    "carpet": carpet,
    "tiles": tiles,
    "room": room,
}
UPRIGHT: Final = ("wall", "studio", "room")  # where tops and dresses may hang


def _cloth(rng: Rng, depth: float) -> Field:
    height = 4.2 * smooth("folds", HALF, rng, stretch=(1.4, 1.1), angle=float(rng.uniform(-1.5, 1.5)))
    height -= 3.5 * np.abs(
        smooth("folds", HALF, rng, stretch=(1.2, 2.0), angle=float(rng.uniform(-1.5, 1.5)))
    )
    height += 0.3 * smooth("creases", HALF, rng)
    return enlarge(np.clip(1.0 + depth * relief(height, (-0.6, -0.7)), 0.6, 1.2).astype(np.float32), SIZE)


def _grid() -> tuple[Field, Field]:
    x = np.linspace(0, 1, WIDTH, dtype=np.float32)
    y = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None]
    return x, y


def _tint(light: Field, base: tuple[int, int, int], *, warm: float = 0.0) -> RGBField:
    """Give a grey field a colour; `warm` lets shadows keep more red than blue, as wood does."""
    out = np.empty((3, HEIGHT, WIDTH), dtype=np.float32)
    for channel, value in enumerate(base):
        strength = 1.0 + warm * (channel - 1) * 0.5
        out[channel] = (np.float32(1.0 - strength) + light * np.float32(strength)) * np.float32(value / 255)
    return out


def _pick(rng: Rng, *options: tuple[int, int, int]) -> tuple[int, int, int]:
    return options[int(rng.integers(len(options)))]
