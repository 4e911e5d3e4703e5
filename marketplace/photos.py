"""A marketplace on real photos: one folder per class, and labels where there are some.

Class, and so the words of the title, come from the folder; the colour is measured in the photo's centre;
brand, condition, price and times are drawn. The photos themselves are read where they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from marketplace.colours import centre_colour
from marketplace.items import Item
from marketplace.labels import read_labels
from marketplace.market import Marketplace
from marketplace.queries import make_queries, read_lengths
from marketplace.times import draw_created_ms, draw_updated_ms
from marketplace.titles import draw_listing, garment_class
from ranking import fields
from ranking.errors import InputError

SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp")
SOLD_SHARE: Final = 0.03


@dataclass(frozen=True, slots=True)
class _Photo:
    path: Path
    key: str  # path below the photos folder, with slashes: stable across machines
    category: str
    colour: str


def from_photos(
    photos_dir: Path,
    labels_file: Path | Sequence[Path] | None = None,
    *,
    n_items: int | None = None,
    n_queries: int = 120,
    seed: int = 0,
    now_ms: int,
    queries_file: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Marketplace:
    """Make a marketplace of real photos.

    Args:
        photos_dir: folder searched recursively; the folder a photo lies in names its class.
        labels_file: one or more JSON-lines files of scored pages (`marketplace.labels`).
        n_items: how many photos to use, drawn at random; None takes all.
        n_queries: how many queries to make.
        seed: equal seeds give equal marketplaces.
        now_ms: the marketplace's present, epoch ms.
        queries_file: tab-separated file of real queries whose word counts are followed.
        progress: called with (photos read, photos wanted).

    Raises:
        InputError: no photo can be read, or a given file holds nothing usable.
    """
    problems: list[str] = []
    qualities: dict[str, float] = {}
    if labels_file is not None:
        qualities = read_labels([labels_file] if isinstance(labels_file, Path) else labels_file, problems)
    lengths = read_lengths(queries_file) if queries_file is not None else None
    photos = _read_photos(photos_dir.resolve(), n_items, seed, problems, progress)
    by_key = _match_labels(qualities, photos)
    if qualities and not by_key:
        problems.append(f"none of the {len(qualities)} labelled photos lies below {photos_dir}")
    items = tuple(_item(photo, by_key.get(photo.key), seed, now_ms) for photo in photos)
    queries = make_queries(items, n_queries, np.random.default_rng([seed, 1]), lengths=lengths)
    return Marketplace(
        name=f"photos of {photos_dir.name}, seed {seed}",
        items=items,
        queries=queries,
        now_ms=now_ms,
        problems=tuple(problems),
    )


def _read_photos(
    folder: Path,
    n_items: int | None,
    seed: int,
    problems: list[str],
    progress: Callable[[int, int], None] | None,
) -> list[_Photo]:
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder of photos")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise InputError(
            f"{folder}: holds no photo ({', '.join(SUFFIXES)})",
            hint="give a folder with one folder per class inside, and photos in those",
        )
    if n_items is not None and n_items < 1:
        raise InputError(f"n_items must be at least 1, got {n_items}")
    wanted = len(paths) if n_items is None else min(n_items, len(paths))
    photos: list[_Photo] = []
    for at in np.random.default_rng([seed, 0]).permutation(len(paths)):
        if len(photos) == wanted:
            break
        path = paths[int(at)]
        key = path.relative_to(folder).as_posix()
        try:
            with Image.open(path) as image:
                image.draft("RGB", (128, 128))  # JPEG decodes at a fraction of its size
                colour = centre_colour(image)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
            problems.append(f"{key}: not a readable photo ({type(e).__name__})")
            continue
        photos.append(_Photo(path, key, path.parent.name, colour))
        if progress is not None:
            progress(len(photos), wanted)
    if not photos:
        raise InputError(f"{folder}: none of its {len(paths)} photos can be read, {problems[-1]}")
    return sorted(photos, key=lambda photo: photo.key)


def simulated_titles(
    photos_dir: Path, under: str = "", *, advance: Callable[[int], object] | None = None
) -> tuple[list[dict[str, object]], list[str]]:
    """Image-title pairs for photos that have no titles: the centre's colour and the word for the class.

    Args:
        photos_dir: folder that images are named from.
        under: only photos below this subfolder.
        advance: told after each photo.

    Returns:
        Rows {image, title, labels: {category, colour}, simulated: true}, in the order of their names, and
        the photos that cannot be read.

    Raises:
        InputError: there is no photo.
    """
    problems: list[str] = []

    def progress(_done: int, _wanted: int) -> None:
        if advance is not None:
            advance(1)

    found = _read_photos(photos_dir / under, None, 0, problems, progress)
    prefix = f"{under.strip('/')}/" if under.strip("/") else ""
    rows: list[dict[str, object]] = [
        {
            "image": prefix + photo.key,
            "title": f"{photo.colour} {garment_class(photo.category).words[0]}",
            "labels": {"category": photo.category, "colour": photo.colour},
            "simulated": True,
        }
        for photo in found
    ]
    return rows, problems


def _match_labels(qualities: Mapping[str, float], photos: Sequence[_Photo]) -> dict[str, float]:
    """Map photo keys to labels: by the whole path, else by class and file name where only one photo fits."""
    tails: dict[str, list[str]] = {}
    for photo in photos:
        tails.setdefault(_tail(photo.key, photo.category), []).append(photo.key)
    keys = {photo.key for photo in photos}
    found: dict[str, float] = {}
    for name, quality in qualities.items():
        candidates = tails.get("/".join(name.split("/")[-2:]), [])
        if name in keys:
            found[name] = quality
        elif len(candidates) == 1:
            found.setdefault(candidates[0], quality)
    return found


def _tail(key: str, category: str) -> str:
    return f"{category}/{key.rsplit('/', 1)[-1]}"


def _item(photo: _Photo, quality: float | None, seed: int, now_ms: int) -> Item:
    digest = hashlib.sha256(photo.key.encode()).digest()
    rng = np.random.default_rng([seed, 2, int.from_bytes(digest[:8], "big")])
    listing = draw_listing(photo.category, photo.colour, rng)
    created_ms = draw_created_ms(now_ms, rng)
    return Item(
        item_id=f"p{digest.hex()[:12]}",
        title=listing.title,
        description=listing.description,
        category=photo.category,
        price=listing.price,
        status=fields.SOLD if rng.random() < SOLD_SHARE else fields.ON_SALE,
        created_ms=created_ms,
        updated_ms=draw_updated_ms(created_ms, now_ms, rng),
        image_path=photo.path,
        brand=listing.brand,
        colour=photo.colour,
        condition=listing.condition,
        photo_quality=quality,
    )
