"""The searches of a capture folder: listed, and replayed one by one under two profiles."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Final

import numpy as np

from ranking import fields
from ranking.capture import part_files
from ranking.errors import InputError
from ranking.profile import Profile
from replay.engine import rank
from replay.log import CaptureLog, read_log
from replay.parity import verify
from workbench.answers import Candidate, Side, optional, two_sides
from workbench.asked import CapturedSearch
from workbench.catalog import Catalog
from workbench.moved import moved

AS_SERVED: Final = "as-served"  # in place of a profile's key: the one that the log says served the search
ROWS: Final = 100  # of the list at once


class Captures:
    """One capture folder; read again when a file of it is new."""

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        self.folder, self._catalog = folder, catalog
        self._lock = threading.Lock()
        self._read: tuple[object, CaptureLog, dict[str, int]] | None = None

    def rows(self, text: str = "", start: int = 0) -> dict[str, Any]:
        """Searches whose query contains `text`, the latest first, from number `start` on.

        Raises:
            InputError: the folder cannot be read.
        """
        log, _ = self._log()
        wanted = text.casefold()
        queries = [str(query or "") for query in log.searches["query"]]
        latest = np.argsort(-log.searches["now_ms"].astype(np.int64), kind="stable")
        chosen = [int(i) for i in latest if wanted in queries[i].casefold()]
        sizes = np.diff(log.offsets)
        columns = {
            name: log.searches[name] for name in ("search_id", "now_ms", "platform", "profile", "source")
        }
        return {
            "n": len(chosen),
            "of": len(log),
            "start": start,
            "rows": [
                {
                    "search_id": str(columns["search_id"][i]),
                    "query": queries[i],
                    "now_ms": int(columns["now_ms"][i]),
                    "platform": columns["platform"][i],
                    "profile": columns["profile"][i] or columns["source"][i] or "",
                    "candidates": int(sizes[i]),
                }
                for i in chosen[start : start + ROWS]
            ],
        }

    def replay(self, asked: CapturedSearch) -> dict[str, Any]:
        """One search at its logged clock, moved by `shift_ms`, and how its log compares with its formula.

        Raises:
            RankError: no such search or profile, or a factor reads what was not captured.
        """
        log, place = self._log()
        if asked.search_id not in place:
            raise InputError(f"no search {asked.search_id!r} in {self.folder}", hint="load the page again")
        one = log.pick(np.array([place[asked.search_id]], dtype=np.int64))
        platform = one.searches["platform"][0]
        baseline, contender = self._profile(asked.baseline, one), self._profile(asked.contender, one)
        profiles = (baseline[1], moved(contender[1], asked.sliders))
        sides = [
            _side(label, profile, own, one, asked)
            for (label, own), profile in zip((baseline, contender), profiles, strict=True)
        ]
        found = verify(one, threads=1)
        return two_sides(
            (sides[0], sides[1]),
            kind="captured",
            search_id=asked.search_id,
            query=str(one.searches["query"][0] or ""),
            platform=platform,
            filters=one.filters(0),
            now_ms=int(one.searches["now_ms"][0]) + asked.shift_ms,
            k=asked.k,
            index=one.searches["index"][0],
            parity={
                "scores": found.scores,
                "bit_equal": found.bit_equal,
                "same_page": found.identical_topk == found.searches,
                "known": not found.unknown_profile and not found.imported,
            },
        )

    def _profile(self, key: str, one: CaptureLog) -> tuple[str, Profile]:
        """Label and profile, not yet resolved for the platform."""
        if key != AS_SERVED:
            found = self._catalog.find(key)
            return found.label, found.profile
        served = one.profiles.get(str(one.searches["profile_hash"][0] or ""))
        if served is None:
            raise InputError(
                "the log does not hold the profile that served this search", hint="choose another"
            )
        return f"{served.name}, as served", served

    def _log(self) -> tuple[CaptureLog, dict[str, int]]:
        with self._lock:
            files = part_files(self.folder)
            signature = tuple((path.name, path.stat().st_mtime_ns) for path in files)
            if self._read is None or self._read[0] != signature:
                log = read_log(self.folder)
                place = {str(name): i for i, name in enumerate(log.searches["search_id"])}
                self._read = (signature, log, place)
            return self._read[1], self._read[2]


def _side(label: str, profile: Profile, own: Profile, one: CaptureLog, asked: CapturedSearch) -> Side:
    ranking = rank(one, profile, clock_shift_ms=asked.shift_ms)
    platform = one.searches["platform"][0]
    served = profile.for_platform(platform)
    top = ranking.top(one, 0, asked.k)
    floor = float(one.searches["rel_floor"][0])
    hits = one.searches["total_hits"][0]
    columns = {name: one.docs.columns[name] for name in served.factor_fields}
    ai = one.docs.columns[fields.AI_PROBABILITY]
    docs, ids, prices = one.docs, one.item_id, one.price
    return Side(
        label=label,
        profile=served,
        own=own.for_platform(platform),
        candidates=[
            Candidate(
                item_id=str(ids[i]),
                rel=float(docs.rel[i]),
                image_score=optional(docs.image_score[i]),
                created_ms=None if np.isnan(docs.created_ms[i]) else int(docs.created_ms[i]),
                ai_prob=optional(ai[i]),
                price=optional(prices[i]),
                columns={name: column[i] for name, column in columns.items()},
            )
            for i in range(one.n_candidates)
        ],
        rel_floor=None if np.isnan(floor) else floor,
        found=[str(ids[i]) for i in top],
        scores=[float(ranking.scores[i]) for i in top],
        exact_k=int(ranking.exact_k[0]),
        more={
            "total_hits": None if hits is None or np.isnan(hits) else int(hits),
            "execution": served.execution,
        },
    )


__all__ = ["AS_SERVED", "Captures"]
