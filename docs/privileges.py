"""Writes doctor/privileges.json from the table of docs/security.md: what each command needs, as data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent / "security.md"
TARGET = Path(__file__).parents[1] / "doctor" / "privileges.json"


def table(text: str) -> dict[str, dict[str, Any]]:
    """By command: a role descriptor in which `${index}` stands for the index family."""
    section = text.partition("## What each command needs")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    names = [_names(cell) for cell in _cells(rows[0])[2:-1]]  # between the cluster's and the roles' column
    found = {}
    for row in rows[2:]:
        command, cluster, *places, _roles = _cells(row)
        found[command.strip("`")] = {
            "cluster": cluster.replace("`", "").split(),
            "indices": [
                {"names": list(own), "privileges": privileges}
                for own, privileges in _by_index(zip(names, places, strict=True)).items()
            ],
        }
    return found


def _by_index(places: Iterable[tuple[list[str], str]]) -> dict[tuple[str, ...], list[str]]:
    """Privileges by the indices that they are for: the column's, or the one of `INDEX:PRIVILEGE`."""
    found: dict[tuple[str, ...], list[str]] = {}
    for names, cell in places:
        for one in cell.replace("`", "").split():
            index, _, privilege = one.partition(":")
            ours = index.startswith("rank-")  # and not the name of an action, indices:admin/...
            own, wanted = ((index,), privilege) if ours else (tuple(names), one)
            found.setdefault(own, []).append(wanted)
    return found


def written() -> str:
    """The whole file."""
    return json.dumps(table(SOURCE.read_text(encoding="utf-8")), indent=2) + "\n"


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def _names(cell: str) -> list[str]:
    """The indices of a column's head, `items` being the family."""
    return [re.sub(r"\bitems\b", "${index}", name) for name in re.findall(r"`([^`]+)`", cell)]


if __name__ == "__main__":
    TARGET.write_text(written(), encoding="utf-8")
