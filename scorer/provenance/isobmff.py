"""Metadata of HEIC and AVIF: items of the `meta` box (EXIF, XMP), and C2PA in a `uuid` box.

    ftyp                      brands: what the file is
    meta                      iinf: items by type; iloc: where their bytes lie, in the file or in `idat`
    uuid d8fec3d6...          C2PA: a purpose, an offset, then the JUMBF store

Everything comes from a stranger: lengths are checked against the file, and items, extents and boxes bounded.

Sources: ISO/IEC 14496-12 (boxes, iinf, iloc), ISO/IEC 23008-12 annex A (EXIF and XMP in HEIF), C2PA 2.1
(embedding in BMFF).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from scorer.provenance.boxes import box_at

MAX_BOXES: Final = 500  # of one level of a file
MAX_ITEMS: Final = 2_000
MAX_EXTENTS: Final = 64  # of one item
MAX_ITEM_BYTES: Final = 8_000_000
_C2PA: Final = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_BRANDS: Final = {
    b"heic": "HEIC", b"heix": "HEIC", b"heim": "HEIC", b"heis": "HEIC", b"hevc": "HEIC", b"hevx": "HEIC",
    b"hevm": "HEIC", b"hevs": "HEIC", b"avif": "AVIF", b"avis": "AVIF",
}  # fmt: skip
_GENERIC: Final = (b"mif1", b"mif2", b"msf1")  # HEIF of some coding


def image_format(data: bytes) -> str | None:
    """HEIC, AVIF or HEIF (a coding that the brands do not name) of a file's first 64 bytes, else None."""
    if data[4:8] != b"ftyp":
        return None
    end = min(len(data), int.from_bytes(data[:4], "big"), 64)
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))]
    named = next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)
    return named or ("HEIF" if brands[0] in _GENERIC else None)


def items(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Metadata of a file as (kind, bytes): `exif` from its TIFF header on, `xmp`, or `jumbf`."""
    for kind, body in _boxes(data):
        if kind == b"uuid" and body[:16] == _C2PA:
            store = _c2pa_store(body[16:])
            if store is not None:
                yield "jumbf", store
        elif kind == b"meta":
            yield from _of_meta(data, body[4:])


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of each box, up to the first that does not fit."""
    at = 0
    for _ in range(MAX_BOXES):
        if (box := box_at(data, at)) is None:
            return
        kind, start, at = box
        yield kind, data[start:at]


def _c2pa_store(body: bytes) -> bytes | None:
    """The manifest store behind version, flags, a purpose that ends with a zero, and an offset of 8 bytes."""
    end = body.find(b"\0", 4, 64)
    return body[end + 9 :] if end > 0 and body[4:end] == b"manifest" else None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an item lies."""

    in_idat: bool
    extents: tuple[tuple[int, int], ...]  # offset, length


def _of_meta(data: bytes, meta: bytes) -> Iterator[tuple[str, bytes]]:
    parts = dict(_boxes(meta))
    wanted = dict(_wanted(parts.get(b"iinf", b"")))
    if not wanted:
        return
    for number, place in _places(parts.get(b"iloc", b"")):
        kind = wanted.pop(number, None)
        if kind is None:
            continue
        source = parts.get(b"idat", b"") if place.in_idat else data
        if sum(length for _, length in place.extents) > MAX_ITEM_BYTES:
            continue
        found = b"".join(source[offset : offset + length] for offset, length in place.extents)
        if kind == "exif":  # four bytes say how far behind them the TIFF header begins
            found = found[4 + int.from_bytes(found[:4], "big") :]
        yield kind, found


def _wanted(iinf: bytes) -> Iterator[tuple[int, str]]:
    """Number and kind of the items that are EXIF or XMP."""
    start = 6 if iinf[:1] == b"\0" else 8  # version and flags, then the number of entries
    for i, (kind, body) in enumerate(_boxes(iinf[start:])):
        if i >= MAX_ITEMS:
            return
        if kind != b"infe" or len(body) < 12 or body[0] not in {2, 3}:
            continue
        width = 2 if body[0] == 2 else 4
        number = int.from_bytes(body[4 : 4 + width], "big")
        item_type, rest = body[6 + width : 10 + width], body[10 + width :]
        if item_type == b"Exif":
            yield number, "exif"
        elif item_type == b"mime" and b"application/rdf+xml" in rest.split(b"\0", 2)[1:2]:
            yield number, "xmp"


def _places(iloc: bytes) -> Iterator[tuple[int, _Place]]:
    """Where each item lies; what cannot be followed is left out."""
    if len(iloc) < 8:
        return
    version = iloc[0]
    sizes = (iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4, iloc[5] & 15 if version in {1, 2} else 0)
    if version > 2 or any(size not in {0, 4, 8} for size in sizes):
        return
    offset_size, length_size, base_size, index_size = sizes
    reader = _Reader(iloc, 6)
    for _ in range(min(reader.number(4 if version == 2 else 2), MAX_ITEMS)):
        number = reader.number(4 if version == 2 else 2)
        method = reader.number(2) & 15 if version else 0
        reader.number(2)  # which file: 0 is this one
        base = reader.number(base_size)
        extents = []
        for _ in range(n_extents := reader.number(2)):
            if n_extents > MAX_EXTENTS or reader.at > len(iloc):
                return
            reader.number(index_size)
            offset = reader.number(offset_size)
            extents.append((base + offset, reader.number(length_size)))
        if reader.at > len(iloc):
            return
        if method in {0, 1}:
            yield number, _Place(method == 1, tuple(extents))


class _Reader:
    """Numbers one after the other; beyond the end they are 0, and `at` says so."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self.at = data, at

    def number(self, size: int) -> int:
        """The next unsigned number of so many bytes."""
        self.at += size
        return int.from_bytes(self._data[self.at - size : self.at], "big")


__all__ = ["image_format", "items"]
