"""The same searches on a live cluster at their logged clocks: questions that are never mixed.

Formula parity on fresh candidates: does the cluster's score of today equal our formula on the cluster's own
parts of today? It must, bit for bit, and so must the order of the page. Index drift: how far have the parts
moved since the log? They do move: relevance changes with every update, delete and merge, because corpus
statistics do. With `fixed`, every search sees one point in time, and a third question can be asked: is what
the replay proves of other profiles, from a window alone, what the cluster returns for them?
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from elasticsearch import Elasticsearch
from numpy.typing import NDArray

from ranking.capture import CapturedItem
from ranking.explain import candidates, explain_items
from ranking.formula import bound, final_scores, rank_order
from ranking.profile import Profile
from ranking.search import Page, Searcher
from replay.failing import FailureParts, explained_failure
from replay.fixed import FixedIndex
from replay.log import CaptureLog
from replay.parity import formula_places

_MAX_FAILURES: Final = 20


@dataclass(slots=True)
class Drift:
    """How the index moved between log and now, over the served pages."""

    common_items: int = 0  # items on the logged page and on today's
    rel_equal: int = 0  # of these, with the same relevance, bit for bit
    rescored: int = 0  # of these, with another image score
    left: int = 0  # items of logged pages that today's lack
    entered: int = 0  # items of today's pages that the logged lack
    identical_pages: int = 0
    worst_rel_change: float = 0.0  # largest |today / logged - 1| of relevance


@dataclass(slots=True)
class Counterfactuals:
    """Rankings that the replay proves from a window, against the cluster's own, in one point in time."""

    rankings: int = 0  # searches times profiles of the log
    proven_places: int = 0  # places that the replay claims, down to each page's length
    equal_places: int = 0  # of these, where the cluster has the same item with the same score

    @property
    def holds(self) -> bool:
        """Every claim is true."""
        return self.equal_places == self.proven_places


@dataclass(frozen=True, slots=True)
class LiveParity:
    """What the cluster answered."""

    searches: int
    scores: int  # scores of today compared with our formula on the parts of today
    bit_equal: int
    drift: Drift
    worst_ulp: int = 0
    same_order: int = 0  # pages of today whose order is ours: score, then item_id
    fixed: bool = False  # whether all searches saw one point in time
    counterfactuals: Counterfactuals | None = None  # with `fixed` only
    failures: list[FailureParts] = field(default_factory=list)  # the first 20

    @property
    def holds(self) -> bool:
        """Scores, orders and claims on fresh candidates; drift is no failure."""
        claims = self.counterfactuals is None or self.counterfactuals.holds
        return self.bit_equal == self.scores and self.same_order == self.searches and claims

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self) | {"holds": self.holds}


def verify_live(
    es: Elasticsearch,
    log: CaptureLog,
    *,
    index: str | None = None,
    limit: int | None = None,
    fixed: bool = False,
    advance: Callable[[int], object] = lambda _n: None,
) -> LiveParity:
    """Ask the cluster again for logged searches, each at its logged clock.

    Args:
        es: the cluster.
        log: what was captured; searches whose profile the log lacks are left out.
        index: another index than the logged one.
        limit: at most so many searches, spread over the log.
        fixed: ask all of one index in one point in time, and hold the replay's claims against the cluster.
        advance: told 1 after each search.

    Raises:
        ServerError: the cluster refused a search.
    """
    known = [i for i in range(len(log)) if log.searches["profile_hash"][i] in log.profiles]
    if limit is not None and limit < len(known):
        known = [known[j] for j in np.linspace(0, len(known) - 1, limit).astype(int)]
    scores = bit_equal = worst_ulp = same_order = 0
    failures: list[FailureParts] = []
    drift, claims = Drift(), Counterfactuals()
    places = formula_places(log)  # of a drawn page, the formula's own order is compared
    with ExitStack() as stack:
        for i, profile, page in _pages(es, log, known, index, stack=stack if fixed else None, claims=claims):
            now_ms = int(log.searches["now_ms"][i])
            rows = explain_items(profile, page.items, now_ms)
            scores += len(rows)
            bit_equal += sum(bool(row.exact) for row in rows)
            search_id, query = str(log.searches["search_id"][i]), str(log.searches["query"][i])
            wrong = [explained_failure(search_id, query, profile, row) for row in rows if not row.exact]
            worst_ulp = max([worst_ulp, *(one.ulp for one in wrong)])
            failures += wrong[: _MAX_FAILURES - len(failures)]
            ids = [item.item_id for item in page.items]
            ours = rank_order(np.array([row.recomputed for row in rows], dtype=np.float32), np.array(ids))
            same_order += ours.tolist() == list(range(len(ids)))
            _add_drift(drift, log, places, i, page)
            advance(1)
    return LiveParity(
        searches=len(known),
        scores=scores,
        bit_equal=bit_equal,
        drift=drift,
        worst_ulp=worst_ulp,
        same_order=same_order,
        fixed=fixed,
        counterfactuals=claims if fixed else None,
        failures=failures,
    )


