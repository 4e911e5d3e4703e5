"""A server whose service times are known, and which stalls once, against what is reported about it."""

import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import pytest

from loadtest.histogram import record
from loadtest.sender import Round, Target, sender

# Locust patches the standard library, so this process must not import it.
pytestmark = pytest.mark.skipif(
    "CI" not in os.environ and find_spec("locust") is None, reason="Locust is not installed"
)

FAST, SLOW = 0.010, 0.040  # seconds; one search in ten is slow
STALL_FROM, STALL_TO = 2.0, 3.0  # seconds after the first search
RATE, SECONDS = 80, 6


class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True
    first: float | None = None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        now = time.perf_counter()
        if self.server.first is None:
            self.server.first = now
        since = now - self.server.first
        service = float(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(service + (STALL_TO - since if STALL_FROM <= since < STALL_TO else 0.0))
        content = b'{"took":7,"timed_out":false,"_shards":{"total":1,"failed":0}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


def target(server: Server) -> Target:
    return Target(f"http://127.0.0.1:{server.server_port}", "/_search", (str(FAST), str(SLOW)))


BODIES = (0,) * 9 + (1,)
OVERHEAD = 0.012  # seconds: Python's server, its threads and the loopback


def test_an_open_workload_reports_a_stall_as_its_users_feel_it(server: Server) -> None:
    at = tuple(i / RATE for i in range(RATE * SECONDS))
    with sender(target(server)) as running:
        samples = running.play(Round(side="a", mode="open", bodies=BODIES, at=at))
    assert len(samples) == len(at)
    assert {(one.error, one.took_ms) for one in samples} == {("", 7)}
    assert [one.intended for one in samples] == list(at)
    latency = record(one.latency for one in samples)
    # A sixth of the searches arrive, evenly, in the stalled second: P(latency > x) = (1 - x) / 6 + ...
    expected = {50: FAST, 95: 0.7 + FAST, 99: 0.94 + FAST}
    for percent, seconds in expected.items():
        found = latency.percentile_ms(percent)
        assert found is not None
        assert seconds - 0.03 * (percent > 50) <= found / 1000 <= seconds + 0.03 + OVERHEAD, (percent, found)
    assert sum(one.latency > 0.1 for one in samples) == pytest.approx(RATE * 0.9, abs=5)


def test_a_closed_workload_flatters_the_same_server(server: Server) -> None:
    with sender(target(server)) as running:
        samples = running.play(Round(side="a", mode="closed", bodies=BODIES, users=1, seconds=SECONDS))
    stalled = [one for one in samples if one.latency > 0.1]
    assert len(stalled) == 1, "one user meets the stall once, however many searches it held up"
    p99 = record(one.latency for one in samples).percentile_ms(99)
    assert p99 is not None
    assert p99 / 1000 < SLOW + OVERHEAD + 0.03  # the open workload says 0.95 s


def test_a_search_that_waits_for_a_connection_is_late_from_its_intended_start(server: Server) -> None:
    with sender(target(server)) as running:
        samples = running.play(Round(side="a", mode="open", bodies=(1,), at=(0.0,) * 5, connections=1))
    waits = [one.latency for one in samples]
    assert sorted(waits) == pytest.approx([SLOW * (i + 1) for i in range(5)], abs=0.04)
    assert max(one.service_time for one in samples) < SLOW + 0.03


def test_errors_are_told_apart() -> None:
    with sender(Target("http://127.0.0.1:9", "/_search", ("{}",), timeout=1.0)) as running:
        (only,) = running.play(Round(side="a", mode="open", bodies=(0,), at=(0.0,)))
    assert only.error.startswith("connection")
