"""A reference: scores and features of photos by one model, to compare later photos and models with.

One file, `.npz`: model version, scores, categories, and the features of at most 1,000 of the photos.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError
from scorer.calibration.features import score_and_describe
from scorer.model.photo import PhotoError, read_photo

if TYPE_CHECKING:
    from scorer.model.scorer import ImageScorer

MOST_FEATURES: Final = 1000
_BATCH: Final = 32


@dataclass(frozen=True, slots=True)
class Reference:
    """What one model said of n photos."""

    version: str
    scores: NDArray[np.float64]  # (n,)
    categories: tuple[str, ...]  # of each photo: the name of its folder
    features: NDArray[np.float32]  # (m, n_features), as `score_and_describe` gives them
    unreadable: tuple[str, ...] = ()  # why photos were left out; not stored


def take(
    scorer: ImageScorer,
    folder: Path,
    names: Iterable[str],
    *,
    advance: Callable[[int], object] | None = None,
) -> Reference:
    """Score and describe photos in small batches; a photo that cannot be read is left out and named.

    Raises:
        InputError: no photo could be read.
    """
    scores, features, categories, unreadable = [], [], [], []
    listed = list(names)
    for start in range(0, len(listed), _BATCH):
        pixels = []
        for name in listed[start : start + _BATCH]:
            try:
                pixels.append(read_photo(folder / name, scorer.image_size))
                categories.append(Path(name).parent.name)
            except PhotoError as e:
                unreadable.append(str(e))
        if pixels:
            found = score_and_describe(scorer, np.stack(pixels))
            scores.append(found[0])
            features.append(found[1])
        if advance is not None:
            advance(len(listed[start : start + _BATCH]))
    if not scores:
        reason = f": {unreadable[0]}" if unreadable else ""
        raise InputError(f"{folder} has no photo that can be read{reason}")
    return Reference(
        scorer.version, np.concatenate(scores), tuple(categories), np.concatenate(features), tuple(unreadable)
    )


def save_reference(reference: Reference, path: Path) -> None:
    """Write the file whole, or not at all."""
    every = max(1, -(-len(reference.features) // MOST_FEATURES))
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.savez_compressed(
            file,
            version=reference.version,
            scores=reference.scores.astype(np.float32),
            categories=np.array(reference.categories),
            features=reference.features[::every].astype(np.float16),
        )
    part.replace(path)


def read_reference(path: Path) -> Reference:
    """Read what `save_reference` wrote.

    Raises:
        InputError: the file is absent or none of ours.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            reference = Reference(
                str(stored["version"]),
                stored["scores"].astype(np.float64),
                tuple(str(c) for c in stored["categories"]),
                stored["features"].astype(np.float32),
            )
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, ValueError, KeyError, BadZipFile, EOFError, TypeError) as e:
        raise InputError(
            f"{path} is no reference: {e}", hint="write one with `rank-cli scorer calibrate --save`"
        ) from None
    if not len(reference.scores) or len(reference.scores) != len(reference.categories):
        raise InputError(f"{path} is no reference: it has no scores, or not one category for each")
    return reference


__all__ = ["MOST_FEATURES", "Reference", "read_reference", "save_reference", "take"]
