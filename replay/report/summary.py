"""The report in a few lines of Markdown, for a pull request."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from urllib.parse import quote

from replay.checks import Check
from replay.compare import ALL, Comparison, Difference
from replay.live import LiveParity
from replay.log import CaptureLog
from replay.parity import Parity
from replay.report.words import date_range, platform_order, side_label, signed, verdict

_MARKUP = str.maketrans(
    {one: f"\\{one}" for one in "\\`*_[]()#!|~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
)


def summary_markdown(
    log: CaptureLog,
    comparisons: Sequence[Comparison],
    parity: Parity,
    live: LiveParity | None = None,
    *,
    simulated_clicks: bool = False,
    checks: Sequence[Check] | None = None,
    link: str | None = None,
) -> str:
    """Verdict, figures by platform, and how far to trust them.

    Args:
        log: the captured searches.
        comparisons: one table each.
        parity: of the log.
        live: of the cluster, where it was asked.
        simulated_clicks: the log's clicks come from a click model.
        checks: of the log; those that are not ok stand above the figures.
        link: address of the HTML report, relative to the summary.
    """
    now_ms = log.searches["now_ms"]
    searches = f"{len(log):,} search{'' if len(log) == 1 else 'es'}"
    lines = [f"### Replay: {searches}, {date_range(int(now_ms.min()), int(now_ms.max()))}", ""]
    warned = [line for check in checks or () for line in _check(check)]
    if checks:
        lines += [*warned, ""] if warned else [f"All {len(checks)} log checks passed.", ""]
    for pair in comparisons:
        sides = f"{_plain(side_label(pair.contender))} against {_plain(side_label(pair.baseline))}"
        lines += [f"**{sides}.** {verdict(pair)}", "", *_table(pair), ""]
    lines += [f"- {line}" for line in _trust(comparisons, parity, live, simulated_clicks)]
    if link is not None:
        lines += ["", f"[The report]({quote(link)}): every search with both pages, and sliders."]
    return "\n".join(lines) + "\n"


def _check(check: Check) -> list[str]:
    if check.verdict == "ok":
        return []
    return [f"- **log check {check.verdict}**, {_plain(check.name)}: {_plain(check.says)}"]


def _table(pair: Comparison) -> list[str]:
    """A row per measure, a column per platform; rows by category and frequency are the report's."""
    by_platform = [row for row in pair.differences if row.dimension in {ALL, "platform"}]
    segments = sorted({row.segment for row in by_platform}, key=platform_order)
    rows = {(row.measure, row.segment): row for row in by_platform}
    counts = [max(row.n for row in by_platform if row.segment == segment) for segment in segments]
    heads = [f"{_plain(segment)} (n = {n:,})" for segment, n in zip(segments, counts, strict=True)]
    lines = [f"| measure | {' | '.join(heads)} |", f"|---|{'---|' * len(segments)}"]
    for measure in pair.measures:
        cells = [
            _cell(rows.get((measure.name, segment)), n) for segment, n in zip(segments, counts, strict=True)
        ]
        unit = f", {measure.unit}" if measure.unit else ""
        lines.append(f"| {measure.name}{unit} | {' | '.join(cells)} |")
    lines.append(
        f"\n{pair.entered.mean():.1f} of {pair.k} items change, mean per search. Brackets: 95 % intervals; "
        "a star marks adjusted p < 0.05."
    )
    return lines


def _cell(row: Difference | None, n: int) -> str:
    if row is None or row.n == 0:
        return "–"
    count = "" if row.n == n else f", n = {row.n:,}"
    if row.low is None or row.high is None:
        return f"{signed(row.delta, 3)}{count}"
    star = r" \*" if row.significant else ""
    return f"{signed(row.delta, 3)} [{signed(row.low, 3)}, {signed(row.high, 3)}]{count}{star}"


def _trust(
    comparisons: Sequence[Comparison], parity: Parity, live: LiveParity | None, simulated_clicks: bool
) -> list[str]:
    mark = "" if parity.holds else "**NOT EXACT** "
    lines = [
        f"{mark}{parity.bit_equal:,} of {parity.scores:,} scores equal to the log, bit for bit; "
        f"{parity.identical_topk:,} of {parity.searches:,} pages identical"
        + (
            f"; {parity.unknown_profile:,} searches under an unknown profile"
            if parity.unknown_profile
            else ""
        )
    ]
    if parity.imported:
        lines.append(f"{parity.imported:,} searches imported without their formula: nothing to recompute")
    for pair in comparisons:
        n = len(pair.entered)
        lines.append(
            f"{_plain(side_label(pair.contender))}: exact to {pair.k} on {pair.proven:,} of {n:,} searches"
        )
    if live is not None:
        lines.append(
            f"live: {live.bit_equal:,} of {live.scores:,} scores of today equal; index drift apart: "
            f"{live.drift.rel_equal:,} of {live.drift.common_items:,} relevances unmoved"
        )
    if simulated_clicks:
        lines.append("clicks are simulated")
    if any(pair.simulated_judgments for pair in comparisons):
        lines.append("judgments are simulated")
    return lines


def _plain(text: str) -> str:
    """Words that Markdown does not read as markup, on one line, with nothing that turns the line around."""
    shown = "".join(" " if unicodedata.category(one) in {"Cc", "Cf", "Zl", "Zp"} else one for one in text)
    return shown.translate(_MARKUP)
