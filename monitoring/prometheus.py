"""The figures of the last day as Prometheus gauges: a file for the textfile collector, or a port.

Names begin with `rank_monitor_`. A gauge that has no value on the day is not there, rather than 0.
`rank_monitor_day_timestamp_seconds` says which day it is, so that a monitor that stopped can be noticed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monitoring.metrics import COUNTS, METRICS
from ranking.clock import parse_time
from ranking.errors import InputError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from monitoring.alerts import Judged

PREFIX: Final = "rank_monitor"


class Gauges:
    """The gauges, in a registry of their own."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Gauge

        self.registry: CollectorRegistry = CollectorRegistry()
        one: dict[str, Any] = {"namespace": PREFIX, "registry": self.registry}
        split = ("platform", "profile")
        self._figures = {
            metric.name: Gauge(metric.name, metric.says, () if metric.kind == "cluster" else split, **one)
            for metric in METRICS
        }
        self._counts = {
            name: Gauge(name, f"{says[0].upper()}{says[1:]}.", split, **one)
            for name, says in COUNTS.items()
            if name not in ("items_on_sale", "live_searches")
        }
        self._alert = Gauge("alert", "1 for each alert of the day.", ("rule", "severity", *split), **one)
        self._day = Gauge("day_timestamp_seconds", "Beginning of the last day computed, UTC.", **one)
        self._run = Gauge("run_timestamp_seconds", "When the run ended.", **one)

    def show(self, documents: Sequence[Mapping[str, Any]], judged: Judged, *, now_ms: int) -> None:
        """Show the last day of some documents in place of whatever was shown before."""
        for gauge in (*self._figures.values(), *self._counts.values(), self._alert):
            gauge.clear()
        for one in documents:
            if one["kind"] == "traffic" and one["day"] == judged.day:
                where = (one["platform"], one["profile"])
                for name, gauge in (*self._figures.items(), *self._counts.items()):
                    if one.get(name) is not None:
                        gauge.labels(*where).set(one[name])
            elif one["kind"] == "cluster":
                for metric in METRICS:
                    if metric.kind == "cluster" and one.get(metric.name) is not None:
                        self._figures[metric.name].set(one[metric.name])
        for alert in judged.alerts:
            self._alert.labels(alert.rule, alert.severity, alert.platform, alert.profile).set(1)
        self._day.set(parse_time(f"{judged.day}T00:00:00Z") / 1000)
        self._run.set(now_ms / 1000)

    def write(self, path: Path) -> None:
        """Write the textfile, whole or not at all.

        Raises:
            InputError: it cannot be written, or its name does not end in `.prom`, which the collector wants.
        """
        from prometheus_client import generate_latest

        from ranking.whole_file import write_text

        if path.suffix != ".prom":
            raise InputError(
                f"{path} would not be read by the textfile collector", hint="name a file that ends in .prom"
            )
        write_text(path, [generate_latest(self.registry).decode()])


@contextlib.contextmanager
def serving(gauges: Gauges, port: int, host: str = "127.0.0.1") -> Iterator[int]:
    """Serve /metrics; the port, which is a free one where `port` is 0.

    Raises:
        InputError: the port cannot be had.
    """
    from prometheus_client import start_http_server

    try:
        server, thread = start_http_server(port, addr=host, registry=gauges.registry)
    except (OSError, OverflowError) as e:
        raise InputError(f"metrics cannot be served on {host}:{port}: {e}") from e
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


__all__ = ["Gauges", "serving"]
