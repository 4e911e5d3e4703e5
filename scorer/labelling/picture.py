"""Photos as an endpoint takes them: small JPEGs in data: addresses.

A photo's address comes from a seller: a file is read below one folder only, a web address only where it is
public, and what goes out is the decoded picture, never the file (no place, no camera, no hidden data).
"""

from __future__ import annotations

import base64
import io
from typing import Final

from PIL import Image, ImageOps

from scorer.ingest.photos import PhotoSource
from scorer.model.photo import open_photo, to_rgb

DEFAULT_SIDE: Final = 512  # pixels; a grid on a phone shows less


def data_address(source: PhotoSource, image: str, *, side: int = DEFAULT_SIDE) -> str:
    """One photo, upright, its longer side at most `side` pixels, as a data: address.

    Raises:
        PhotoError: not allowed, not there, or no photo.
    """
    photo = to_rgb(ImageOps.exif_transpose(open_photo(source.read(image), size=side)))
    photo.thumbnail((side, side), Image.Resampling.LANCZOS)
    clean = Image.new("RGB", photo.size)
    clean.paste(photo)  # leaves behind what the file said about itself
    buffer = io.BytesIO()
    clean.save(buffer, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


__all__ = ["DEFAULT_SIDE", "data_address"]
