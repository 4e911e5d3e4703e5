"""One HTML file: template, style, script and data in one piece, under a policy that lets nothing else in."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ranking.errors import InputError
from replay.checks import Check
from replay.compare import Comparison
from replay.judgments import Judgments
from replay.live import LiveParity
from replay.log import CaptureLog
from replay.parity import Parity
from replay.report.cards import ItemCard
from replay.report.data import assemble, to_json
from replay.report.html_file import asset, policy, write_atomically
from replay.report.notes import notes
from replay.report.selection import Limits

_SCRIPTS = (  # one script, in this order
    "tools.js",
    "formula.js",
    "ranking.js",
    "columns.js",
    "model.js",
    "tip.js",
    "controls.js",
    "parts.js",
    "head.js",
    "figures.js",
    "distributions.js",
    "lab.js",
    "list.js",
    "detail.js",
    "candidates.js",
    "main.js",
)
_STYLES = ("base.css", "report.css", "searches.css")
_SLOT = re.compile(r"\{\{ (\w+) \}\}")


def build_report(
    log: CaptureLog,
    comparisons: Sequence[Comparison],
    parity: Parity,
    *,
    live: LiveParity | None,
    judgments: Judgments | None,
    items: Mapping[str, ItemCard],
    out: Path,
    simulated_clicks: bool,
    limits: Limits | None = None,
    title: str = "Replay report",
    currency: str = "",
    checks: Sequence[Check] | None = None,
) -> Path:
    """Write the report as one HTML file, whole or not at all.

    Args:
        log: the captured searches.
        comparisons: what the page can switch between; the first is shown first and chooses the searches.
        parity: formula parity of the log.
        live: what a live cluster answered; None where none was asked.
        judgments: grades behind nDCG; None where there are none.
        items: title, price and photo by item id; items it lacks are shown by their id.
        out: the file; its folder is made where missing.
        simulated_clicks: the log's clicks come from a click model, and the page says so.
        limits: how many searches and photos are embedded; the figures count the whole log.
        title: small heading of the page.
        currency: written before prices, such as "¥".
        checks: the log's checks, shown above every figure; None where they were not run.

    Returns:
        `out`.

    Raises:
        InputError: there is no comparison, or no search to show.
    """
    if not comparisons or not len(log):
        raise InputError("a report needs at least one search and one comparison")
    data = assemble(
        log,
        comparisons,
        parity,
        live=live,
        judgments=judgments,
        items=items,
        simulated_clicks=simulated_clicks,
        limits=limits or Limits(),
        title=title,
        currency=currency,
        checks=checks,
    )
    first = data["comparisons"][0]
    script = "\n".join(asset(name) for name in _SCRIPTS)
    style = "\n".join(asset(name) for name in _STYLES)
    page = _fill(
        asset("template.html"),
        {
            "policy": policy(script, style),
            "title": html.escape(title),
            "sides": html.escape(f"{first['contender']['label']} against {first['baseline']['label']}"),
            "verdict": html.escape(first["verdict"]),
            "notes": "".join(
                f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd></div>"
                for name, text in notes(data)
            ),
            "style": style,
            "script": script,
            "data": to_json(data),
        },
    )
    return write_atomically(out, page)


def _fill(template: str, values: Mapping[str, str]) -> str:
    """Put values into `{{ slots }}` in one pass, so that no value is read as a slot."""
    return _SLOT.sub(lambda slot: values[slot[1]], template)
