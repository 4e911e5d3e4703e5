"""The profile: one YAML file that says what a score is.

A profile is content-hashed; the hash in a capture record says which formula produced a logged score.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ranking import fields
from ranking.errors import ConfigError
from ranking.freshness import Freshness

Mode = Literal["none", "additive", "multiplicative"]
Execution = Literal["function_score", "script_score"]
Platform = Literal["web", "ios", "android"]


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


class ImageBoost(_Part):
    """How the image score enters the score (paper, equations 2 and 3).

    additive:       rel + weight * image
    multiplicative: rel * (1 - weight + weight * image)
    none:           rel
    """

    mode: Mode = "none"
    weight: float = Field(
        default=1.0,
        ge=0,
        le=1e6,
        description="additive: points of score at image = 1; multiplicative: 0 to 1.",
    )
    missing: float = Field(default=0.0, ge=0, le=1, description="Image score of an unscored item.")

    @model_validator(mode="after")
    def _multiplicative_weight_is_a_share(self) -> ImageBoost:
        if self.mode == "multiplicative" and self.weight > 1:
            raise ValueError(f"weight of a multiplicative boost must be in [0, 1], got {self.weight}")
        return self


class PlatformOverride(_Part):
    """What one platform does differently; keys left out keep the profile's value."""

    image: dict[str, Any] | None = None
    freshness: dict[str, Any] | None = None


class Profile(_Part):
    """A ranking formula, its query and how it is executed."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$", description="Lower case; names the profile.")
    description: str = ""
    base_query: BaseQuery = BaseQuery()
    image: ImageBoost = ImageBoost()
    freshness: Freshness | None = None
    execution: Execution = "function_score"
    k: int = Field(default=50, ge=1, le=10_000, description="Length of the page that is served.")
    window: int = Field(
        default=500, ge=1, le=10_000, description="Most relevant candidates kept by a capture."
    )
    platforms: dict[Platform, PlatformOverride] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _overrides_make_valid_profiles(self) -> Profile:
        if self.window < self.k:
            raise ValueError(f"window ({self.window}) must not be smaller than k ({self.k})")
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
        return Profile.model_validate(data)

    @cached_property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON; name and description do not count."""
        content = self.model_dump(mode="json", exclude={"name", "description"})
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @property
    def summary(self) -> str:
        """The formula in a few words, such as `additive w 3, gauss 14d`."""
        image = (
            "no image boost" if self.image.mode == "none" else f"{self.image.mode} w {self.image.weight:g}"
        )
        if self.freshness is None:
            return f"{image}, no freshness"
        return f"{image}, {self.freshness.curve} {self.freshness.model_dump()['scale']}"


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
    """Read one profile file.

    Raises:
        ConfigError: the file is missing, is not YAML, or a key is wrong.
    """
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(path, ["no such file"]) from None
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(path, [f"cannot be read: {e}"]) from e
    except yaml.YAMLError as e:
        raise ConfigError(path, [f"not YAML: {' '.join(str(e).split())}"]) from e
    return parse_profile(data, path)


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
