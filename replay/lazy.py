"""Columns that are decoded when somebody looks at them.

A replay reads a handful of a log's columns, and item ids only where scores tie or a judgment is looked up;
decoding the rest would cost more than the replay. A decoded column is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ranking.errors import InputError

_pc: Any = pc  # its functions are made at run time: no checker sees them


class Lazily:
    """A field of a dataclass: an array, or a function of no arguments that makes it at the first look.

    A data descriptor: the dataclass hands `__set__` what it is given, and finds no default.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Lazily: ...
    @overload
    def __get__(self, instance: object, owner: type) -> NDArray[Any]: ...
    def __get__(self, instance: object | None, owner: type) -> Any:
        if instance is None:
            raise AttributeError(self._name)  # so that the dataclass sees no default
        value = instance.__dict__[self._name]
        if callable(value):
            value = instance.__dict__[self._name] = value()
        return value

    def __set__(self, instance: object, value: NDArray[Any] | Callable[[], NDArray[Any]]) -> None:
        instance.__dict__[self._name] = value


class Columns(Mapping[str, NDArray[Any]]):
    """Arrays by name, some of them still to be made."""

    def __init__(self, made: Mapping[str, NDArray[Any] | Callable[[], NDArray[Any]]]) -> None:
        self._columns = dict(made)

    def __getitem__(self, name: str) -> NDArray[Any]:
        value = self._columns[name]
        if callable(value):
            value = self._columns[name] = value()
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def later(self, name: str, chosen: NDArray[Any]) -> Callable[[], NDArray[Any]]:
        """The chosen rows of a column, when somebody looks at them."""
        return lambda: self[name][chosen]


class ItemIds:
    """Item ids as Parquet holds them, each decoded at most once.

    `names` and `codes` are what `CaptureLog.item_id` and `CaptureLog.item_code` show.
    """

    def __init__(self, column: Callable[[], Any]) -> None:
        self._column = column  # makes the flat arrow array of strings
        self._array: Any = None
        self._encoded: Any = None

    @property
    def array(self) -> Any:
        """The ids as one arrow array."""
        if self._array is None:
            self._array = self._column()
        return self._array

    def names(self) -> NDArray[np.object_]:
        """The ids as objects; equal ids are the same object."""
        index, dictionary = self._dictionary()
        names: NDArray[np.object_] = np.asarray(dictionary.to_numpy(zero_copy_only=False), dtype=object)[
            index
        ]
        return names

    def codes(self) -> NDArray[np.int64]:
        """Each id's place in keyword order: that of its UTF-8 bytes, which is that of its code points."""
        index, dictionary = self._dictionary()
        place = np.empty(len(dictionary), dtype=np.int64)
        place[_pc.array_sort_indices(dictionary).to_numpy()] = np.arange(len(dictionary))
        codes: NDArray[np.int64] = place[index]
        return codes

    def at(self, positions: NDArray[np.int64]) -> ItemIds:
        """The ids of the given positions, when somebody looks at them."""
        return ItemIds(lambda: self.array.take(pa.array(positions)))

    def _dictionary(self) -> tuple[NDArray[np.int64], Any]:
        if self._encoded is None:
            if self.array.null_count:
                raise InputError(
                    f"{self.array.null_count} candidates have no item_id",
                    hint="`rank-cli replay check` says more of a capture folder",
                )
            encoded = self.array.dictionary_encode()
            index = encoded.indices.to_numpy(zero_copy_only=False)
            self._encoded = (np.asarray(index, dtype=np.int64), encoded.dictionary)
        found: tuple[NDArray[np.int64], Any] = self._encoded
        return found
