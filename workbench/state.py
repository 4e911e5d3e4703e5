"""What one server of the workbench knows: the cluster, the index, and the folders it was given."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from elasticsearch import Elasticsearch

from ranking.errors import RankError
from ranking.fields import PLATFORMS
from ranking.preview import sample_queries
from ranking.profile import Profile
from workbench.asked import MAX_K
from workbench.captured import Captures
from workbench.catalog import Catalog
from workbench.live import Live
from workbench.photos import Photos
from workbench.reports import list_reports

SAMPLES: Final = 8  # queries that an empty page offers


@dataclass(kw_only=True)
class Workbench:
    """One server's state; `open_cluster` is called when first needed, and again where it failed."""

    open_cluster: Callable[[], Elasticsearch]
    index: str
    given: Mapping[str, Callable[[], Profile]] = field(default_factory=dict)  # profiles by label
    platform: str | None = None
    at_ms: int | None = None
    photos_root: Path | None = None
    captures_folder: Path | None = None
    reports_folder: Path | None = None
    save_folder: Path | None = None
    profiles_folder: Path = Path("profiles")
    catalog: Catalog = field(init=False)
    live: Live = field(init=False)
    photos: Photos = field(init=False)
    captures: Captures | None = field(init=False)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))  # whoever saves must know it

    def __post_init__(self) -> None:
        lock = threading.Lock()
        opened: list[Elasticsearch] = []

        def cluster() -> Elasticsearch:
            with lock:
                if not opened:
                    opened.append(self.open_cluster())
                return opened[0]

        self.catalog = Catalog(cluster, self.given, self.profiles_folder, self.save_folder)
        self.live = Live(cluster, self.index, self.catalog)
        self.photos = Photos(cluster, self.index, self.photos_root)
        folder = self.captures_folder
        self.captures = None if folder is None else Captures(folder, self.catalog)

    def start(self) -> dict[str, Any]:
        """What the page needs when it opens; what could not be read is a sentence in `problems`."""
        choices, problems = self.catalog.choices()
        categories: list[str] = []
        samples: list[str] = []
        try:
            categories = self.live.categories()
            samples = sample_queries(self.catalog.cluster(), self.index, SAMPLES)
        except RankError as e:
            problems.append(str(e))
        return {
            "index": self.index,
            "profiles": [choice.row() for choice in choices],
            "preselected": [f"given:{label}" for label in self.given],
            "platform": self.platform,
            "platforms": list(PLATFORMS),
            "at_ms": self.at_ms,
            "categories": categories,
            "samples": samples,
            "max_k": MAX_K,
            "photos": self.photos_root is not None,
            "captures": None if self.captures_folder is None else self.captures_folder.name,
            "reports": None if self.reports_folder is None else len(list_reports(self.reports_folder)),
            "may_save": None if self.save_folder is None else str(self.save_folder),
            "problems": list(dict.fromkeys(problems)),
        }


__all__ = ["Workbench"]
