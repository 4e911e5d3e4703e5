"""The seller's camera: everything that `photo_quality` moves, drawn first, then applied to the scene.

Quality moves each habit of the seller by itself, with chance on top, so that no single statistic gives it
away: a sharp photo can be dark, a bright one tilted.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from marketplace.render.backgrounds import RGBField
from marketplace.render.fabric import HALF
from marketplace.render.noise import Field, enlarge, grain
from marketplace.render.prints import font
from marketplace.render.sketch import HEIGHT, WIDTH

_BACKGROUNDS: Final = ("studio", "wall", "wood", "sheet", "tiles", "carpet", "loud_sheet", "room")
#                 studio  wall  wood  sheet tiles carpet loud  room
_GOOD: Final = (0.22, 0.34, 0.22, 0.18, 0.04, 0.00, 0.00, 0.00)
_BAD: Final = (0.00, 0.06, 0.14, 0.06, 0.15, 0.12, 0.22, 0.25)


MAX_BYTES: Final = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One photo's circumstances."""

    background: str
    n_clutter: int
    leaves: bool
    crumple: float  # 0..1
    angle: float  # radians
    fill: float  # share of the frame the garment fills; above 1 it is cut off
    shift: tuple[float, float]  # of the middle, shares of the frame
    light: tuple[float, float]  # where the light comes from
    exposure: float  # factor
    falloff: float  # how much darker the far side is
    vignette: float
    flash: float  # a hard spot in the middle
    window: bool  # a patch of sunlight
    contrast: float
    saturation: float
    cast: tuple[float, float, float]
    haze: float  # light added to black
    blur: float  # pixels
    motion: int  # 0: none, else direction 1..4
    noise: float  # standard deviation, of 255
    stamp: bool  # date in the corner
    jpeg: int


def draw_shot(quality: float, generated: bool, rng: np.random.Generator) -> Shot:
    """Draw the circumstances of a photo of this quality in [0, 1]."""

    def habit(spread: float = 0.16) -> float:
        """How badly this was done, 0..1."""
        return float(np.clip(1.0 - quality + rng.normal(0, spread), 0.0, 1.0))

    weights = np.array(_GOOD) * quality**1.5 + np.array(_BAD) * (1 - quality) ** 1.5
    background = str(rng.choice(_BACKGROUNDS, p=weights / weights.sum()))
    mess = habit()
    framing = habit()
    dark = habit()
    side = rng.choice([-1.0, 1.0])
    warm = float(rng.choice([1.0, 1.0, -1.0])) * habit() ** 1.5
    green = float(rng.normal(0, 0.03)) * habit()
    cut_off = framing > 0.55 and rng.random() < 0.4
    fill = 0.86 - 0.40 * framing * float(rng.random()) if not cut_off else float(rng.uniform(1.05, 1.3))
    over = dark > 0.5 and rng.random() < 0.2  # burnt out rather than dark
    return Shot(
        background="studio" if generated else background,
        n_clutter=0 if generated else int(rng.poisson(max(0.0, 5.5 * (mess - 0.45)))),
        leaves=not generated and quality > 0.72 and rng.random() < 0.3,
        crumple=0.0 if generated else float(np.clip(0.06 + 0.9 * habit() ** 1.3, 0, 1)),
        angle=float(rng.normal(0, 0.015 + 0.24 * framing**1.6)),
        fill=fill,
        shift=(float(rng.normal(0, 0.008 + 0.08 * framing)), float(rng.normal(0, 0.008 + 0.06 * framing))),
        light=(float(side * rng.uniform(0.4, 0.8)), float(-rng.uniform(0.4, 0.8))),
        exposure=1.3 if over else 1.0 - 0.44 * dark**1.7,
        falloff=0.06 + 0.55 * habit() * float(rng.random()),
        vignette=0.05 + 0.5 * dark * float(rng.random()),
        flash=0.5 * float(rng.random()) if dark > 0.55 and rng.random() < 0.4 else 0.0,
        window=quality > 0.6 and background in ("wood", "sheet", "wall") and rng.random() < 0.3,
        contrast=1.08 - 0.3 * habit(),
        saturation=0.98 - 0.28 * habit() + (0.15 if generated else 0.0),
        cast=(1 + 0.12 * warm, 1 + 0.02 * warm + green, 1 - (0.22 if warm > 0 else 0.12) * warm),
        haze=0.10 * habit() ** 2,
        blur=2.6 * max(0.0, habit() - 0.22) ** 1.3,
        motion=int(rng.integers(1, 5)) if habit() > 0.85 and rng.random() < 0.5 else 0,
        noise=1.0 + 7.5 * habit() ** 2,
        stamp=quality < 0.45 and rng.random() < 0.12,
        jpeg=int(90 - 24 * habit()),
    )


