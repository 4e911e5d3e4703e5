"""An interleaved page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Draft:
    """An interleaved page."""

    items: tuple[str, ...]  # in display order
    teams: tuple[str | None, ...]  # which ranking picked it; None where nobody did
