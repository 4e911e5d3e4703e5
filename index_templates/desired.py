"""What the cluster should hold: the files of this package, and the stored scripts of the formula.

`${index}` in a file stands for the index family's name (`items`), so that two families, or a test and a
colleague, live side by side on one cluster.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, Literal

from ranking.errors import InputError
from ranking.painless import script_files
from ranking.score_fields import SCORE_MOVE, SCORE_WRITE

Kind = Literal["script", "ingest_pipeline", "component_template", "index_template"]
KINDS: tuple[Kind, ...] = ("script", "ingest_pipeline", "component_template", "index_template")
MANAGED_BY = "rank-toolkit"
ITEM_UPDATE: Final = "rank-item-update-v1"  # stored script for partial updates
UPDATE_SCRIPTS: Final = (ITEM_UPDATE, SCORE_WRITE, SCORE_MOVE)
_FAMILY = re.compile(r"[a-z0-9][a-z0-9._-]{0,100}")


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
    """Every resource for one index family, in the order in which they must be written.

    Raises:
        InputError: the name cannot be that of an index family.
    """
    check_family(index)
    sources = script_files() | _update_scripts()
    scripts = [
        Resource("script", name, {"lang": "painless", "source": source}) for name, source in sources.items()
    ]
    components = _from_files("component_template", "component_templates", index)
    templates = _from_files("index_template", "index_templates", index)
    shape = template_hash(components)
    for template in templates:
        if template.name == f"rank-{index}":
            template.body["template"] = {"mappings": {"_meta": {MANAGED_BY: {"template_hash": shape}}}}
            template.body["_meta"]["content_hash"] = content_hash(template.body)
    return [
        *scripts,
        *_from_files("ingest_pipeline", "ingest_pipelines", index),
        *components,
        *templates,
    ]


def check_family(index: str) -> None:
    """Refuse a name that Elasticsearch would not take, or that would cover the toolkit's own indices.

    Raises:
        InputError: with what a name may hold.
    """
    if not _FAMILY.fullmatch(index) or index == "rank":
        raise InputError(
            f"{index!r} cannot name an index family",
            hint="use lower-case letters, digits, '.', '_' and '-', beginning with a letter or digit",
        )


def content_hash(body: dict[str, Any]) -> str:
    """First 12 hex digits of the SHA-256 of a body without its `_meta`."""
    content = {key: value for key, value in body.items() if key != "_meta"}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def template_hash(components: list[Resource]) -> str:
    """Hash of what gives an index its shape; every index keeps it in its mapping's `_meta`."""
    return content_hash({component.name: component.body["template"] for component in components})


def script_context(name: str) -> str:
    """The context in which a stored script is compiled."""
    return "update" if name in UPDATE_SCRIPTS else "score"


def _update_scripts() -> dict[str, str]:
    folder = resources.files("index_templates") / "files" / "scripts"
    return {name: (folder / f"{name}.painless").read_text(encoding="utf-8") for name in UPDATE_SCRIPTS}


def _from_files(kind: Kind, folder: str, index: str) -> list[Resource]:
    found = resources.files("index_templates") / "files" / folder
    loaded = []
    for entry in sorted(found.iterdir(), key=lambda entry: entry.name):
        stem = entry.name.removesuffix(".json")
        name = f"rank-{index}" if stem == "rank-items" else f"{stem}-{index}"
        body = json.loads(entry.read_text(encoding="utf-8").replace("${index}", index))
        _join_sources(body)
        body["_meta"] = {
            "managed_by": MANAGED_BY,
            "family": index,
            "content_hash": content_hash(body),
            "version": 1,
        }
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
