"""How near a reconstruction comes to what was logged: the logged order against the reconstructed one."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from ranking.capture import CapturedItem, CaptureRecord, write_captures
from ranking.profile import Profile
from replay.engine import Ranking, rank
from replay.log import CaptureLog, read_log
from replay.measures import overlap, rbo


@dataclass(frozen=True, slots=True)
class Gap:
    """How near the reconstructed pages come to the logged ones; means over `n` searches."""

    searches: int
    shown: int  # item ids that the log says were shown
    found: int  # of these, still matching documents of the index
    in_window: int  # of these, among the candidates without being looked up by id
    n: int  # searches with shown ids: over these the rest is averaged
    overlap: float  # share of the logged page that is on the reconstructed one of the same length
    rbo: float  # rank-biased overlap, p = 0.9
    tau: float  # Kendall's tau-b of logged and reconstructed ranks of the shown items that were found
    tau_n: int  # searches with at least two of them
    identical_pages: int
    profile: str  # that the reconstruction ranks by

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)

    @property
    def sentence(self) -> str:
        """For people."""
        return (
            f"{self.found} of {self.shown} shown items are still found, {self.in_window} without looking "
            f"them up; reconstructed under {self.profile}, {self.n} pages: overlap {self.overlap:.3f}, "
            f"RBO {self.rbo:.3f}, Kendall's tau {self.tau:.3f} (n = {self.tau_n}), "
            f"{self.identical_pages} identical"
        )


def logged_ranking(log: CaptureLog, profile: Profile) -> Ranking:
    """The logged order as a ranking: what was shown, by rank; nothing else is eligible."""
    shown = log.rank > 0
    order = np.lexsort((log.rank, ~shown, log.owner))
    proven = np.bincount(log.owner[shown], minlength=len(log)).astype(np.int64)
    return Ranking(profile, 0, log.score, shown, order, log.rank.astype(np.int32), proven)


def measure_gap(
    rebuilt: Sequence[CaptureRecord],
    lost: Mapping[str, Sequence[CapturedItem]],
    profile: Profile,
    in_window: int,
) -> Gap:
    """The gap, items that are gone included: they stand in the logged order and nowhere in ours."""
    whole = [replace(r, items=(*r.items, *lost[r.search_id])) for r in rebuilt]
    with tempfile.TemporaryDirectory(prefix="rank-gap-") as folder:
        write_captures(Path(folder), whole, [])
        log = read_log(Path(folder))
    present = np.ones(log.n_candidates, dtype=bool)
    for i, search_id in enumerate(log.searches["search_id"]):
        gone = {item.item_id for item in lost[str(search_id)]}
        span = log.span(i)
        present[span] = [item_id not in gone for item_id in log.item_id[span]]
    ours, logged = rank(log, profile, present=present), logged_ranking(log, profile)
    shares, distances, taus, identical = [], [], [], 0
    lengths = np.bincount(log.owner[log.rank > 0], minlength=len(log))
    for length in sorted(set(lengths[lengths > 0].tolist())):
        mine = lengths == length
        shares.append(overlap(log, ours, logged, int(length))[mine])
        distances.append(rbo(log, logged, ours, int(length))[mine])
    for i in np.flatnonzero(lengths):
        span = log.span(int(i))
        common = (log.rank[span] > 0) & (ours.ranks[span] > 0)
        if common.sum() >= 2:
            taus.append(stats.kendalltau(log.rank[span][common], ours.ranks[span][common]).statistic)
        n = int(lengths[i])
        identical += list(ours.top(log, int(i), n)) == list(logged.top(log, int(i), n))

    def mean(parts: list[Any]) -> float:
        return float(np.nanmean(np.concatenate(parts))) if parts else float("nan")

    shown = int((log.rank > 0).sum())
    return Gap(
        searches=len(log),
        shown=shown,
        found=shown - sum(map(len, lost.values())),
        in_window=in_window,
        n=int((lengths > 0).sum()),
        overlap=mean(shares),
        rbo=mean(distances),
        tau=float(np.mean(taus)) if taus else float("nan"),
        tau_n=len(taus),
        identical_pages=identical,
        profile=profile.name,
    )
