"""The record of one migration: where it stands, kept in the cluster so that a second process can carry on.

Each save compares and sets: a process that was taken over learns it at its next save, and stops.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, Self

from elasticsearch import ConflictError, Elasticsearch

from index_templates.history import ensure_history, search_history
from ranking.errors import StalePlan
from ranking.es import server_errors

Phase = Literal["copy", "blocked", "swapped", "done", "aborted"]
OPEN: Final[tuple[Phase, ...]] = ("copy", "blocked", "swapped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One migration of a family, from an index to the next."""

    family: str
    old: str
    new: str
    began_at: str  # ISO 8601
    template_hash: str | None  # of the template the new index takes its shape from
    phase: Phase = "copy"
    next_seq_no: int = 0  # every operation on `old` below it is in `new`
    copied: int = 0  # documents written to `new`, those written twice counted twice
    removed: int = 0  # documents taken out of `new` because they were deleted from `old`
    passes: int = 0
    compared: int = 0  # sampled documents found equal
    docs: int = 0  # in both, when they were swapped
    settings: dict[str, str | None] | None = None  # of `new`, to be put back at the end
    paused_ms: int | None = None  # for how long writes were refused
    seq_no: int = -1
    primary_term: int = -1

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object, without what only the record needs."""
        kept = asdict(self)
        for name in ("settings", "seq_no", "primary_term"):
            kept.pop(name)
        return kept

    @property
    def is_open(self) -> bool:
        """Whether there is something left to do."""
        return self.phase in OPEN

    def save(self, es: Elasticsearch, **changes: Any) -> Self:
        """This migration with changes, written where nobody else wrote in between.

        Raises:
            StalePlan: another process carries on with this migration.
        """
        changed = replace(self, **changes)
        document = {"type": "migration", "state": changed.phase, "at": changed.began_at} | {
            "migration": {k: v for k, v in asdict(changed).items() if k not in ("seq_no", "primary_term")}
        }
        guard: dict[str, Any] = (
            {"op_type": "create"}
            if self.seq_no < 0
            else {"if_seq_no": self.seq_no, "if_primary_term": self.primary_term}
        )
        index = ensure_history(es, self.family)
        with server_errors(f"write {index}"):
            try:
                saved = es.index(
                    index=index, id=f"migration-{self.new}", document=document, refresh=True, **guard
                )
            except ConflictError:
                error = StalePlan([f"migration to {self.new}"])
                error.hint = "another process carries on with it; `rank-cli index status` shows how far it is"
                raise error from None
        return replace(changed, seq_no=saved["_seq_no"], primary_term=saved["_primary_term"])


def read_migrations(es: Elasticsearch, family: str) -> list[Migration]:
    """Every migration of a family, oldest first.

    Raises:
        ServerError: the cluster refused.
    """
    hits = search_history(
        es,
        family,
        query={"term": {"type": "migration"}},
        sort=[{"at": "asc"}],
        size=1000,
        seq_no_primary_term=True,
    )
    return [
        Migration(**hit["_source"]["migration"], seq_no=hit["_seq_no"], primary_term=hit["_primary_term"])
        for hit in hits
    ]


def open_migration(es: Elasticsearch, family: str) -> Migration | None:
    """The migration that is under way or was cut off, or None."""
    found = [migration for migration in read_migrations(es, family) if migration.is_open]
    return found[-1] if found else None
