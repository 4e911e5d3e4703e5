"""The process that sends: Locust users under gevent, one round at a time.

It runs apart, as a file, and imports nothing of ours: Locust patches the standard library. Lines of JSON on
stdin: first where to send and what
(`Target`), then one round each. Lines on stdout: `{"sent": n}` as a round runs, then its samples.

An open round starts each search at its intended time, however many are still unanswered; where all
connections are taken, the search waits and the wait counts.

A closed round has users who wait for each answer and think.
"""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import gevent
import gevent.event
from gevent.pool import Pool
from locust import FastHttpUser, constant, task
from locust.env import Environment
from locust.exception import StopUser

TOOK = re.compile(rb'"took"\s*:\s*(\d+)')
FAILED = re.compile(rb'"failed"\s*:\s*([1-9]\d*)')
TIMED_OUT = re.compile(rb'"timed_out"\s*:\s*true')
HEAD = 400  # bytes of an answer that hold took, timed_out and _shards


@dataclass
class Play:
    """One round at work: what is to be sent, and what came back."""

    target: dict[str, Any]
    round: dict[str, Any]
    begin: float = 0.0
    next: int = 0
    samples: list[tuple[float, float, float, str, int]] = field(default_factory=list)
    done: gevent.event.Event = field(default_factory=gevent.event.Event)

    def send(self, client: Any, i: int, intended: float) -> None:
        """Send search `i`; times are seconds from the beginning of the round."""
        body = self.target["bodies"][self.round["bodies"][i % len(self.round["bodies"])]]
        started = time.perf_counter()
        answer = client.post(
            self.target["path"], data=body, headers=self.target["headers"], name=self.round["side"]
        )
        ended = time.perf_counter()
        kind, took = judge(answer)
        begin = self.begin
        self.samples.append((intended, started - begin, ended - begin, kind, took))


def judge(answer: Any) -> tuple[str, int]:
    """The kind of error, empty for none, and `took` in ms (-1 where the answer has none)."""
    status = answer.status_code
    if not status:
        name = type(answer.error).__name__ if answer.error is not None else "no answer"
        return (
            "timeout" if "timeout" in name.lower() or "timed" in str(answer.error) else f"connection ({name})"
        ), -1
    head = (answer.content or b"")[:HEAD]
    took = TOOK.search(head)
    found = int(took[1]) if took else -1
    if status != 200:
        return f"HTTP {status}", found
    if TIMED_OUT.search(head):
        return "timed out on the server", found
    if FAILED.search(head):
        return "shards failed", found
    return "", found


class _Base(FastHttpUser):
    abstract = True
    play: Play
    max_retries = 0
    max_redirects = 0
    insecure = False

    def ssl_context_factory(self) -> Any:
        """Certificates are always checked."""
        import ssl

        return ssl.create_default_context(cafile=self.play.target.get("ca_certs"))


class OpenUser(_Base):
    """Starts every search at its intended time."""

    @task
    def replay(self) -> None:
        """The whole round."""
        play = self.play
        pool = Pool(play.round["connections"])
        play.begin = time.perf_counter() + 0.1
        for i, at in enumerate(play.round["at"]):
            wait = play.begin + at - time.perf_counter()
            if wait > 0:
                gevent.sleep(wait)
            pool.spawn(play.send, self.client, i, at)
        pool.join()
        play.done.set()
        raise StopUser


class ClosedUser(_Base):
    """Waits for each answer, thinks, and searches again, until the round is over."""

    def on_start(self) -> None:
        """The first user starts the clock."""
        play = self.play
        play.begin = play.begin or time.perf_counter()

    @task
    def search(self) -> None:
        """One search: it is intended when it is sent."""
        play = self.play
        at = time.perf_counter() - play.begin
        if at >= play.round["seconds"]:
            play.done.set()
            raise StopUser
        i, play.next = play.next, play.next + 1
        play.send(self.client, i, at)


def run_round(target: dict[str, Any], round_: dict[str, Any]) -> list[tuple[float, float, float, str, int]]:
    """Play one round with Locust's local runner."""
    is_open = round_["mode"] == "open"
    user: Any = type(
        "User",
        (OpenUser if is_open else ClosedUser,),
        {
            "play": (play := Play(target, round_)),
            "host": target["url"],
            "concurrency": round_["connections"] if is_open else 1,
            "wait_time": constant(round_["think"]),
            "network_timeout": target["timeout"],
            "connection_timeout": target["timeout"],
        },
    )
    environment = Environment(user_classes=[user], stop_timeout=target["timeout"])
    users = 1 if is_open else round_["users"]
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=users)
    while not play.done.wait(timeout=0.5):
        say({"sent": len(play.samples)})
    runner.quit()
    return play.samples


def say(line: dict[str, Any]) -> None:
    """One line for the parent."""
    sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Until stdin ends."""
    target = json.loads(sys.stdin.readline())
    target["bodies"] = [body.encode() for body in target["bodies"]]
    say({"ready": True})
    for line in iter(sys.stdin.readline, ""):
        say({"samples": run_round(target, json.loads(line))})


if __name__ == "__main__":
    main()
