"""What is worn above the waist: t-shirts, long sleeves, shirts, jackets and coats; and dresses."""

from __future__ import annotations

import numpy as np

from marketplace.render.sketch import Dot, Part, Points, Sketch, choose, mirrored, rounded, symmetric

Rng = np.random.Generator

NECK = 0.19  # half width of the neck opening
SHOULDER = (0.41, -0.65)  # where the sleeve's seam begins
ARMPIT = (0.45, -0.26)
CAP = (0.50, -0.585)  # where the sleeve turns down
_SHOULDER_LINE = ((0.3, -0.6875), (0.3, -0.6875), (0.43, -0.643), CAP)
_UNDER = (0.38, -0.2)


def tshirt(rng: Rng, style: str = "") -> Sketch:
    """A t-shirt with a round or V neck."""
    s = Sketch(hanger_y=-0.7, drape=0.35)
    hem = float(rng.uniform(0.66, 0.84))
    v_neck = rng.random() < 0.25
    depth = 0.26 if v_neck else float(rng.uniform(0.12, 0.19))
    _inside(s)
    _sleeves(s, rng, length=float(rng.uniform(0.34, 0.44)), cuff=0.27, droop=0.75)
    _torso(s, hem=hem, waist=float(rng.uniform(0.42, 0.48)), depth=depth, v_neck=v_neck)
    _neckline(s, depth, v_neck, width=0.045)
    _hem(s, hem, 0.47)
    s.print_box = (-0.27, -0.34, 0.27, 0.22)
    return s


def longsleeve(rng: Rng, style: str = "") -> Sketch:
    """A sweater or long-sleeved top with ribbed cuffs and hem."""
    s = Sketch(hanger_y=-0.7, drape=0.3)
    hem = float(rng.uniform(0.62, 0.74))
    turtle = rng.random() < 0.2
    _inside(s)
    _long_sleeves(s, rng, cuff_role="trim" if rng.random() < 0.4 else "main")
    _torso(s, hem=hem, waist=0.47, depth=0.13, v_neck=False)
    rib = rounded([(-0.46, hem - 0.1), (-0.46, hem - 0.1), (0.46, hem - 0.1), (0.46, hem - 0.1),
                   (0.45, hem + 0.01), (0.45, hem + 0.01), (-0.45, hem + 0.01),
                   (-0.45, hem + 0.01)])  # fmt: skip
    s.add(Part(rib, "main", 185))
    for x in np.linspace(-0.43, 0.43, 26):
        s.seam([(x, hem - 0.09), (x, hem)], width=0.008, tone=-28, curved=False)
    if turtle:
        collar = rounded([(-0.2, -0.66), (-0.17, -0.86), (-0.17, -0.86), (0.17, -0.86), (0.17, -0.86),
                          (0.2, -0.66), (0, -0.6)])  # fmt: skip
        s.add(Part(collar, "main", 215))
        s.seam([(-0.19, -0.73), (0, -0.69), (0.19, -0.73)], tone=-45)
    else:
        _neckline(s, 0.13, False, width=0.06)
    s.print_box = (-0.27, -0.36, 0.27, 0.2) if rng.random() < 0.6 else None
    return s


def shirt(rng: Rng, style: str = "") -> Sketch:
    """A buttoned shirt with a collar; short or long sleeves."""
    s = Sketch(hanger_y=-0.7, drape=0.4)
    hem = float(rng.uniform(0.7, 0.84))
    _inside(s)
    if rng.random() < 0.6:
        _long_sleeves(s, rng, cuff_role="main")
    else:
        _sleeves(s, rng, length=0.42, cuff=0.27, droop=0.8)
    _torso(s, hem=hem, waist=0.43, depth=0.14, v_neck=True, tails=0.07)
    _button_row(s, -0.5, hem - 0.08, n=7)
    for side in (1, -1):
        collar = rounded([(0.02 * side, -0.56), (0.02 * side, -0.56), (0.15 * side, -0.42),
                          (0.15 * side, -0.42),
                          (0.25 * side, -0.6), (0.2 * side, -0.72), (0.17 * side, -0.76)])  # fmt: skip
        s.add(Part(collar, "collar", 230, 0.5 * side))
    s.seam([(0.03, -0.55), (0.15, -0.44), (0.24, -0.6)], tone=-40, dashed=True, mirror=True, width=0.007)
    if rng.random() < 0.75:
        _pocket(s, 0.13, -0.28, 0.2, 0.23)
    _hem(s, hem + 0.02, 0.44, curve=-0.07)
    return s


