"""Query texts of topic ids: `id TAB text` lines, as TREC topics are often given."""

from __future__ import annotations

from pathlib import Path

from ranking.errors import InputError
from replay.importing.lines import read_rows


def read_topics(path: Path) -> dict[str, str]:
    """Text by topic id. A heading line is taken for a topic, which does no harm.

    Raises:
        InputError: the file cannot be read, or a line has no tab; it names the line.
    """
    topics = {}
    for row in read_rows(path, "text"):
        topic, tab, text = row.text.partition("\t")
        if not tab or row.reason is not None:
            raise InputError(f"{path} line {row.line}: {row.reason or 'no tab between topic and text'}")
        topics[topic.strip()] = text.split("\t")[0].strip()
    return topics
