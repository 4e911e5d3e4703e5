"""A short simulated month, for tests."""

from __future__ import annotations

from pathlib import Path

from marketplace.month import Month, simulate_month
from ranking.clock import parse_time


def month_of(folder: Path, **changed: int) -> Path:
    """Five days of 40 searches up to 2026-11-27, of which `additive` serves half from the third on."""
    usual = {"days": 5, "searches": 40, "launch": 2, "silence": 99, "breakdown": 99}
    simulate_month(folder, Month(last_ms=parse_time("2026-11-28T00:00:00Z"), **(usual | changed)))
    return folder
