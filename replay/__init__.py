"""Replay: any past ranking exactly, any other ranking with proof of how far it is exact."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from replay.compare import Comparison, compare_rankings
    from replay.engine import Ranking, rank
    from replay.judgments import Judgments
    from replay.live import LiveParity, verify_live
    from replay.log import CaptureLog, read_log
    from replay.parity import Parity, verify

_HOME = {
    "CaptureLog": "log",
    "Comparison": "compare",
    "Judgments": "judgments",
    "LiveParity": "live",
    "Parity": "parity",
    "Ranking": "engine",
    "compare_rankings": "compare",
    "rank": "engine",
    "read_log": "log",
    "verify": "parity",
    "verify_live": "live",
}

__all__ = [
    "CaptureLog",
    "Comparison",
    "Judgments",
    "LiveParity",
    "Parity",
    "Ranking",
    "compare_rankings",
    "rank",
    "read_log",
    "verify",
    "verify_live",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'replay' has no attribute {name!r}")
    return getattr(import_module(f"replay.{_HOME[name]}"), name)
