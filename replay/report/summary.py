"""The report in a few lines of Markdown, for a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from replay.compare import Comparison, Difference
from replay.live import LiveParity
from replay.log import CaptureLog
from replay.parity import Parity
from replay.report.words import date_range, platform_order, side_label, signed, verdict


def summary_markdown(
    log: CaptureLog,
    comparisons: Sequence[Comparison],
    parity: Parity,
    live: LiveParity | None = None,
    *,
    simulated_clicks: bool = False,
) -> str:
    """Verdict, figures by platform, and how far to trust them."""
    now_ms = log.searches["now_ms"]
    lines = [f"### Replay: {len(log):,} searches, {date_range(int(now_ms.min()), int(now_ms.max()))}", ""]
    for pair in comparisons:
        lines += [f"**{_plain(side_label(pair.contender))} against {_plain(side_label(pair.baseline))}.** "]
        lines[-1] += verdict(pair)
        lines += ["", *_table(pair), ""]
    lines += [f"- {line}" for line in _trust(comparisons, parity, live, simulated_clicks)]
    return "\n".join(lines) + "\n"


def _table(pair: Comparison) -> list[str]:
    segments = sorted({row.segment for row in pair.differences}, key=platform_order)
    rows = {(row.measure, row.segment): row for row in pair.differences}
    lines = [
        f"| measure | {' | '.join(_plain(segment) for segment in segments)} |",
        f"|---|{'---|' * len(segments)}",
    ]
    for measure in pair.measures:
        cells = [_cell(rows.get((measure.name, segment))) for segment in segments]
        unit = f", {measure.unit}" if measure.unit else ""
        lines.append(f"| {measure.name}{unit} | {' | '.join(cells)} |")
    lines.append(f"\n{pair.entered.mean():.1f} of {pair.k} items change; a star marks adjusted p < 0.05.")
    return lines


def _cell(row: Difference | None) -> str:
    if row is None or row.n == 0:
        return "–"
    star = " *" if row.significant else ""
    if row.low is None or row.high is None:
        return signed(row.delta, 3)
    return f"{signed(row.delta, 3)} [{signed(row.low, 3)}, {signed(row.high, 3)}]{star}"


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
    """A label that Markdown does not read as markup."""
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")
