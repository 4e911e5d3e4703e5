"""How likely the logger was to show what it showed: recorded, by arms of users, or told by the user.

Nothing else counts as chance. A ranking formula alone is deterministic: its log says nothing of pages it did
not show, unless the probability of examination is known (`replay.offpolicy.examined`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow.csv import read_csv  # type: ignore[attr-defined]

from ranking.draw import POSITION_PROB, STEP_PROB
from ranking.errors import InputError
from replay.engine import rank
from replay.log import CaptureLog
from replay.offpolicy.slates import LoggerProbs

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
_HOW = (
    "serve explored pages (ranking.explorer), compare arms of users (--logger arms), or give --propensities "
    "or --exam-probs (docs/offpolicy.md)"
)


def recorded(log: CaptureLog, shown: I64) -> LoggerProbs:
    """The probabilities that explored pages carry (`x.step_prob`, `x.position_prob`).

    Searches without any were not drawn.

    Raises:
        InputError: there are none, a page has only some, one is not in (0, 1], or all of them are 1.
    """
    columns = log.docs.columns
    if STEP_PROB not in columns and POSITION_PROB not in columns:
        raise InputError("the logger is deterministic: the log records no probabilities", hint=_HOW)
    values = {
        name: np.asarray(columns[name], dtype=np.float64)
        for name in (STEP_PROB, POSITION_PROB)
        if name in columns
    }
    given = np.any([~np.isnan(value) for value in values.values()], axis=0)
    drawn = np.bincount(log.owner, weights=given & (log.rank > 0), minlength=len(log)) > 0
    found = {
        name: _looked_up(value, np.where(drawn[:, None], shown, -1), name) for name, value in values.items()
    }
    step, position = found.get(STEP_PROB), found.get(POSITION_PROB)
    return _checked(LoggerProbs(step, position, "recorded with each page", drawn))


def told(path: Path, log: CaptureLog, shown: I64) -> LoggerProbs:
    """Probabilities from a file: search_id, item_id, and step_prob or position_prob or both.

    Args:
        path: Parquet or CSV.
        log: the captured searches.
        shown: the candidate at each rank, (n_searches, depth), -1 for none.

    Raises:
        InputError: the file is broken, a shown item is missing or there twice, or a value is not in (0, 1].
    """
    table = _read(path)
    named = [name for name in (STEP_PROB, POSITION_PROB) if name in table.column_names]
    lacking = [name for name in ("search_id", "item_id") if name not in table.column_names]
    if lacking or not named:
        raise InputError(
            f"{path} lacks {', '.join(lacking) or 'step_prob and position_prob'}",
            hint="columns: search_id, item_id, step_prob, position_prob",
        )
    keys = list(
        zip(*(table[name].cast(pa.string()).to_pylist() for name in ("search_id", "item_id")), strict=True)
    )
    if len(set(keys)) < len(keys):
        raise InputError(f"{path} has {len(keys) - len(set(keys))} items of a search twice")
    row_of = {key: i for i, key in enumerate(keys)}
    searches = log.searches["search_id"]
    rows = np.array(
        [row_of.get((searches[i], item), -1) for i, item in zip(log.owner, log.item_id, strict=True)]
    )
    found = {}
    for name in named:
        values = np.asarray(table[name].cast(pa.float64()).to_numpy(zero_copy_only=False))
        found[name] = _looked_up(np.where(rows >= 0, values[rows], np.nan), shown, f"{path}: {name}")
    return _checked(LoggerProbs(found.get(STEP_PROB), found.get(POSITION_PROB), f"told by {path.name}"))


def arms(log: CaptureLog, shown: I64, user: I64) -> tuple[LoggerProbs, dict[str, float]]:
    """Users were drawn into arms, each arm with its profile: a page is as likely as the arms that serve it.

    What the other arms would have shown is replayed. The share of an arm is its share of users; an arm is the
    record's `arm` (searches without one, of users whom the canary cannot draw, are left out), or the
    profile's name where no search has one.

    Returns:
        the probabilities, and each arm's share.

    Raises:
        InputError: fewer than two arms, users in two arms, or an arm without a known profile.
    """
    arm = log.searches["arm"].astype(object)
    drawn = np.array([name is not None for name in arm], dtype=bool)
    if not drawn.any():
        arm, drawn = log.searches["profile"].astype(object), np.ones(len(log), dtype=bool)
    kinds, found = np.unique(arm[drawn].astype(str), return_inverse=True)
    code = np.full(len(log), -1, dtype=np.int64)
    code[drawn] = found
    if len(kinds) < 2:
        raise InputError(f"the logger is deterministic: all searches are of one arm, {kinds[0]}", hint=_HOW)
    pairs = np.unique(np.column_stack([user, code])[drawn], axis=0)
    n_users = len(np.unique(pairs[:, 0]))
    if len(pairs) > n_users:
        raise InputError(
            f"{len(pairs) - n_users} of {n_users} users are in several arms: arms were not drawn by user",
            hint="log user_id with each search, and keep a user in one arm",
        )
    share = np.bincount(pairs[:, 1], minlength=len(kinds)) / n_users
    depth = shown.shape[1]
    prefix, position = np.zeros(shown.shape), np.zeros(shown.shape)
    prefix[~drawn], position[~drawn] = 1.0, 1.0
    platforms = np.array([str(p) for p in log.searches["platform"]])
    pages: dict[str, I64] = {}
    proven = drawn.copy()  # what the other arms would have shown
    need = np.minimum(depth, np.diff(log.offsets))
    exact: dict[str, NDArray[np.bool_]] = {}
    for a, name in enumerate(kinds):
        for platform in sorted(set(platforms[drawn])):
            there = drawn & (platforms == platform)
            mine = there & (code == a)
            if not mine.any():
                raise InputError(f"arm {name} has no search on {platform}", hint="leave that platform out")
            for profile_hash in sorted(set(log.searches["profile_hash"][mine])):
                if profile_hash not in log.profiles:
                    raise InputError(f"arm {name}: the log does not hold its profile {profile_hash}")
            if len(set(log.searches["profile_hash"][mine])) > 1:
                raise InputError(f"arm {name} changed its profile on {platform}: evaluate each period alone")
            profile_hash = str(log.searches["profile_hash"][mine][0])
            if profile_hash not in pages:
                ranking = rank(log, log.profiles[profile_hash])
                pages[profile_hash] = first_places(log, ranking.ranks, depth)
                exact[profile_hash] = ranking.exact_k >= need
            proven &= ~there | mine | exact[profile_hash]
            agrees = np.where(mine[:, None], True, pages[profile_hash] == shown)[there]
            position[there] += share[a] * agrees
            prefix[there] += share[a] * np.logical_and.accumulate(agrees, axis=1)
    step = prefix / np.column_stack([np.ones(len(prefix)), prefix[:, :-1]])
    kind = (
        f"arms of users; the other arms' pages replayed, proven for {proven.sum()} of {drawn.sum()} searches"
    )
    probs = LoggerProbs(step, position, kind, drawn)
    return _checked(probs), dict(zip(kinds.tolist(), share.tolist(), strict=True))


def first_places(log: CaptureLog, ranks: NDArray[np.int32], depth: int) -> I64:
    """The candidate at each of the first ranks, (n_searches, depth), -1 for none."""
    table = np.full((len(log), depth), -1, dtype=np.int64)
    chosen = np.flatnonzero((ranks >= 1) & (ranks <= depth))
    table[log.owner[chosen], ranks[chosen] - 1] = chosen
    return table


def _looked_up(values: F64, shown: I64, what: str) -> F64:
    some = shown >= 0
    found = np.where(some, values[np.maximum(shown, 0)], np.nan)
    wrong = some & ~((found > 0) & (found <= 1))
    if wrong.any():
        n = int(wrong.any(axis=1).sum())
        raise InputError(
            f"{what}: {n} of {len(shown)} searches show an item without a probability in (0, 1]",
            hint="a page that was drawn needs the probability of each shown item",
        )
    return found


def _checked(probs: LoggerProbs) -> LoggerProbs:
    if probs.is_deterministic:
        raise InputError("the logger is deterministic: every probability is 1", hint=_HOW)
    return probs


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path) if path.suffix == ".parquet" else read_csv(path)
    except (pa.ArrowException, OSError) as e:
        raise InputError(f"{path} is not a readable file of probabilities: {e}") from e
