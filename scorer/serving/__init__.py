"""Image scores behind Triton: the model repository it serves, and the client that asks it."""

from __future__ import annotations

from scorer.serving.client import BACKFILL, ONLINE, BadScoresError, ScoreClient, Scored
from scorer.serving.config import ServingOptions
from scorer.serving.repository import Exported, load_into, write_repository

__all__ = [
    "BACKFILL",
    "ONLINE",
    "BadScoresError",
    "Exported",
    "ScoreClient",
    "Scored",
    "ServingOptions",
    "load_into",
    "write_repository",
]
