"""Elasticsearch search slow logs of 8 and 9, as JSON or as `key="value"` lines: text and time, no shown ids.

One search leaves a line per shard and phase. Lines of one request (`trace.id` or `X-Opaque-Id`, index and
body alike) within a second are one search, until a shard speaks of the same phase again. The clock is that of
the body where the body carries one (a decay origin in epoch ms, as ours do), else the line's time less the
time it took. The user's text is that of the first full-text clause. Such a search has no items:
`rank-cli replay run --reconstruct` asks the cluster.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ranking import rows
from ranking.capture import CaptureRecord
from ranking.rows import RowError
from replay.importing.lines import Kind, Row
from replay.importing.records import Ignored, Imported, ImportOptions, RowReader, shown_search

_P = "elasticsearch.slowlog."
_SAME_MS = 1_000  # lines of one request are written within a second
_FULL_TEXT = (
    "multi_match",
    "match",
    "combined_fields",
    "query_string",
    "simple_query_string",
    "match_phrase",
)
_STAMP = re.compile(r"\[([0-9T:.,+Z-]+)\](?:\[[^]]*\]\[([^]]*)\])?")
_PAIR = re.compile(r'(elasticsearch\.[\w.]+|trace\.id)="((?:[^"\\]|\\.)*)"')
_EARLIEST_MS = 10**12  # an origin above is epoch ms of 2001 or later


class SlowLogReader(RowReader):
    """Searches by text and time."""

    source = "slow-log"
    kind: Kind = "text"

    def __init__(self, options: ImportOptions) -> None:
        self._options = options
        self._recent: OrderedDict[str, tuple[int, set[str]]] = OrderedDict()  # first line, shards and phases

    def feed(self, row: Row) -> Iterable[Imported]:
        """One line."""
        data = rows.parse_object(row.text) if row.text.lstrip().startswith("{") else _pairs(row.text)
        source = rows.text(data, f"{_P}source")
        if source is None:
            raise RowError(f"{_P}source is missing: not a search slow log in JSON")
        at_ms = rows.required_moment(data, "@timestamp")
        took_ms = rows.whole(data, f"{_P}took_millis") or 0
        body = parse_body(source)
        index = _index(data) or self._options.index
        request = rows.text(data, f"{_P}id") or rows.text(data, "trace.id") or ""
        part = f"{rows.text(data, f'{_P}message')} {rows.text(data, 'log.logger')}"
        if self._seen(repr((request, index, source)), part, at_ms):
            return [Ignored("more lines of a search that is there (other shards, the fetch phase)")]
        text = query_text(body.get("query"))
        if text is None:
            return [Ignored("searches without a text")]
        clock = body_clock(body.get("query"))
        return [
            self._search(data, text, clock if clock is not None else max(0, at_ms - took_ms), body, index)
        ]

    def _search(
        self, data: Mapping[str, Any], text: str, now_ms: int, body: Mapping[str, Any], index: str
    ) -> CaptureRecord:
        identity = repr(
            (rows.text(data, f"{_P}id"), rows.text(data, "trace.id"), data["@timestamp"], index, text)
        )
        size = body.get("size")
        return shown_search(
            self.source,
            search_id=hashlib.blake2b(identity.encode(), digest_size=16).hexdigest(),
            query=text,
            now_ms=now_ms,
            items=(),
            index=index,
            k=size if isinstance(size, int) and 0 <= size <= rows.MAX_RANK else 10,
            platform=self._options.platform,
            took_ms=rows.whole(data, f"{_P}took_millis") or 0,
        )

    def _seen(self, key: str, part: str, at_ms: int) -> bool:
        """Whether a line belongs to a search that is there. The oldest of 10,000 requests are forgotten."""
        first_ms, parts = self._recent.pop(key, (at_ms, {part}))
        new = part in parts or abs(at_ms - first_ms) > _SAME_MS
        self._recent[key] = (at_ms, {part}) if new else (first_ms, parts | {part})
        while len(self._recent) > 10_000:
            self._recent.popitem(last=False)
        return not new


def parse_body(source: str) -> dict[str, Any]:
    """The search body that a line quotes; some layouts quote it twice.

    Raises:
        RowError: not an object.
    """
    for _ in range(2):
        try:
            found = json.loads(source)
        except (ValueError, RecursionError):
            try:
                source = json.loads(f'"{source}"')
                continue
            except (ValueError, RecursionError):
                break
        if isinstance(found, dict):
            return found
        if not isinstance(found, str):
            break
        source = found
    raise RowError(f"{_P}source is no search body")


def query_text(query: Any) -> str | None:
    """What the user typed: the text of the first full-text clause, outside filters."""
    for name, clause in _clauses(query):
        if name not in _FULL_TEXT:
            continue
        if isinstance(clause.get("query"), str):
            found = clause["query"]
        else:
            values = [one.get("query") if isinstance(one, dict) else one for one in clause.values()]
            found = next((value for value in values if isinstance(value, str)), "")
        if found.strip():
            return rows.text({"query": found}, "query")
    return None


def body_clock(query: Any) -> int | None:
    """The clock that a body pins: the `origin` of a decay or `now_ms` of a script, in epoch ms."""
    for node in _objects(query):
        for key in ("origin", "now_ms"):
            value = node.get(key)
            if isinstance(value, int) and not isinstance(value, bool) and value >= _EARLIEST_MS:
                return rows.moment({key: value}, key)
    return None


def _clauses(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Named clauses in document order, without those of filters, which hold no user's text."""
    if isinstance(node, list):
        for one in node:
            yield from _clauses(one)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name in ("filter", "must_not"):
                continue
            if isinstance(value, dict):
                yield name, value
            yield from _clauses(value)


def _objects(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _objects(value)
    elif isinstance(node, list):
        for value in node:
            yield from _objects(value)


def _pairs(text: str) -> dict[str, Any]:
    """A line of the pattern layout: `[time][level][logger] key="value" …`, values escaped as in JSON."""
    stamp = _STAMP.match(text)
    found: dict[str, Any] = {}
    for name, value in _PAIR.findall(text):
        try:
            found[name] = json.loads(f'"{value}"')
        except ValueError:
            raise RowError(f"{name} is not quoted as JSON is") from None
    if stamp is None or not found:
        raise RowError('not a search slow log: neither JSON nor [time] and key="value" pairs')
    return {"@timestamp": stamp[1].replace(",", "."), "log.logger": stamp[2], **found}


def _index(data: Mapping[str, Any]) -> str:
    """The index of a line: `[items][0]` in the message."""
    message = rows.text(data, f"{_P}message", "message") or ""
    return message[1:].split("]", 1)[0] if message.startswith("[") else ""
