"""YAML of strangers: one document, of bounded size and depth, with a handful of aliases at most.

A YAML file of a few hundred bytes can mean billions of values: an alias names a list of aliases that name a
list of aliases. So the events are counted before anything is built. Parsing a value may fail in ways that are
no YAML error (`2026-13-45` is no date, 5,000 digits are no number): those are sentences here too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from ranking.errors import ConfigError

MOST_BYTES: Final = 1_000_000
MOST_DEPTH: Final = 50  # levels of lists and mappings
MOST_ALIASES: Final = 32  # even in the worst order they make 65,536 values


def read_yaml(path: Path) -> Any:
    """The one document of a file.

    Raises:
        ConfigError: it is missing, cannot be read, is not YAML, or would be too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(path, ["no such file"]) from None
    except (OSError, ValueError) as e:
        raise ConfigError(path, [f"cannot be read: {e}"]) from e
    if len(data) > MOST_BYTES:
        raise ConfigError(path, [f"is larger than {MOST_BYTES // 1_000_000} MB"])
    try:
        text = data.decode()
    except UnicodeDecodeError as e:
        raise ConfigError(path, [f"cannot be read: {e}"]) from e
    return parse_yaml(text, path)


def parse_yaml(text: str, where: Path | str) -> Any:
    """The one document of a text.

    Raises:
        ConfigError: it is not YAML, or would be too large.
    """
    try:
        _check(where, text)
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, AttributeError, LookupError) as e:
        raise ConfigError(where, [f"not YAML: {' '.join(str(e).split())}"]) from e


def _check(where: Path | str, text: str) -> None:
    depth = aliases = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
        if depth > MOST_DEPTH:
            raise ConfigError(where, [f"lists and mappings more than {MOST_DEPTH} levels deep"])
        if aliases > MOST_ALIASES:
            hint = "write the values out"
            raise ConfigError(where, [f"more than {MOST_ALIASES} aliases (*name)"], hint=hint)


__all__ = ["parse_yaml", "read_yaml"]
