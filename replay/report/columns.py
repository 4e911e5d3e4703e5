"""Columns of numbers as text: little-endian typed arrays in base64, which a browser reads without parsing."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

NONE = 65_535  # the code of "no value" in a column of codes
_PALETTE = 255  # values that a byte can name, and its code of "no value"
_LETTERS = {"float64": "f8", "float32": "f4", "uint32": "u4", "uint16": "u2", "uint8": "u1"}


def pack(values: ArrayLike, kind: type[Any]) -> dict[str, Any]:
    """An array as `{"type": "f4", "data": base64}`; NaN survives, as it would not in JSON.

    Raises:
        OverflowError: an integer does not fit into `kind`.
    """
    given = np.asarray(values)
    array = np.ascontiguousarray(given, dtype=np.dtype(kind).newbyteorder("<"))
    if np.issubdtype(kind, np.integer) and not np.array_equal(array, given):
        raise OverflowError(f"a value does not fit into {np.dtype(kind).name}")
    return {"type": _LETTERS[np.dtype(kind).name], "data": base64.b64encode(array.tobytes()).decode("ascii")}


def pack_floats(values: NDArray[np.float64]) -> dict[str, Any]:
    """As few bytes as give every value back: a byte each where they are few, float32, else float64."""
    known = np.unique(values[~np.isnan(values)])
    if len(known) < _PALETTE:
        codes = np.where(np.isnan(values), _PALETTE, np.searchsorted(known, values))
        return pack(codes, np.uint8) | {"palette": known.tolist()}
    with np.errstate(over="ignore"):
        short = values.astype(np.float32)
    same = np.array_equal(short.astype(np.float64), values, equal_nan=True)
    return pack(short, np.float32) if same else pack(values, np.float64)


def unpack(column: dict[str, Any]) -> NDArray[Any]:
    """The array again, as the page reads it."""
    name = next(name for name, letters in _LETTERS.items() if letters == column["type"])
    array = np.frombuffer(base64.b64decode(column["data"]), dtype=np.dtype(name).newbyteorder("<"))
    if "palette" not in column:
        return array
    palette = np.array([*column["palette"], np.nan])
    return np.asarray(palette[np.minimum(array, len(palette) - 1)])


def pack_codes(values: Iterable[Any], names: list[str] | None = None) -> dict[str, Any]:
    """Words as places in a list of names; None and words that `names` lacks have none.

    Args:
        values: words or None, one per row.
        names: the words in the order they are to have; by default those found, in order of appearance.
    """
    words = list(values)
    if names is None:
        names = [str(word) for word in dict.fromkeys(words) if word is not None]
    place = {name: at for at, name in enumerate(names)}
    wide = len(names) >= NONE
    none = 2**32 - 1 if wide else NONE
    codes = np.array([none if word is None else place.get(str(word), none) for word in words], dtype=np.int64)
    return {"names": names, "codes": pack(codes, np.uint32 if wide else np.uint16)}
