"""What a proof rests on: relevance, the window and its floor, the profile that served."""

from __future__ import annotations

import numpy as np

from replay.checks.check import Check, found
from replay.imported import shown_only as bare
from replay.imported import without_profile
from replay.log import CaptureLog


def shown_only(log: CaptureLog) -> Check:
    """Searches that hold shown ids without relevance; imported logs are of this kind."""
    empty = np.flatnonzero(bare(log))
    formats = (
        ", ".join(sorted({str(s) for s in log.searches["source"][empty] if s is not None})) or "no format"
    )
    return found(
        "searches with shown ids alone",
        len(empty),
        len(log),
        f"{len(empty)} of {len(log)} searches (from {formats}) hold shown ids without relevance: "
        "nothing else can be ranked before `rank-cli replay run --reconstruct`",
        fine="every search holds the relevance of its candidates",
        examples=(log.searches["search_id"][i] for i in empty),
        tolerated=1.0,
    )


def unknown_profiles(log: CaptureLog) -> Check:
    """The formula behind every captured search is in the folder; imported logs do not name theirs."""
    hashes = log.searches["profile_hash"]
    mine = np.flatnonzero(~without_profile(log)).tolist()
    lost = [i for i in mine if hashes[i] not in log.profiles]
    names = sorted({f"{log.searches['profile'][i]} ({hashes[i] or 'no hash'})" for i in lost})
    return found(
        "unknown profiles",
        len(lost),
        len(mine),
        f"{len(lost)} of {len(mine)} searches were served by profiles that the folder lacks: "
        "their scores cannot be verified",
        fine="the folder holds the profile of every search",
        examples=names,
        tolerated=0.0,
    )


def windows(log: CaptureLog) -> Check:
    """A window below the page length proves little; none at all proves nothing."""
    window, k = log.searches["window"].astype(np.int64), log.searches["k"].astype(np.int64)
    captured = ~bare(log)
    short = np.flatnonzero((window < k) & captured)
    alone = int((window[short] == 0).sum())
    n = int(captured.sum())
    return found(
        "windows shorter than pages",
        len(short),
        n,
        f"{len(short)} of {n} searches have a window shorter than the page ({alone} have none): "
        "other rankings of them are hardly proven",
        fine="every window is at least as long as its page",
        examples=(f"search {log.searches['search_id'][i]}: {window[i]} < {k[i]}" for i in short),
        tolerated=1.0,
    )


def floors(log: CaptureLog) -> Check:
    """At least `window` candidates are as relevant as the floor: else something above it is lacking."""
    floor = log.searches["rel_floor"].astype(np.float32)
    bounded = np.isfinite(floor)
    above = log.docs.rel >= floor[log.owner]
    count = np.bincount(log.owner[above], minlength=len(log))
    broken = np.flatnonzero(bounded & (count < log.searches["window"].astype(np.int64)))
    n = int(bounded.sum())
    return found(
        "relevance floors",
        len(broken),
        n,
        f"{len(broken)} of {n} searches lack candidates above their relevance floor: no proof holds for them",
        fine="no candidate above a relevance floor is lacking",
        examples=(f"search {log.searches['search_id'][i]}" for i in broken),
        tolerated=0.0,
    )
