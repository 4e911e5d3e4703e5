"""One round at work: Locust users send the requests of each kind.

An open load starts each request at its intended time, however many are still unanswered; where all
connections are taken, the request waits and the wait counts. A closed load has users who wait for each answer
and think.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import gevent
from gevent.pool import Pool
from locust import User, constant
from locust.env import Environment
from locust.exception import StopUser

from loadtest.worker.play import Play, Row
from loadtest.worker.publishing import PublishUser
from loadtest.worker.scoring import ScoreUser
from loadtest.worker.searching import SearchUser

USERS: dict[str, type[User]] = {"search": SearchUser, "publish": PublishUser, "score": ScoreUser}
LEAD_S = 0.2  # from the word to go until the beginning of the round: users are there by then
TOLD_S = 0.5  # how often progress is told


def open_load(user: Any) -> None:
    """The whole round of an open load, by one Locust user."""
    play: Play = user.play
    pool = Pool(play.load["connections"])
    for i, at in enumerate(play.load["at"]):
        wait = play.begin + at - time.perf_counter()
        if wait > 0:
            gevent.sleep(wait)
        pool.spawn(user.send, i, at)
    pool.join()
    user.finish()
    play.done.set()
    raise StopUser


def closed_load(user: Any) -> None:
    """One request of a closed load: it is intended when it is sent."""
    play: Play = user.play
    at = time.perf_counter() - play.begin
    if at < 0:
        gevent.sleep(-at)
        at = time.perf_counter() - play.begin
    if at >= play.load["seconds"]:
        play.done.set()
        raise StopUser
    i, play.next = play.next, play.next + 1
    user.send(i, at)


def run_round(work: dict[str, Any], loads: list[dict[str, Any]]) -> dict[str, list[Row]]:
    """Play the loads of one round together, with Locust's local runner; samples by kind."""
    begin = time.perf_counter() + LEAD_S
    plays = [Play(load, begin) for load in loads]
    users = [_user(work, play) for play in plays]
    if users:
        longest = max(work[load["kind"]]["timeout"] for load in loads)
        runner = Environment(user_classes=users, stop_timeout=longest).create_local_runner()
        n = sum(user.fixed_count for user in users)
        runner.start(n, spawn_rate=n)
        for play in plays:
            while not play.done.wait(timeout=TOLD_S):
                say({"sent": sum(len(one.samples.get(one.load["kind"], ())) for one in plays)})
        runner.quit()
    found: dict[str, list[Row]] = {}
    for play in plays:
        found |= play.samples
    return found


def _user(work: dict[str, Any], play: Play) -> type[User]:
    load = play.load
    is_open = load["mode"] == "open"
    target = work[load["kind"]]
    attributes = {
        "play": play,
        "target": target,
        "tasks": [open_load if is_open else closed_load],
        "fixed_count": 1 if is_open else load["users"],
        "concurrency": load["connections"] if is_open else 1,
        "wait_time": constant(load["think"]),
        "host": target["url"],
        "network_timeout": target["timeout"],
        "connection_timeout": target["timeout"],
    }
    return type(load["kind"].title(), (USERS[load["kind"]],), attributes)


def say(line: dict[str, Any]) -> None:
    """One line for the parent."""
    sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def hear() -> dict[str, Any]:
    """One line of the parent's; the process ends where there is none any more."""
    line = sys.stdin.readline()
    if not line:
        raise SystemExit(0)
    found: dict[str, Any] = json.loads(line)
    return found


def main() -> None:
    """Rounds until stdin ends."""
    work = hear()
    for kind, target in work.items():
        USERS[kind].get_ready(target)  # type: ignore[attr-defined]
    say({"ready": True})
    while True:
        loads = hear()["loads"]
        say({"ready": True})
        hear()
        say({"samples": run_round(work, loads)})
