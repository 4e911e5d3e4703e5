"""Reading label files: what can be used is used, what cannot is left out, counted and said.

    {"serp_id": "...", "category": "shirt", "judge": "a", "images": ["a.jpg", ...], "scores": [4, ...],
     "adjectives": [["clear"], ...], "clicked": 0}

One line per page and judge; `category`, `judge`, `adjectives` and `clicked` may be absent. A score that is
null is a hole: the page goes on without that photo where at least two are left.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np

from ranking.errors import InputError
from ranking.rows import RowError, listing, parse_object, required_text, text, whole
from scorer.labels.page import NAMELESS, JudgedPage

MAX_LINE_BYTES: Final = 4_000_000  # of one page; a longer line is no page
MIN_PHOTOS: Final = 2


@dataclass(frozen=True, slots=True)
class Skip:
    """Something of a file that was left out."""

    line: int  # 1-based
    kind: str  # "duplicate", "one photo", "hole", "broken", "other photos"
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class LabelFile:
    """The pages of a file, in the order of their first line, and what was left out."""

    name: str  # of the file, or files
    pages: list[JudgedPage]
    skips: list[Skip] = field(default_factory=list)

    @property
    def skipped(self) -> dict[str, int]:
        """How often each kind of trouble was met, most often first."""
        return dict(Counter(skip.kind for skip in self.skips).most_common())

    @property
    def warning(self) -> str | None:
        """What was left out, in one sentence; None where nothing was."""
        if not self.skips:
            return None
        counts = ", ".join(f"{n} {kind}" for kind, n in self.skipped.items())
        shown = "; ".join(map(str, self.skips[:3])) + ("; ..." if len(self.skips) > 3 else "")
        return f"{self.name}: left out {len(self.skips)} ({counts}): {shown}"


@dataclass(slots=True)
class _Line:
    number: int
    row: Mapping[str, Any]
    serp_id: str
    judge: str
    images: tuple[str, ...]
    scores: list[float]
    adjectives: tuple[tuple[str, ...], ...]
    clicked: int | None


def read_pages(path: Path) -> LabelFile:
    """Read a label file.

    Raises:
        InputError: the file cannot be read, or no page of it can be used (the first reason is named).
    """
    return read_files([path])


def read_files(paths: Sequence[Path]) -> LabelFile:
    """Read several label files as one, such as a file per judge.

    Raises:
        InputError: as `read_pages`.
    """
    skips: list[Skip] = []
    by_page: dict[str, list[_Line]] = {}
    seen: dict[tuple[Any, ...], int] = {}
    names = ", ".join(map(str, paths))
    for number, content in chain.from_iterable(map(lines_of, paths)):
        try:
            line = _parse(number, content)
            _refuse_duplicate(line, seen)
        except _SkipError as e:
            skips.append(e.skip)
            continue
        known = by_page.get(line.serp_id)
        if known and known[0].images != line.images:
            words = f"{line.serp_id} has other images than on line {known[0].number}"
            skips.append(Skip(number, "other photos", words))
        else:
            by_page.setdefault(line.serp_id, []).append(line)
    pages = [page for lines in by_page.values() if (page := _page(lines, skips)) is not None]
    if not pages:
        first = f": {skips[0]}" if skips else ""
        raise InputError(
            f"{names} has no labels that can be used{first}",
            hint='a line looks like {"serp_id": "s1", "images": ["a.jpg", "b.jpg"], "scores": [7, 3]}',
        )
    return LabelFile(names, pages, skips)


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that hold something, with their 1-based numbers; read one at a time.

    Raises:
        InputError: it cannot be read, or has a line beyond `MAX_LINE_BYTES`.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while content := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(content) > MAX_LINE_BYTES:
                    raise InputError(f"{path} line {number} is longer than {MAX_LINE_BYTES} bytes")
                if content.strip():
                    yield number, content
    except OSError as e:
        raise InputError(f"{path} cannot be read: {e.strerror}") from None


class _SkipError(Exception):
    def __init__(self, number: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.skip = Skip(number, kind, reason)


def _parse(number: int, content: bytes) -> _Line:
    try:
        row = parse_object(content)
        serp_id = required_text(row, "serp_id")
        judge = text(row, "judge") or NAMELESS
        text(row, "category"), text(row, "query")
        images = tuple(_names(listing(row, "images")))
        scores = [_score(value) for value in listing(row, "scores")]
        clicked = whole(row, "clicked")
        adjectives = _adjectives(listing(row, "adjectives"), len(images))
    except RowError as e:
        raise _SkipError(number, "broken", str(e)) from None
    if len(images) == 1:
        raise _SkipError(number, "one photo", "images: a page of one photo orders nothing")
    if not images:
        raise _SkipError(number, "broken", "images: none")
    if len(scores) != len(images):
        raise _SkipError(number, "broken", f"{len(images)} images but {len(scores)} scores")
    if len(set(images)) < len(images):
        raise _SkipError(number, "broken", "images: a photo is there twice")
    if clicked is not None and clicked >= len(images):
        raise _SkipError(number, "broken", f"clicked: {clicked} is no place among {len(images)} images")
    return _Line(number, row, serp_id, judge, images, scores, adjectives, clicked)


def _names(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if not isinstance(value, str) or not value.strip():
            raise RowError("images: a name is missing or no text")
        yield value


def _score(value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RowError("scores: one is neither a number nor null")
    try:
        score = float(value)
    except OverflowError:
        score = math.inf
    if math.isinf(score):
        raise RowError("scores: one is infinite")
    return score


def _adjectives(values: list[Any], n: int) -> tuple[tuple[str, ...], ...]:
    """The words of each photo; none at all where they do not fit the photos, since scores count without."""
    fits = len(values) == n and all(isinstance(words, list) for words in values)
    if not fits:
        return ()
    return tuple(tuple(word for word in words if isinstance(word, str)) for words in values)


def _refuse_duplicate(line: _Line, seen: dict[tuple[Any, ...], int]) -> None:
    """A judge's second line about a page, or the same judgment, for one query, under another name."""
    content = (line.judge, line.row.get("query"), line.images, tuple(map(repr, line.scores)))
    page = (line.judge, line.serp_id) if line.judge != NAMELESS else content
    for key in (page, content):
        if key in seen:
            reason = f"{line.serp_id} repeats line {seen[key]}"
            raise _SkipError(line.number, "duplicate", reason)
    seen[page] = seen[content] = line.number


