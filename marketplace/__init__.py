"""A second-hand marketplace to run the toolkit on: items with photos, queries, visits and simulated buyers.

Two sources give the same shape: `generate` makes everything up, photos included; `from_photos` takes real
photos from a folder. Grades and clicks are simulated in both.
"""

from __future__ import annotations

from marketplace.buyers import (
    Click,
    Search,
    attract_prob,
    exam_prob,
    judge,
    perceived_quality,
    simulate_clicks,
)
from marketplace.generated import generate
from marketplace.items import Item
from marketplace.market import Marketplace
from marketplace.photos import from_photos
from marketplace.queries import Intent, Query
from marketplace.sheets import contact_sheet

__all__ = [
    "Click",
    "Intent",
    "Item",
    "Marketplace",
    "Query",
    "Search",
    "attract_prob",
    "contact_sheet",
    "exam_prob",
    "from_photos",
    "generate",
    "judge",
    "perceived_quality",
    "simulate_clicks",
]
