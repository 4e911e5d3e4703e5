"""Photos as small WebP: square, turned as the camera meant, without metadata."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Iterable
from pathlib import Path

from PIL import Image, ImageOps

SIDE = 160  # pixels
QUALITY = 60  # WebP's scale: two thirds of the bytes of JPEG 65, and no worse to look at
_METHOD = 3  # of WebP's 0 (fast) to 6 (small)


def small_photo(path: Path) -> bytes | None:
    """One photo as WebP of about 3 kB; None where the file is no readable image."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as photo:
                photo.draft("RGB", (SIDE * 2, SIDE * 2))
                upright = ImageOps.exif_transpose(photo)
                square = ImageOps.fit(upright.convert("RGB"), (SIDE, SIDE), Image.Resampling.LANCZOS)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    buffer = io.BytesIO()
    square.save(buffer, "WEBP", quality=QUALITY, method=_METHOD)
    return buffer.getvalue()


def thumbnail(path: Path) -> str | None:
    """`small_photo` as a data URI."""
    webp = small_photo(path)
    return None if webp is None else "data:image/webp;base64," + base64.b64encode(webp).decode("ascii")


def thumbnails(paths: Iterable[Path]) -> tuple[list[str], dict[Path, int]]:
    """Each photo once.

    Returns:
        The data URIs, and the place of each readable path among them.
    """
    uris: list[str] = []
    place: dict[Path, int] = {}
    seen: dict[str, int] = {}
    for path in dict.fromkeys(paths):
        uri = thumbnail(path)
        if uri is None:
            continue
        if uri not in seen:
            seen[uri] = len(uris)
            uris.append(uri)
        place[path] = seen[uri]
    return uris, place
