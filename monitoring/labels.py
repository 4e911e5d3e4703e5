"""Which version of a profile served a search: a capture has its name and hash, the cluster the versions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from monitoring.slices import UNKNOWN
from ranking.clock import parse_time
from ranking.fields import PLATFORMS
from ranking.published import Version

Label = Callable[[str, str], str]


def labels(versions: Iterable[Version], until_ms: int) -> Label:
    """`NAME@VERSION` where the formula was published by then, else `NAME#` and the hash's first digits.

    Where one formula was published twice, the later version counts.

    Args:
        versions: of the cluster; none where it was not asked.
        until_ms: later versions are not looked at, so that a day has the same labels whenever it is computed.
    """
    by_hash: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for version in versions:
        if parse_time(version.published_at) > until_ms:
            continue
        for profile in (version.profile, version.served):
            for platform in (None, *PLATFORMS):
                by_hash[profile.for_platform(platform).hash].append((version.version, version.label))
    latest = {profile_hash: max(found)[1] for profile_hash, found in by_hash.items()}

    def label(name: str, profile_hash: str) -> str:
        if not profile_hash:
            return UNKNOWN
        return latest.get(profile_hash, f"{name}#{profile_hash[:8]}")

    return label


__all__ = ["Label", "labels"]
