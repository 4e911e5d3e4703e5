"""Optimized interleaving (Radlinski and Craswell 2013): which pages to draw, and how often.

Allowed pages: each place holds the best item left of one of the two rankings. A click on item d credits

    credit(d) = rank of d in the first ranking - rank of d in the second

(a ranking without d counts as having it one place below its end); above zero it speaks for the second.
The probabilities p of the pages solve a linear programme:

    unbiased   sum over pages of p * (sum of credit over the first r places) = 0 for every r: a user who
               clicks at random, or stops at random, prefers nobody
    sensitive  sum of p * s is largest, s being how much a page can tell: with w_first, w_second and w_tie the
               shares of position-discounted (1/rank) random clicks that speak for each,
               s = (1 - w_tie) * entropy of w_first : w_second
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ranking.interleaving.page import Draft

F64 = NDArray[np.float64]
MAX_DEPTH = 12  # up to 2^12 pages


def optimized(
    rankings: Mapping[str, Sequence[str]], k: int, chance: Iterator[float], *, depth: int = 10
) -> Draft:
    """A page whose first `depth` places are drawn; the rest fills it and earns nobody a credit.

    Raises:
        ValueError: depth is not in 1..12.
    """
    if not 1 <= depth <= MAX_DEPTH:
        raise ValueError(f"depth must be in 1..{MAX_DEPTH}, got {depth}")
    (first, a), (second, b) = rankings.items()
    length = min(k, depth)
    a, b = tuple(a[:k]), tuple(b[:k])
    pages, prob = probabilities(a, b, length)
    drawn = int(np.searchsorted(np.cumsum(prob), next(chance), side="right"))
    page = pages[min(drawn, len(pages) - 1)]
    teams = [first if c < 0 else second if c > 0 else None for c in rank_credits(a, b, page)]
    rest = dict.fromkeys(item for ranking in (a, b) for item in ranking if item not in page)
    filled = [*rest][: k - len(page)]
    return Draft((*page, *filled), (*teams, *[None] * len(filled)))


def rank_credits(a: Sequence[str], b: Sequence[str], page: Sequence[str]) -> F64:
    """Credit of a click on each item of a page, shape (page,); above zero it speaks for b."""
    in_a = {item: place for place, item in enumerate(a)}
    in_b = {item: place for place, item in enumerate(b)}
    return np.array([in_a.get(item, len(a)) - in_b.get(item, len(b)) for item in page], dtype=np.float64)


def allowed(a: Sequence[str], b: Sequence[str], length: int) -> tuple[tuple[str, ...], ...]:
    """Every page of that length whose each place holds the best item left of a or of b."""
    pages: list[tuple[str, ...]] = [()]
    for _ in range(length):
        longer: dict[tuple[str, ...], None] = {}
        for page in pages:
            heads = {next((item for item in ranking if item not in page), None) for ranking in (a, b)}
            for head in sorted(item for item in heads if item is not None):
                longer[*page, head] = None
        if not longer:
            break
        pages = list(longer)
    return tuple(pages)


@lru_cache(maxsize=4096)
def probabilities(
    a: tuple[str, ...], b: tuple[str, ...], length: int
) -> tuple[tuple[tuple[str, ...], ...], F64]:
    """The allowed pages and how often to draw each, probabilities of shape (pages,).

    Raises:
        ValueError: no probabilities are unbiased; this has not been seen for the credit used here.
    """
    from scipy.optimize import linprog

    pages = allowed(a, b, length)
    credit = np.array([rank_credits(a, b, page) for page in pages]).reshape(len(pages), -1)
    unbiased = np.cumsum(credit, axis=1).T
    found = linprog(
        -_sensitivity(credit),
        A_eq=np.vstack([unbiased, np.ones(len(pages))]),
        b_eq=np.append(np.zeros(len(unbiased)), 1.0),
        bounds=(0, None),
        method="highs",
    )
    if not found.success:
        raise ValueError(f"no unbiased pages of length {length}: {found.message}")
    prob = np.clip(found.x, 0.0, None)
    return pages, prob / prob.sum()


def _sensitivity(credit: F64) -> F64:
    click = 1 / np.arange(1, credit.shape[1] + 1)
    click = click / click.sum()
    first, second = (credit < 0) @ click, (credit > 0) @ click
    decided = first + second
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(decided > 0, first / decided, 0.0)
        entropy = -(np.where(p > 0, p * np.log2(p), 0.0) + np.where(p < 1, (1 - p) * np.log2(1 - p), 0.0))
    return np.asarray(decided * entropy)
