"""What of a log a report carries: files stay small, figures count everything.

Up to 10,000 searches are listed, each with the items of its first pages; some hundred of them carry every
candidate, so that sliders rank them again; and some photos are embedded, those of the largest changes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.clock import DAY_MS
from ranking.freshness import Freshness
from ranking.image import ImageBoost
from ranking.profile import Profile
from replay.compare import Comparison
from replay.engine import Ranking, rank
from replay.log import CaptureLog
from replay.report.distributions import first_k

MAX_SEARCHES = 10_000
MAX_DETAILED = 300
MAX_PHOTOS = 1_200
_BOOSTS: tuple[ImageBoost, ...] = (
    ImageBoost(mode="none"),
    *(ImageBoost(mode="additive", weight=weight) for weight in (1.0, 2.0, 3.0, 5.0, 10.0)),
    *(ImageBoost(mode="multiplicative", weight=weight) for weight in (0.5, 1.0)),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a report may carry."""

    searches: int = MAX_SEARCHES
    detailed: int = MAX_DETAILED
    photos: int = MAX_PHOTOS


@dataclass(frozen=True, slots=True)
class Selection:
    """What a report carries of a log."""

    searches: NDArray[np.int64]  # places in the log of the listed searches, ascending
    detailed: NDArray[np.bool_]  # (n_listed,): carries every candidate
    kept: NDArray[np.int64]  # positions in the log of the carried candidates, search by search
    offsets: NDArray[np.int64]  # (n_listed + 1,): listed search i owns kept[offsets[i]:offsets[i + 1]]
    cards: tuple[str, ...]  # items that may come up on a page
    with_photo: tuple[str, ...]  # of these, those that may have a photo


def select(log: CaptureLog, comparisons: Sequence[Comparison], limits: Limits) -> Selection:
    """Choose what a report of these comparisons carries."""
    main = comparisons[0]
    searches = choose_searches(log, main, limits.searches)
    chosen = choose_searches(log, main, min(limits.detailed, len(searches)), among=searches)
    detailed = np.isin(searches, chosen)
    on_page = np.zeros(log.n_candidates, dtype=bool)
    for side in sides(comparisons):
        on_page |= first_k(side, main.k)
    keep = (on_page & log.candidates_of(searches)) | log.candidates_of(searches[detailed])
    kept = np.flatnonzero(keep)
    sizes = np.bincount(log.owner[kept], minlength=len(log))[searches]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    cards, with_photo = _items(log, comparisons, chosen, on_page & keep, limits.photos)
    return Selection(searches, detailed, kept, offsets, cards, with_photo)


def shown_items(
    log: CaptureLog, comparisons: Sequence[Comparison], limits: Limits | None = None
) -> tuple[list[str], list[str]]:
    """The items a report of these comparisons has a card for, and those of them that may have a photo."""
    found = select(log, comparisons, limits or Limits())
    return list(found.cards), list(found.with_photo)


def sides(comparisons: Sequence[Comparison]) -> list[Ranking]:
    """Every ranking that is compared, each once."""
    return list({id(side): side for pair in comparisons for side in (pair.baseline, pair.contender)}.values())


def choose_searches(
    log: CaptureLog, comparison: Comparison, limit: int, *, among: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Up to `limit` searches: the largest gains, the largest losses, and an even spread over the log.

    Gains and losses are those of the first measure (nDCG where there are judgments), a quarter of the places
    each, and no query twice on one platform among them.

    Returns:
        Places in the log, ascending.
    """
    pool = np.arange(len(log), dtype=np.int64) if among is None else among
    if len(pool) <= limit:
        return pool
    delta = _delta(comparison)
    chosen: set[int] = set()
    seen: set[tuple[str, str | None]] = set()
    for sign in (-1.0, 1.0):  # gains first
        room = limit // 4
        for i in pool[np.argsort(sign * delta[pool], kind="stable")]:
            key = (log.searches["query"][i], log.searches["platform"][i])
            if room == 0 or sign * delta[i] >= 0:
                break
            if key not in seen:
                seen.add(key)
                chosen.add(int(i))
                room -= 1
    rest = np.setdiff1d(pool, np.fromiter(chosen, dtype=np.int64, count=len(chosen)))
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


def _delta(comparison: Comparison) -> NDArray[np.float64]:
    first = comparison.measures[0]
    return np.nan_to_num(first.contender - first.baseline)


def _items(
    log: CaptureLog,
    comparisons: Sequence[Comparison],
    chosen: NDArray[np.int64],
    on_page: NDArray[np.bool_],
    limit: int,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Items with a card, and those with a photo.

    Photos go to the pages of the detailed searches, the largest change first, so that what is opened first is
    complete; then to what a slider may bring there, most often first; then to the other pages.
    """
    by_change = chosen[np.argsort(-np.abs(_delta(comparisons[0])[chosen]), kind="stable")]
    positions = [np.flatnonzero(on_page[log.span(i)]) + log.span(i).start for i in by_change]
    first = dict.fromkeys(str(item) for at in positions for item in log.item_id[at])
    main = comparisons[0]
    brought = _brought_up(subset(log, chosen), main.contender.profile, main.k)
    others = dict.fromkeys(str(item) for item in log.item_id[np.flatnonzero(on_page)])
    cards = first | brought | others
    return tuple(cards), tuple(cards)[:limit]


def _brought_up(shown: CaptureLog, profile: Profile, k: int) -> dict[str, None]:
    """Items that some setting of the sliders brings to a first page, most often first."""
    times = np.zeros(shown.n_candidates, dtype=np.int64)
    for setting, shift_ms in _settings(profile):
        times += first_k(rank(shown, setting, clock_shift_ms=shift_ms), k)
    by_frequency = np.argsort(-times, kind="stable")
    return dict.fromkeys(str(shown.item_id[p]) for p in by_frequency if times[p])


def _settings(profile: Profile) -> Iterator[tuple[Profile, int]]:
    """A coarse grid over what the page's sliders reach."""
    plain = profile.model_copy(update={"platforms": {}})
    fresh: list[Freshness | None] = [profile.freshness]
    if profile.freshness is not None:
        fresh += [profile.freshness.model_copy(update={"scale": days * DAY_MS}) for days in (3, 30, 90)]
    for boost in _BOOSTS:
        image = profile.image.model_copy(update={"mode": boost.mode, "weight": boost.weight})
        for curve in fresh:
            for shift_days in (0, 14):
                yield plain.model_copy(update={"image": image, "freshness": curve}), shift_days * DAY_MS
