"""Item messages on Google Pub/Sub become scored documents: `python -m scorer.pipeline --help`."""

from __future__ import annotations

__all__: list[str] = []
