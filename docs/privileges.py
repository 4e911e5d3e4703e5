"""Writes doctor/privileges.json from the table of docs/security.md: what each command needs, as data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent / "security.md"
TARGET = Path(__file__).parents[1] / "doctor" / "privileges.json"
NAMES = (["${index}", "${index}-*"], ["rank-profiles"], ["rank-history-${index}"])


def table(text: str) -> dict[str, dict[str, Any]]:
    """By command: a role descriptor in which `${index}` stands for the index family."""
    section = text.partition("## What each command needs")[2].partition("\n## ")[0]
    found = {}
    for line in section.splitlines():
        if not line.startswith("| `"):
            continue
        command, cluster, *places, _roles = (cell.strip() for cell in line.strip("|").split("|"))
        found[command.strip("`")] = {
            "cluster": _privileges(cluster),
            "indices": [
                {"names": names, "privileges": _privileges(cell)}
                for names, cell in zip(NAMES, places, strict=True)
                if cell
            ],
        }
    return found


def written() -> str:
    """The whole file."""
    return json.dumps(table(SOURCE.read_text(encoding="utf-8")), indent=2) + "\n"


def _privileges(cell: str) -> list[str]:
    return [privilege.strip("`") for privilege in cell.split()]


if __name__ == "__main__":
    TARGET.write_text(written(), encoding="utf-8")
