"""OpenTelemetry spans of the ingest, from the message to its item in a bulk request.

A message with a `traceparent` header goes on in its producer's trace: its span is a child of the header's,
lasts until its document is in the index, and links to the span of the batch it was worked on in, which has
one child for each stage. Only the API is used here: without an SDK that was set up
(`opentelemetry-instrument rank-cli ingest stream`) the spans go nowhere and cost next to nothing.

Source of the names: OpenTelemetry semantic conventions, "Messaging spans".
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode

from scorer.ingest.observe import Doing, Observer, Outcome
from scorer.ingest.records import Record


class Tracing(Observer):
    """Makes the spans.

    Args:
        system: where messages come from: kafka, nats, redis, rabbitmq.
        provider: the global one by default.
    """

    def __init__(self, system: str = "kafka", provider: trace.TracerProvider | None = None) -> None:
        self._system = system
        self._tracer = trace.get_tracer("rank.ingest", tracer_provider=provider)
        self._lock = threading.Lock()
        self._items: dict[int, Span] = {}  # by the record's identity, while its batch is at work

    @contextlib.contextmanager
    def batch(self, records: Sequence[Record]) -> Iterator[None]:
        """A span for the batch, and one for each message that came with a trace."""
        shared: dict[str, Any] = {"messaging.system": self._system}
        if records:
            shared["messaging.destination.name"] = records[0].topic
        with self._tracer.start_as_current_span(
            "ingest batch", attributes={**shared, "messaging.batch.message_count": len(records)}
        ) as batch:
            began = []
            for record in records:
                parent = record.header("traceparent")
                if parent is None or not batch.is_recording():
                    continue
                carrier = {"traceparent": parent, "tracestate": record.header("tracestate") or ""}
                span = self._tracer.start_span(
                    f"{record.topic} process",
                    context=propagate.extract(carrier),
                    kind=SpanKind.CONSUMER,
                    links=[Link(batch.get_span_context())],
                    attributes={
                        **shared,
                        "messaging.destination.partition.id": str(record.partition),
                        "messaging.kafka.offset": record.offset,
                    },
                )
                began.append((id(record), span))
            with self._lock:
                self._items.update(began)
            try:
                yield
            finally:
                with self._lock:
                    left = [self._items.pop(key) for key, _ in began if key in self._items]
                for span in left:  # superseded within its batch, or the batch has failed
                    span.end()

    @contextlib.contextmanager
    def stage(self, doing: Doing, n: int) -> Iterator[None]:
        """A span for one stage."""
        with self._tracer.start_as_current_span(f"ingest {doing}", attributes={"rank.items": n}):
            yield

    def item(self, record: Record, outcome: Outcome) -> None:
        """The record's span ends with what became of it."""
        with self._lock:
            span = self._items.pop(id(record), None)
        if span is None:
            return
        bulk = trace.get_current_span().get_span_context()
        span.set_attribute("rank.outcome", outcome)
        if outcome in ("refused", "parse"):
            span.set_status(Status(StatusCode.ERROR, outcome))
        elif bulk.is_valid:
            span.add_link(bulk)
        span.end()


__all__ = ["Tracing"]