def outwear(rng: Rng, style: str = "") -> Sketch:
    """A puffer, a hooded jacket or a coat."""
    kind = choose(rng, style, {"coat": "coat wool", "puffer": "nylon", "hood": "denim"})
    s = Sketch(hanger_y=-0.72, drape=0.25)
    hem = {"puffer": 0.62, "hood": 0.68, "coat": 1.02}[kind]
    _inside(s)
    if kind == "hood":
        hood = symmetric([(0.0, -1.04), (0.2, -1.0), (0.3, -0.8), (0.24, -0.58), (0.0, -0.52)])
        s.add(Part(hood, "main", 120))
        s.add(
            Part(
                symmetric([(0.0, -0.94), (0.12, -0.9), (0.19, -0.76), (0.13, -0.56), (0.0, -0.5)]),
                "inside",
                70,
            )
        )
    _long_sleeves(s, rng, cuff_role="trim" if kind == "hood" else "main", thick=1.18)
    _torso(s, hem=hem, waist=0.5 if kind != "coat" else 0.47, depth=0.12, v_neck=True, wide=1.06)
    if kind == "puffer":
        s.quilted = 0.17
        for y in np.arange(-0.42, hem - 0.05, 0.17):
            s.seam(
                [(-0.49, y + 0.01), (-0.2, y + 0.03), (0, y + 0.02), (0.2, y + 0.03), (0.49, y + 0.01)],
                tone=-50,
            )
        s.add(Part(symmetric([(0.0, -0.82), (0.16, -0.84), (0.23, -0.66), (0.0, -0.56)]), "main", 225))
    if kind == "coat":
        for side in (1, -1):
            lapel = rounded([(0.0, -0.16), (0.0, -0.16), (0.2 * side, -0.34), (0.15 * side, -0.42),
                             (0.24 * side, -0.46), (0.24 * side, -0.46), (0.19 * side, -0.74),
                             (0.1 * side, -0.6)])  # fmt: skip
            s.add(Part(lapel, "collar", 225, 0.4 * side))
        edge = [(0.0, -0.16), (0.2, -0.34), (0.15, -0.42), (0.24, -0.46), (0.19, -0.74)]
        s.seam(edge, tone=-62, width=0.013, mirror=True, curved=False)
        s.seam([(0.0, -0.16), (0.01, 0.4), (0.0, hem)], tone=-75, width=0.014)
        for y in (0.0, 0.2, 0.4):
            s.add(Dot(-0.1, y, 0.028), Dot(0.12, y, 0.028))
        belt = rounded([(-0.47, 0.1), (-0.47, 0.1), (0.47, 0.1), (0.47, 0.1), (0.47, 0.18), (0.47, 0.18),
                        (-0.47, 0.18), (-0.47, 0.18)])  # fmt: skip
        if rng.random() < 0.5:
            s.add(Part(belt, "main", 215))
            s.seam([(-0.47, 0.1), (0.47, 0.1)], tone=-55)
            s.seam([(-0.47, 0.18), (0.47, 0.18)], tone=-75)
    else:
        s.seam([(0.0, -0.6), (0.005, 0), (0.0, hem)], width=0.034, tone=-62)
        s.seam([(0.0, -0.6), (0.005, 0), (0.0, hem)], width=0.011, tone=75, dashed=True)
        _hem(s, hem, 0.5)
    s.seam([(0.2, 0.28), (0.34, 0.1 if kind != "coat" else 0.32)], width=0.02, tone=-70, mirror=True)
    return s


