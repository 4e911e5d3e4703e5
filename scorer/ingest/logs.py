"""What the ingest says on stderr: sentences for people, or one JSON object a line for a log collector.

A JSON line has `at` (ISO 8601, UTC), `level`, `event` and `message`; what belongs to the event stands
beside them, and `trace_id` and `span_id` where a span is open. Items' texts are never logged, nor are
addresses' logins.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, TextIO

from ranking.item_message import iso_ms
from scorer.ingest.observe import Observer

LogFormat = Literal["text", "json"]
Level = Literal["info", "warning", "error"]


class Log(Observer):
    """Says what happens; as JSON, each batch and each kind of error too.

    Args:
        format: text or json.
        note: how a sentence is shown.
        stream: where JSON lines go.
    """

    def __init__(
        self, format: LogFormat, note: Callable[[str], None], *, stream: TextIO | None = None
    ) -> None:
        self._json = format == "json"
        self._note = note
        self._stream = stream
        self._lock = threading.Lock()

    def say(self, event: str, message: str, *, level: Level = "info", **more: Any) -> None:
        """One event, shown in both formats."""
        if self._json:
            self._write(event, message, level, more)
        else:
            self._note(message)

    def error(self, kind: str, n: int = 1) -> None:
        """Something went wrong."""
        if self._json:
            self._write("error", f"{kind}, {n} of them", "warning", {"kind": kind, "n": n})

    def finished(self, counts: Mapping[str, Any]) -> None:
        """A batch is in the index."""
        if self._json:
            numbers = {k: v for k, v in counts.items() if isinstance(v, int) and not isinstance(v, bool)}
            self._write("batch", f"{numbers['received']} messages finished", "info", numbers)

    def pace(self, requests: float, docs: float) -> None:
        """Bulk requests at a time, and documents in one."""
        if self._json:
            limits = {"requests": int(requests), "documents": int(docs)}
            self._write("pace", "another pace of bulk requests", "info", limits)

    def _write(self, event: str, message: str, level: Level, more: Mapping[str, Any]) -> None:
        line = {"at": iso_ms(time.time_ns() // 1_000_000), "level": level, "event": event, "message": message}
        text = json.dumps({**line, **_trace(), **more}, ensure_ascii=False, default=str)
        with self._lock:
            print(text, file=self._stream or sys.stderr, flush=True)


def _trace() -> dict[str, str]:
    try:
        from opentelemetry import trace
    except ImportError:
        return {}
    here = trace.get_current_span().get_span_context()
    if not here.is_valid:
        return {}
    return {"trace_id": f"{here.trace_id:032x}", "span_id": f"{here.span_id:016x}"}


__all__ = ["Log", "LogFormat"]
