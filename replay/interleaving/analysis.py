"""Which ranking users prefer: wins and losses of interleaved searches, with an interval and tests.

    preference  (wins + ties / 2) / searches - 1/2, above zero for the contender (Chapelle et al. 2012, eq. 4)

Its interval resamples users. Two sign tests: over decided searches, which takes searches of one user for
independent and so is too sure where users search often; and over users, each with the sign of their own wins
minus losses, which is the one to report.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ranking.draw import INTERLEAVED, RANK_OF
from replay.clicks.clusters import bootstrap, cluster_sums, grouped, interval
from replay.clicks.pages import Pages
from replay.engine import rank
from replay.interleaving.credit import Credits
from replay.log import CaptureLog
from replay.offpolicy.loggers import first_places

ALL = "all"


@dataclass(frozen=True, slots=True)
class Preference:
    """Contender against baseline in one segment."""

    contender: str
    segment: str  # "all", or a platform
    searches: int
    clicked: int  # searches with a click
    wins: int  # the contender's
    losses: int
    ties: int
    users: int
    preference: float  # in [-1/2, 1/2]
    low: float | None  # 95 % interval over users
    high: float | None
    p_users: float | None  # sign test over users; None where no user decides
    p_searches: float | None  # sign test over decided searches


@dataclass(frozen=True, slots=True)
class Interleaving:
    """The analysis of one interleaving experiment."""

    method: str
    baseline: str
    simulated: bool
    redrawn: dict[
        str, tuple[int, int]
    ]  # by ranking: searches whose replayed page is the one drafted from, of how many
    preferences: list[Preference]

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)


def analyse(
    log: CaptureLog,
    pages: Pages,
    credits: Credits,
    rng: np.random.Generator,
    *,
    n_resamples: int = 1000,
) -> Interleaving:
    """Every contender against the baseline, over all searches and by platform.

    Args:
        log: the captured searches.
        pages: the same searches with their clicks.
        credits: `read_credits`.
        rng: source of chance for the intervals.
        n_resamples: of users.
    """
    platform, user = pages.platform[credits.searches], pages.user[credits.searches]
    rows = []
    for contender in credits.names[1:]:
        outcome = credits.outcome(contender)
        for segment in (ALL, *sorted(set(platform))):
            there = np.ones(len(outcome), dtype=bool) if segment == ALL else platform == segment
            rows.append(
                preference(
                    outcome[there],
                    user[there],
                    rng,
                    contender=contender,
                    segment=segment,
                    clicked=int(credits.clicked[there].sum()),
                    n_resamples=n_resamples,
                )
            )
    return Interleaving(credits.method, credits.names[0], pages.simulated, _redrawn(log, credits), rows)


def preference(
    outcome: NDArray[np.int8],
    user: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    contender: str = "contender",
    segment: str = ALL,
    clicked: int = 0,
    n_resamples: int = 1000,
) -> Preference:
    """The preference in outcomes (1 won, -1 lost, 0 tied) of searches, (n,), and their users, (n,)."""
    wins, losses = int((outcome > 0).sum()), int((outcome < 0).sum())
    n = len(outcome)
    cluster = grouped(user, rng)
    sums = cluster_sums(np.column_stack([outcome, np.ones(n)]).astype(np.float64), cluster)
    low, high = (
        interval(bootstrap(sums, lambda s: s[..., 0] / s[..., 1] / 2, rng, n_resamples=n_resamples))
        if len(sums) > 1
        else (None, None)
    )
    by_user = np.bincount(np.unique(user, return_inverse=True)[1], weights=outcome)
    return Preference(
        contender=contender,
        segment=segment,
        searches=n,
        clicked=clicked,
        wins=wins,
        losses=losses,
        ties=n - wins - losses,
        users=len(by_user),
        preference=(wins - losses) / n / 2 if n else 0.0,
        low=low,
        high=high,
        p_users=sign_test(int((by_user > 0).sum()), int((by_user < 0).sum())),
        p_searches=sign_test(wins, losses),
    )


def sign_test(wins: int, losses: int) -> float | None:
    """Two-sided exact p value of wins against losses; None where there are none."""
    return float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else None


def _redrawn(log: CaptureLog, credits: Credits) -> dict[str, tuple[int, int]]:
    """By ranking, how many searches' page comes out of the replay as it was when the page was drafted."""
    found = {}
    for name in credits.names:
        logged = _logged_places(log, name)
        same = total = 0
        for profile_hash in sorted(credits.hashes[name] & log.profiles.keys()):
            mine = _served_with(log, credits, name, profile_hash)
            depth = int(logged.max(initial=0))
            replayed = first_places(log, rank(log, log.profiles[profile_hash]).ranks, depth)[mine]
            asked = first_places(log, logged.astype(np.int32), depth)[mine]
            same += int(((replayed == asked) | (asked < 0)).all(axis=1).sum())
            total += len(mine)
        found[name] = (same, total)
    return found


def _logged_places(log: CaptureLog, name: str) -> NDArray[np.int64]:
    column = log.docs.columns.get(RANK_OF + name)
    if column is None:
        return np.zeros(log.n_candidates, dtype=np.int64)
    return np.nan_to_num(np.asarray(column, dtype=np.float64)).astype(np.int64)


def _served_with(log: CaptureLog, credits: Credits, name: str, profile_hash: str) -> NDArray[np.int64]:
    how = log.docs.columns[INTERLEAVED]
    told = np.zeros(len(log), dtype=bool)
    given = np.array([f" {name}:{profile_hash}" in str(text) for text in how], dtype=bool)
    told[log.owner[given]] = True
    searches: NDArray[np.int64] = credits.searches[told[credits.searches]]
    return searches