def dress(rng: Rng, style: str = "") -> Sketch:
    """A dress: sleeveless, strapped or short-sleeved; fitted above, flared below."""
    s = Sketch(hanger_y=-0.86, drape=0.9, pleats=float(rng.uniform(0.5, 1.0)))
    kind = ("sleeveless", "straps", "sleeves")[int(rng.integers(3))]
    flare = float(rng.uniform(0.42, 0.66))
    hem = float(rng.uniform(0.9, 1.1))
    waist_y = float(rng.uniform(-0.26, -0.12))
    top = -0.86
    s.add(
        Part(
            symmetric([(0.0, top + 0.06), (0.15, top + 0.01), (0.2, top + 0.1), (0, top + 0.22)]),
            "inside",
            70,
        )
    )
    if kind == "sleeves":
        for side in (1, -1):
            sleeve = rounded([(0.2, top), (0.36, top + 0.08), (0.5, top + 0.3), (0.5, top + 0.3),
                              (0.3, top + 0.38), (0.3, top + 0.38), (0.26, top + 0.2)])  # fmt: skip
            s.add(Part(sleeve if side > 0 else mirrored(sleeve), "main", 140, 0.6 * side))
    neck = 0.16 if kind != "straps" else 0.2
    depth = float(rng.uniform(0.1, 0.2))
    outline = [
        (0.0, top + depth + 0.02),
        (neck * 0.6, top + depth - 0.01),
        (neck - 0.01, top),
        (neck - 0.01, top),
    ]
    outline += (
        [(0.25, top + 0.02), (0.25, top + 0.02)]
        if kind == "straps"
        else [(0.32, top + 0.04), (0.32, top + 0.04)]
    )
    outline += [(0.24, top + 0.2), (0.3, top + 0.34), (0.27, waist_y - 0.1), (0.235, waist_y),
                (0.3, waist_y + 0.2),
                (flare * 0.82, hem * 0.55), (flare, hem - 0.03), (flare, hem - 0.03),
                (flare * 0.5, hem + 0.03),
                (0.0, hem + 0.04)]  # fmt: skip
    s.add(Part(symmetric(outline), "main", 170))
    s.seam([(-0.24, waist_y), (0, waist_y + 0.025), (0.24, waist_y)], tone=-55)
    if rng.random() < 0.4:
        band = rounded([(-0.245, waist_y - 0.04), (-0.245, waist_y - 0.04), (0, waist_y - 0.02),
                        (0.245, waist_y - 0.04),
                        (0.245, waist_y - 0.04), (0.245, waist_y + 0.03), (0.245, waist_y + 0.03),
                        (0, waist_y + 0.05),
                        (-0.245, waist_y + 0.03), (-0.245, waist_y + 0.03)])  # fmt: skip
        s.add(Part(band, "trim", 200))
    for x in np.linspace(-0.17, 0.17, 5):
        spread = x * flare / 0.235
        s.seam([(x, waist_y + 0.04), (x * 1.3, 0.1), (spread * 0.8, hem * 0.55)], tone=-22, width=0.018)
    s.seam(
        [(-flare * 0.97, hem - 0.07), (0, hem), (flare * 0.97, hem - 0.07)],
        tone=-30,
        dashed=True,
        width=0.007,
    )
    s.seam(
        [(neck - 0.02, top + 0.02), (neck * 0.6, top + depth), (0, top + depth + 0.04)], tone=-45, mirror=True
    )
    if rng.random() < 0.35:
        tier_y = waist_y + 0.62 * (hem - waist_y)
        s.seam([(-flare * 0.8, tier_y), (0, tier_y + 0.04), (flare * 0.8, tier_y)], tone=-60, width=0.016)
    return s


def _inside(s: Sketch) -> None:
    """The back seen through the neck opening, with its label."""
    s.add(
        Part(symmetric([(0.0, -0.69), (0.14, -0.72), (0.22, -0.7), (0.2, -0.5), (0.0, -0.34)]), "inside", 70)
    )
    label = np.array([(-0.045, -0.655), (0.045, -0.655), (0.045, -0.6), (-0.045, -0.6)])
    s.add(Part(label, "label", 75))


def _torso(
    s: Sketch, *, hem: float, waist: float, depth: float, v_neck: bool, tails: float = 0.0, wide: float = 1.0
) -> None:
    neck = (
        [(0.0, -0.7 + depth), (0.0, -0.7 + depth), (0.1, -0.7 + depth * 0.42)]
        if v_neck
        else [(0.0, -0.7 + depth), (0.1, -0.7 + depth * 0.97), (0.165, -0.7 + depth * 0.55)]
    )
    seam = [
        (SHOULDER[0] * wide, SHOULDER[1]),
        (ARMPIT[0] * wide - 0.035, -0.45),
        (ARMPIT[0] * wide, ARMPIT[1]),
    ]
    outline = [
        *neck,
        (NECK, -0.73), (NECK, -0.73),
        seam[0], seam[0], seam[1], seam[2], seam[2],
        (waist * wide, 0.15), (waist * wide + 0.01, hem - 0.06 - tails),
        (waist * wide + 0.01, hem - tails), (waist * wide + 0.01, hem - tails),
        (waist * 0.5, hem + 0.015 + tails * 0.4), (0.0, hem + 0.02 + tails * 0.6),
    ]  # fmt: skip
    s.add(Part(symmetric(outline), "main", 175))
    s.seam(seam, tone=-48, mirror=True)


