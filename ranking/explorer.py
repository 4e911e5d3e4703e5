"""Serves and captures explored pages: the formula's order, drawn by a policy, and how likely the draw was.

Each item of such a record carries, beside what every capture holds,

    x.formula_rank   its place in the formula's own order (what `replay verify` compares)
    x.step_prob      P(this item at this rank | the items above it), on shown items
    x.position_prob  P(this item at this rank), on shown items
    x.policy         the policy's name, on shown items
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from ranking.capture import CapturedItem, CaptureRecord
from ranking.draw import FORMULA_RANK, POLICY, POSITION_PROB, STEP_PROB, uniforms
from ranking.explore import Policy
from ranking.profile import Profile
from ranking.query import Scripts
from ranking.search import Pair, Searcher


class Explorer(Searcher):
    """A searcher whose captured pages are drawn by a policy; a search id always draws the same."""

    def __init__(
        self,
        es: Elasticsearch,
        index: str,
        profile: Profile,
        policy: Policy,
        *,
        salt: str = "explore",
        scripts: Scripts = "inline",
    ) -> None:
        super().__init__(es, index, profile, scripts=scripts)
        self.policy = policy
        self.salt = salt

    def capture(self, text: str, **visit: Any) -> CaptureRecord:
        """Serve an explored page and return its record; arguments and errors as of `Searcher.capture`."""
        record = super().capture(text, **visit)
        best = [item for item in record.items if item.rank is not None]
        rest = [item for item in record.items if item.rank is None]
        return replace(record, items=(*self._drawn(best, record.k, record.search_id), *rest))

    def page_and_window(
        self,
        text: str,
        *,
        now_ms: int,
        platform: str | None = None,
        size: int | None = None,
        filters: Mapping[str, Any] | None = None,
    ) -> Pair:
        """As of `Searcher`, the page as deep as the policy draws from."""
        k = self.profile.for_platform(platform).k
        return super().page_and_window(
            text, now_ms=now_ms, platform=platform, size=size or self.policy.pool(k), filters=filters
        )

    def _drawn(self, best: list[CapturedItem], k: int, search_id: str) -> list[CapturedItem]:
        """The formula's best items in display order; those that the draw leaves out follow, not shown."""
        scores = np.array([item.score for item in best], dtype=np.float64)
        drawn = self.policy.draw(scores, k, uniforms(self.salt, search_id))
        placed = [
            replace(item, rank=None, extras={**item.extras, FORMULA_RANK: float(place)})
            for place, item in enumerate(best, start=1)
        ]
        probs = zip(drawn.order, drawn.step_prob, drawn.position_prob, strict=True)
        shown = [
            replace(
                placed[place],
                rank=rank,
                extras={
                    **placed[place].extras,
                    STEP_PROB: float(step),
                    POSITION_PROB: float(position),
                    POLICY: self.policy.name,
                },
            )
            for rank, (place, step, position) in enumerate(probs, start=1)
        ]
        left = sorted(set(range(len(best))) - set(drawn.order.tolist()))
        return [*shown, *(replace(placed[place], score=None) for place in left)]
