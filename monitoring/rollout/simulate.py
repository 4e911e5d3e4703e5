"""Simulated users of a canary, hour by hour: to try guardrails on, and to count how often they are wrong.

Users come at random hours of the step and search again later; each has a taste for clicking, for buying and a
connection of their own, so searches of one user are alike and the user is the unit. Effects of the canary are
chosen, not measured. Nothing here was observed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitoring.rollout.observed import SIMULATED, Observed, Side
from ranking.canary import Canary
from ranking.capture import CapturedItem, CaptureRecord, Event, write_captures, write_events
from ranking.failures import Failure, write_failures

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
PAGE: Final = 20  # items shown
CLICK: Final = 0.12  # mean probability of a click at rank 1; falls as rank ** -0.7
BUY: Final = 0.15  # of a click, times the user's taste (mean 1)
EMPTY: Final = 0.03  # share of searches that find nothing
FAILED: Final = 0.002
UNSCORED: Final = 0.03  # share of shown items without an image score
TOOK_MS: Final = 25.0  # median


@dataclass(frozen=True, slots=True)
class Effect:
    """What the canary does to its users; the defaults do nothing."""

    clicks: float = 1.0  # multiplies the probability of a click
    purchases: float = 1.0  # multiplies the probability to buy what was clicked
    took: float = 1.0  # multiplies the server's time
    failed: float = 0.0  # added to the share of searches that fail
    empty: float = 0.0  # added to the share of searches that find nothing
    unscored: float = 0.0  # added to the share of items without a score


@dataclass(frozen=True, slots=True)
class Searches:
    """All searches of a step by time, (n,) each."""

    n_users: int
    in_canary: NDArray[np.bool_]  # (n_users,)
    hour: F64  # since the step began, rising
    owner: I64
    failed: NDArray[np.bool_]
    empty: NDArray[np.bool_]
    took_ms: F64
    scored: I64  # of the items shown
    clicked: NDArray[np.bool_]  # (n, PAGE)
    bought: NDArray[np.bool_]  # (n, PAGE)


def simulate_searches(
    rng: np.random.Generator, in_canary: NDArray[np.bool_], hours: float, effect: Effect = Effect()
) -> Searches:
    """Draw the searches of a step.

    Args:
        rng: source of chance.
        in_canary: of every user, (n_users,).
        hours: that the step lasts.
        effect: of the canary.
    """
    n_users = len(in_canary)
    n_more = rng.poisson(2 * rng.gamma(0.8, 1.25, n_users))
    first = rng.uniform(0, hours, n_users)
    owner = np.concatenate([np.arange(n_users), np.repeat(np.arange(n_users), n_more)])
    later = first[owner[n_users:]] + rng.random(int(n_more.sum())) * (hours - first[owner[n_users:]])
    hour = np.concatenate([first, later])
    order = np.argsort(hour)
    hour, owner = hour[order], owner[order]
    n, treated = len(hour), in_canary[owner]
    failed = rng.random(n) < FAILED + effect.failed * treated
    empty = ~failed & (rng.random(n) < EMPTY + effect.empty * treated)
    full = ~failed & ~empty
    likes = rng.beta(1.5, 1.5 * (1 / CLICK - 1), n_users)[owner] * np.where(treated, effect.clicks, 1.0)
    looks = np.arange(1, PAGE + 1) ** -0.7
    clicked = full[:, None] & (rng.random((n, PAGE)) < np.minimum(likes[:, None] * looks, 1.0))
    buys = np.minimum(BUY * rng.gamma(0.5, 2.0, n_users), 1.0)[owner]
    buys *= np.where(treated, effect.purchases, 1.0)
    bought = clicked & (rng.random((n, PAGE)) < buys[:, None])
    took = TOOK_MS * np.exp(rng.normal(0, 0.2, n_users)[owner] + rng.normal(0, 0.5, n))
    took = np.ceil(took * np.where(treated, effect.took, 1.0))
    scored = rng.binomial(PAGE, 1 - np.minimum(UNSCORED + effect.unscored * treated, 1.0)) * full
    return Searches(n_users, in_canary, hour, owner, failed, empty, took, scored, clicked, bought)


def looks(
    drawn: Searches, hours: float, *, every: float = 1.0, k: int = 10
) -> Iterator[tuple[float, Observed]]:
    """What a check sees at every look: hours since the step began, and users so far."""
    clicked, ranks = drawn.clicked, np.arange(1, PAGE + 1)
    first = np.where(clicked.any(axis=1), clicked.argmax(axis=1) + 1, 0)
    served = ~drawn.failed
    full = served & ~drawn.empty
    per_search = {
        "searches": served.astype(np.float64),
        "asked": np.ones(len(drawn.hour)),
        "failures": drawn.failed.astype(np.float64),
        "empty": drawn.empty.astype(np.float64),
        "shown": PAGE * full.astype(np.float64),
        "scored": drawn.scored.astype(np.float64),
        f"shown@{k}": min(k, PAGE) * full.astype(np.float64),
        f"clicks@{k}": clicked[:, ranks <= k].sum(axis=1).astype(np.float64),
        "rr": np.divide(1.0, first, out=np.zeros(len(first)), where=first > 0),
        "purchases": drawn.bought.sum(axis=1).astype(np.float64),
    }
    n_clicks, n_bought = clicked.sum(axis=1), drawn.bought.sum(axis=1)
    at = every
    while at <= hours + 1e-9:
        n = int(np.searchsorted(drawn.hour, at))
        owner = drawn.owner[:n]
        there = np.bincount(owner, minlength=drawn.n_users) > 0
        sums = {
            name: np.bincount(owner, weights=values[:n], minlength=drawn.n_users)
            for name, values in per_search.items()
        }
        sides = []
        for arm in (False, True):
            rows = np.flatnonzero(there & (drawn.in_canary == arm))
            place = np.full(drawn.n_users, -1, dtype=np.int64)
            place[rows] = np.arange(len(rows))
            mine = np.where(served[:n], place[owner], -1)
            took = drawn.took_ms[:n][mine >= 0]
            columns = {name: values[rows].astype(np.float64) for name, values in sums.items()}
            sides.append(Side(len(rows), columns, took, mine[mine >= 0]))
        yield (
            at,
            Observed(
                since_ms=0,
                until_ms=round(at * 3_600_000),
                control=sides[0],
                canary=sides[1],
                searches=int(served[:n].sum()),
                clicks=int(n_clicks[:n].sum()),
                purchases=int(n_bought[:n].sum()),
                failures=int(drawn.failed[:n].sum()),
                simulated=True,
            ),
        )
        at += every


def write_simulated(
    folder: Path,
    canary: Canary,
    *,
    users: int,
    began_ms: int,
    hours: float,
    effect: Effect,
    seed: int = 1,
    advance: Callable[[int], object] = lambda _n: None,
) -> int:
    """Append the captures that simulated users of a canary leave behind; returns how many searches.

    Users are assigned by the hash that a service uses. Pages hold made-up items: they are good for roll-outs,
    not for replays, and say `simulated` wherever a capture can.
    """
    rng = np.random.default_rng(seed)
    ids = [f"simulated-{seed}-{i}" for i in range(users)]
    in_canary = np.array([canary.takes(one) for one in ids], dtype=bool)
    drawn = simulate_searches(rng, in_canary, hours, effect)
    at_ms = began_ms + np.floor(drawn.hour * 3_600_000).astype(np.int64)
    arms = [canary.arm(one) for one in ids]
    records, events, failures = [], [], []
    for i, who in enumerate(drawn.owner):
        user, moment, arm = ids[who], int(at_ms[i]), arms[who]
        advance(1)
        if drawn.failed[i]:
            failures.append(Failure(moment, user, arm, reason="simulated", simulated=True))
            continue
        search_id = f"simulated-{canary.salt}-{seed}-{began_ms}-{i}"
        shown = 0 if drawn.empty[i] else PAGE
        records.append(
            CaptureRecord(
                search_id=search_id,
                query="simulated",
                now_ms=moment,
                index="simulated",
                profile=canary.salt,
                profile_hash="",
                k=PAGE,
                total_hits=shown,
                window=0,
                rel_floor=float("inf"),
                items=_items(shown, int(drawn.scored[i])),
                user_id=user,
                arm=arm,
                took_ms=int(drawn.took_ms[i]),
                source=SIMULATED,
            )
        )
        for action, done in (("click", drawn.clicked[i]), ("purchase", drawn.bought[i])):
            for rank in np.flatnonzero(done) + 1:
                event = Event(search_id, f"item-{rank}", action, int(rank), moment + 1000, simulated=True)
                events.append(event)
    write_captures(folder, records, [])
    write_events(folder, events)
    write_failures(folder, failures)
    return len(records)


@cache
def _items(shown: int, scored: int) -> tuple[CapturedItem, ...]:
    return tuple(
        CapturedItem(
            f"item-{rank}",
            float(PAGE - rank),
            rank=rank,
            score=float(PAGE - rank),
            image_score=0.5 if rank <= scored else None,
        )
        for rank in range(1, shown + 1)
    )


__all__ = ["Effect", "Searches", "looks", "simulate_searches", "write_simulated"]
