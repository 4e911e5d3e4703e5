"""What a seller can do about a photo, and which of an item's photos to show first.

Each tip is one measurement against a limit, so it says what was measured and what would do. The limits are
where the judges' scores of 1,280 real photos fall off: photos beyond them were scored 0.2 to 0.9 standard
deviations below the others of their page (docs/attributes.md). Measurements are made on the photo at
128 x 128, whatever the model, so fine blur is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from scorer.model.attributes import ATTRIBUTES, SIZE, image_attributes
from scorer.model.photo import preprocess
from scorer.model.statistics import NAMES, image_statistics

SMALL_SIDE: Final = 300  # pixels; a smaller photo is blurred by every phone that shows it


@dataclass(frozen=True, slots=True)
class Measured:
    """What tips are made from."""

    values: dict[str, float]  # statistics and attributes by name
    width: int  # pixels, as stored
    height: int


@dataclass(frozen=True, slots=True)
class Tip:
    """One thing to change."""

    about: str
    measured: float
    limit: float
    sentence: str


@dataclass(frozen=True, slots=True)
class _Rule:
    about: str
    value: str  # name in `Measured.values`
    limit: float
    above: bool  # beyond the limit is above it
    says: str  # {x} is the value, {p} the value in percent

    def tip(self, measured: Measured) -> Tip | None:
        x = measured.values[self.value]
        if (x <= self.limit) if self.above else (x >= self.limit):
            return None
        return Tip(self.about, round(x, 3), self.limit, self.says.format(x=x, p=round(100 * x)))


_RULES: Final = (
    _Rule(
        "brightness", "brightness", 0.40, False,
        "The photo is dark: mean brightness {p} %, and good photos have 45 to 65 %. "
        "Take it by a window in daylight, or switch on more light.",
    ),
    _Rule(
        "brightness", "brightness", 0.78, True,
        "The photo is washed out: mean brightness {p} %, and good photos have 45 to 65 %. "
        "Turn away from direct light, or lower the exposure.",
    ),
    _Rule(
        "sharpness", "sharpness", 0.36, False,
        "The photo is blurred: sharpness {p} of 100, and good photos have 50 to 80. "
        "Wipe the lens, rest your elbows on something, and tap the item to focus on it.",
    ),
    _Rule(
        "contrast", "contrast", 0.35, False,
        "The photo is flat: between its dark and its bright parts lie {p} % of the range, and good photos "
        "use 50 to 75 %. Put the item on a ground of another color, in light from one side.",
    ),
    _Rule(
        "cleanness", "cleanness", 0.40, False,
        "The background is busy: {p} % of the border looks like one surface, and good photos have "
        "55 to 85 %. Clear away what lies around, or use a plain wall, sheet or floor.",
    ),
    _Rule(
        "light", "side_luma_spread", 0.33, True,
        "The light is uneven: one side of the photo is {p} points of 100 brighter than another. "
        "Turn the item towards the light, and keep your own shadow out of the picture.",
    ),
    _Rule(
        "distance", "background_share", 0.78, True,
        "The item is small: about {p} % of the photo is background. Move closer, or crop.",
    ),
)  # fmt: skip
# Middle of the best quarter of those photos, the width of their middle half, and which way is worse.
_GOOD: Final = {
    "brightness": (0.52, 0.11, -1),
    "cleanness": (0.70, 0.25, -1),
    "contrast": (0.64, 0.18, -1),
    "sharpness": (0.60, 0.15, -1),
    "side_luma_spread": (0.15, 0.12, 1),
    "subject_cut": (0.30, 0.25, 1),
}
_WORDS: Final = {
    "side_luma_spread": "difference in light between its sides",
    "subject_cut": "share of the edge that the item covers",
}
_CUT: Final = _Rule(
    "framing", "subject_cut", 0.50, True,
    "The item is cut off: it covers about {p} % of the photo's edge. Step back, so that it is whole.",
)  # fmt: skip
_CUT_CLEANNESS: Final = 0.45  # on a busier ground, nobody can tell the item from the clutter


def measure(image: Image.Image) -> Measured:
    """Measure one decoded photo."""
    pixels = torch.from_numpy(preprocess(image, SIZE))[None]
    values = dict(zip(NAMES, image_statistics(pixels)[0].tolist(), strict=True))
    values |= dict(zip(ATTRIBUTES, image_attributes(pixels)[0].tolist(), strict=True))
    width, height = image.size
    return Measured(values, width, height)


def tips_for(measured: Measured) -> list[Tip]:
    """What to change, the most telling first; empty for a photo with nothing to say about."""
    found = [tip for rule in _RULES if (tip := rule.tip(measured))]
    if measured.values["cleanness"] >= _CUT_CLEANNESS and (cut := _CUT.tip(measured)):
        found.append(cut)
    small = min(measured.width, measured.height)
    if small < SMALL_SIDE:
        sentence = (
            f"The photo has few pixels: {measured.width} x {measured.height}. "
            "Send the camera's own file, 1000 pixels or more on the shorter side."
        )
        found.append(Tip("size", float(small), float(SMALL_SIDE), sentence))
    return sorted(found, key=lambda tip: -_severity(tip))


def furthest_from_good(measured: Measured) -> str:
    """For a photo with no tips: which measurement is least like that of good photos, and by how much."""

    def shortfall(name: str) -> float:
        middle, width, worse = _GOOD[name]
        return worse * (measured.values[name] - middle) / width

    name = max(_GOOD, key=shortfall)
    middle = _GOOD[name][0]
    says = _WORDS.get(name, name)
    return f"furthest from good photos is its {says}: {measured.values[name]:.0%}, and they have {middle:.0%}"


def _severity(tip: Tip) -> float:
    return abs(tip.measured - tip.limit) / max(tip.limit, 1e-9)


@dataclass(frozen=True, slots=True)
class Hero:
    """Which photo to show first, and why."""

    index: int
    score: float
    reason: str


_BETTER: Final[dict[str, tuple[str, Callable[[float], str]]]] = {
    "brightness": ("brighter", lambda x: f"{x:.0%}"),
    "cleanness": ("a plainer background", lambda x: f"{x:.0%}"),
    "contrast": ("more contrast", lambda x: f"{x:.0%}"),
    "sharpness": ("sharper", lambda x: f"{x:.2f}"),
}
_NOTICEABLE: Final = 0.08  # of an attribute, in [0, 1]


def suggest_hero(scores: Sequence[float | None], measured: Sequence[Measured | None]) -> Hero | None:
    """The photo with the best score, and what sets it apart from the others.

    Args:
        scores: in [0, 1]; None where a photo could not be read.
        measured: of the same photos.

    Returns:
        None where fewer than two photos could be read. Of equal scores the first one given.
    """
    readable = [
        (i, s, m) for i, (s, m) in enumerate(zip(scores, measured, strict=True)) if s is not None and m
    ]
    if len(readable) < 2:
        return None
    index, best, own = max(readable, key=lambda entry: entry[1])
    others = [entry for entry in readable if entry[0] != index]
    next_best = max(score for _, score, _ in others)
    gap = best - next_best
    reason = (
        f"it scores {best:.2f}, {gap:.2f} above the next"
        if gap >= 0.005
        else f"it scores {best:.2f}, level with the next"
    )
    apart = _apart(own, [m for _, _, m in others])
    return Hero(index, best, reason + (f"; {' and '.join(apart)}" if apart else ""))


def _apart(own: Measured, others: Sequence[Measured]) -> list[str]:
    gains = []
    for name, (word, shown) in _BETTER.items():
        rest = float(np.mean([m.values[name] for m in others]))
        mine = own.values[name]
        if name == "brightness" and mine > 0.65:
            continue  # brighter still is no merit
        if mine - rest >= _NOTICEABLE:
            gains.append((mine - rest, f"{word} ({shown(mine)} against {shown(rest)})"))
    return [text for _, text in sorted(gains, reverse=True)[:2]]


def as_rows(tips: Sequence[Tip]) -> list[dict[str, Any]]:
    """Tips as JSON."""
    return [asdict(tip) for tip in tips]


def attribute_values(images: Sequence[Image.Image]) -> NDArray[np.float32]:
    """Attributes from image statistics, shape (n, 5), columns in the order of `ATTRIBUTES`."""
    pixels = torch.from_numpy(np.stack([preprocess(image, SIZE) for image in images]))
    values: NDArray[np.float32] = image_attributes(pixels).numpy()
    return values


__all__ = [
    "Hero",
    "Measured",
    "Tip",
    "as_rows",
    "attribute_values",
    "furthest_from_good",
    "measure",
    "suggest_hero",
    "tips_for",
]
