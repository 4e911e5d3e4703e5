"""Interleaving: one page drafted from several rankings, so that a click says which one its user prefers.

    team draft  in each round every ranking, in drawn order, picks its best item that is not yet on the page
                (Radlinski, Kurup and Joachims 2008); for more than two rankings this is team-draft
                multileaving (Schuth et al. 2014)
    balanced    the two rankings merged as evenly as can be, a coin says who begins (Joachims 2003)
    optimized   a draw from all pages that keep both orders, with the probabilities that make random clicks
                prefer nobody at any depth and that tell most (Radlinski and Craswell 2013)

Chance comes in as numbers in [0, 1) (`ranking.draw.uniforms`), so a search id draws the same page again.
Analysis of the clicks is in `replay.interleaving`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Method = Literal["team-draft", "balanced", "optimized"]
METHODS: tuple[Method, ...] = ("team-draft", "balanced", "optimized")


@dataclass(frozen=True, slots=True)
class Draft:
    """An interleaved page."""

    items: tuple[str, ...]  # in display order
    teams: tuple[str | None, ...]  # which ranking picked it; None where nobody did


def draft(
    method: Method, rankings: Mapping[str, Sequence[str]], k: int, chance: Iterator[float], *, depth: int = 10
) -> Draft:
    """A page of length k by any method; fewer where the rankings have fewer items.

    Where all rankings show the same page, nobody has a team: its clicks could only add noise.

    Args:
        method: how.
        rankings: item ids by ranking name, best first; two of them, or more for team draft.
        k: length of the page.
        chance: numbers in [0, 1).
        depth: with `optimized`, the places that are drawn (`ranking.optimized`); the rest is filled.

    Raises:
        ValueError: an unknown method, too few or too many rankings, or an item twice in a ranking.
    """
    for name, items in rankings.items():
        if len(set(items)) < len(items):
            raise ValueError(f"ranking {name} has an item twice")
    if len(rankings) < 2 or (method != "team-draft" and len(rankings) > 2):
        raise ValueError(f"{method} cannot interleave {len(rankings)} rankings")
    pages = [list(items[:k]) for items in rankings.values()]
    if all(page == pages[0] for page in pages):
        return Draft(tuple(pages[0]), (None,) * len(pages[0]))
    match method:
        case "team-draft":
            return team_draft(rankings, k, chance)
        case "balanced":
            return balanced(rankings, k, chance)
        case "optimized":
            from ranking.optimized import optimized

            return optimized(rankings, k, chance, depth=depth)
        case _:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")


def team_draft(rankings: Mapping[str, Sequence[str]], k: int, chance: Iterator[float]) -> Draft:
    """Rounds of picks in drawn order.

    A round that not every ranking can take part in is not drafted: what is left fills the page without a
    team, so that the number of picks never favours one.
    """
    items: list[str] = []
    teams: list[str | None] = []
    placed: set[str] = set()
    places = dict.fromkeys(rankings, 0)
    while len(items) < k:
        for name in shuffled(list(rankings), chance):
            if len(items) == k:
                break
            place = _next_free(rankings[name], places[name], placed)
            if place is None:
                return _filled(items, teams, rankings, k)
            places[name] = place
            items.append(rankings[name][place])
            teams.append(name)
            placed.add(items[-1])
    return Draft(tuple(items), tuple(teams))


def balanced(rankings: Mapping[str, Sequence[str]], k: int, chance: Iterator[float]) -> Draft:
    """The two rankings merged; at any depth the page holds the first items of both, as evenly as can be.

    `teams` says who put an item there; the credit of a click comes from the two ranks instead.
    """
    names = list(rankings)
    first = names[0] if next(chance) < 0.5 else names[1]
    items: list[str] = []
    teams: list[str | None] = []
    taken = dict.fromkeys(names, 0)
    while len(items) < k:
        behind = min(names, key=lambda name: (taken[name], name != first))
        if taken[behind] >= len(rankings[behind]):
            return _filled(items, teams, rankings, k)
        item = rankings[behind][taken[behind]]
        taken[behind] += 1
        if item not in items:
            items.append(item)
            teams.append(behind)
    return Draft(tuple(items), tuple(teams))


def shuffled(names: list[str], chance: Iterator[float]) -> list[str]:
    """The names in drawn order (Fisher and Yates)."""
    for i in range(len(names) - 1, 0, -1):
        j = int(next(chance) * (i + 1))
        names[i], names[j] = names[j], names[i]
    return names


def _next_free(ranking: Sequence[str], start: int, placed: set[str]) -> int | None:
    return next((i for i in range(start, len(ranking)) if ranking[i] not in placed), None)


def _filled(
    items: list[str], teams: list[str | None], rankings: Mapping[str, Sequence[str]], k: int
) -> Draft:
    """The page with what is left of the rankings, nobody's, behind it."""
    left = [item for ranking in rankings.values() for item in ranking if item not in items]
    items = [*items, *dict.fromkeys(left)][:k]
    return Draft(tuple(items), (*teams, *[None] * (len(items) - len(teams))))
