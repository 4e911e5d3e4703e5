"""Queries in the shapes of real ones: word counts from a file of real queries, words from this marketplace.

A query is made from one item's class, colour, brand and condition, so something in the marketplace fits it.
Word counts follow the file's distribution exactly (largest remainders); counts above five are folded into
five. Frequencies are Zipf's, short queries first. About 8 % are misspelled, all of them outside the head.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from marketplace.items import Item
from marketplace.titles import SIZES, audiences, garment_class
from ranking.errors import InputError

MAX_WORDS: Final = 5
ZIPF: Final = 0.9  # weight of the query at frequency rank r is proportional to r ** -ZIPF
MISSPELLED: Final = 0.08  # share of the queries

DEFAULT_LENGTHS: Final[Mapping[int, float]] = {1: 0.14, 2: 0.32, 3: 0.31, 4: 0.15, 5: 0.08}
"""Share of queries by word count where no file is given: short, as people type on a marketplace. Ours."""

_KEY_NEIGHBOURS: Final = {
    "a": "s", "b": "v", "c": "x", "d": "f", "e": "r", "f": "g", "g": "h", "h": "j", "i": "o", "k": "l",
    "l": "k", "m": "n", "n": "m", "o": "p", "p": "o", "r": "t", "s": "d", "t": "y", "u": "i", "w": "e",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Intent:
    """What the buyer means; None where they do not mind."""

    category: str | None = None
    colour: str | None = None
    brand: str | None = None
    condition: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One query text of the marketplace."""

    query_id: str
    text: str
    intent: Intent
    weight: float  # share of searches; all weights sum to 1
    misspelled: bool = False


def read_lengths(path: Path) -> dict[int, float]:
    """Read the word-count distribution of a tab-separated file with a `query` column (WANDS' shape).

    Returns:
        Share by word count, 1 to `MAX_WORDS`; longer queries count as `MAX_WORDS`.
    """
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            if rows.fieldnames is None or "query" not in rows.fieldnames:
                raise InputError(
                    f"{path}: no column named 'query' in its first line", hint="columns are separated by tabs"
                )
            counts = [len((row["query"] or "").split()) for row in rows]
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"{path}: cannot be read as a queries file: {e}") from e
    folded = [min(n, MAX_WORDS) for n in counts if n]
    if not folded:
        raise InputError(f"{path}: holds no query")
    return {n: folded.count(n) / len(folded) for n in range(1, MAX_WORDS + 1) if n in folded}


def make_queries(
    items: Sequence[Item], n: int, rng: np.random.Generator, *, lengths: Mapping[int, float] | None = None
) -> tuple[Query, ...]:
    """Make `n` distinct queries, most frequent first; ids are `q001`, `q002`, ..."""
    if n < 1:
        raise InputError(f"n_queries must be at least 1, got {n}")
    if not items:
        raise InputError("queries cannot be made: the marketplace has no items")
    drafts: dict[str, Intent] = {}
    exhausted: set[int] = set()
    for n_words in _quota(lengths or DEFAULT_LENGTHS, n):
        text, intent = _unseen(items, n_words, drafts, exhausted, rng)
        drafts[text] = intent
    # Head queries are short: sort by length with noise of about one word.
    texts = sorted(drafts, key=lambda text: len(text.split()) + rng.normal(0, 1.2))
    slips = _misspelled_positions(n, rng)
    weights = np.arange(1, n + 1, dtype=np.float64) ** -ZIPF
    weights /= weights.sum()
    return tuple(
        Query(
            query_id=f"q{i + 1:03d}",
            text=_misspell(text, rng) if i in slips else text,
            intent=drafts[text],
            weight=float(weights[i]),
            misspelled=i in slips,
        )
        for i, text in enumerate(texts)
    )


