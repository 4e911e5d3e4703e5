"""Replay: any past ranking exactly, any other ranking with proof of how far it is exact."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from replay.compare import Comparison, compare_rankings
    from replay.engine import Ranking, rank
    from replay.exact import requery
    from replay.history import History, as_of, read_history
    from replay.judgments import Judgments
    from replay.live import LiveParity, verify_live
    from replay.log import CaptureLog, read_log
    from replay.parity import Parity, verify
    from replay.rebuild import scratch_index

_HOME = {
    "CaptureLog": "log",
    "Comparison": "compare",
    "History": "history",
    "Judgments": "judgments",
    "LiveParity": "live",
    "Parity": "parity",
    "Ranking": "engine",
    "as_of": "history",
    "compare_rankings": "compare",
    "rank": "engine",
    "read_history": "history",
    "read_log": "log",
    "requery": "exact",
    "scratch_index": "rebuild",
    "verify": "parity",
    "verify_live": "live",
}

__all__ = [
    "CaptureLog",
    "Comparison",
    "History",
    "Judgments",
    "LiveParity",
    "Parity",
    "Ranking",
    "as_of",
    "compare_rankings",
    "rank",
    "read_history",
    "read_log",
    "requery",
    "scratch_index",
    "verify",
    "verify_live",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'replay' has no attribute {name!r}")
    return getattr(import_module(f"replay.{_HOME[name]}"), name)
