"""What a profile costs against another: the same searches under both, taken in turns.

Rounds alternate which side goes first, so that a busy moment of the machine falls on both. Each query counts
with its median, so that one slow answer does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from ranking.errors import InputError
from ranking.es import check_complete, server_errors
from ranking.profile import Profile
from ranking.query import search_body

ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Cost:
    """Time of baseline and contender, means over queries of each query's median."""

    queries: int
    rounds: int
    took_ms: tuple[float, float]  # on the server, whole milliseconds each
    wall_ms: tuple[float, float]  # as the client saw it
    ratio: float  # median over queries of contender to baseline, wall time
    ratio_low: float  # first and third quartile over queries
    ratio_high: float

    @property
    def n(self) -> int:
        """Pairs of searches behind the ratio."""
        return self.queries * self.rounds

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return {**asdict(self), "n": self.n}


def measure_cost(
    es: Elasticsearch,
    index: str,
    baseline: Profile,
    contender: Profile,
    queries: Sequence[str],
    *,
    now_ms: int,
    rounds: int = ROUNDS,
    advance: Callable[[int], object] = lambda _n: None,
) -> Cost:
    """Serve each query `rounds` times under both profiles (resolved for their platform), after one warm-up.

    Both run as written in the body, numbers as parameters: what a stored script saves is left out of both.

    Raises:
        InputError: no query, or no round.
        ServerError: the cluster refused a search.
    """
    if not queries or rounds < 1:
        raise InputError("a cost needs at least one query and one round", hint="give queries with --queries")
    sides = [[search_body(side, query, now_ms=now_ms) for query in queries] for side in (baseline, contender)]
    wall = np.zeros((rounds, len(queries), 2))
    took = np.zeros((rounds, len(queries), 2))
    for round_ in range(-1, rounds):
        for i in range(len(queries)):
            order = (0, 1) if (round_ + i) % 2 else (1, 0)
            for side in order:
                seconds, on_server = _time(es, index, sides[side][i])
                if round_ >= 0:
                    wall[round_, i, side], took[round_, i, side] = seconds * 1000, on_server
        advance(1)
    per_query = np.median(wall, axis=0)
    low, middle, high = np.percentile(per_query[:, 1] / per_query[:, 0], [25, 50, 75])
    took_mean, wall_mean = np.median(took, axis=0).mean(axis=0), per_query.mean(axis=0)
    return Cost(
        queries=len(queries),
        rounds=rounds,
        took_ms=(float(took_mean[0]), float(took_mean[1])),
        wall_ms=(float(wall_mean[0]), float(wall_mean[1])),
        ratio=float(middle),
        ratio_low=float(low),
        ratio_high=float(high),
    )


def _time(es: Elasticsearch, index: str, body: dict[str, Any]) -> tuple[float, float]:
    with server_errors(f"search in {index}"):
        began = time.perf_counter()
        response = es.search(index=index, include_named_queries_score=True, **body)
        seconds = time.perf_counter() - began
    check_complete(response.body)
    return seconds, float(response["took"])