def _sleeves(s: Sketch, rng: Rng, *, length: float, cuff: float, droop: float) -> None:
    """Short sleeves; `droop` is how far they hang, in radians below the horizontal."""
    for flip, side in ((_keep, 1), (mirrored, -1)):
        out, down = _axes(droop + float(rng.normal(0, 0.12)))
        tip = np.array(CAP) + out * length
        low = tip + down * cuff
        points = rounded([*_SHOULDER_LINE, tip, tip, low, low, _UNDER, _UNDER])
        s.add(Part(flip(points), "main", 140, side * (droop - 0.1)))
        stitch = np.array([tip - out * 0.05, low - out * 0.05])
        s.seam(flip(stitch), tone=-34, dashed=True, width=0.007, curved=False)


def _long_sleeves(s: Sketch, rng: Rng, *, cuff_role: str, thick: float = 1.0) -> None:
    """Long sleeves, spread out or hanging down, bent at the elbow."""
    spread = float(rng.uniform(0.72, 1.12))
    for flip, side in ((_keep, 1), (mirrored, -1)):
        upper = spread + float(rng.normal(0, 0.07))
        lower = min(upper + float(rng.uniform(0.05, 0.5)), 1.55)
        (o1, d1), (o2, d2) = _axes(upper), _axes(lower)
        elbow = np.array(CAP) + o1 * 0.5
        wrist = elbow + o2 * 0.5
        w1, w2 = 0.25 * thick, 0.17 * thick
        low = wrist + d2 * w2
        inner = elbow + (d1 + d2) / 2 * w1
        points = rounded([*_SHOULDER_LINE, elbow - d1 * 0.005, wrist, wrist, low, low, inner, _UNDER, _UNDER])
        end, inset = o2 * 0.1, d2 * 0.015
        far, near = wrist + end + inset, low + end - inset
        cuff = rounded([wrist, wrist, far, far, near, near, low, low])
        s.add(Part(flip(points), "main", 140, side * (upper - 0.1)))
        s.add(Part(flip(cuff), cuff_role, 150, side * (lower - 0.1)))
        s.seam(flip(np.array([wrist, low])), tone=-50, curved=False)
        s.seam(flip(np.array([elbow + d1 * 0.03, elbow + d1 * w1 * 0.5 + o1 * 0.03])), tone=-26, width=0.02)


def _axes(angle: float) -> tuple[Points, Points]:
    """Along and across a sleeve that points right and `angle` radians down."""
    return np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])


def _keep(points: Points) -> Points:
    return points


def _neckline(s: Sketch, depth: float, v_neck: bool, *, width: float) -> None:
    y = -0.7 + depth
    right = (
        [(NECK, -0.73), (0.1, -0.7 + depth * 0.42), (0.0, y), (0.0, y)]
        if v_neck
        else [(NECK, -0.73), (0.165, -0.7 + depth * 0.6), (0.09, y - 0.005), (0.0, y)]
    )
    inner = np.asarray(right)
    outer = inner + np.array([[width, 0.0], [width * 0.8, width * 0.7], [width * 0.3, width], [0.0, width]])
    band = rounded(np.vstack([inner, outer[::-1]]), rounds=2)
    s.both(Part(band, "collar", 205))
    s.seam(outer, tone=-42, mirror=True, width=0.009)


def _hem(s: Sketch, hem: float, half: float, *, curve: float = 0.02) -> None:
    s.seam([(-half, hem - 0.055), (-half / 2, hem - 0.055 + curve), (0, hem - 0.045 + curve),
            (half / 2, hem - 0.055 + curve), (half, hem - 0.055)], tone=-34, dashed=True,
            width=0.007)  # fmt: skip


def _button_row(s: Sketch, top: float, bottom: float, *, n: int) -> None:
    s.seam([(0.045, top), (0.045, bottom + 0.1)], tone=-45, width=0.009, curved=False)
    s.seam([(-0.045, top), (-0.045, bottom + 0.1)], tone=-30, width=0.007, dashed=True, curved=False)
    s.add(*(Dot(0.0, float(y), 0.02) for y in np.linspace(top + 0.06, bottom, n)))


def _pocket(s: Sketch, x: float, y: float, width: float, height: float) -> None:
    box = [(x, y), (x, y), (x + width, y), (x + width, y), (x + width, y + height * 0.85),
           (x + width / 2, y + height), (x + width / 2, y + height), (x, y + height * 0.85)]  # fmt: skip
    s.add(Part(rounded(box), "main", 195))
    s.seam([*box, box[0]], tone=-44, width=0.009, curved=False)
    s.seam([(x, y + 0.035), (x + width, y + 0.035)], tone=-34, width=0.007, dashed=True, curved=False)
