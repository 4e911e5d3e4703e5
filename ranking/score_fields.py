"""The three scores that an item can hold, and the stored scripts through which jobs change them.

    live       image_score             what queries read
    next       image_score_next        another model's, made beside the live one; no query reads it
    previous   image_score_previous    what was live before the last switch

Each has a version and a time. The two that are not live also name the photo they are of: whoever gives an
item another photo may know nothing of them, and a score is never moved to a photo that it is not of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ranking import fields

SCORE_WRITE: Final = "rank-score-write-v1"  # one item's score, from a backfill
SCORE_MOVE: Final = "rank-score-move-v1"  # next, live and previous change places


@dataclass(frozen=True, slots=True)
class ScoreFields:
    """Names of the fields of one of the three."""

    score: str
    version: str
    at: str
    url: str | None = None  # the live score is of `image_url`

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (self.score, self.version, self.at, *([self.url] if self.url else []))


def _beside(score: str) -> ScoreFields:
    return ScoreFields(score, f"{score}_version", f"{score}_at", f"{score}_url")


LIVE: Final = ScoreFields(fields.IMAGE_SCORE, fields.IMAGE_SCORE_VERSION, fields.IMAGE_SCORED_AT)
NEXT: Final = _beside(fields.IMAGE_SCORE_NEXT)
PREVIOUS: Final = _beside(fields.IMAGE_SCORE_PREVIOUS)

__all__ = ["LIVE", "NEXT", "PREVIOUS", "SCORE_MOVE", "SCORE_WRITE", "ScoreFields"]
