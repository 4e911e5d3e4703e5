"""A search that takes long ends when it is cancelled, and when its timeout is over."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from tests.integration.plugin import cases
from tests.integration.plugin.nodes import Server

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]


def slow(server: Server) -> dict[str, Any]:
    """A boost over a script that burns some seconds a window of documents, all of them asked for."""
    burn = {
        "source": "double x = 1; for (int i = 0; i < 60000; i++) { x += i / (x + 1); } return 1 + x / 1e12;"
    }
    inner = {"script_score": {"query": {"match_all": {}}, "script": burn}}
    fresh = {"freshness": {"field": "created_at", "origin": cases.NOW, "scale": "14d"}}
    return {"query": {"rank_boost": {"query": inner, **fresh}}, "size": 1, "track_total_hits": True}


def test_a_cancelled_search_ends(server: Server) -> None:
    outcome: list[Any] = []
    other = Server(server.url, server.version)
    search = threading.Thread(
        target=lambda: outcome.append(other.call("POST", "/large/_search", slow(server)))
    )
    search.start()
    time.sleep(2)
    running = server.do("GET", "/_tasks?actions=indices:data/read/search&detailed")["nodes"]
    ids = [
        name
        for node in running.values()
        for name, task in node["tasks"].items()
        if "i < 60000" in task["description"]
    ]
    assert ids
    for task in ids:
        server.do("POST", f"/_tasks/{task}/_cancel")
    search.join(timeout=60)
    assert not search.is_alive()
    status, answer = outcome[0]
    assert status in (400, 500, 503)
    assert "cancel" in str(answer)


def test_a_timeout_gives_what_was_found_until_then(server: Server) -> None:
    began = time.monotonic()
    answer = server.do("POST", "/large/_search", {**slow(server), "timeout": "500ms"})
    assert answer["timed_out"]
    assert time.monotonic() - began < 60
