"""Image scores behind Triton: the model repository it serves, and the clients that ask it."""

from __future__ import annotations

from scorer.serving.aio import AsyncScoreClient
from scorer.serving.breaker import CircuitBreaker
from scorer.serving.client import BACKFILL, ONLINE, ScoreClient
from scorer.serving.config import ServingOptions
from scorer.serving.errors import BadScoresError, ScoringUnavailable
from scorer.serving.repository import Exported, load_into, write_repository
from scorer.serving.wire import Scored

__all__ = [
    "BACKFILL",
    "ONLINE",
    "AsyncScoreClient",
    "BadScoresError",
    "CircuitBreaker",
    "Exported",
    "ScoreClient",
    "Scored",
    "ScoringUnavailable",
    "ServingOptions",
    "load_into",
    "write_repository",
]
