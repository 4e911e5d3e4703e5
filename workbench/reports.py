"""The HTML reports of a folder. A file is served only if it lies in it, by its name alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

# A report may run its own script, and nothing else: no origin of ours, no request, no frame around it.
POLICY: Final = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_MOST = 500


def list_reports(folder: Path) -> list[dict[str, Any]]:
    """Name, size and time of each, the latest first."""
    found = [(path, path.stat()) for path in folder.glob("*.html") if find_report(folder, path.name)]
    found.sort(key=lambda one: -one[1].st_mtime)
    return [
        {"name": path.name, "bytes": stat.st_size, "changed_ms": int(stat.st_mtime * 1000)}
        for path, stat in found[:_MOST]
    ]


def find_report(folder: Path, name: str) -> Path | None:
    """The report of that name; None for whatever is not a plain file of the folder itself."""
    if "/" in name or "\\" in name or "\0" in name or name.startswith(".") or not name.endswith(".html"):
        return None
    folder = folder.resolve()
    try:
        path = (folder / name).resolve()
        return path if path.parent == folder and path.is_file() else None
    except OSError:  # a name that no file can have
        return None


__all__ = ["POLICY", "find_report", "list_reports"]
