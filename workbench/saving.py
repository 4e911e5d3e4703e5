"""A profile as the page would save it: shown first, then written as a new file. Nothing is published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ranking.errors import InputError
from ranking.lint import lint_profile
from ranking.profile import Profile, parse_profile
from ranking.whole_file import write_text
from workbench.asked import Draft
from workbench.catalog import SAVED, Catalog
from workbench.moved import as_yaml, moved


def draft(asked: Draft, catalog: Catalog) -> tuple[Profile, dict[str, Any]]:
    """The profile, and what the page shows of it: the file's text, its hash, what the linter finds.

    Raises:
        ConfigError: a name or a value that a profile cannot have.
    """
    found = catalog.find(asked.contender)
    base = moved(found.profile, asked.sliders)
    data = base.model_dump(mode="json", exclude_defaults=True) | {"name": asked.name}
    if asked.sliders.moved:
        data["description"] = f"From {found.label}: {base.summary}."  # the old words may no longer be true
    profile = parse_profile({key: value for key, value in data.items() if value}, "the new profile")
    findings = lint_profile(profile, ignore=list(profile.lint_ignore))
    return profile, {
        "name": profile.name,
        "hash": profile.hash,
        "summary": profile.summary,
        "yaml": as_yaml(profile),
        "findings": [finding.as_dict() for finding in findings],
    }


def save(asked: Draft, catalog: Catalog, folder: Path) -> dict[str, Any]:
    """Write `NAME.yaml`; a file that is there is never replaced.

    Raises:
        ConfigError: a name or a value that a profile cannot have.
        InputError: the file is there already, or cannot be written.
    """
    profile, shown = draft(asked, catalog)
    path = folder / f"{profile.name}.yaml"
    if path.exists() or path.is_symlink():
        raise InputError(f"{path} is there already", hint="choose another name")
    write_text(path, [shown["yaml"]])
    return {**shown, "path": str(path), "key": f"{SAVED}:{profile.name}"}


__all__ = ["draft", "save"]
