"""Pairs to learn from: which two photos of a page, and which of them is the better.

The Image Score paper, section 3.2.1: of up to k = 8 photos a page, all pairs without a tie. Where a photo
of the page was clicked, only it and the photos that the judge scored lower are used, so that what is learned
agrees with the click as well as with the judge.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scorer.training.labels import Serp

MAX_PHOTOS = 8  # the paper's k


def usable(serp: Serp, max_photos: int = MAX_PHOTOS) -> NDArray[np.int64]:
    """Places of the photos of a page that make pairs, in the page's order: the first `max_photos` of them."""
    places = np.arange(len(serp.images))
    if serp.clicked is None:
        return places[:max_photos]
    below = places[serp.truth < serp.truth[serp.clicked]][: max_photos - 1]
    return np.sort(np.append(below, serp.clicked))


def page_pairs(serp: Serp, max_photos: int = MAX_PHOTOS) -> NDArray[np.int64]:
    """Places of the better and the worse photo of each pair of a page, shape (n_pairs, 2)."""
    places = usable(serp, max_photos)
    truth = serp.truth[places]
    better, worse = np.nonzero(truth[:, None] > truth[None, :])
    return np.stack([places[better], places[worse]], axis=1)


def all_pairs(
    serps: Sequence[Serp], rows: Sequence[NDArray[np.int64]], max_photos: int = MAX_PHOTOS
) -> NDArray[np.int64]:
    """Rows of the better and the worse photo of every pair of all pages, shape (n_pairs, 2).

    Args:
        serps: the pages.
        rows: per page, the row of each of its photos in some table.
        max_photos: k.
    """
    parts = [page_rows[page_pairs(serp, max_photos)] for serp, page_rows in zip(serps, rows, strict=True)]
    return np.concatenate(parts) if parts else np.empty((0, 2), dtype=np.int64)


__all__ = ["MAX_PHOTOS", "all_pairs", "page_pairs", "usable"]
