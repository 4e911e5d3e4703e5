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
from typing import Literal

from ranking.interleaving.optimized import optimized
from ranking.interleaving.page import Draft
from ranking.interleaving.rounds import balanced, team_draft

Method = Literal["team-draft", "balanced", "optimized"]
METHODS: tuple[Method, ...] = ("team-draft", "balanced", "optimized")


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
        depth: with `optimized`, the places that are drawn; the rest is filled.

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
            return optimized(rankings, k, chance, depth=depth)
        case _:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")


__all__ = ["METHODS", "Draft", "Method", "balanced", "draft", "optimized", "team_draft"]
