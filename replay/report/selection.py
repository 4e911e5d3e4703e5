"""Which searches and which photos a report carries: files stay small, figures count everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ranking.clock import DAY_MS
from ranking.freshness import Freshness
from ranking.image import ImageBoost
from ranking.profile import Profile
from replay.compare import Comparison
from replay.engine import Ranking, rank
from replay.log import CaptureLog

MAX_SEARCHES = 60
MAX_PHOTOS = 1_200
_BOOSTS: tuple[ImageBoost, ...] = (
    ImageBoost(mode="none"),
    *(ImageBoost(mode="additive", weight=weight) for weight in (1.0, 2.0, 3.0, 5.0, 10.0)),
    *(ImageBoost(mode="multiplicative", weight=weight) for weight in (0.5, 1.0)),
)


def shown_items(
    log: CaptureLog,
    comparisons: Sequence[Comparison],
    *,
    max_searches: int = MAX_SEARCHES,
    max_photos: int = MAX_PHOTOS,
) -> list[str]:
    """The items a report of these comparisons has a card for; no others need to be read from the index."""
    main = comparisons[0]
    shown = subset(log, choose_searches(log, main, max_searches))
    tops = pages(shown, rank_again(shown, comparisons).values(), main.k)
    return items_to_show(shown, tops, main.contender.profile, main.k, max_photos)


def rank_again(shown: CaptureLog, comparisons: Sequence[Comparison]) -> dict[int, Ranking]:
    """Each side's ranking of the shown searches alone, by the `id` of the side in its comparison."""
    sides = {id(side): side for pair in comparisons for side in (pair.baseline, pair.contender)}
    return {key: rank(shown, side.profile, clock_shift_ms=side.clock_shift_ms) for key, side in sides.items()}


def pages(shown: CaptureLog, rankings: Iterable[Ranking], k: int) -> list[NDArray[np.int64]]:
    """Positions in `shown` of every first page under every ranking."""
    return [ranking.top(shown, i, k) for ranking in rankings for i in range(len(shown))]


def choose_searches(log: CaptureLog, comparison: Comparison, limit: int) -> NDArray[np.int64]:
    """Up to `limit` searches: the largest gains, the largest losses, and an even spread over the log.

    Gains and losses are those of the first measure (nDCG where there are judgments), a quarter of the places
    each, and no query twice on one platform among them.

    Returns:
        Places in the log, ascending.
    """
    n = len(log)
    if n <= limit:
        return np.arange(n, dtype=np.int64)
    first = comparison.measures[0]
    delta = np.nan_to_num(first.contender - first.baseline)
    chosen: set[int] = set()
    seen: set[tuple[str, str | None]] = set()
    for sign in (-1.0, 1.0):  # gains first
        room = limit // 4
        for i in np.argsort(sign * delta, kind="stable"):
            key = (log.searches["query"][i], log.searches["platform"][i])
            if room == 0 or sign * delta[i] >= 0:
                break
            if key not in seen:
                seen.add(key)
                chosen.add(int(i))
                room -= 1
    rest = np.array([i for i in range(n) if i not in chosen], dtype=np.int64)
    spread = np.linspace(0, len(rest) - 1, limit - len(chosen)).astype(int)
    return np.array(sorted(chosen | {int(i) for i in rest[spread]}), dtype=np.int64)


def subset(log: CaptureLog, searches: NDArray[np.int64]) -> CaptureLog:
    """The log with only the given searches, in their order."""
    sizes = np.diff(log.offsets)[searches]
    spans = [np.arange(log.offsets[i], log.offsets[i + 1]) for i in searches]
    at = np.concatenate(spans) if spans else np.empty(0, dtype=np.int64)
    return CaptureLog(
        searches={name: column[searches] for name, column in log.searches.items()},
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        owner=np.repeat(np.arange(len(searches), dtype=np.int64), sizes),
        item_id=log.item_id[at],
        item_code=log.item_code[at],
        docs=log.docs[at],
        rank=log.rank[at],
        score=log.score[at],
        price=log.price[at],
        ai_prob=log.ai_prob[at],
        profiles=log.profiles,
    )


def items_to_show(
    shown: CaptureLog, tops: Sequence[NDArray[np.int64]], profile: Profile, k: int, limit: int
) -> list[str]:
    """The items that deserve a photo: those on the report's pages, then those a slider may bring there.

    Args:
        shown: the searches the report carries.
        tops: positions in `shown` of every page of every comparison.
        profile: the formula whose weight, freshness scale and clock are varied.
        k: length of a page.
        limit: at most so many.

    Returns:
        Item ids, those of the pages first, then those that come up under most settings.
    """
    first = dict.fromkeys(str(item) for top in tops for item in shown.item_id[top])
    times = np.zeros(shown.n_candidates, dtype=np.int64)
    for setting, shift_ms in _settings(profile):
        ranks = rank(shown, setting, clock_shift_ms=shift_ms).ranks
        times += (ranks >= 1) & (ranks <= k)
    by_frequency = np.argsort(-times, kind="stable")
    more = dict.fromkeys(str(shown.item_id[p]) for p in by_frequency if times[p])
    return list(first | more)[:limit]


def _settings(profile: Profile) -> Iterator[tuple[Profile, int]]:
    """A coarse grid over what the page's sliders reach."""
    plain = profile.model_copy(update={"platforms": {}})
    fresh: list[Freshness | None] = [profile.freshness]
    if profile.freshness is not None:
        fresh += [profile.freshness.model_copy(update={"scale": days * DAY_MS}) for days in (3, 30, 90)]
    for boost in _BOOSTS:
        for curve in fresh:
            for shift_days in (0, 14):
                yield plain.model_copy(update={"image": boost, "freshness": curve}), shift_days * DAY_MS