def _page(lines: list[_Line], skips: list[Skip]) -> JudgedPage | None:
    """All judgments of one page, without the photos that nobody scored."""
    first = lines[0]
    scores = np.array([line.scores for line in lines])
    kept = np.flatnonzero(~np.isnan(scores).all(axis=0))
    holes = int(np.isnan(scores).sum())
    if holes:
        words = f"{first.serp_id} lacks {holes} of {scores.size} scores"
        skips.append(Skip(first.number, "hole", words))
    if len(kept) < MIN_PHOTOS:
        skips.append(Skip(first.number, "one photo", f"{first.serp_id} has {len(kept)} scored photos"))
        return None
    clicked = next((line.clicked for line in lines if line.clicked is not None), None)
    place = [i for i, old in enumerate(kept) if old == clicked]
    return JudgedPage(
        serp_id=first.serp_id,
        category=text(first.row, "category") or "",
        images=tuple(first.images[i] for i in kept),
        judges=tuple(line.judge for line in lines),
        scores=scores[:, kept],
        adjectives=tuple(
            tuple(line.adjectives[i] for i in kept) if line.adjectives else () for line in lines
        ),
        clicked=place[0] if place else None,
        query=text(first.row, "query") or "",
        simulated=any(line.row.get("simulated") is True for line in lines),
    )


__all__ = ["LabelFile", "Skip", "lines_of", "read_files", "read_pages"]
