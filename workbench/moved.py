"""A profile with its sliders moved, and the file that it would be."""

from __future__ import annotations

from typing import Any

import yaml

from ranking.errors import InputError
from ranking.profile import Profile, parse_profile
from workbench.asked import Sliders


def moved(profile: Profile, sliders: Sliders) -> Profile:
    """The profile with what was moved, on every platform; an override keeps what was not.

    Raises:
        ConfigError: a value that a profile cannot have, such as a multiplicative weight above 1.
        InputError: a freshness scale for a profile without freshness.
    """
    if not sliders.moved:
        return profile
    data = profile.model_dump(mode="json", exclude_defaults=True)
    image = {name: value for name in ("mode", "weight") if (value := getattr(sliders, name)) is not None}
    fresh = {} if sliders.scale_ms is None else {"scale": f"{sliders.scale_ms}ms"}
    if fresh and profile.freshness is None:
        raise InputError(f"{profile.name} has no freshness whose scale could move")
    for part, changes in (("image", image), ("freshness", fresh)):
        if changes:
            data[part] = {**data.get(part, {}), **changes}
            for override in data.get("platforms", {}).values():
                kept = {key: value for key, value in (override.get(part) or {}).items() if key not in changes}
                override[part] = kept or None
    platforms = {
        name: rest
        for name, override in data.pop("platforms", {}).items()
        if (rest := {key: value for key, value in override.items() if value is not None})
    }
    return parse_profile(data | ({"platforms": platforms} if platforms else {}), "the sliders")


def as_yaml(profile: Profile) -> str:
    """The file of a profile: keys in the order of docs/profiles.md, defaults left out."""
    data: dict[str, Any] = profile.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)


__all__ = ["as_yaml", "moved"]
