"""Options that more than one command takes, named once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from ranking.profile import Profile

IndexOption = Annotated[
    str | None, typer.Option("--index", help="Index or alias; RANK_INDEX, or items, by default.")
]
PhotosRoot = Annotated[
    Path | None,
    typer.Option(
        envvar="RANK_PHOTOS_ROOT",
        exists=True,
        file_okay=False,
        help="Photos in files are read below this folder only; without it, none are.",
    ),
]
PlatformOption = Annotated[
    str | None, typer.Option("--platform", help="web, ios or android: applies the profile's override.")
]
AtOption = Annotated[
    str | None,
    typer.Option("--at", help="The clock of the formula: ISO 8601 or epoch ms. This moment by default."),
]


def index_name(index: str | None) -> str:
    """The index asked for, or that of the settings."""
    from ranking.settings import get_settings

    return index or get_settings().index


def clock(at: str | None) -> int:
    """Epoch ms of `--at`, or of this moment.

    Raises:
        InputError: not a time.
    """
    from ranking.clock import now_ms, parse_time
    from ranking.errors import InputError

    if at is None:
        return now_ms()
    try:
        return parse_time(at)
    except ValueError as e:
        raise InputError(f"--at: {e}") from None


def check_platform(platform: str | None) -> str | None:
    """The platform, if it is one.

    Raises:
        InputError: not one of the platforms.
    """
    from ranking.errors import InputError
    from ranking.fields import PLATFORMS

    if platform is not None and platform not in PLATFORMS:
        raise InputError(f"--platform: {platform!r} is not one of {', '.join(PLATFORMS)}")
    return platform


def profile_named(es: Elasticsearch, name: str) -> Profile:
    """A file or shipped profile, else the published one of that name; `NAME@VERSION` is a published one."""
    from ranking.errors import ConfigError
    from ranking.profile import find_profile
    from ranking.published import find_published, read_published

    if "@" in name and "/" not in name and not name.endswith((".yaml", ".yml", ".json")):
        return find_published(es, name).profile
    try:
        return find_profile(name)
    except ConfigError:
        published = None if "/" in name else read_published(es, name)
        if published is None:
            raise
        return published.profile


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are not empty, such as queries.

    Raises:
        InputError: it cannot be read, or holds none.
    """
    from ranking.errors import InputError

    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"{path}: {e}", hint="give a text file with one query a line") from e
    found = [line for line in lines if line]
    if not found:
        raise InputError(f"{path} has no queries", hint="give a text file with one query a line")
    return found


def duration(text: str, option: str) -> int:
    """Milliseconds of an option such as `--shift 7d`.

    Raises:
        InputError: not a duration.
    """
    from ranking.clock import parse_duration
    from ranking.errors import InputError

    try:
        return parse_duration(text)
    except ValueError as e:
        raise InputError(f"{option}: {e}") from None


def relative_change(text: str, option: str) -> float:
    """A relative change such as `2%` or `0.02`.

    Raises:
        InputError: not a number, 0, or ten times and more.
    """
    from ranking.errors import InputError

    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = 0.0
    if not 0 < abs(value) < 10:
        raise InputError(f"{option} {text!r} is no relative change", hint=f"for example {option} 2% or 0.02")
    return value
