"""Baseline and contender in turns against one cluster: A B, B A, A B, so that drift falls on both."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from elasticsearch import Elasticsearch

from loadtest.nodes import watched
from loadtest.results import SIDES, Result, RoundResult, Side, summed_up
from loadtest.sender import Mode, Round, Sender, Target, sender, spread
from loadtest.shapes import Shape, logged_arrivals, shape, shaped_arrivals
from loadtest.workload import Search, bodies
from ranking.errors import InputError
from ranking.profile import Profile
from ranking.refusal import without_login
from ranking.search import Searcher
from ranking.settings import Settings

WARM_UP = 200  # searches of each side before the first round, not counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What each round sends."""

    mode: Mode = "open"
    shape: str = "logged"
    speed_up: float = 1.0  # of the logged arrivals
    rate: float = 20.0  # searches/s of the other shapes
    seconds: float = 30.0  # of the other shapes, and of a closed round
    users: int = 4
    think: float = 0.0  # seconds
    connections: int = 256
    rounds: int = 6  # of each side

    def arrivals(self, searches: Sequence[Search]) -> tuple[tuple[float, ...], Shape | None]:
        """Intended starts of an open round in seconds, and the shape behind them."""
        at_ms = [one.at_ms for one in searches]
        if self.shape == "logged":
            return tuple(logged_arrivals(at_ms, self.speed_up)), None
        planned = shape(self.shape, rate=self.rate, seconds=self.seconds)
        return tuple(shaped_arrivals(at_ms, planned)), planned


def order(rounds: int) -> list[tuple[int, Side]]:
    """Number of the pair and side of each round, in the order in which they run."""
    return [(i, side) for i in range(rounds) for side in (SIDES if i % 2 == 0 else SIDES[::-1])]


def run_load(
    es: Elasticsearch,
    target: Target,
    index: str,
    *,
    profiles: Mapping[Side, Profile],
    searches: Sequence[Search],
    plan: Plan,
    advance: Callable[[int], object] = lambda _n: None,
    note: Callable[[RoundResult], object] = lambda _one: None,
) -> Result:
    """Play all rounds.

    Args:
        es: for one search of each side beforehand, and the server's own counters.
        target: where searches go, with a login where one is needed; its bodies are filled in here.
        index: index or alias.
        profiles: of both sides, as written.
        searches: the workload.
        plan: what each round sends.
        advance: is told how many more searches were answered.
        note: is given each round when it ends.

    Raises:
        ServerError: the cluster refuses a search.
        LoadError: Locust is not there, or its process ended.
    """
    own = {side: _bodies(es, index, profiles[side], searches) for side in SIDES}
    firsts = {"baseline": 0, "contender": len(searches)}
    at, planned = plan.arrivals(searches) if plan.mode == "open" else ((), None)
    filled = Target(
        target.url,
        f"/{index}/_search?include_named_queries_score=true",
        (*own["baseline"], *own["contender"]),
        target.headers,
        target.ca_certs,
        target.timeout,
    )
    results = []
    with sender(filled) as running:
        for side in SIDES:
            _warm_up(running, side, firsts[side], len(searches))
        for number, side in order(plan.rounds):
            ids = range(firsts[side], firsts[side] + len(searches))
            one = Round(
                side=side,
                mode=plan.mode,
                bodies=spread(ids, len(at)) if plan.mode == "open" else tuple(ids),
                at=at,
                connections=plan.connections,
                users=plan.users,
                think=plan.think,
                seconds=plan.seconds,
            )
            with watched(es) as server:
                samples = running.play(one, advance)
            results.append(summed_up(side, number, samples, server=server, plan=planned))
            note(results[-1])
    return Result(
        profiles={side: f"{profiles[side].name} {profiles[side].hash}" for side in SIDES},
        workload=_said(plan, searches, len(at), index),
        rounds=tuple(results),
    )


def expected(plan: Plan, searches: Sequence[Search]) -> int | None:
    """Searches that all rounds send; None for a closed workload, which sends what it can."""
    return 2 * plan.rounds * len(plan.arrivals(searches)[0]) if plan.mode == "open" else None


def cluster_target(settings: Settings, *, allow_remote: bool = False, timeout: float = 30.0) -> Target:
    """Where the settings' cluster is, and how to log in; without bodies.

    Raises:
        InputError: it is on another machine, and that was not allowed.
    """
    url = settings.endpoint("Elasticsearch")
    parts = urlsplit(url)
    if not allow_remote and not _is_loopback(parts.hostname or ""):
        raise InputError(
            f"{without_login(url)} is on another machine, and a load test can take it down",
            hint="--allow-remote sends the load there all the same",
        )
    headers = {"Content-Type": "application/json"}
    login = settings.elasticsearch_login()
    user, password = parts.username, parts.password
    if login.api_key is not None:
        headers["Authorization"] = f"ApiKey {login.api_key.get_secret_value()}"
    else:
        if login.user and login.password is not None:
            user, password = login.user, login.password.get_secret_value()
        elif user is not None:
            user, password = unquote(user), unquote(password or "")
        if user is not None:
            both = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
            headers["Authorization"] = f"Basic {both}"
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
    ca_certs = str(login.ca_certs) if login.ca_certs is not None else None
    return Target(bare, "", (), headers, ca_certs, timeout)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bodies(es: Elasticsearch, index: str, profile: Profile, searches: Sequence[Search]) -> list[str]:
    """All bodies, after one search that the cluster must answer: a wrong index or field is said here."""
    first = searches[0]
    page = Searcher(es, index, profile).search(
        first.query, now_ms=first.at_ms, platform=first.platform, filters=first.filters
    )
    return bodies(profile, searches, execution=page.execution)


def _warm_up(running: Sender, side: Side, first: int, n: int) -> None:
    count = min(n, WARM_UP)
    ids = tuple(first + i * n // count for i in range(count))
    running.play(Round(side=side, mode="open", bodies=ids, at=(0.0,) * count, connections=2))


def _said(plan: Plan, searches: Sequence[Search], n: int, index: str) -> dict[str, Any]:
    said: dict[str, Any] = {
        "mode": plan.mode,
        "index": index,
        "searches": len(searches),
        "rounds": plan.rounds,
    }
    said["platforms"] = {
        name or "none": sum(one.platform == name for one in searches)
        for name in sorted({one.platform for one in searches}, key=str)
    }
    if plan.mode == "closed":
        return said | {"users": plan.users, "think_s": plan.think, "seconds": plan.seconds}
    said |= {"shape": plan.shape, "searches_per_round": n, "connections": plan.connections}
    if plan.shape == "logged":
        return said | {"speed_up": plan.speed_up}
    return said | {"rate": plan.rate, "seconds": plan.seconds}
