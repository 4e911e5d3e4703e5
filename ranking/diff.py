"""Two profiles side by side: the keys in which they differ, as they are written in a profile file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ranking.profile import Profile

_PLAIN = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Difference:
    """One key; None where that side has no such key."""

    key: str  # dotted, such as `freshness.scale`
    before: Any
    after: Any

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object, or one line of a table."""
        return asdict(self)


def diff_profiles(before: Profile, after: Profile) -> list[Difference]:
    """Every key that differs, in the order of the profile; the name counts, for it is where one looks."""
    old = dict(_flat(before.model_dump(mode="json")))
    new = dict(_flat(after.model_dump(mode="json")))
    keys = list(dict.fromkeys([*old, *new]))
    return [
        Difference(key, old.get(key), new.get(key))
        for key in keys
        if (key in old, old.get(key)) != (key in new, new.get(key))
    ]


def _flat(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves by dotted key; a list of scalars is one leaf, an empty one too."""
    if isinstance(node, dict) and node:
        for key, value in node.items():
            step = key if _PLAIN.fullmatch(key) else json.dumps([key], ensure_ascii=False)
            yield from _flat(value, f"{path}.{step}" if path and step is key else path + step)
    elif isinstance(node, list) and any(isinstance(one, dict | list) for one in node):
        for i, value in enumerate(node):
            yield from _flat(value, f"{path}[{i}]")
    elif node is not None and node not in ({}, []):
        yield path, node
