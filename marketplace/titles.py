"""The words of the marketplace: brands, conditions, classes, and the grammar of titles and descriptions.

Every brand is invented. A title carries what sellers usually type: class and colour nearly always, brand and
condition often, size and material sometimes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

# Most listed first: an item's brand is drawn with Zipf weights along this list.
BRANDS: Final = (
    "Kazemori", "Nordvane", "Lumebird", "Driftloom", "Tokiwado", "Brackenby", "Velluna", "Marrowind",
    "Quillford", "Sorabelle", "Oakentide", "Little Plover", "Cindervale", "Hoshinami", "North Wren",
    "Pallowick",
    "Umbrafield", "Tanukiya", "Fernglass", "Mossletter", "Aosorato", "Grey Heronry", "Zephyrka", "Kurumigi",
)  # fmt: skip

CONDITIONS: Final = ("new with tags", "like new", "good", "fair", "well worn")
_CONDITION_SHARE: Final = (0.10, 0.28, 0.36, 0.19, 0.07)
_CONDITION_PRICE: Final = (1.5, 1.15, 0.9, 0.65, 0.45)

AUDIENCES: Final = ("mens", "womens", "kids", "unisex")
SIZES: Final = ("XS", "S", "M", "L", "XL")


@dataclass(frozen=True, slots=True)
class GarmentClass:
    """What sellers and buyers say about one class of clothing."""

    words: tuple[str, ...]  # names for it, the usual one first
    materials: tuple[str, ...]
    price: int  # yen, the middle price in "good" condition
    sizes: tuple[str, ...] = SIZES


CLASSES: Final[dict[str, GarmentClass]] = {
    "dress": GarmentClass(("dress", "summer dress", "long dress"), ("cotton", "linen", "satin"), 3200),
    "hat": GarmentClass(("hat", "cap", "beanie"), ("cotton", "wool", "straw"), 1500, ("one size",)),
    "longsleeve": GarmentClass(
        ("long sleeve", "longsleeve", "sweater", "pullover"), ("cotton", "wool", "knit"), 2100
    ),
    "outwear": GarmentClass(("jacket", "coat", "outerwear"), ("nylon", "wool", "denim"), 6400),
    "pants": GarmentClass(("pants", "trousers", "jeans"), ("denim", "cotton", "corduroy"), 2800),
    "shirt": GarmentClass(("shirt", "button shirt", "blouse"), ("cotton", "linen", "flannel"), 2300),
    "shoes": GarmentClass(
        ("shoes", "sneakers", "boots"),
        ("leather", "canvas", "suede"),
        4200,
        ("23 cm", "24 cm", "25 cm", "26 cm", "27 cm"),
    ),
    "shorts": GarmentClass(("shorts", "short pants"), ("denim", "cotton", "linen"), 1700),
    "skirt": GarmentClass(("skirt", "midi skirt", "pleated skirt"), ("cotton", "wool", "satin"), 2200),
    "t-shirt": GarmentClass(("t-shirt", "tee", "graphic tee"), ("cotton", "organic cotton", "jersey"), 1400),
}

_NOTES: Final = (
    "Ships within two days.", "Smoke free home.", "From a tidy wardrobe, no pets.",
    "Worn a handful of times.",
    "Bought last year, now too small.", "Small mark inside, not visible when worn.",
    "Washed and ready to wear.",
    "Price is firm, thank you.", "Happy to send more photos.", "Colour may look different on your screen.",
)  # fmt: skip


# Names that go with certain materials only, or never with one audience.
_WORD_MATERIALS: Final[dict[str, tuple[str, ...]]] = {
    "beanie": ("wool", "knit"), "boots": ("leather", "suede"), "cap": ("cotton", "denim"), "coat": ("wool",),
    "jeans": ("denim",), "pullover": ("wool", "knit"), "sneakers": ("canvas", "leather"),
    "sweater": ("wool", "knit"), "trousers": ("cotton", "corduroy"),
}  # fmt: skip
_NOT_MENS: Final = ("dress", "skirt")


def audiences(category: str) -> tuple[str, ...]:
    """Return for whom clothes of a class are sold."""
    return AUDIENCES[1:] if category in _NOT_MENS else AUDIENCES


def garment_class(category: str) -> GarmentClass:
    """Return the words of a class; a folder name we do not know speaks for itself."""
    return CLASSES.get(category) or GarmentClass((category.replace("_", " "),), ("cotton",), 2000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a seller decides and types."""

    title: str
    description: str
    price: int
    brand: str
    condition: str
    style: str  # material and name, "suede boots": what the photo should show


def draw_listing(category: str, colour: str, rng: np.random.Generator) -> Listing:
    """Draw brand, condition, price and text for an item of this class and colour."""
    kind = garment_class(category)
    share = 1.0 / np.arange(2, len(BRANDS) + 2)
    brand_at = int(rng.choice(len(BRANDS), p=share / share.sum()))
    brand = BRANDS[brand_at]
    condition_at = int(rng.choice(len(CONDITIONS), p=_CONDITION_SHARE))
    condition = CONDITIONS[condition_at]
    word = _pick(kind.words, rng) if rng.random() < 0.5 else kind.words[0]
    words = _Words(
        brand=brand,
        colour=colour,
        condition=condition,
        word=word,
        material=_pick(_WORD_MATERIALS.get(word, kind.materials), rng),
        size=_pick(kind.sizes, rng),
        audience=_pick(audiences(category), rng),
    )
    tier = 0.75 + 0.7 * ((brand_at * 7) % len(BRANDS)) / len(BRANDS)  # some brands cost more, common or rare
    yen = kind.price * tier * _CONDITION_PRICE[condition_at] * float(np.exp(rng.normal(0, 0.22)))
    return Listing(
        title=_title(words, rng),
        description=_description(words, rng),
        price=max(300, round(yen / 100) * 100 - (20 if rng.random() < 0.4 else 0)),
        brand=brand,
        condition=condition,
        style=f"{words.material} {word}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    brand: str
    colour: str
    condition: str
    word: str  # the name used for the class: "sneakers" for shoes
    material: str
    size: str
    audience: str


def _title(w: _Words, rng: np.random.Generator) -> str:
    show_brand, show_colour, show_condition = rng.random(3) < (0.80, 0.92, 0.35)
    show_material, show_size, show_audience = rng.random(3) < (0.35, 0.40, 0.15)
    parts = [w.brand] if show_brand else []
    parts += [w.audience] if show_audience and w.audience != "unisex" else []
    parts += [w.colour] if show_colour else []
    parts += [w.material] if show_material else []
    parts.append(w.word)
    if rng.random() < 0.15 and show_brand:  # some sellers put the brand last
        parts = [*parts[1:], f"by {w.brand}"]
    if show_size:
        parts.append(f"size {w.size}" if w.size in SIZES else w.size)
    if show_condition:
        parts = [f"{w.condition}:", *parts] if rng.random() < 0.2 else [*parts, f"({w.condition})"]
    text = " ".join(parts)
    return text[0].upper() + text[1:]


def _description(w: _Words, rng: np.random.Generator) -> str:
    who = "" if w.audience == "unisex" else f" {w.audience}"
    size = f"size {w.size}" if w.size in SIZES else w.size
    notes = [_pick(_NOTES, rng) for _ in range(1 + int(rng.random() < 0.3))]
    sentence = f"{w.colour.capitalize()} {w.material} {w.word} by {w.brand},{who} {size}."
    return " ".join([sentence, f"Condition: {w.condition}.", *dict.fromkeys(notes)])


def _pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
