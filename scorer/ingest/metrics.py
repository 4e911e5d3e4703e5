"""Prometheus metrics of the ingest, and the small server that shows them beside the health of the process.

Names begin with `rank_ingest_`; times are in seconds. docs/ingest.md lists them.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from ranking.errors import InputError
from scorer.ingest.health import Health
from scorer.ingest.observe import Doing, Observer, Outcome
from scorer.ingest.records import Record

_SECONDS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_DELAYS: Final = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600)


class Metrics(Observer):
    """Counts what the ingest does, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        one: dict[str, Any] = {"registry": self.registry, "namespace": "rank_ingest"}
        self._lag = Gauge("lag_records", "Records behind the end of a partition.", ["partition"], **one)
        self._stage_s = Histogram("stage_seconds", "Time of one stage.", ["stage"], buckets=_SECONDS, **one)
        self._stage_items = Histogram(
            "stage_items", "Items in one call of a stage.", ["stage"], buckets=_SIZES, **one
        )
        self._batch_s = Histogram("batch_seconds", "Time of a whole batch.", buckets=_SECONDS, **one)
        self._batch_items = Histogram("batch_records", "Records in one batch.", buckets=_SIZES, **one)
        self._delay_s = Histogram(
            "delay_seconds", "From the broker's time stamp to the index.", buckets=_DELAYS, **one
        )
        self._errors = Counter("errors", "What went wrong, by kind.", ["kind"], **one)
        self._items = Counter("items", "Records by what became of them.", ["outcome"], **one)
        self._counts = Counter("documents", "As in the summary of a run.", ["count"], **one)
        self._bulk_requests = Gauge("bulk_requests_limit", "Bulk requests let through at a time.", **one)
        self._bulk_docs = Gauge("bulk_documents_limit", "Documents let through in one request.", **one)
        self._last = Gauge("last_batch_timestamp_seconds", "When a batch was last finished.", **one)

    @contextlib.contextmanager
    def batch(self, records: Sequence[Record]) -> Iterator[None]:
        """Around the work on one batch of records."""
        self._batch_items.observe(len(records))
        with self._batch_s.time():
            yield

    @contextlib.contextmanager
    def stage(self, doing: Doing, n: int) -> Iterator[None]:
        """Around one stage of a batch."""
        self._stage_items.labels(doing).observe(n)
        with self._stage_s.labels(doing).time():
            yield

    def item(self, record: Record, outcome: Outcome) -> None:
        """A record has arrived."""
        self._items.labels(outcome).inc()
        if record.timestamp_ms is not None and outcome == "written":
            self._delay_s.observe(max(0.0, time.time() - record.timestamp_ms / 1000))

    def error(self, kind: str, n: int = 1) -> None:
        """Something went wrong."""
        self._errors.labels(kind).inc(n)

    def pace(self, requests: float, docs: float) -> None:
        """Bulk requests at a time, and documents in one."""
        self._bulk_requests.set(requests)
        self._bulk_docs.set(docs)

    def lag(self, partitions: Mapping[int, int]) -> None:
        """Records that wait, by partition; those that went to another consumer are forgotten."""
        self._lag.clear()
        for partition, n in partitions.items():
            self._lag.labels(str(partition)).set(n)

    def finished(self, counts: Mapping[str, Any]) -> None:
        """A batch is in the index."""
        for name, n in counts.items():
            if isinstance(n, int) and not isinstance(n, bool) and n:
                self._counts.labels(name).inc(n)
        self._last.set_to_current_time()


@contextlib.contextmanager
def serving(metrics: Metrics, health: Health, port: int, host: str = "127.0.0.1") -> Iterator[int]:
    """Serve /metrics, /healthz and /readyz; the port, which is a free one where `port` is 0.

    Raises:
        InputError: the port cannot be had.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind = "text/plain; charset=utf-8"
            match self.path.partition("?")[0]:
                case "/metrics":
                    good, body, kind = True, generate_latest(metrics.registry), CONTENT_TYPE_LATEST
                case "/healthz":
                    good, word = health.alive()
                    body = word.encode()
                case "/readyz":
                    good, word = health.ready()
                    body = word.encode()
                case _:
                    self.send_error(404)
                    return
            self.send_response(200 if good else 503)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            """A probe every few seconds is no news."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except (OSError, OverflowError) as e:
        raise InputError(f"metrics cannot be served on {host}:{port}: {e}") from e
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


__all__ = ["Metrics", "serving"]
