"""Image-title pairs: one JSON object a line.

    {"image": "dress/a.jpg", "title": "Red summer dress", "labels": {"category": "dress", "colour": "red"}}

`labels` (optional) say what makes two items alike when embeddings are measured: items are relevant to each
other where all labels are equal. Without labels, items with one title are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ranking.errors import InputError


class Pair(BaseModel):
    """One photo and what its seller wrote."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    image: str = Field(min_length=1)  # path below the photo folder
    title: str = Field(min_length=1)
    labels: dict[str, str] = {}

    @property
    def words(self) -> str:
        """The title as it is compared: lower case, single spaces."""
        return " ".join(self.title.lower().split())


@dataclass(frozen=True, slots=True)
class PairFile:
    """What a file holds, and what of it was left out, with reasons."""

    pairs: tuple[Pair, ...]
    skipped: tuple[str, ...]


def read_pairs(path: Path) -> PairFile:
    """Read a file of pairs; lines that are no pair, and photos named before, are skipped and counted.

    Raises:
        InputError: no such file, no usable line, or labels with other names on some lines.
    """
    found: dict[str, Pair] = {}
    skipped: list[str] = []
    for number, line in _lines(path):
        try:
            pair = Pair.model_validate(json.loads(line))
        except ValidationError as e:
            first = e.errors()[0]
            skipped.append(f"line {number}: {'.'.join(map(str, first['loc']))}: {first['msg']}")
            continue
        except (ValueError, RecursionError):
            skipped.append(f"line {number}: not JSON")
            continue
        if pair.image in found:
            skipped.append(f"line {number}: {pair.image} was named before")
        elif not pair.words:
            skipped.append(f"line {number}: the title is blank")
        else:
            found[pair.image] = pair
    if not found:
        why = f", {skipped[0]}" if skipped else ""
        raise InputError(
            f"{path} holds no pair{why}", hint='write lines as {"image": "a.jpg", "title": "Red dress"}'
        )
    pairs = tuple(found.values())
    names = {frozenset(pair.labels) for pair in pairs}
    if len(names) > 1:
        few, more = sorted((sorted(n) for n in names), key=len)[:2]
        raise InputError(f"{path}: some lines have the labels {more}, others {few}; give every line the same")
    return PairFile(pairs, tuple(skipped))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"{path} cannot be read: {getattr(e, 'strerror', None) or e}") from None
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, line


def groups(pairs: Sequence[Pair]) -> NDArray[np.int64]:
    """A number for each pair, equal where two items are relevant to each other; shape (n,)."""
    keys = [tuple(sorted(pair.labels.items())) or (("title", pair.words),) for pair in pairs]
    numbers = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], dtype=np.int64)


def distinct_batches(pairs: Sequence[Pair], size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """One epoch of batches in which every title stands once.

    SigLIP's loss takes every other title of a batch as wrong for a photo, so two photos of one title in a
    batch would teach that the title is wrong for both. What is left over when fewer than half a batch of
    distinct titles remain sits out the epoch.
    """
    waiting = [int(i) for i in rng.permutation(len(pairs))]
    batches: list[NDArray[np.int64]] = []
    while waiting:
        titles: set[str] = set()
        batch: list[int] = []
        later: list[int] = []
        for i in waiting:
            if len(batch) < size and pairs[i].words not in titles:
                titles.add(pairs[i].words)
                batch.append(i)
            else:
                later.append(i)
        if len(batch) < max(2, size // 2) and batches:
            break
        batches.append(np.array(batch, dtype=np.int64))
        waiting = later
    return batches


__all__ = ["Pair", "PairFile", "distinct_batches", "groups", "read_pairs"]
