"""How `rank-cli monitor` prints a day: its slices, its alerts, and what was not judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ranking.cli import _output as out

if TYPE_CHECKING:
    from monitoring import Figures, History, Judged


def show(history: History, judged: Judged, fmt: out.Format, figures: Figures | None) -> None:
    """One day, as a table or as one JSON object."""
    from monitoring.metrics import METRICS
    from monitoring.slices import ALL

    if fmt is out.Format.json:
        out.as_json(
            {
                "day": judged.day,
                "days": list(figures.days) if figures is not None else history.days,
                "k": history.k,
                "simulated": history.simulated,
                "figures": [
                    history.row(judged.day, platform, profile)
                    for platform, profile in history.slices(judged.day)
                ],
                "cluster": history.cluster(judged.day),
                "annotations": [one.text for one in history.annotations],
                "alerts": [one.as_dict() for one in judged.alerts],
                "not_judged": list(judged.notes),
            }
        )
        return
    shown = [one for one in METRICS if one.name in _SHOWN]
    rows = []
    for platform, profile in history.slices(judged.day):
        found = history.row(judged.day, platform, profile)
        rows.append(
            {
                "platform": platform if platform != ALL else "all",
                "profile": profile if profile != ALL else "all",
                "searches": found["searches"],
                **{_SHOWN[one.name]: _brief(found.get(one.name)) for one in shown},
            }
        )
    title = f"{judged.day}, k {history.k}" + (", clicks and purchases simulated" if history.simulated else "")
    out.table(rows, title=title, right=_SHOWN.values())
    for note in judged.notes:
        out.note(note)
    if judged.alerts:
        out.table(
            [
                {"severity": one.severity, "alert": one.rule, "since": one.since, "": one.sentence}
                for one in judged.alerts
            ]
        )
    out.note(f"{judged.day}: {len(judged.alerts) or 'no'} alert{'s' if len(judged.alerts) != 1 else ''}")


_SHOWN = {  # column heads that fit beside each other
    "ctr_at_k": "CTR",
    "rr_first_click": "RR",
    "bcr": "BCR",
    "atpu": "ATPU",
    "zero_result_rate": "none",
    "image_score_at_k": "image",
    "freshness_at_k": "fresh",
    "coverage_at_k": "scored",
    "image_psi": "PSI",
    "score_parity": "parity",
    "took_p95_ms": "p95 ms",
}


def _brief(value: float | None) -> str:
    """Four digits; a share that is not 1 is never shown as 1."""
    if value is None:
        return ""
    return f"{value:.4g}" if value >= 1 or value < 0.9995 else f"{min(value, 0.999999):.6f}"
