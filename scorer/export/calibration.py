"""The photos that fix the scales of an int8 model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError
from scorer.model.photo import PhotoError, read_photo

N_PHOTOS: Final = 32
_KINDS: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})

if TYPE_CHECKING:
    from scorer.model.scorer import ImageScorer


def read_some(folder: Path, model: str, *, n: int = N_PHOTOS) -> NDArray[np.uint8]:
    """Photos of a folder, spread evenly over its sorted names; broken ones are passed over.

    Returns:
        As the model takes them, uint8 [n or fewer, size, size, 3].

    Raises:
        InputError: the folder holds no photo that can be read.
    """
    from scorer.model.scorer import load_scorer

    scorer: ImageScorer = load_scorer(model)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _KINDS)
    step = max(1, len(paths) // n)
    found: list[NDArray[np.uint8]] = []
    for path in paths[::step][:n]:
        try:
            found.append(read_photo(path, scorer.image_size))
        except PhotoError:
            continue
    if not found:
        raise InputError(f"{folder} holds no photo that can be read")
    return np.stack(found)


__all__ = ["N_PHOTOS", "read_some"]
