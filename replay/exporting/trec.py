"""TREC runs, qrels and topics: one topic a search, or one a query text.

A run has a topic for each search, named by its search id, since one text is searched many times. The topics
file says the text of each; qrels grade every candidate of a search for which there is a judgment. Scores are
written as the shortest digits of their float32. trec_eval reads the score and breaks ties by descending id;
ours are broken by ascending id, so tied scores may rank otherwise there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from replay.engine import Ranking
from replay.exporting.files import atomic_text
from replay.exporting.pages import one_word, pages
from replay.judgments import Judgments
from replay.log import CaptureLog


def export_run(
    log: CaptureLog,
    path: Path,
    *,
    ranking: Ranking | None = None,
    k: int | None = None,
    tag: str | None = None,
) -> int:
    """Write `topic Q0 item rank score tag` lines; how many.

    A search without scores, as imported logs are, gets 1/rank: trec_eval ranks by score.

    Raises:
        InputError: an id holds a blank, or the file cannot be written.
    """
    n = 0
    with atomic_text(path) as file:
        for page in pages(log, ranking, k):
            topic = one_word(log.searches["search_id"][page.search], "search id")
            name = tag or (
                ranking.profile.name if ranking else str(log.searches["profile"][page.search]) or "log"
            )
            for rank, (position, score) in enumerate(zip(page.positions, page.scores, strict=True), start=1):
                item = one_word(log.item_id[position], "item id")
                value = str(np.float32(1 / rank) if np.isnan(score) else score)
                file.write(f"{topic} Q0 {item} {rank} {value} {one_word(name, 'tag')}\n")
                n += 1
    return n


def export_topics(log: CaptureLog, path: Path) -> int:
    """Write `topic TAB text` lines, one a search; how many. Tabs and line ends in a text become blanks.

    Raises:
        InputError: an id holds a blank, or the file cannot be written.
    """
    with atomic_text(path) as file:
        for search_id, query in zip(log.searches["search_id"], log.searches["query"], strict=True):
            file.write(f"{one_word(search_id, 'search id')}\t{' '.join(str(query).split())}\n")
    return len(log)


def export_qrels(log: CaptureLog, judgments: Judgments, path: Path) -> int:
    """Write `topic 0 item grade` lines for every judged item of each search's query; how many.

    Grades that are whole are written so; trec_eval wants whole ones, others are written as they are.

    Raises:
        InputError: an id holds a blank, or the file cannot be written.
    """
    n = 0
    with atomic_text(path) as file:
        for search_id, query in zip(log.searches["search_id"], log.searches["query"], strict=True):
            topic = one_word(search_id, "search id")
            for item_id, grade in sorted(judgments.by_query.get(query, {}).items()):
                file.write(f"{topic} 0 {one_word(item_id, 'item id')} {grade:.9g}\n")
                n += 1
    return n
