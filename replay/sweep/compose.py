"""One profile out of the formulas that won, and the file that `apply-boost` takes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ranking.errors import RankError
from ranking.profile import Profile, builtin_profiles, load_profile

PARTS = ("image", "freshness", "factors")


def same_formula(a: Profile, b: Profile) -> bool:
    """Whether two resolved profiles score alike."""
    return all(getattr(a, part) == getattr(b, part) for part in PARTS)


def compose(name: str, top: Profile, by_platform: Mapping[str, Profile], description: str = "") -> Profile:
    """A profile that has `top`'s formula, and another on the platforms where another is given.

    Args:
        name: of the profile.
        top: resolved.
        by_platform: resolved, with the base query and execution of `top`.
        description: a sentence.
    """
    data = top.model_dump(mode="json", exclude={"platforms"})
    data["platforms"] = {
        platform: _override(data, form.model_dump(mode="json", include=set(PARTS)))
        for platform, form in sorted(by_platform.items())
        if not same_formula(form, top)
    }
    return Profile.model_validate(data | {"name": name, "description": description})


def _override(top: Mapping[str, Any], form: Mapping[str, Any]) -> dict[str, Any]:
    """What a platform must say to have its formula: the keys of a part that differ, or all factors."""
    found: dict[str, Any] = {}
    for part in PARTS:
        if form[part] is None or form[part] == top[part]:
            continue
        if isinstance(form[part], dict):
            above = top[part] or {}
            found[part] = {
                key: value for key, value in form[part].items() if key not in above or above[key] != value
            }
        else:
            found[part] = form[part]
    return found


def write_profile(path: Path, winner: Profile, baseline: Profile, extends: str) -> None:
    """Write a profile file that extends the baseline's and says only what differs.

    Args:
        path: the file.
        winner: what the file is to say.
        baseline: what it extends.
        extends: path of the baseline's file, or the name of a shipped profile.

    Raises:
        RankError: the file, read again, is not the winner; then nothing is left behind.
    """
    ours, theirs = _content(winner), _content(baseline)
    content: dict[str, Any] = {"name": winner.name, "description": winner.description}
    if extends in builtin_profiles():
        content["extends"] = extends
    else:
        relative = os.path.relpath(Path(extends).resolve(), path.resolve().parent)
        content["extends"] = relative if "/" in relative else f"./{relative}"
    content |= _difference(ours, theirs)
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.stem}.{os.getpid()}.yaml")
    try:
        hidden.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
        if load_profile(hidden).hash != winner.hash:
            raise RankError(f"{path} would not say what won: extend {extends} by hand")
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)


def _content(profile: Profile) -> dict[str, Any]:
    content = profile.model_dump(mode="json", exclude={"name", "description"})
    for platform, override in content["platforms"].items():
        content["platforms"][platform] = {key: part for key, part in override.items() if part is not None}
    return content


def _difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """What must be said over `theirs` to get `ours`: null removes, a mapping of another type replaces."""
    found: dict[str, Any] = {}
    for key, value in ours.items():
        before = theirs.get(key)  # None where it says nothing
        if value == before:
            continue
        if isinstance(value, dict) and isinstance(before, dict) and value.get("type") == before.get("type"):
            found[key] = _difference(value, before)
        else:
            found[key] = value
    return found | {key: None for key in theirs if key not in ours}
