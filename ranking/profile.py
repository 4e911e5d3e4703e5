"""The profile: one YAML file that says what a score is.

A profile is content-hashed; the hash in a capture record says which formula produced a logged score.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ranking import fields
from ranking.clock import format_duration
from ranking.errors import ConfigError
from ranking.factors import Factor, Kind
from ranking.freshness import Freshness
from ranking.image import ImageBoost
from ranking.yaml_file import read_yaml

Execution = Literal["function_score", "script_score", "window", "plugin"]
Platform = Literal["web", "ios", "android"]
_NOT_HASHED = {"name", "description", "lint_ignore"}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BaseQuery(_Part):
    """The relevance part: a `multi_match` over weighted fields, under filters."""

    fields: dict[str, float] = Field(
        default={fields.TITLE: 2.0, fields.DESCRIPTION: 1.0},
        min_length=1,
        description="Field names and their boosts.",
    )
    type: Literal["best_fields", "most_fields", "cross_fields"] = "best_fields"
    operator: Literal["or", "and"] = "or"
    minimum_should_match: str | None = None
    statuses: tuple[Literal["on_sale", "sold", "deleted"], ...] = Field(
        default=("on_sale",), description="Statuses a hit may have; empty for all."
    )

    @model_validator(mode="after")
    def _boosts_are_usable(self) -> BaseQuery:
        bad = {name: boost for name, boost in self.fields.items() if not 0 < boost < float("inf")}
        if bad:
            raise ValueError(f"field boosts must be finite and > 0, got {bad}")
        return self


class PlatformOverride(_Part):
    """What one platform does differently; keys left out keep the profile's value."""

    image: dict[str, Any] | None = None
    freshness: dict[str, Any] | None = None
    factors: list[dict[str, Any]] | None = Field(default=None, description="Replaces all factors.")


