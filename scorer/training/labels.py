"""Labels as training and evaluation take them: pages (SERPs) of photos with their mean score over judges.

`scorer.labels` says what a label file holds and what of it is left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError
from scorer.labels import read_pages


@dataclass(frozen=True, slots=True)
class Serp:
    """One page: photos that were judged side by side."""

    serp_id: str
    category: str
    images: tuple[str, ...]  # paths below the photo folder
    truth: NDArray[np.float64]  # mean score over judges, shape (n_images,); comparable within the page only
    n_judges: int
    clicked: int | None = None  # 0-based place among `images`; None where no click is known


def read_labels(path: Path, *, note: Callable[[str], object] = warnings.warn) -> list[Serp]:
    """Read a label file, pages in the order of their first line.

    A line that cannot be used, a duplicate, a page of one photo and a photo that some judge did not score are
    left out.

    Args:
        path: JSON lines.
        note: told in one sentence what was left out, where anything was.

    Raises:
        InputError: the file cannot be read, or nothing in it can be used (the first reason is named).
    """
    found = read_pages(path)
    if found.warning:
        note(found.warning)
    serps = []
    for page in found.pages:
        kept = np.flatnonzero(~np.isnan(page.mean))
        if len(kept) < 2:
            note(f"{path}: left out {page.serp_id}: fewer than two photos that every judge scored")
            continue
        place = [i for i, old in enumerate(kept) if old == page.clicked]
        serps.append(
            Serp(
                page.serp_id,
                page.category,
                tuple(page.images[i] for i in kept),
                page.mean[kept],
                len(page.judges),
                place[0] if place else None,
            )
        )
    if not serps:
        raise InputError(f"{path}: no page has two photos that every judge scored")
    return serps


__all__ = ["Serp", "read_labels"]
