"""Files of pages to be labelled: what `rank-cli scorer serps` writes, or any JSON lines with `images`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ranking.errors import InputError
from ranking.rows import RowError, listing, parse_object, required_text, text
from scorer.labels.reading import Skip, lines_of

MAX_PHOTOS: Final = 8  # of one page, as in the paper
CARRIED: Final = ("item_ids", "prices", "ranks", "clicked", "user", "at_ms", "platform", "simulated")


@dataclass(frozen=True, slots=True)
class Page:
    """One page to be labelled."""

    serp_id: str
    category: str
    query: str
    images: tuple[str, ...]
    carried: Mapping[str, Any]  # what else its line says and its labels go on saying


def read_pages_to_label(path: Path, *, max_photos: int = MAX_PHOTOS) -> tuple[list[Page], list[Skip]]:
    """The pages of a file, and what was left out.

    Raises:
        InputError: it cannot be read, or no page of it can be used.
    """
    pages: dict[str, Page] = {}
    skips: list[Skip] = []
    for number, content in lines_of(path):
        try:
            page = _parse(content)
        except RowError as e:
            skips.append(Skip(number, "broken", str(e)))
            continue
        n = len(page.images)
        if page.serp_id in pages:
            skips.append(Skip(number, "duplicate", f"{page.serp_id} is there twice"))
        elif n < 2:
            skips.append(Skip(number, "one photo", f"{page.serp_id} has {n} photos: nothing to compare"))
        elif n > max_photos:
            words = f"{page.serp_id} has {n} photos, more than {max_photos}"
            skips.append(Skip(number, "too many photos", words))
        elif len(set(page.images)) < n:
            skips.append(Skip(number, "broken", f"{page.serp_id} shows a photo twice"))
        else:
            pages[page.serp_id] = page
    if not pages:
        first = f": {skips[0]}" if skips else ""
        raise InputError(f"{path} has no page to label{first}", hint="make one with `rank-cli scorer serps`")
    return list(pages.values()), skips


def _parse(content: bytes) -> Page:
    row = parse_object(content)
    images = listing(row, "images")
    if not all(isinstance(image, str) and image for image in images):
        raise RowError("images: a name is missing or no text")
    return Page(
        required_text(row, "serp_id"),
        text(row, "category") or "",
        text(row, "query") or "",
        tuple(images),
        {name: row[name] for name in CARRIED if name in row},
    )


__all__ = ["CARRIED", "MAX_PHOTOS", "Page", "read_pages_to_label"]
