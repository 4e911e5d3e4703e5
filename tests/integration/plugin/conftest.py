"""Servers with the plugin, one of each major version, started on first use.

PLUGIN_SERVERS names running ones instead, as `9.4.3=http://127.0.0.1:9250,8.19.13=http://127.0.0.1:9251`;
they keep the test indices, for the next run.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Container, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from ranking.errors import RankError
from stack.paths import SHARED_STATE, running_as_root
from tests.integration.conftest import missing
from tests.integration.plugin import cases
from tests.integration.plugin.nodes import Server, cluster

VERSIONS = ("9.4.3", "8.19.13")


@contextmanager
def running(version: str, nodes: int, *, bare: Container[int] = ()) -> Iterator[Server]:
    """A cluster in a folder that the server's user may enter; nodes in `bare` are without the plugin."""
    shared = SHARED_STATE if running_as_root() else None
    if shared:
        shared.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="rank-boost-", dir=shared))
    try:
        with cluster(version, home, nodes=nodes, bare=bare) as server:
            server.do(
                "PUT", "/_cluster/settings", {"persistent": {"script.max_compilations_rate": "100000/1m"}}
            )
            yield server
    except RankError as e:
        missing(f"no server with the plugin: {e}")


@pytest.fixture(scope="session", params=VERSIONS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One node, with the indices `one` (one shard), `three` (three) and `large` (segments with tables)."""
    kept = dict(pair.split("=") for pair in os.environ.get("PLUGIN_SERVERS", "").split(",") if pair)
    with (
        nullcontext(Server(kept[request.param], request.param))
        if kept
        else running(request.param, 1) as started
    ):
        if started.call("HEAD", "/large")[0] == 200:
            yield started
            return
        cases.make_index(started, "one", docs=3_000, seed=1)
        cases.make_index(started, "three", docs=3_000, seed=2, shards=3)
        cases.make_index(started, "large", docs=60_000, seed=3, batches=3)
        yield started


# Six nodes take two minutes: the older version has its three where more cases are asked for.
@pytest.fixture(scope="session", params=VERSIONS if os.environ.get("PLUGIN_CASES") else VERSIONS[:1])
def three_nodes(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Three nodes that share the shards of `spread`: queries travel between them."""
    with running(request.param, 3) as started:
        cases.make_index(started, "spread", docs=6_000, seed=4, shards=3, replicas=1)
        yield started
