"""The replay report: one HTML file that needs no server and no network.

`build_report` writes it, `shown_items` says which items it will show, `fetch_item_cards` reads their titles,
prices and photos, and `summary_markdown` says the same in a few lines for a pull request.
"""

from __future__ import annotations

from replay.report.cards import ItemCard, fetch_item_cards
from replay.report.page import build_report
from replay.report.selection import Limits, shown_items
from replay.report.summary import summary_markdown

__all__ = ["ItemCard", "Limits", "build_report", "fetch_item_cards", "shown_items", "summary_markdown"]
