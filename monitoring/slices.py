"""The figures of one day: per platform, per profile version, per both, and over all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitoring.served import Events, Visits, visits_of
from ranking.drift import drift
from replay.engine import rank
from replay.log import CaptureLog
from replay.parity import Parity, merge, verify

ALL: Final = "all"
UNKNOWN: Final = "unknown"  # platform or profile of a search whose log does not say
SAMPLE: Final = 20_000  # values of a day and slice that drift looks at; of more, this many are drawn
LEAST: Final = 200  # values on either side below which no drift is given: chance alone gives a PSI of 0.1
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Slice = tuple[str, str]  # platform and profile version; `all` for each that is not split


@dataclass(frozen=True, slots=True)
class DaySamples:
    """Shown image scores and relevance of one day by slice: what a later day's drift is measured against."""

    image: dict[Slice, F64] = field(default_factory=dict)
    rel: dict[Slice, F64] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a log, split."""

    log: CaptureLog
    visits: Visits
    slices: dict[Slice, I64]  # the searches of each
    parity: dict[Slice, Parity]
    proven: F64  # (n_searches,): 1 where the window proves the first k, NaN where there is no formula
    purchases_known: bool  # whether the log names purchases at all
    simulated: bool


def split_day(
    log: CaptureLog, events: Events, label: Callable[[str, str], str], *, k: int, purchases_known: bool
) -> Day:
    """Verify a day's searches, and say which belong to which slice.

    Args:
        log: searches of one day.
        events: of these searches.
        label: the profile version of a name and a hash.
        k: how much of a page counts.
        purchases_known: False where no event of the whole log is a purchase: then BCR is not 0, but unknown.
    """
    platforms = np.array([p or UNKNOWN for p in log.searches["platform"]], dtype=object)
    names, hashes = log.searches["profile"], log.searches["profile_hash"]
    known = {pair: label(*pair) for pair in set(zip(names, hashes, strict=True))}
    profiles = np.array([known[pair] for pair in zip(names, hashes, strict=True)], dtype=object)
    leaves: dict[Slice, I64] = {}
    for platform in sorted(set(platforms)):
        for profile in sorted(set(profiles[platforms == platform])):
            leaves[platform, profile] = np.flatnonzero((platforms == platform) & (profiles == profile))
    checked = {leaf: verify(log.pick(searches), threads=1) for leaf, searches in leaves.items()}
    slices: dict[Slice, I64] = {}
    parity: dict[Slice, Parity] = {}
    for wanted in sorted(_slices(leaves)):
        mine = [leaf for leaf in leaves if _within(leaf, wanted)]
        slices[wanted] = np.sort(np.concatenate([leaves[leaf] for leaf in mine]))
        parity[wanted] = merge(checked[leaf] for leaf in mine)
    return Day(
        log=log,
        visits=visits_of(log, events, k),
        slices=slices,
        parity=parity,
        proven=_proven(log, k),
        purchases_known=purchases_known,
        simulated=events.simulated,
    )


def _slices(leaves: Mapping[Slice, Any]) -> set[Slice]:
    return {
        (platform, profile)
        for of_platform, of_profile in leaves
        for platform in (of_platform, ALL)
        for profile in (of_profile, ALL)
    }


def _within(leaf: Slice, wanted: Slice) -> bool:
    return wanted[0] in (leaf[0], ALL) and wanted[1] in (leaf[1], ALL)


def _proven(log: CaptureLog, k: int) -> F64:
    """Whether each search's window proves its first k under the very profile that served it."""
    out = np.full(len(log), np.nan)
    floor = log.searches["rel_floor"].astype(np.float64)
    for profile_hash, searches in log.groups("profile_hash"):
        profile = log.profiles.get(profile_hash)
        if profile is None:
            continue
        part = log.pick(searches)
        needed = np.minimum(k, np.diff(part.offsets))
        complete = np.isnan(floor[searches])  # the record holds every match
        out[searches] = complete | (rank(part, profile).exact_k >= needed)
    return out


