"""From a capture folder and its comparisons to the HTML report: reads the cards of the shown items."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from elasticsearch import Elasticsearch

from ranking.capture import EVENT_SCHEMA, read_table
from replay.checks import check_log
from replay.compare import Comparison
from replay.judgments import Judgments
from replay.live import LiveParity
from replay.log import CaptureLog
from replay.parity import Parity
from replay.report import ItemCard, build_report, fetch_item_cards, shown_items, summary_markdown
from replay.report.html_file import write_atomically


def write_report(
    log: CaptureLog,
    folder: Path,
    comparisons: Sequence[Comparison],
    parity: Parity,
    *,
    live: LiveParity | None,
    judgments: Judgments | None,
    out: Path,
    es: Elasticsearch | None = None,
    photo_root: Path | None = None,
    currency: str = "",
) -> Path:
    """Write the report of a capture folder.

    Args:
        log: the captured searches of `folder`.
        folder: also holds the events, which say whether clicks are simulated.
        comparisons: what the page switches between, the main one first.
        parity: of the log.
        live: of the cluster, where it was asked.
        judgments: behind nDCG, where there are any.
        out: the file to write.
        es: the cluster that holds the items; without it, items are shown by their id alone.
        photo_root: folder below which item photos may be read.
        currency: written before prices, such as "¥".
    """
    cards: dict[str, ItemCard] = {}
    if es is not None:
        shown, with_photo = shown_items(log, comparisons)
        others = set(shown).difference(with_photo)
        for index in (name for name, _searches in log.groups("index") if name):
            cards |= fetch_item_cards(es, index, others)
            cards |= fetch_item_cards(es, index, with_photo, photo_root=photo_root)
    return build_report(
        log,
        comparisons,
        parity,
        live=live,
        judgments=judgments,
        items=cards,
        out=out,
        simulated_clicks=has_simulated_clicks(folder),
        currency=currency,
        checks=check_log(log, folder),
    )


def write_summary(
    log: CaptureLog,
    folder: Path,
    comparisons: Sequence[Comparison],
    parity: Parity,
    *,
    live: LiveParity | None,
    out: Path,
    report: Path | None = None,
) -> Path:
    """Write the Markdown summary of a capture folder; `report` is linked as its folder sees it."""
    link = None
    if report is not None:
        link = Path(os.path.relpath(report.resolve(), out.resolve().parent)).as_posix()
    text = summary_markdown(
        log,
        comparisons,
        parity,
        live,
        simulated_clicks=has_simulated_clicks(folder),
        checks=check_log(log, folder),
        link=link,
    )
    return write_atomically(out, text)


def has_simulated_clicks(folder: Path) -> bool:
    """Whether any event of a capture folder was made by a click model."""
    return any(read_table(folder, "events", EVENT_SCHEMA)["simulated"].to_pylist())
