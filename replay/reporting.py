"""From a capture folder and its comparisons to the HTML report: reads the cards of the shown items."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from elasticsearch import Elasticsearch

from ranking.capture import EVENT_SCHEMA, read_table
from replay.compare import Comparison
from replay.judgments import Judgments
from replay.live import LiveParity
from replay.log import CaptureLog
from replay.parity import Parity
from replay.report import ItemCard, build_report, fetch_item_cards, shown_items


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
        shown = shown_items(log, comparisons)
        for index, _searches in log.groups("index"):
            cards |= fetch_item_cards(es, index, shown, photo_root=photo_root)
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
    )


def has_simulated_clicks(folder: Path) -> bool:
    """Whether any event of a capture folder was made by a click model."""
    return any(read_table(folder, "events", EVENT_SCHEMA)["simulated"].to_pylist())
