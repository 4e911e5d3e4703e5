"""Schema versions: a folder written by several versions of the toolkit lacks columns in places."""

from __future__ import annotations

from collections import Counter

from replay.checks.check import Check, found
from replay.log import CaptureLog


def schema_versions(log: CaptureLog) -> Check:
    """One version throughout."""
    counts = Counter(int(version) for version in log.searches["schema_version"])
    newest = max(counts)
    older = len(log) - counts[newest]
    each = ", ".join(f"{n} with {version}" for version, n in sorted(counts.items()))
    return found(
        "mixed schema versions",
        older,
        len(log),
        f"searches were captured with several schemas ({each}): what an older one lacks reads as missing",
        fine=f"every search was captured with schema {newest}",
        tolerated=1.0,
    )
