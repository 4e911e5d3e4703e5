"""A server whose service times are known, and which stalls once, against what is reported about it."""

import os
import shlex
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import pytest

from loadtest.histogram import record
from loadtest.sender import Load, LoadError, Work, sender
from loadtest.targets import Target

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
    searches = 0
    lag = 0.0  # seconds: by how much a search took longer than planned, at most; a busy machine's
    counting = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        now = time.perf_counter()
        if self.server.first is None:
            self.server.first = now
        since = now - self.server.first
        with self.server.counting:
            self.server.searches += 1
        service = float(self.rfile.read(int(self.headers["Content-Length"])))
        planned = service + (STALL_TO - since if STALL_FROM <= since < STALL_TO else 0.0)
        time.sleep(planned)
        self.server.lag = max(self.server.lag, time.perf_counter() - now - planned)
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


def work(server: Server) -> Work:
    bodies = (str(FAST), str(SLOW))
    return {"search": Target(f"http://127.0.0.1:{server.server_port}", "/_search", bodies)}


BODIES = (0,) * 9 + (1,)
OVERHEAD = 0.012  # seconds: Python's server, its threads and the loopback


RANK_CLI = f"env {shlex.join([sys.executable, '-c', 'from ranking.cli import main; main()'])}"


@pytest.mark.parametrize("others", [(), (f"{RANK_CLI} loadtest worker",)], ids=["alone", "with a worker"])
def test_an_open_workload_reports_a_stall_as_its_users_feel_it(
    server: Server, others: tuple[str, ...]
) -> None:
    at = tuple(i / RATE for i in range(RATE * SECONDS))
    with sender(work(server), commands=others) as running:
        samples = running.play([Load(kind="search", items=BODIES, at=at)])["search"]
    assert server.searches == len(samples) == len(at), "each of them once, whoever sent it"
    assert {(one.error, one.took_ms) for one in samples} == {("", 7)}
    assert [one.intended for one in samples] == list(at)
    latency = record(one.latency for one in samples)
    busy = server.lag + max(one.started - one.intended for one in samples)  # what both ends say of themselves
    # A sixth of the searches arrive, evenly, in the stalled second: P(latency > x) = (1 - x) / 6 + ...
    expected = {50: FAST, 95: 0.7 + FAST, 99: 0.94 + FAST}
    for percent, seconds in expected.items():
        found = latency.percentile_ms(percent)
        assert found is not None
        most = seconds + 0.03 + OVERHEAD + busy
        assert seconds - 0.03 * (percent > 50) <= found / 1000 <= most, (percent, found, busy)
    held_up = sum(one.latency > 0.1 + busy for one in samples)
    assert RATE * (0.9 - busy) - 5 <= held_up <= RATE * 0.9 + 5


def test_a_closed_workload_flatters_the_same_server(server: Server) -> None:
    load = Load(kind="search", mode="closed", items=BODIES, users=1, seconds=STALL_TO + 1)
    with sender(work(server)) as running:
        samples = running.play([load])["search"]
    stalled = [one for one in samples if one.latency > (STALL_TO - STALL_FROM) / 2]
    assert len(stalled) == 1, "one user meets the stall once, however many searches it held up"
    p99 = record(one.latency for one in samples).percentile_ms(99)
    assert p99 is not None
    assert p99 / 1000 < SLOW + OVERHEAD + 0.03 + server.lag  # the open workload says 0.95 s


def test_a_search_that_waits_for_a_connection_is_late_from_its_intended_start(server: Server) -> None:
    load = Load(kind="search", items=(1,), at=(0.0,) * 5, connections=1)
    with sender(work(server)) as running:
        samples = running.play([load])["search"]
    so_far = 0.0
    for i, one in enumerate(sorted(samples, key=lambda one: one.started)):
        assert one.latency >= SLOW * (i + 1), "those before it are in its latency"
        assert one.service_time <= one.latency - SLOW * i + 1e-5, "and not in its service time"
        so_far += one.service_time
        assert one.latency == pytest.approx(so_far, abs=0.05), "and nothing else is"


def test_a_command_that_starts_no_worker_is_named_with_what_it_says(server: Server) -> None:
    with (
        pytest.raises(LoadError, match=r"the worker behind `echo hello` ended: hello"),
        sender(work(server), processes=0, commands=["echo hello"]),
    ):
        pass


def test_errors_are_told_apart() -> None:
    with sender({"search": Target("http://127.0.0.1:9", "/_search", ("{}",), timeout=1.0)}) as running:
        (only,) = running.play([Load(kind="search", items=(0,), at=(0.0,))])["search"]
    assert only.error.startswith("connection")