class Profile(_Part):
    """A ranking formula, its query and how it is executed."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$", description="Lower case; names the profile.")
    description: str = ""
    base_query: BaseQuery = BaseQuery()
    image: ImageBoost = ImageBoost()
    freshness: Freshness | None = None
    factors: tuple[Factor, ...] = Field(default=(), max_length=20)
    execution: Execution = Field(
        default="function_score",
        description="window: script_score's arithmetic over the most relevant, with a certificate; plugin: "
        "the native query where the cluster has it, the script elsewhere, the same bits.",
    )
    approximate: bool = Field(
        default=False, description="With window: serve the window's order even where it is not proven."
    )
    k: int = Field(default=50, ge=1, le=10_000, description="Length of the page that is served.")
    window: int = Field(
        default=500, ge=1, le=10_000, description="Most relevant candidates kept by a capture."
    )
    platforms: dict[Platform, PlatformOverride] = Field(default_factory=dict)
    lint_ignore: dict[str, str] | tuple[str, ...] = Field(
        default=(), description="Lint rules to leave out: a list of names, or names with the reason."
    )

    @model_validator(mode="after")
    def _overrides_make_valid_profiles(self) -> Profile:
        if self.window < self.k:
            raise ValueError(f"window ({self.window}) must not be smaller than k ({self.k})")
        if self.approximate and self.execution != "window":
            raise ValueError("approximate goes with execution: window")
        kinds: dict[str, Kind] = {}
        for factor in self.factors:
            if kinds.setdefault(factor.field, factor.kind) != factor.kind:
                raise ValueError(f"factors read {factor.field} both as a keyword and as a number")
        for platform in self.platforms:
            self.for_platform(platform)
        return self

    def for_platform(self, platform: str | None) -> Profile:
        """The profile as it is served on `platform`; itself where there is no override."""
        override = self.platforms.get(platform) if platform else None  # type: ignore[call-overload]
        if override is None:
            return self
        data = self.model_dump(mode="json", exclude={"platforms"})
        for part in ("image", "freshness"):
            changes = getattr(override, part)
            if changes is not None:
                data[part] = {**(data[part] or {}), **changes}
        if override.factors is not None:
            data["factors"] = override.factors
        return Profile.model_validate(data)

    @property
    def factor_fields(self) -> dict[str, Kind]:
        """The fields that factors read, and what their doc values are."""
        return {factor.field: factor.kind for factor in self.factors}

    @cached_property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON; words and suppressions do not count.

        Keys that have their default are left out, so a key added later changes no hash; defaults are part of
        the format and never change.
        """
        content = self.model_dump(mode="json", exclude=_NOT_HASHED, exclude_defaults=True)
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Profile:
        """A copy with some keys replaced, unchecked; its hash is its own."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("hash", None)
        return copied

    @property
    def summary(self) -> str:
        """The formula in a few words, such as `additive w 3, gauss 14d`."""
        image = (
            "no image boost" if self.image.mode == "none" else f"{self.image.mode} w {self.image.weight:g}"
        )
        fresh = self.freshness
        parts = [image, f"{fresh.curve} {format_duration(fresh.scale)}" if fresh else "no freshness"]
        if self.factors:
            parts.append(f"{len(self.factors)} factor{'s' if len(self.factors) > 1 else ''}")
        return ", ".join(parts)


def parse_profile(data: Any, source: str | Path) -> Profile:
    """A profile from decoded YAML or JSON.

    Raises:
        ConfigError: names every wrong key and its value, all at once.
    """
    if not isinstance(data, dict):
        raise ConfigError(source, ["a profile is a mapping of keys, see docs/profiles.md"])
    try:
        return Profile.model_validate(data)
    except ValidationError as e:
        raise ConfigError(source, [_problem(error) for error in e.errors()]) from None


def _problem(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "profile"
    message = error["msg"].removeprefix("Value error, ")
    value = error.get("input")
    shown = f" (got {value!r})" if isinstance(value, str | int | float | bool) else ""
    return f"{key}: {message}{shown}"


def load_profile(path: str | Path) -> Profile:
    """Read one profile file, and those it extends.

    Raises:
        ConfigError: a file is missing, is not YAML, extends itself, or a key is wrong.
    """
    path = Path(path)
    return parse_profile(_extended(read_yaml(path), path, ()), path)


def profile_schema() -> dict[str, Any]:
    """The JSON Schema of a profile file, for editors: published as docs/profile.schema.json."""
    schema = Profile.model_json_schema(mode="validation")
    schema["properties"]["extends"] = {
        "type": "string",
        "description": "Path of a profile file, from this one, or the name of a shipped profile: its keys "
        "are the defaults here. Mappings are merged, anything else is replaced, null removes.",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "rank-toolkit profile",
    }


def _extended(data: Any, path: Path, below: tuple[str, ...]) -> Any:
    """`data` over what it extends; `below` holds the files that led here."""
    if not isinstance(data, dict) or "extends" not in data:
        return data
    own = {key: value for key, value in data.items() if key != "extends"}
    name = data["extends"]
    if not isinstance(name, str):
        raise ConfigError(path, [f"extends: must be a path or a name (got {name!r})"])
    is_path = name.endswith((".yaml", ".yml", ".json")) or "/" in name
    base_path = (path.parent / name).resolve() if is_path else Path(f"{name}.yaml")
    known = (*below, str(path.resolve()))
    if is_path and str(base_path) in known:
        raise ConfigError(path, [f"extends: {name} leads back to this file"])
    if is_path:
        base = _extended(read_yaml(base_path), base_path, known)
    else:
        shipped = resources.files("ranking") / "profiles" / f"{name}.yaml"
        if not shipped.is_file():
            raise ConfigError(path, [f"extends: no shipped profile is called {name!r}; write a path"])
        base = yaml.safe_load(shipped.read_text(encoding="utf-8"))
    if not isinstance(base, dict):
        raise ConfigError(base_path, ["a profile is a mapping of keys, see docs/profiles.md"])
    return _merged(base, own)


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Mappings key by key, unless they are of two types; anything else replaced; null removes."""
    merged = dict(base)
    for key, value in own.items():
        before = merged.get(key)
        same_type = (
            isinstance(before, dict) and isinstance(value, dict) and before.get("type") == value.get("type")
        )
        if value is None:
            merged.pop(key, None)
        elif same_type and isinstance(before, dict):
            merged[key] = _merged(before, value)
        else:
            merged[key] = value
    return merged


def builtin_profiles() -> dict[str, Profile]:
    """The profiles shipped with the toolkit, by name: control, additive, multiplicative."""
    folder = resources.files("ranking") / "profiles"
    found = [entry for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    profiles = [
        parse_profile(yaml.safe_load(entry.read_text(encoding="utf-8")), entry.name) for entry in found
    ]
    return {profile.name: profile for profile in sorted(profiles, key=lambda profile: profile.name)}


def find_profile(name: str, folder: Path = Path("profiles")) -> Profile:
    """A profile by path, by the name of a file in `folder`, or by the name of a shipped one.

    Raises:
        ConfigError: none of the three.
    """
    if name.endswith((".yaml", ".yml", ".json")) or "/" in name:
        return load_profile(name)
    own = folder / f"{name}.yaml"
    if own.is_file():
        return load_profile(own)
    shipped = builtin_profiles()
    if name in shipped:
        return shipped[name]
    raise ConfigError(
        name,
        [f"no file {own} and no shipped profile of that name ({', '.join(shipped)})"],
        hint="write the path of a profile file, or one of the names above",
    )
