"""The stored scripts of a published profile, one per platform.

A script holds the profile's numbers as constants, so the server compiles it once, at publication. Its id ends
in a hash of its source: an id always means the same script, and versions that share a formula share it. What
a request must still send are the clock and, where there are factors, the names and values in `params`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ranking.painless import Script, score_script
from ranking.profile import Profile

DEFAULT = "default"  # the platform key of a profile without override
SCRIPT_PREFIX = "rank-profile-"


@dataclass(frozen=True, slots=True)
class StoredScript:
    """One script of a published profile, as its document names it."""

    id: str
    params: Mapping[str, Any] = field(default_factory=dict)  # to send with every request, beside `now_ms`

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the profile's document."""
        return asdict(self)


def resolved(profile: Profile) -> dict[str, Profile]:
    """The profile as each platform is served: `default`, and every platform with an override."""
    return {DEFAULT: profile, **{name: profile.for_platform(name) for name in profile.platforms}}


def own_script(profile: Profile, now_ms: int) -> tuple[str, Script] | None:
    """Id and script of a profile resolved for its platform; None where its body runs no script of its own.

    A profile that is served natively has one too: the script is what serves it where the plugin is missing.
    """
    if profile.execution == "function_score":
        return None
    if profile.image.mode == "none" and profile.freshness is None and not profile.factors:
        return None
    script = score_script(profile, now_ms, literal=True)
    return f"{SCRIPT_PREFIX}{profile.name}-{content_id(script.source)}", script


def stored_scripts(profile: Profile) -> tuple[dict[str, StoredScript], dict[str, str]]:
    """The scripts of every platform.

    Returns:
        By platform: id and parameters. And by id: the source.
    """
    scripts: dict[str, StoredScript] = {}
    sources: dict[str, str] = {}
    for platform, one in resolved(profile).items():
        found = own_script(one, 0)
        if found is not None:
            name, script = found
            params = {key: value for key, value in script.params.items() if key != "now_ms"}
            scripts[platform] = StoredScript(name, params)
            sources[name] = script.source
    return scripts, sources


def content_id(source: str) -> str:
    """First 12 hex digits of the SHA-256."""
    return hashlib.sha256(source.encode()).hexdigest()[:12]
