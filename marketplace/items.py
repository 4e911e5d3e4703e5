"""One item of the marketplace: what the index is told, and the truth it is never told.

`Item.message()` is the ingest message. Brand, colour, condition and photo quality are hidden: they reach the
index only as far as the title and the photo show them, and serve to grade results (`marketplace.buyers`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ranking import fields

AI_SOURCE = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One listing. Times are epoch milliseconds, prices are yen."""

    item_id: str
    title: str
    description: str
    category: str
    price: int
    status: str  # one of ranking.fields.STATUSES
    created_ms: int
    updated_ms: int  # >= created_ms
    image_path: Path | None  # absolute; None where the seller gave no photo
    ai_probability: float | None = None  # what a detector of generated photos said; None: it was not asked
    brand: str | None = None  # hidden from here on
    colour: str | None = None
    condition: str | None = None
    photo_quality: float | None = None  # [0, 1]; None where nobody knows

    def message(self) -> dict[str, Any]:
        """Return the ingest message: field names of the index, no hidden truth."""
        message: dict[str, Any] = {
            fields.ITEM_ID: self.item_id,
            fields.TITLE: self.title,
            fields.DESCRIPTION: self.description,
            fields.CATEGORY: self.category,
            fields.PRICE: self.price,
            fields.STATUS: self.status,
            fields.CREATED_AT: self.created_ms,
            fields.UPDATED_AT: self.updated_ms,
        }
        if self.image_path is not None:
            message[fields.IMAGE_URL] = self.image_path.as_uri()
        if self.ai_probability is not None:
            message[fields.AI_GENERATED] = {"probability": self.ai_probability, "source": AI_SOURCE}
        return message
