"""The profiles one can choose in the page, by keys that name no path.

given:LABEL         named on the command line
file:NAME           a file of the folder `profiles`
shipped:NAME        comes with the toolkit
published:NAME@N    in the cluster
saved:NAME          saved from the page, in the folder of --allow-save
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from elasticsearch import Elasticsearch

from ranking.errors import InputError, RankError, ServerError
from ranking.profile import Profile, builtin_profiles, load_profile
from ranking.published import find_published, list_published

GIVEN, FILE, SHIPPED, PUBLISHED, SAVED = "given", "file", "shipped", "published", "saved"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_VERSION = re.compile(_NAME.pattern + r"@[0-9]{1,9}")
_MOST_FILES = 200


@dataclass(frozen=True, slots=True)
class Choice:
    """One profile of the list."""

    key: str
    label: str
    source: str  # the key's first word
    profile: Profile

    def row(self) -> dict[str, str | float]:
        """As the page shows it."""
        image = self.profile.image
        return {
            "key": self.key,
            "label": self.label,
            "source": self.source,
            "hash": self.profile.hash,
            "summary": self.profile.summary,
            "mode": image.mode,
            "weight": image.weight,
        }


@dataclass(frozen=True, slots=True)
class Catalog:
    """Where profiles are looked for; files are read anew each time, so that an edit is seen."""

    cluster: Callable[[], Elasticsearch]
    given: Mapping[str, Callable[[], Profile]]  # by label
    folder: Path
    saved: Path | None

    def choices(self) -> tuple[list[Choice], list[str]]:
        """All of them, and a sentence for each that cannot be read."""
        found: list[Choice] = []
        problems: list[str] = []
        for key in self._keys(problems):
            try:
                found.append(self.find(key))
            except ServerError:
                raise
            except RankError as e:
                problems.append(str(e))
        return found, problems

    def find(self, key: str) -> Choice:
        """The profile of a key.

        Raises:
            ConfigError: its file is wrong, or it is no longer published.
            InputError: there is no such key.
        """
        source, _, name = key.partition(":")
        return Choice(key, name, source, self._profile(source, name))

    def _profile(self, source: str, name: str) -> Profile:
        if source == GIVEN and name in self.given:
            return self.given[name]()
        if source == SHIPPED and name in _shipped():
            return _shipped()[name]
        if source == PUBLISHED and _VERSION.fullmatch(name):
            return find_published(self.cluster(), name).profile
        folder = {FILE: self.folder, SAVED: self.saved}.get(source)
        if folder is not None and _NAME.fullmatch(name):
            return load_profile(folder / f"{name}.yaml")
        raise InputError(f"there is no profile {source}:{name}", hint="load the page again")

    def _keys(self, problems: list[str]) -> Iterator[str]:
        yield from (f"{GIVEN}:{label}" for label in self.given)
        if self.saved is not None:
            yield from (f"{SAVED}:{name}" for name in _files(self.saved))
        if self.saved is None or self.saved.resolve() != self.folder.resolve():
            yield from (f"{FILE}:{name}" for name in _files(self.folder))
        try:
            live = list_published(self.cluster())
        except RankError as e:
            problems.append(str(e))
        else:
            yield from (f"{PUBLISHED}:{one.label}" for one in live)
        yield from (f"{SHIPPED}:{name}" for name in _shipped())


@cache
def _shipped() -> dict[str, Profile]:
    return builtin_profiles()


def _files(folder: Path) -> list[str]:
    names = sorted(path.stem for path in folder.glob("*.yaml") if path.is_file())
    return [name for name in names if _NAME.fullmatch(name)][:_MOST_FILES]


__all__ = ["FILE", "GIVEN", "PUBLISHED", "SAVED", "SHIPPED", "Catalog", "Choice"]
