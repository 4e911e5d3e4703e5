"""Searches over HTTP: a body, its answer, and what the server says that it took."""

from __future__ import annotations

import re
import ssl
import time
from typing import Any

from locust import FastHttpUser

from loadtest.worker.play import Play

TOOK = re.compile(rb'"took"\s*:\s*(\d+)')
FAILED = re.compile(rb'"failed"\s*:\s*([1-9]\d*)')
TIMED_OUT = re.compile(rb'"timed_out"\s*:\s*true')
HEAD = 400  # bytes of an answer that hold took, timed_out and _shards


class ClusterUser(FastHttpUser):
    """Talks to Elasticsearch; never tries again and never follows elsewhere."""

    abstract = True
    play: Play
    target: dict[str, Any]
    max_retries = 0
    max_redirects = 0
    insecure = False

    def ssl_context_factory(self) -> Any:
        """Certificates are always checked."""
        return ssl.create_default_context(cadata=self.target["ca_pem"])

    def finish(self) -> None:
        """Nothing is left to wait for."""


class SearchUser(ClusterUser):
    """Sends searches."""

    abstract = True

    @staticmethod
    def get_ready(target: dict[str, Any]) -> None:
        """Once, before the first round."""
        target["bodies"] = [body.encode() for body in target["bodies"]]

    def send(self, i: int, intended: float) -> None:
        """Send search `i`, due at `intended` seconds of the round."""
        target = self.target
        body = target["bodies"][self.play.item(i)]
        started = time.perf_counter()
        answer = self.client.post(target["path"], data=body, headers=target["headers"], name="search")
        ended = time.perf_counter()
        self.play.add(intended, started, ended, *judge(answer))


def judge(answer: Any) -> tuple[str, int]:
    """The kind of error, empty for none, and `took` in ms (-1 where the answer has none)."""
    status = answer.status_code
    if not status:
        name = type(answer.error).__name__ if answer.error is not None else "no answer"
        late = "timeout" in name.lower() or "timed" in str(answer.error)
        return "timeout" if late else f"connection ({name})", -1
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
