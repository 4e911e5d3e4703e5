"""What the clicks on interleaved pages say: credit for each ranking, search by search.

team draft  clicks on the items that were picked for a ranking
balanced    clicks within the first j items of a ranking, where j is the smallest number for which either
            ranking holds the lowest click within its first j (Joachims 2003; Chapelle et al. 2012, 3.1)
optimized   clicks, each worth the difference of its item's two ranks (`ranking.interleaving.optimized`)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.draw import INTERLEAVED, RANK_OF, TEAM
from ranking.errors import InputError
from replay.clicks.pages import Pages
from replay.log import CaptureLog

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Credits:
    """Credit of each ranking in each interleaved search."""

    method: str
    names: tuple[str, ...]  # the baseline first
    hashes: dict[str, set[str]]  # profile hashes by name, of all platforms
    searches: I64  # (n,): which searches of the log were interleaved
    credit: F64  # (n, n_names)
    clicked: NDArray[np.bool_]  # (n,): whether there was a click on the page

    def outcome(self, contender: str) -> NDArray[np.int8]:
        """1 where the contender won a search, -1 where the baseline did, 0 for a tie, shape (n,)."""
        j = self.names.index(contender)
        return np.sign(self.credit[:, j] - self.credit[:, 0]).astype(np.int8)


def read_credits(log: CaptureLog, pages: Pages) -> Credits:
    """Credit the clicks on the interleaved searches of a log.

    Args:
        log: the captured searches; those that were not interleaved are left out.
        pages: the same searches with their clicks.

    Raises:
        InputError: none was interleaved, or searches were interleaved in different ways.
    """
    columns = log.docs.columns
    if INTERLEAVED not in columns:
        raise InputError(
            "no search of this log was interleaved",
            hint="serve them with ranking.interleaver.Interleaver (docs/interleaving.md)",
        )
    first = pages.shown[:, 0] if pages.depth else np.zeros(len(log), dtype=np.int64) - 1
    how = np.array([columns[INTERLEAVED][p] if p >= 0 else None for p in first], dtype=object)
    searches = np.flatnonzero(np.array([text is not None for text in how], dtype=bool))
    if not len(searches):
        raise InputError("no search of this log was interleaved")
    kinds = {_parsed(str(text)) for text in how[searches]}
    ways = {(method, tuple(name for name, _ in sides)) for method, sides in kinds}
    if len(ways) > 1:
        raise InputError(
            f"searches were interleaved in {len(ways)} ways: {', '.join(sorted(w[0] for w in ways))}",
            hint="analyse each experiment in its own capture folder",
        )
    method, names = ways.pop()
    hashes: dict[str, set[str]] = {name: set() for name in names}
    for _, sides in kinds:
        for name, profile_hash in sides:
            hashes[name].add(profile_hash)
    shown, clicks = pages.shown[searches], pages.clicks[searches]
    if method == "balanced":
        credit = balanced_credit(_ranks(log, shown, names), clicks)
    else:
        team = np.asarray(columns[TEAM], dtype=object)[np.maximum(shown, 0)]
        team[shown < 0] = None
        mine = np.stack([team == name for name in names], axis=-1)  # (n, depth, names)
        if method == "optimized":
            worth = np.abs(np.diff(_ranks(log, shown, names), axis=-1))
            mine = mine * worth
        credit = (mine * clicks[:, :, None]).sum(axis=1).astype(np.float64)
    return Credits(method, names, hashes, searches, credit, clicks.any(axis=1))


def balanced_credit(ranks: I64, clicks: NDArray[np.bool_]) -> F64:
    """Credit of balanced interleaving, shape (n, 2).

    Args:
        ranks: 1-based rank of each shown item in each of the two rankings; one below its end where it has
            none, shape (n, depth, 2).
        clicks: (n, depth).
    """
    depth = clicks.shape[1]
    lowest = np.where(clicks, np.arange(depth), -1).max(axis=1, initial=-1)
    rows = np.arange(len(clicks))
    within = ranks[rows, np.maximum(lowest, 0)].min(axis=1)
    credit: F64 = ((ranks <= within[:, None, None]) & clicks[:, :, None]).sum(axis=1).astype(np.float64)
    return credit


def _ranks(log: CaptureLog, shown: I64, names: tuple[str, ...]) -> I64:
    """The place of each shown item on each ranking's page, one below its end where it is not on it."""
    found = []
    for name in names:
        column = log.docs.columns.get(RANK_OF + name)
        if column is None:
            raise InputError(f"the log lacks x.{RANK_OF}{name}, the places on that ranking's page")
        place = np.where(shown >= 0, np.asarray(column, dtype=np.float64)[np.maximum(shown, 0)], np.nan)
        # a ranking's page is as long as the page that was served
        below = (shown >= 0).sum(axis=1, keepdims=True) + 1
        found.append(np.where(np.isnan(place), below, place))
    ranks: I64 = np.stack(found, axis=-1).astype(np.int64)
    return ranks


def _parsed(text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    method, *sides = text.split(" ")
    pairs = tuple((name, profile_hash) for name, _, profile_hash in (side.partition(":") for side in sides))
    if len(pairs) < 2:
        raise InputError(f"x.{INTERLEAVED} is {text!r}, which names no two rankings")
    return method, pairs
