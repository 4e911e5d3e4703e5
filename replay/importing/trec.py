"""TREC runs (`topic Q0 item rank score tag`) and qrels (`topic 0 item grade`), gzip or plain.

A run becomes one search a topic, its page in the order of `rank`; a topic without a known text is its own
query. trec_eval itself ranks by score and breaks ties by descending id: where a run's ranks say otherwise,
`rank-cli replay check` shows it. Ranks that begin at 0 are moved to 1. Negative grades mean judged and not
relevant, as trec_eval takes them: they are read as 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ranking import rows
from ranking.capture import CaptureRecord
from ranking.errors import InputError
from ranking.rows import RowError
from replay.importing.lines import Kind, Row, read_rows
from replay.importing.records import (
    Grade,
    Imported,
    ImportOptions,
    RowReader,
    shown_item,
    shown_search,
    topic_text,
)


@dataclass(slots=True)
class _Topic:
    """What was read of one topic so far."""

    tag: str
    items: dict[str, tuple[int, float]] = field(default_factory=dict)  # rank and score by item


class TrecRunReader:
    """One search a topic. Lines of one topic need not stand together."""

    source = "trec"
    kind: Kind = "text"

    def __init__(self, options: ImportOptions) -> None:
        if options.at_ms is None:
            raise InputError("a TREC run has no times", hint="give the searches a clock with --at")
        self._options, self._at_ms = options, options.at_ms
        self._topics: dict[str, _Topic] = {}
        self._last: dict[str, tuple[Path, int]] = {}  # where the last line of each topic stands

    def prepare(self, paths: Sequence[Path]) -> Sequence[Path]:
        """Find out where each topic ends, so that no more than the open ones are held in memory."""
        for path in paths:
            for row in read_rows(path, "text"):
                topic = row.text.split(maxsplit=1)[:1]
                if topic and row.reason is None:
                    self._last[topic[0]] = (path, row.line)
        return paths

    def feed(self, row: Row) -> Iterable[Imported]:
        """One line; its search is given with the last line of its topic."""
        parts = row.text.split()
        if len(parts) != 6:
            raise RowError(f"{len(parts)} columns; a run has six: topic Q0 item rank score tag")
        topic, _q0, item_id, rank, score, tag = parts
        place, value = rows.whole({"rank": rank}, "rank"), rows.number({"score": score}, "score")
        if place is None or value is None:
            raise RowError("rank or score is missing")
        shown_item(item_id, 1, value)  # refuses what a float32 cannot hold
        found = self._topics.setdefault(topic, _Topic(tag))
        if item_id in found.items:
            raise RowError(f"item {item_id!r} is there twice for topic {topic!r}")
        found.items[item_id] = (place, value)
        if self._last.get(topic) == (row.path, row.line):
            return [self._search(topic, self._topics.pop(topic))]
        return ()

    def finish(self) -> Iterator[Imported]:
        """The searches whose last line was refused."""
        while self._topics:
            topic = next(iter(self._topics))
            yield self._search(topic, self._topics.pop(topic))

    def _search(self, topic: str, found: _Topic) -> CaptureRecord:
        in_order = sorted(found.items.items(), key=lambda one: one[1][0])
        zero_based = in_order[0][1][0] == 0
        items = [shown_item(item_id, rank + zero_based, score) for item_id, (rank, score) in in_order]
        return shown_search(
            self.source,
            search_id=topic,
            query=topic_text(self._options, topic),
            now_ms=self._at_ms,
            items=items,
            index=self._options.index,
            profile=found.tag,
            platform=self._options.platform,
        )


class QrelsReader(RowReader):
    """Judgments of topics."""

    source = "trec-qrels"
    kind: Kind = "text"

    def __init__(self, options: ImportOptions) -> None:
        self._options = options

    def feed(self, row: Row) -> Iterable[Imported]:
        """One judgment."""
        parts = row.text.split()
        if len(parts) != 4:
            raise RowError(f"{len(parts)} columns; qrels have four: topic 0 item grade")
        topic, _iteration, item_id, text = parts
        grade = rows.number({"grade": text}, "grade")
        if grade is None:
            raise RowError("grade is missing")
        return [Grade(topic_text(self._options, topic), item_id, max(0.0, grade))]
