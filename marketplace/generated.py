"""A marketplace made up from nothing: items, photos and queries from one seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from marketplace.colours import NAMES
from marketplace.items import Item
from marketplace.market import Marketplace
from marketplace.queries import make_queries, read_lengths
from marketplace.render.photo import RENDER_VERSION, PhotoSpec
from marketplace.render.pool import render_all
from marketplace.times import draw_created_ms, draw_updated_ms
from marketplace.titles import CLASSES, draw_listing
from ranking import fields
from ranking.errors import InputError

# Shares by class and by colour, in the order of CLASSES and of colours.NAMES: what wardrobes hold.
CLASS_SHARE: Final = (0.10, 0.07, 0.12, 0.09, 0.13, 0.11, 0.10, 0.08, 0.07, 0.13)
COLOUR_SHARE: Final = (0.14, 0.12, 0.09, 0.10, 0.10, 0.06, 0.07, 0.06, 0.06, 0.07, 0.05, 0.03, 0.02, 0.03)
NO_PHOTO_SHARE: Final = 0.02
SOLD_SHARE: Final = 0.04
AI_SHARE: Final = 0.03  # flagged as generated, probability 0.6 to 1, and drawn that way
AI_CLEARED_SHARE: Final = 0.05  # looked at by the detector and found real, probability below 0.3


@dataclass(frozen=True, slots=True)
class _Draft:
    item: Item
    spec: PhotoSpec | None  # None where the seller gave no photo


def generate(
    n_items: int = 1500,
    n_queries: int = 120,
    *,
    seed: int = 0,
    now_ms: int,
    photo_dir: Path | None,
    queries_file: Path | None = None,
    processes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Marketplace:
    """Make up a marketplace and render its photos.

    An item depends on the seed and its number alone, so a larger marketplace begins with the smaller one's
    items. Photos already in `photo_dir` are used again.

    Args:
        n_items: how many items.
        n_queries: how many queries.
        seed: equal seeds give equal marketplaces.
        now_ms: the marketplace's present, epoch ms.
        photo_dir: where photos go; None renders none, and no item has an image.
        queries_file: tab-separated file of real queries whose word counts are followed.
        processes: renderer processes; None: one for each core.
        progress: called with (photos there, photos wanted).
    """
    if n_items < 1:
        raise InputError(f"n_items must be at least 1, got {n_items}")
    lengths = read_lengths(queries_file) if queries_file is not None else None
    folder = photo_dir.resolve() if photo_dir is not None else None
    drafts = [_draft(number, seed, now_ms, folder) for number in range(n_items)]
    jobs = {
        draft.item.image_path: draft.spec
        for draft in drafts
        if draft.item.image_path is not None and draft.spec is not None
    }
    render_all(jobs, processes=processes, progress=progress)
    items = tuple(draft.item for draft in drafts)
    return Marketplace(
        name=f"generated, seed {seed}",
        items=items,
        queries=make_queries(items, n_queries, np.random.default_rng([seed, 1]), lengths=lengths),
        now_ms=now_ms,
    )


def _draft(number: int, seed: int, now_ms: int, folder: Path | None) -> _Draft:
    rng = np.random.default_rng([seed, 0, number])
    category = str(rng.choice(list(CLASSES), p=CLASS_SHARE))
    colour = str(rng.choice(NAMES, p=COLOUR_SHARE))
    listing = draw_listing(category, colour, rng)
    created_ms = draw_created_ms(now_ms, rng)
    updated_ms = draw_updated_ms(created_ms, now_ms, rng)
    generated, cleared, sold, no_photo = rng.random(4) < (
        AI_SHARE,
        AI_CLEARED_SHARE,
        SOLD_SHARE,
        NO_PHOTO_SHARE,
    )
    probability = None
    if generated:
        probability = round(float(rng.uniform(0.6, 1.0)), 3)
    elif cleared:
        probability = round(float(rng.uniform(0.0, 0.3)), 3)
    quality = round(float(rng.uniform(0.85, 1.0) if generated else rng.beta(1.5, 1.5)), 4)
    spec = PhotoSpec(
        category=category,
        colour=colour,
        quality=quality,
        seed=int(rng.integers(2**62)),
        brand=listing.brand,
        style=listing.style,
        generated=bool(generated),
    )
    item_id = f"m{seed:02d}-{number:05d}"
    has_photo = folder is not None and not no_photo
    item = Item(
        item_id=item_id,
        title=listing.title,
        description=listing.description,
        category=category,
        price=listing.price,
        status=fields.SOLD if sold else fields.ON_SALE,
        created_ms=created_ms,
        updated_ms=updated_ms,
        image_path=folder / f"{item_id}-v{RENDER_VERSION}-{spec.digest()}.jpg"
        if folder and has_photo
        else None,
        ai_probability=None if no_photo else probability,
        brand=listing.brand,
        colour=colour,
        condition=listing.condition,
        photo_quality=None if no_photo else quality,
    )
    return _Draft(item, None if no_photo else spec)