def _quota(lengths: Mapping[int, float], n: int) -> list[int]:
    """Split `n` over word counts by largest remainders."""
    total = sum(lengths.values())
    exact = {k: n * share / total for k, share in lengths.items()}
    whole = {k: int(x) for k, x in exact.items()}
    for k in sorted(exact, key=lambda k: (whole[k] - exact[k], k))[: n - sum(whole.values())]:
        whole[k] += 1
    return [k for k in sorted(whole) for _ in range(whole[k])]


def _unseen(
    items: Sequence[Item],
    n_words: int,
    seen: Mapping[str, Intent],
    exhausted: set[int],
    rng: np.random.Generator,
) -> tuple[str, Intent]:
    """Draw texts of `n_words` words until one is new; where the words run out, a word more (at most six)."""
    for length in range(n_words, MAX_WORDS + 2):
        for _ in range(0 if length in exhausted else 400):
            text, intent = _draft(items[int(rng.integers(len(items)))], length, rng)
            if len(text.split()) == length and text not in seen:
                return text, intent
        exhausted.add(length)
    raise InputError(
        f"only {len(seen)} distinct queries can be made from {len(items)} items", hint="ask for fewer queries"
    )


def _draft(item: Item, n_words: int, rng: np.random.Generator) -> tuple[str, Intent]:
    """Draw wishes until the text has about `n_words` words."""
    words = garment_class(item.category)
    if n_words == 1 and item.brand is not None and rng.random() < 0.25:
        return item.brand.lower(), Intent(brand=item.brand)
    name = words.words[0] if rng.random() < 0.6 else words.words[int(rng.integers(len(words.words)))]
    left = n_words - len(name.split())
    colour = item.colour if left > 0 and rng.random() < 0.62 else None
    left -= len(colour.split()) if colour else 0
    brand = item.brand if left > 0 and rng.random() < 0.45 else None
    left -= len(brand.split()) if brand else 0
    condition = item.condition if left > 1 and rng.random() < 0.45 else None
    parts = [x for x in (brand, colour, name) if x]
    if condition:
        parts = [condition, *parts] if rng.random() < 0.5 else [*parts, condition]
    left -= len(condition.split()) if condition else 0
    who = audiences(item.category)
    fillers = [
        words.materials[int(rng.integers(len(words.materials)))],
        who[int(rng.integers(len(who) - 1))],
        SIZES[int(rng.integers(len(SIZES)))] if words.sizes == SIZES else "sale",
    ]
    for at in rng.permutation(len(fillers))[: max(left, 0)]:
        filler = fillers[at]
        # sizes come last, materials and audiences before the class name
        parts = [*parts, filler] if filler in SIZES else [filler, *parts]
    return " ".join(parts).lower(), Intent(item.category, colour, brand, condition)


def _misspelled_positions(n: int, rng: np.random.Generator) -> set[int]:
    """Choose which queries are misspelled: never in the first tenth."""
    head = max(1, n // 10)
    wanted = min(round(MISSPELLED * n), n - head)
    return {int(i) for i in head + rng.permutation(n - head)[:wanted]}


def _misspell(text: str, rng: np.random.Generator) -> str:
    """Slip once in the longest words: swap, drop, double, or the key beside it. The first letter stays."""
    words = text.split()
    at = int(np.argmax([len(word) + rng.random() for word in words]))
    word = words[at]
    for _ in range(20):
        i = int(rng.integers(1, max(len(word) - 1, 2)))
        match int(rng.integers(4)):
            case 0:
                slip = word[:i] + word[i + 1 : i + 2] + word[i : i + 1] + word[i + 2 :]
            case 1:
                slip = word[:i] + word[i + 1 :]
            case 2:
                slip = word[:i] + word[i : i + 1] * 2 + word[i + 1 :]
            case _:
                slip = word[:i] + _KEY_NEIGHBOURS.get(word[i : i + 1], "e") + word[i + 1 :]
        if slip != word:
            words[at] = slip
            break
    return " ".join(words)