def samples_of(day: Day, rng: np.random.Generator) -> DaySamples:
    """Shown scores of each slice, at most `SAMPLE` of each."""
    samples = DaySamples()
    for name, searches in day.slices.items():
        chosen = np.zeros(len(day.log), dtype=bool)
        chosen[searches] = True
        for (owner, values), into in ((day.visits.image, samples.image), (day.visits.rel, samples.rel)):
            mine = values[chosen[owner]]
            into[name] = rng.choice(mine, SAMPLE, replace=False) if len(mine) > SAMPLE else mine
    return samples


def figures(day: Day, today: DaySamples, reference: list[DaySamples]) -> Iterator[dict[str, Any]]:
    """The figures of every slice, as they stand in its document; None where one cannot be had."""
    for name, searches in day.slices.items():
        yield {
            "platform": name[0],
            "profile": name[1],
            "k": day.visits.k,
            "simulated": day.simulated,
            **_counted(day, searches),
            **_users(day, searches),
            **_parity(day.parity[name]),
            **_drift("image", today.image[name], [one.image.get(name) for one in reference]),
            **_drift("rel", today.rel[name], [one.rel.get(name) for one in reference]),
        }


def _counted(day: Day, searches: I64) -> dict[str, Any]:
    one = {name: values[searches] for name, values in day.visits.values.items()}
    shown, clicked = one["items_shown"].sum(), ~np.isnan(one["rr_first_click"])
    took = np.percentile(one["took_ms"], (50, 95, 99))
    proven = day.proven[searches]
    return {
        "searches": len(searches),
        "items_shown": int(shown),
        "clicked_searches": int(clicked.sum()),
        "clicks": int(one["clicks"].sum()),
        "ctr_at_k": _ratio(one["clicks"].sum(), shown),
        "rr_first_click": _mean(one["rr_first_click"]),
        "zero_result_rate": _mean(one["zero_results"]),
        "image_score_at_k": _mean(one["image_score_at_k"]),
        "freshness_at_k": _mean(one["freshness_at_k"]),
        "ai_share_at_k": _mean(one["ai_share_at_k"]),
        "coverage_at_k": _ratio(one["items_scored"].sum(), shown),
        "took_p50_ms": float(took[0]),
        "took_p95_ms": float(took[1]),
        "took_p99_ms": float(took[2]),
        "second_pass_rate": _mean(1 - proven),
    }


def _users(day: Day, searches: I64) -> dict[str, Any]:
    """BCR and ATPU via search, per user who searched, as in `replay.ab`: users without an id are out."""
    user, purchases = day.visits.user[searches], day.visits.values["purchases"][searches]
    named = np.array([bool(one) for one in user], dtype=bool)
    _, codes = np.unique(user[named].astype(str), return_inverse=True)
    bought = np.bincount(codes, weights=purchases[named])
    n, known = len(bought), day.purchases_known
    return {
        "users": n,
        "purchases": int(bought.sum()) if known else None,
        "bcr": float((bought > 0).mean()) if n and known else None,
        "atpu": float(bought.mean()) if n and known else None,
    }


def _parity(found: Parity) -> dict[str, Any]:
    return {
        "scores_compared": found.scores,
        "score_parity": _ratio(found.bit_equal, found.scores),
        "page_parity": _ratio(found.identical_topk, found.searches),
    }


def _drift(name: str, today: F64, before: list[F64 | None]) -> dict[str, Any]:
    known = [one for one in before if one is not None]
    reference = np.concatenate(known) if known else np.empty(0)
    if len(today) < LEAST or len(reference) < LEAST:
        return {f"{name}_psi": None, f"{name}_ks": None}
    found = drift(reference, today)
    return {f"{name}_psi": found.psi, f"{name}_ks": found.ks}


def _mean(values: F64) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _ratio(above: float, below: float) -> float | None:
    return float(above / below) if below else None


__all__ = ["ALL", "SAMPLE", "Day", "DaySamples", "Slice", "figures", "samples_of", "split_day"]
