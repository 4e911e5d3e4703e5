"""The header of a box of ISO base media (HEIC, AVIF) and of JUMBF, which are alike."""

from __future__ import annotations


def box_at(data: bytes, at: int) -> tuple[bytes, int, int] | None:
    """Type, start of the content and end of the box at `at`; None where there is none that fits."""
    if at + 8 > len(data):
        return None
    size, kind, start = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
    if size == 1:  # an extended length
        size, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
    elif size == 0:  # up to the end
        size = len(data) - at
    if size < start - at or at + size > len(data):
        return None
    return kind, start, at + size


__all__ = ["box_at"]
