"""What is looked at, and the clients that several checks share, each opened once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from ranking.clock import now_ms
from ranking.settings import Settings, get_settings

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from scorer.serving import ScoreClient

TIMEOUT_S: Final = 10.0
Role = Literal["reader", "writer", "admin", "migrator"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is looked at. The defaults are those of the other commands."""

    index: str | None = None  # index family; that of the settings by default
    captures: Path | None = None
    topic: str = "items"
    group: str = "rank-ingest"
    role: Role | None = None  # the login must be enough for this role of docs/security.md
    timeout_s: float = TIMEOUT_S  # of each check
    clock: Callable[[], int] = now_ms  # this machine's, epoch ms


@dataclass
class Context:
    """The options, the settings, and what earlier checks opened."""

    options: Options
    settings: Settings = field(default_factory=get_settings)
    _made: dict[str, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def family(self) -> str:
        """The index family."""
        return self.options.index or self.settings.index

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gave the first time."""
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            return self._made[name]

    @property
    def es(self) -> Elasticsearch:
        """A client that gives up before the check does; raises as `ranking.es.connect`."""
        from ranking.es import connect

        limit = min(self.settings.elasticsearch_timeout_s, self.options.timeout_s * 0.8)
        brief = self.settings.model_copy(update={"elasticsearch_timeout_s": limit})
        client: Elasticsearch = self.once("es", lambda: connect(brief).options(max_retries=0))
        return client

    @property
    def scorer(self) -> ScoreClient:
        """A client of Triton that does not wait."""
        from scorer.serving import ScoreClient

        made: ScoreClient = self.once(
            "scorer",
            lambda: ScoreClient(
                settings=self.settings,
                deadline_s=self.options.timeout_s * 0.4,
                wait_s=0,
                budget_s=self.options.timeout_s * 0.8,
            ),
        )
        return made
