"""Pages drafted in rounds of picks: team draft and balanced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ranking.interleaving.page import Draft


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
