"""How `replay run` prints what it found: a table per comparison, a table of moved clocks, or one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ranking.cli import _output as out
from ranking.cli.replay._cluster import parity_rows

if TYPE_CHECKING:
    from replay.compare import Comparison
    from replay.exact import Requeried
    from replay.live import LiveParity
    from replay.moments import Moment, PageChange
    from replay.parity import Parity

_RIGHT = ("baseline", "contender", "delta", "95 % interval", "p", "detectable", "days needed")


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that a run found."""

    comparisons: Sequence[Comparison]
    parity: Parity | None = None
    live: LiveParity | None = None
    changes: Sequence[PageChange] = ()
    moments: Sequence[Moment] = ()
    asked: Requeried | None = None
    report: Path | None = None
    markdown: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return {
            "parity": self.parity.as_dict() if self.parity else None,
            "live": self.live.as_dict() if self.live else None,
            "comparisons": [found.as_dict() for found in self.comparisons],
            "clocks": [change.as_dict() for change in self.changes],
            "as_of": [at.as_of.as_dict() for at in self.moments if at.as_of],
            "requeried": self.asked.as_dict() if self.asked else None,
            "report": str(self.report) if self.report else None,
            "markdown": str(self.markdown) if self.markdown else None,
        }


def show(found: Findings, fmt: out.Format, *, effect: float | None) -> None:
    """Print findings.

    Args:
        found: what to print.
        fmt: as tables or as JSON.
        effect: a relative change whose days until it is detectable stand in the table.
    """
    if fmt is out.Format.json:
        out.as_json(found.as_dict())
        return
    if found.parity is not None:
        out.table(parity_rows(found.parity, found.live))
    for compared in found.comparisons:
        out.table(_rows(compared, effect), title=_title(compared), right=_RIGHT)
    if found.changes:
        out.table(
            [change.row() for change in found.changes],
            title="\nthe same searches later, each profile against its own page at the logged clock",
        )


def _title(found: Comparison) -> str:
    judged = " (simulated judgments)" if found.simulated_judgments else ""
    kept = {row.measure: row.mean for row in found.agreements if row.segment == "all"}
    agreed = ", ".join(f"{name} {mean:.3f}" for name, mean in kept.items())
    moved = found.contender.clock_shift_ms
    clock = f" at a clock moved by {moved / 3_600_000:+g} h" if moved else ""
    return (
        f"\n{found.contender.profile.name} against {found.baseline.profile.name}{clock}, "
        f"{len(found.entered)} searches, proven at {found.k} for {found.proven}, "
        f"{found.entered.mean():.2f} of {found.k} items change ({agreed}){judged}; "
        f"test {found.test} by {found.clusters}, p adjusted by {found.adjustment}"
    )


def _rows(found: Comparison, effect: float | None) -> list[dict[str, Any]]:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:+.4f}"

    def days(value: float | None) -> str:
        return "" if value is None else f"{value:.1f}"

    return [
        {
            "measure": row.measure,
            "segment": row.segment
            if row.dimension in ("all", "platform")
            else f"{row.dimension} {row.segment}",
            "n": row.n,
            "clusters": row.n_queries,
            "baseline": f"{row.baseline:.4f}" if row.n else "",
            "contender": f"{row.contender:.4f}" if row.n else "",
            "delta": number(row.delta if row.n else None),
            "95 % interval": f"{number(row.low)} to {number(row.high)}" if row.low is not None else "",
            "p": "" if row.p is None else f"{row.p:.2g}",
            "detectable": "" if row.detectable is None else f"{row.detectable:.4f}",
            **({} if effect is None else {"days needed": days(row.days_needed(effect, found.days))}),
        }
        for row in found.differences
    ]
