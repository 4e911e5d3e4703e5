"""A photo as the model sees it: opened with care, upright, RGB, squashed to the tower's size.

Squashed, not padded and not cropped: what lies at the border (clutter, a cut sleeve, the floor) is half of
what makes a listing photo good or bad, so no crop may lose it; and padding would add a clean flat border
that no seller photographed. The change of aspect is the same for all photos of one shape.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError, features

from ranking.errors import InputError
from scorer.provenance.isobmff import image_format

MAX_PIXELS: Final = 50_000_000  # a larger photo is refused before it is decoded
# Pillow's decoders raise all of these
_BROKEN: Final = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, MemoryError, RuntimeError,
)  # fmt: skip
_MAX_ASPECT_DRAFT: Final = 2  # JPEGs are decoded at no less than this many times the wanted size


class PhotoError(InputError):
    """A photo cannot be read: broken, no image, or too large to decode safely."""


def open_photo(
    source: bytes | Path | str, *, size: int | None = None, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """Open and decode one photo; the first frame of an animation.

    HEIC is read where the extra `heic` is installed, AVIF where Pillow was built with it (its wheels are,
    from 11.3 on).

    Args:
        source: the encoded bytes, or a path.
        size: when given, a JPEG may be decoded at a fraction of its resolution, down to twice this many
            pixels a side: faster, and the same score within rounding.
        max_pixels: width x height above which the photo is refused.

    Raises:
        PhotoError: broken, not an image, of a format that this machine cannot read, or more than
            `max_pixels` pixels.
    """
    name = "the photo" if isinstance(source, bytes) else str(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own limit below is the stricter one
            _prepare(source, name)
            image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
            width, height = image.size
            _refuse_large(name, width, height, max_pixels)
            if size is not None:
                image.draft(None, (_MAX_ASPECT_DRAFT * size, _MAX_ASPECT_DRAFT * size))
            image.load()
    except PhotoError:
        raise
    except FileNotFoundError:
        raise PhotoError(f"{name} does not exist") from None
    except UnidentifiedImageError:
        raise PhotoError(f"{name} is not an image that Pillow can read") from None
    except Image.DecompressionBombError as e:
        raise PhotoError(f"{name} is too large to decode: {e}") from None
    except _BROKEN as e:
        raise PhotoError(f"{name} is broken: {e}") from e
    return image


def _prepare(source: bytes | Path | str, name: str) -> None:
    """Give Pillow its HEIC reader where the photo is HEIC; a format that cannot be read is refused."""
    if isinstance(source, bytes):
        head = source[:64]
    else:
        with Path(source).open("rb") as file:
            head = file.read(64)
    found = image_format(head)
    if found == "AVIF" and not features.check("avif"):
        raise PhotoError(f"{name} is AVIF, which this Pillow cannot read: pip install 'pillow>=11.3'")
    if found in {"HEIC", "HEIF"}:
        try:
            from pillow_heif import register_heif_opener
        except ImportError:
            wanted = "pip install 'rank-toolkit[heic]'"
            raise PhotoError(f"{name} is {found}, which needs pillow-heif: {wanted}") from None
        register_heif_opener(thumbnails=False, decode_threads=1)  # once or often: the same


def _refuse_large(name: str, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise PhotoError(f"{name} has {width} x {height} pixels; at most {max_pixels} are decoded")


def preprocess(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Turn a decoded photo into the model's input.

    EXIF rotation is applied; transparent parts become white; every mode becomes 8-bit RGB; both sides are
    resized to `size` (bicubic, antialiased).

    Args:
        image: any Pillow mode, any size from 1 x 1.
        size: side of the square input, in pixels.

    Returns:
        RGB, shape (size, size, 3), 0-255.

    Raises:
        PhotoError: the pixels cannot be decoded or converted.
    """
    try:
        upright = ImageOps.exif_transpose(image)
        rgb = to_rgb(upright)
        resized = rgb.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0)
    except (OSError, SyntaxError, ValueError, MemoryError) as e:
        raise PhotoError(f"the photo cannot be converted: {e}") from e
    return np.asarray(resized, dtype=np.uint8).copy()


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB from any mode: 16 bits are scaled to 8, transparency is laid on white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _grey_from_deep(image)
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _grey_from_deep(image: Image.Image) -> Image.Image:
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0.0, posinf=65_535.0, neginf=0.0)
    top = 255.0 if values.max(initial=0.0) <= 255.0 else 65_535.0
    grey = np.clip(values / top * 255.0, 0.0, 255.0).astype(np.uint8)
    return Image.fromarray(grey, mode="L").convert("RGB")


def read_photo(source: bytes | Path | str, size: int) -> NDArray[np.uint8]:
    """`open_photo` and `preprocess` in one: encoded photo -> uint8 (size, size, 3)."""
    return preprocess(open_photo(source, size=size), size)


__all__ = ["MAX_PIXELS", "PhotoError", "open_photo", "preprocess", "read_photo", "to_rgb"]