def _pages(
    es: Elasticsearch,
    log: CaptureLog,
    searches: Sequence[int],
    index: str | None,
    *,
    stack: ExitStack | None,
    claims: Counterfactuals,
) -> Iterator[tuple[int, Profile, Page]]:
    """Each search's page of today; in one point in time per index where `stack` will close it."""
    at: dict[str, FixedIndex] = {}
    for i in searches:
        name = index or str(log.searches["index"][i])
        profile = log.profiles[log.searches["profile_hash"][i]]
        text, now_ms = str(log.searches["query"][i]), int(log.searches["now_ms"][i])
        if stack is None:
            yield i, profile, Searcher(es, name, profile).search(text, now_ms=now_ms, filters=log.filters(i))
            continue
        if name not in at:
            at[name] = stack.enter_context(FixedIndex(es, name, list(log.profiles.values())))
        yield i, profile, at[name].page(profile, text, now_ms=now_ms, filters=log.filters(i))
        _add_claims(claims, at[name], log, i, profile)


def _add_claims(claims: Counterfactuals, fixed: FixedIndex, log: CaptureLog, i: int, served: Profile) -> None:
    """Search i under every profile of the log: replayed from a fresh window, and asked of the cluster."""
    text, now_ms, filters = str(log.searches["query"][i]), int(log.searches["now_ms"][i]), log.filters(i)
    window, whole = fixed.most_relevant(served, text, now_ms=now_ms, filters=filters, most=served.window)
    if not window:
        return
    docs, ids = candidates(window, log.profiles.values()), np.array([item.item_id for item in window])
    floor = np.array([window[-1].rel], dtype=np.float32)
    for profile in log.profiles.values():
        formula = profile.model_copy(update={"base_query": served.base_query})
        ours = final_scores(formula, docs, now_ms)
        order = rank_order(ours, ids)
        proven = len(ours) if whole else int((ours > bound(formula, floor)[0]).sum())
        page = fixed.page(formula, text, now_ms=now_ms, filters=filters)
        first = order[: min(proven, formula.k)]
        theirs = [(item.item_id, item.score) for item in page.items]
        claims.rankings += 1
        claims.proven_places += len(first)
        claims.equal_places += sum(
            place < len(theirs) and theirs[place] == (ids[p], float(ours[p])) for place, p in enumerate(first)
        )


def _add_drift(drift: Drift, log: CaptureLog, places: NDArray[np.int32], i: int, page: Page) -> None:
    span = log.span(i)
    on_page = (places[span] > 0) & (places[span] <= log.searches["k"][i])
    served = np.flatnonzero(on_page) + span.start
    logged = {log.item_id[p]: p for p in served}
    today = {item.item_id: item for item in page.items}
    for item_id in logged.keys() & today.keys():
        rel = float(log.docs.rel[logged[item_id]])
        seen = today[item_id]
        drift.common_items += 1
        drift.rel_equal += seen.rel == rel
        drift.rescored += not _same_image(seen, float(log.docs.image_score[logged[item_id]]))
        drift.worst_rel_change = max(drift.worst_rel_change, abs(seen.rel / rel - 1) if rel else 0.0)
    drift.left += len(logged.keys() - today.keys())
    drift.entered += len(today.keys() - logged.keys())
    in_order = [log.item_id[p] for p in served[np.argsort(places[served])]]
    drift.identical_pages += in_order == [item.item_id for item in page.items]


def _same_image(seen: CapturedItem, logged: float) -> bool:
    return seen.image_score == logged or (seen.image_score is None and np.isnan(logged))
