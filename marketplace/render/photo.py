"""One photo, from its specification to JPEG: the same specification gives the same picture."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageFilter

from marketplace.colours import RGB
from marketplace.render import backgrounds, bottoms, clutter, fabric, hats, shoes, tops
from marketplace.render.camera import Shot, draw_shot, expose, jpeg_bytes
from marketplace.render.noise import Field, enlarge, planes
from marketplace.render.prints import add_print
from marketplace.render.sketch import HEIGHT, WIDTH, Colour, Layers, Placement, Sketch, bounds, rasterise

RENDER_VERSION: Final = 2  # part of every photo's file name: raise it when pictures change

GARMENTS: Final[Mapping[str, Callable[[np.random.Generator, str], Sketch]]] = {
    "dress": tops.dress,
    "hat": hats.hat,
    "longsleeve": tops.longsleeve,
    "outwear": tops.outwear,
    "pants": bottoms.pants,
    "shirt": tops.shirt,
    "shoes": shoes.shoes,
    "shorts": bottoms.shorts,
    "skirt": bottoms.skirt,
    "t-shirt": tops.tshirt,
}
_PATTERNS: Final[Mapping[str, tuple[str, ...]]] = {
    "dress": ("dots", "gingham", "stripes", "waves", "plaid", "dots"),
    "hat": ("plaid", "camo", "marl"),
    "longsleeve": ("breton", "stripes", "marl", "blocks", "waves"),
    "outwear": ("camo", "blocks", "plaid"),
    "pants": ("pinstripes", "camo", "plaid"),
    "shirt": ("plaid", "gingham", "pinstripes", "plaid", "dots"),
    "shoes": ("marl", "blocks"),
    "shorts": ("camo", "gingham", "stripes", "waves"),
    "skirt": ("plaid", "dots", "gingham", "waves"),
    "t-shirt": ("breton", "stripes", "marl", "blocks"),
}
_PATTERN_SHARE: Final = {
    "dress": 0.6,
    "shirt": 0.7,
    "skirt": 0.5,
    "longsleeve": 0.4,
    "t-shirt": 0.22,
    "shoes": 0.1,
}
_PARTNERS: Final[Mapping[str, tuple[str, ...]]] = {
    "black": ("white", "grey"), "white": ("navy", "light blue", "pink", "black"), "grey": ("white", "black"),
    "navy": ("white", "beige", "light blue"), "blue": ("white", "navy"), "light blue": ("white", "navy"),
    "red": ("white", "navy", "black"), "pink": ("white", "red"), "green": ("beige", "navy", "white"),
    "beige": ("brown", "white", "navy"), "brown": ("beige", "orange"), "yellow": ("white", "grey"),
    "orange": ("beige", "brown"), "purple": ("pink", "white"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoSpec:
    """Everything a photo depends on."""

    category: str  # a key of GARMENTS
    colour: str  # a key of marketplace.colours.RGB
    quality: float  # [0, 1]
    seed: int
    brand: str = ""
    style: str = ""  # material and name, "suede boots"; a hint at the kind and the weave
    generated: bool = False  # looks like an AI's picture: flawless, even, a little too smooth

    def digest(self) -> str:
        """Short name of this picture in this version of the renderer."""
        text = f"{RENDER_VERSION}|{sorted(asdict(self).items())}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def render_jpeg(spec: PhotoSpec) -> bytes:
    """Render a photo as JPEG bytes."""
    photo, shot = _render(spec)
    return jpeg_bytes(photo, shot.jpeg)


def render(spec: PhotoSpec) -> Image.Image:
    """Render a photo, before JPEG."""
    return _render(spec)[0]


def _render(spec: PhotoSpec) -> tuple[Image.Image, Shot]:
    rng = np.random.default_rng(spec.seed)
    shot = draw_shot(spec.quality, spec.generated, rng)
    sketch = GARMENTS[spec.category](rng, spec.style)
    placement = _place(sketch, shot, rng)
    palette = _palette(spec.colour, rng)
    layers = rasterise(sketch, placement, palette)
    scene = _surroundings(spec, shot, sketch, placement, rng)
    _throw_shadow(scene, layers, shot)
    _lay_garment(scene, _Garment(sketch, layers, placement, palette), spec, shot, rng)
    return expose(scene, shot, rng), shot


@dataclass(frozen=True, slots=True)
class _Garment:
    sketch: Sketch
    layers: Layers
    placement: Placement
    palette: dict[str, Colour]


def _place(sketch: Sketch, shot: Shot, rng: np.random.Generator) -> Placement:
    """Fit the garment into the frame as the seller framed it."""
    x0, y0, x1, y1 = bounds(sketch)
    c, s = abs(np.cos(shot.angle)), abs(np.sin(shot.angle))
    w, h = (x1 - x0) * c + (y1 - y0) * s, (y1 - y0) * c + (x1 - x0) * s
    scale = shot.fill * min(WIDTH / w, HEIGHT / h)
    mx, my = (x0 + x1) / 2 * scale, (y0 + y1) / 2 * scale
    a = shot.angle
    bend = 0.008 + 0.035 * shot.crumple * (1 - 0.8 * sketch.stiff)
    return Placement(
        scale=float(scale),
        x=float(WIDTH * (0.5 + shot.shift[0]) - (np.cos(a) * mx - np.sin(a) * my)),
        y=float(HEIGHT * (0.5 + shot.shift[1]) - (np.sin(a) * mx + np.cos(a) * my)),
        angle=shot.angle,
        bend=(bend, bend * 0.7, float(rng.uniform(0, 6)), float(rng.uniform(0, 6))),
    )


def _palette(colour: str, rng: np.random.Generator) -> dict[str, Colour]:
    """Choose a shade of the named colour and what goes with it."""
    main = np.clip(np.array(RGB[colour]) * rng.uniform(0.93, 1.07) + rng.normal(0, 4, 3), 14, 246)
    partners = _PARTNERS[colour]
    second = np.array(RGB[partners[int(rng.integers(len(partners)))]], dtype=np.float64)
    tonal = rng.random() < 0.65
    collar = main * 0.97 if tonal else second
    sole = (np.array([236.0, 232, 224]), np.array([54.0, 50, 50]), np.array([176.0, 128, 84]))[
        int(rng.choice(3, p=[0.6, 0.25, 0.15]))
    ]
    button = np.array([238.0, 234, 224]) if main.mean() < 130 or rng.random() < 0.5 else main * 0.5
    shades = {
        "main": main, "second": second, "trim": main * 0.78 if tonal else second, "collar": collar,
        "inside": main * 0.5, "label": np.array([246.0, 244, 238]), "sole": sole, "button": button,
        "metal": np.array([206.0, 178, 112]) if rng.random() < 0.5 else np.array([196.0, 198, 204]),
    }  # fmt: skip
    return {name: (int(v[0]), int(v[1]), int(v[2])) for name, v in shades.items()}


def _surroundings(
    spec: PhotoSpec, shot: Shot, sketch: Sketch, placement: Placement, rng: np.random.Generator
) -> backgrounds.RGBField:
    """Paint the background and what lies on it."""
    scene = backgrounds.PAINTERS[shot.background](rng)
    hangs = (
        sketch.hanger_y is not None
        and shot.background in backgrounds.UPRIGHT
        and not spec.generated
        and shot.fill < 0.9
        and rng.random() < 0.75
    )
    in_room = shot.background == "room"
    if not (hangs or in_room or shot.n_clutter or shot.leaves):
        return scene
    table = clutter.Table()
    if in_room:
        clutter.furniture(table, rng)
    clutter.scatter(table, shot.n_clutter + 2 * in_room, rng)
    if shot.leaves and shot.background != "wall":
        clutter.leaves(table, rng)
    if hangs and sketch.hanger_y is not None:
        clutter.hanger(table, placement, sketch.hanger_y, rng)
    colour, cover, shadow = table.layers()
    dx, dy = (round(-7 * v) for v in shot.light)
    fallen = np.roll(np.asarray(shadow, dtype=np.float32), (dy, dx), (0, 1)) * np.float32(0.45 / 255)
    scene *= 1 - fallen
    scene *= 1 - np.asarray(cover, dtype=np.float32) * np.float32(1 / 255)
    scene += planes(colour)
    return scene


def _throw_shadow(scene: backgrounds.RGBField, layers: Layers, shot: Shot) -> None:
    """Darken the ground beside the garment: a wide soft shadow and a narrow one where it touches."""
    half = layers.mask.reduce(2)
    wide = half.reduce(2).filter(ImageFilter.GaussianBlur(4.0)).resize(half.size, Image.Resampling.BILINEAR)
    far = np.asarray(wide, dtype=np.float32)
    near = np.asarray(half.filter(ImageFilter.GaussianBlur(1.6)), dtype=np.float32)
    dx, dy = (-v for v in shot.light)
    dark = np.roll(far, (round(5.5 * dy), round(5.5 * dx)), (0, 1)) * np.float32(0.34 / 255)
    dark += np.roll(near, (round(2 * dy), round(2 * dx)), (0, 1)) * np.float32(0.36 / 255)
    lit = (1 - np.minimum(dark, 0.75)).astype(np.float32)
    scene *= enlarge(lit, (WIDTH, HEIGHT))


def _lay_garment(
    scene: backgrounds.RGBField, garment: _Garment, spec: PhotoSpec, shot: Shot, rng: np.random.Generator
) -> None:
    """Give the flat drawing its print or pattern, weave, folds and seams, and put it into the scene."""
    sketch, layers, placement = garment.sketch, garment.layers, garment.placement
    material, glossy = _material(spec, sketch, rng)
    folds = fabric.lay(
        sketch, layers, placement, crumple=shot.crumple, light=shot.light, gloss=glossy, rng=rng
    )
    share = _PATTERN_SHARE.get(spec.category, 0.25)
    chance = float(rng.random())
    has_print = sketch.print_box is not None and chance > share and rng.random() < 0.68
    if has_print and sketch.print_box is not None:
        dark = sum(garment.palette["main"]) < 330
        add_print(layers, placement, box=sketch.print_box, word=spec.brand or "MIRU", dark=dark, rng=rng)
    mix: Field | None = None
    if chance < share and material != "denim":
        names = _PATTERNS[spec.category]
        mix = fabric.pattern(names[int(rng.integers(len(names)))], layers, placement, folds, rng)
    ink = (np.asarray(layers.ink, dtype=np.float32) - 128) * np.float32(1 / 128)
    shade = (folds.shade + fabric.weave(material, placement, rng)) * (1 + np.minimum(ink, 0))
    light = np.minimum(np.maximum(ink, 0) + folds.sheen, 1)
    cover = np.asarray(layers.mask, dtype=np.float32) * np.float32(1 / 255)
    for channel, flat in enumerate(planes(layers.colour)):
        second = np.float32(garment.palette["second"][channel] / 255)
        dyed = flat if mix is None else flat + (second - flat) * mix
        cloth = dyed * shade
        cloth += (np.float32(0.96) - cloth) * light
        cloth -= scene[channel]
        cloth *= cover
        scene[channel] += cloth


def _material(spec: PhotoSpec, sketch: Sketch, rng: np.random.Generator) -> tuple[str, float]:
    """Weave and gloss, from the material in the listing or a guess by class."""
    if spec.generated:
        return "smooth", 0.5
    material = spec.style.partition(" ")[0]
    woolly = spec.category in ("longsleeve", "dress", "hat") and not sketch.quilted
    if woolly and material in ("knit", "wool"):
        return "knit", 0.0
    if material == "denim" and spec.colour in ("blue", "navy", "light blue", "black", "grey"):
        return "denim", 0.05
    if material in ("satin", "leather", "nylon") or sketch.quilted:
        return "smooth", 0.6
    return "cotton", 0.12
