"""Photos of a folder, decoded once and kept in memory as the model's input."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ranking.errors import InputError
from scorer.model.photo import read_photo
from scorer.model.statistics import image_statistics

SUFFIXES = frozenset({".avif", ".heic", ".heif", ".jpeg", ".jpg", ".png", ".webp"})


@dataclass(frozen=True, slots=True)
class Photos:
    """Decoded photos. `pixels` is uint8 RGB of shape (n, size, size, 3), in the order of `names`."""

    names: tuple[str, ...]  # paths below the photo folder, with forward slashes
    pixels: NDArray[np.uint8]
    position: dict[str, int]  # name -> row of `pixels`

    def rows(self, names: Iterable[str]) -> NDArray[np.int64]:
        """Rows of these photos.

        Raises:
            InputError: a photo is not there.
        """
        try:
            return np.array([self.position[name] for name in names], dtype=np.int64)
        except KeyError as e:
            raise InputError(
                f"photo {e.args[0]!r} is named in the labels but not in the photo folder"
            ) from None


def list_photos(folder: Path, under: str = "") -> list[str]:
    """Names of the photos below `folder`, sorted; with `under`, only those below that subfolder."""
    root = folder / under
    if not root.is_dir():
        raise InputError(f"{root} is no folder")
    return sorted(p.relative_to(folder).as_posix() for p in root.rglob("*") if p.suffix.lower() in SUFFIXES)


def load_photos(
    folder: Path, names: Iterable[str], size: int, *, advance: Callable[[int], object] | None = None
) -> Photos:
    """Decode photos to `size` pixels a side.

    Raises:
        PhotoError: a photo is absent or broken.
    """
    listed = tuple(dict.fromkeys(names))
    if not listed:
        raise InputError(f"{folder} has no photos to read")
    pixels = np.empty((len(listed), size, size, 3), dtype=np.uint8)

    def read(row: int) -> None:
        pixels[row] = read_photo(folder / listed[row], size)
        if advance is not None:
            advance(1)

    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(read, range(len(listed))):
            pass
    return Photos(listed, pixels, {name: row for row, name in enumerate(listed)})


def statistics_of(pixels: NDArray[np.uint8], batch: int = 64) -> NDArray[np.float64]:
    """Image statistics of decoded photos, shape (n, n_statistics)."""
    with torch.inference_mode():
        parts = [
            image_statistics(torch.from_numpy(pixels[i : i + batch])) for i in range(0, len(pixels), batch)
        ]
        result: NDArray[np.float64] = torch.cat(parts).numpy().astype(np.float64)
    return result


__all__ = ["Photos", "list_photos", "load_photos", "statistics_of"]
