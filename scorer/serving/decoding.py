"""Encoded photos become pixels, several at a time, and a broken one becomes a reason.

JPEGs are decoded at a fraction of their size (DCT scaling, `scorer.model.photo`). Pillow lets other threads
run while it decodes. The clients and the server's model share this.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from scorer.model.photo import PhotoError, read_photo


class Decoder:
    """Decodes photos for a model.

    Args:
        size: side of the model's square input, in pixels.
        threads: photos decoded at a time.
    """

    def __init__(self, size: int, threads: int = 1) -> None:
        self._size = size
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode") if threads > 1 else None

    def __call__(self, photos: Iterable[bytes]) -> list[NDArray[np.uint8] | str]:
        """Pixels, uint8 [size, size, 3], of each photo; or why there are none."""
        return list(self._pool.map(self._one, photos) if self._pool else map(self._one, photos))

    def _one(self, photo: bytes) -> NDArray[np.uint8] | str:
        if not photo:
            return "the photo is empty"
        try:
            return read_photo(photo, self._size)
        except PhotoError as e:
            return str(e)


__all__ = ["Decoder"]
