"""What a backfill has to do: a query, and the slices in which it is read.

The index itself keeps the state. An item that was scored, or that cannot be, is no longer found; so a job
that is killed at any point is gone on with by starting it again, and one with nothing to do does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from ranking import fields
from ranking.clock import DAY_MS
from ranking.score_fields import LIVE, NEXT, ScoreFields

Into = Literal["live", "next"]
SLICE_ITEMS: Final = 500  # about, of one slice
MOST_SLICES: Final = 1_024  # what `index.max_slices_per_scroll` allows by default


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which items a backfill is for: on sale, created in a span of time, without a score of one version.

    Args:
        index: index or alias.
        version: of the weights that score; items with a score of these are done.
        since_ms, until_ms: when the item was created, both inclusive, epoch ms. Resolved once, by the caller.
        into: `live` is what queries read; `next` is beside it.
        retry_failed: also those that this version could not score.
    """

    index: str
    version: str
    since_ms: int
    until_ms: int
    into: Into = "live"
    retry_failed: bool = False

    @classmethod
    def last_days(
        cls,
        days: int,
        *,
        index: str,
        version: str,
        now_ms: int,
        into: Into = "live",
        retry_failed: bool = False,
    ) -> Scope:
        """Items created in the `days` before `now_ms`."""
        return cls(
            index=index,
            version=version,
            since_ms=now_ms - days * DAY_MS,
            until_ms=now_ms,
            into=into,
            retry_failed=retry_failed,
        )

    @property
    def target(self) -> ScoreFields:
        """Where scores are written."""
        return LIVE if self.into == "live" else NEXT

    def all_items(self) -> dict[str, Any]:
        """The query for every item of the scope, done or not."""
        return {"bool": {"filter": self._filters()}}

    def query(self) -> dict[str, Any]:
        """The query for what is left to do. Holds no `now`."""
        done = [{"term": {LIVE.version: self.version}}]
        if self.into == "next":
            done.append({"term": {NEXT.version: self.version}})
        if not self.retry_failed:
            done.append({"term": {fields.IMAGE_SCORE_FAILED_VERSION: self.version}})
        return {"bool": {"filter": self._filters(), "must_not": done}}

    def _filters(self) -> list[dict[str, Any]]:
        created = {"gte": self.since_ms, "lte": self.until_ms, "format": "epoch_millis"}
        return [{"term": {fields.STATUS: fields.ON_SALE}}, {"range": {fields.CREATED_AT: created}}]


@dataclass(frozen=True, slots=True)
class Slice:
    """One of `n` parts of the items, by a hash of when they were created: the same in every point in time."""

    i: int  # 0 to n - 1
    n: int

    def to_dict(self) -> dict[str, Any] | None:
        """The `slice` of a search; None where there is one part only, which the server refuses to name."""
        return {"field": fields.CREATED_AT, "id": self.i, "max": self.n} if self.n > 1 else None


def plan_slices(n_items: int, workers: int = 1) -> list[Slice]:
    """Enough slices to keep all workers busy to the end; each is a small piece of work."""
    wanted = max(-(-n_items // SLICE_ITEMS), 4 * workers if workers > 1 else 1)
    n = min(wanted, MOST_SLICES)
    return [Slice(i, n) for i in range(n)]


__all__ = ["MOST_SLICES", "SLICE_ITEMS", "Into", "Scope", "Slice", "plan_slices"]
