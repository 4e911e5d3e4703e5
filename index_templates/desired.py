"""What the cluster should hold: the files of this package, and the stored scripts of the formula.

`${index}` in a file stands for the index family's name (`items`), so that two families, or a test and a
colleague, live side by side on one cluster.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

from ranking.query import script_sources

Kind = Literal["script", "ingest_pipeline", "component_template", "index_template"]
KINDS: tuple[Kind, ...] = ("script", "ingest_pipeline", "component_template", "index_template")
MANAGED_BY = "rank-toolkit"


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing in the cluster state."""

    kind: Kind
    name: str
    body: dict[str, Any]

    @property
    def key(self) -> str:
        """Kind and name, such as `index_template/rank-items`."""
        return f"{self.kind}/{self.name}"


def desired_state(index: str = "items") -> list[Resource]:
    """Every resource for one index family, in the order in which they must be written."""
    scripts = [
        Resource("script", name, {"lang": "painless", "source": source})
        for name, source in script_sources().items()
    ]
    return [
        *scripts,
        *_from_files("ingest_pipeline", "ingest_pipelines", index),
        *_from_files("component_template", "component_templates", index),
        *_from_files("index_template", "index_templates", index),
    ]


def content_hash(body: dict[str, Any]) -> str:
    """First 12 hex digits of the SHA-256 of a body without its `_meta`."""
    content = {key: value for key, value in body.items() if key != "_meta"}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _from_files(kind: Kind, folder: str, index: str) -> list[Resource]:
    found = resources.files("index_templates") / "files" / folder
    loaded = []
    for entry in sorted(found.iterdir(), key=lambda entry: entry.name):
        stem = entry.name.removesuffix(".json")
        name = f"rank-{index}" if stem == "rank-items" else f"{stem}-{index}"
        body = json.loads(entry.read_text(encoding="utf-8").replace("${index}", index))
        _join_sources(body)
        body["_meta"] = {"managed_by": MANAGED_BY, "content_hash": content_hash(body)}
        loaded.append(Resource(kind, name, body))
    return loaded


def _join_sources(node: Any) -> None:
    """A script's source may stand in a file as a list of lines; the server takes one string."""
    if isinstance(node, dict):
        if isinstance(node.get("source"), list):
            node["source"] = "\n".join(node["source"])
        for value in node.values():
            _join_sources(value)
    elif isinstance(node, list):
        for value in node:
            _join_sources(value)