def expose(scene: RGBField, shot: Shot, rng: np.random.Generator) -> Image.Image:
    """Photograph a scene (float RGB, 0..1; changed in place)."""
    x = np.linspace(-1, 1, HALF[0], dtype=np.float32)
    y = np.linspace(-1, 1, HALF[1], dtype=np.float32)[:, None]
    light = 1 + shot.falloff * 0.5 * (shot.light[0] * x + shot.light[1] * y)
    light -= shot.vignette * 0.42 * (x * x + y * y)
    if shot.flash:
        light += shot.flash * (np.exp(-3.2 * ((x - 0.1) ** 2 + (y + 0.15) ** 2)) - 0.25)
    if shot.window:
        light *= _window(x, y, rng)
    fall = enlarge(np.maximum(light, 0.08) * np.float32(255 * shot.exposure), (WIDTH, HEIGHT))
    for channel, gain in enumerate(shot.cast):
        scene[channel] *= fall
        scene[channel] *= np.float32(gain)
    np.clip(scene, 0, 255, out=scene)
    channels = [Image.fromarray(plane) for plane in scene.astype(np.uint8)]
    photo = Image.merge("RGB", channels)
    photo = photo.convert("RGB", _saturate(shot.saturation)).point(_curve(shot.contrast, shot.haze) * 3)
    if shot.motion:
        photo = photo.filter(_MOTIONS[shot.motion - 1])
    if shot.blur > 0.3:
        photo = photo.filter(ImageFilter.BoxBlur(shot.blur * 1.2))
    elif shot.blur == 0.0:
        photo = photo.filter(_SHARPEN)
    luma = _speckle(shot.noise, rng)
    chroma = [_speckle(shot.noise * k, rng) for k in (1.25, 1.0, 1.4)] if shot.noise > 4 else [luma] * 3
    photo = ImageChops.add(photo, Image.merge("RGB", chroma), offset=-128)
    if shot.stamp:
        day = f"{int(rng.integers(1, 13)):2d} {int(rng.integers(1, 29)):2d} '{int(rng.integers(4, 20)):02d}"
        pen = ImageDraw.Draw(photo)
        pen.text(
            (WIDTH - 118, HEIGHT - 42),
            day,
            fill=(255, 150, 40),
            font=font(22),
            stroke_width=1,
            stroke_fill=(200, 70, 10),
        )
    return photo


def jpeg_bytes(photo: Image.Image, quality: int) -> bytes:
    """Encode as JPEG, at a lower quality where the file would be larger than `MAX_BYTES`."""
    for attempt in (quality, quality - 14, quality - 28, quality - 40, quality - 50):
        buffer = io.BytesIO()
        photo.save(buffer, "JPEG", quality=attempt)
        if buffer.tell() <= MAX_BYTES:
            break
    return buffer.getvalue()


def _speckle(sigma: float, rng: np.random.Generator) -> Image.Image:
    """Sensor noise about 128."""
    return Image.fromarray(
        (grain((WIDTH, HEIGHT), rng) * np.float32(sigma) + np.float32(128.5)).astype(np.uint8)
    )


def _window(x: Field, y: Field,
            rng: np.random.Generator) -> Field:  # fmt: skip
    """Sun through a window: two slanted panes with soft edges."""
    lean = float(rng.uniform(0.3, 0.7)) * float(rng.choice([-1.0, 1.0]))
    u = x + lean * y - float(rng.uniform(-0.3, 0.3))
    pane = (
        np.clip((0.62 - np.abs(u)) * 9, 0, 1)
        * np.clip(np.abs(u) * 22 - 0.5, 0, 1)
        * np.clip((0.85 - np.abs(y)) * 6, 0, 1)
    )
    return np.asarray(0.9 + 0.19 * pane, dtype=np.float32)


def _saturate(s: float) -> tuple[float, ...]:
    r, g, b = 0.299 * (1 - s), 0.587 * (1 - s), 0.114 * (1 - s)
    return (r + s, g, b, 0, r, g + s, b, 0, r, g, b + s, 0)


def _curve(contrast: float, haze: float) -> list[int]:
    v = np.arange(256) / 255
    bent = (v - 0.5) * contrast + 0.5
    bent = bent + 0.045 * contrast * np.sin((v - 0.5) * 2 * np.pi)  # the gentle S of a phone's tone curve
    return [int(n) for n in np.clip((haze + (1 - haze) * np.clip(bent, 0, 1)) * 255, 0, 255)]


def _streak(*cells: int) -> ImageFilter.Kernel:
    return ImageFilter.Kernel((5, 5), [1 if i in cells else 0 for i in range(25)], scale=len(cells))


_MOTIONS: Final = (
    _streak(10, 11, 12, 13, 14),
    _streak(2, 7, 12, 17, 22),
    _streak(0, 6, 12, 18, 24),
    _streak(4, 8, 12, 16, 20),
)
_SHARPEN: Final = ImageFilter.Kernel((3, 3), [0, -1, 0, -1, 10, -1, 0, -1, 0], scale=6)
