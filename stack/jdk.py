"""Finding a Java that Elasticsearch 9 accepts: a full JDK, 21 or newer.

A runtime without the module `jdk.jlink` (a "JRE", or an image made by jlink) fails at start with words
that do not say so; so we look first.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ranking.errors import StackError
from stack.paths import open_to_all

MIN_VERSION = 21
NEEDED_MODULE = "jdk.jlink"
JVM_FOLDERS = (Path("/usr/lib/jvm"), Path("/Library/Java/JavaVirtualMachines"), Path("/opt/java"))


@dataclass(frozen=True, slots=True)
class Jdk:
    """A Java installation."""

    home: Path
    version: int  # feature release: 17, 21, 25
    full: bool  # has the module jdk.jlink

    @property
    def java(self) -> Path:
        """The `java` command."""
        return self.home / "bin" / "java"

    @property
    def fits(self) -> bool:
        """Whether Elasticsearch can run on it."""
        return self.version >= MIN_VERSION and self.full


def find_jdk(engine: str, *, for_other_user: bool = False) -> Jdk:
    """The first fitting JDK: `JAVA_HOME`, then the system's JVM folder, then `PATH`.

    Args:
        engine: whom to name in an error.
        for_other_user: it must lie where any user may run it, thus not below /root.

    Raises:
        StackError: there is none; the message names what was found instead.
    """
    misfits: list[str] = []
    for home in _homes():
        found = inspect(home)
        if found is None:
            continue
        closed = for_other_user and not open_to_all(home)
        if found.fits and not closed:
            return found
        lacks = (
            f" without {NEEDED_MODULE}"
            if not found.full
            else " in a folder closed to others"
            if closed
            else ""
        )
        misfits.append(f"{found.home} is Java {found.version}{lacks}")
    raise StackError(
        engine,
        f"needs a full JDK {MIN_VERSION} or newer, and "
        + (f"only {', '.join(misfits)}" if misfits else "no Java was found"),
        hint="install one (Temurin 25: `apt install temurin-25-jdk` or https://adoptium.net), "
        "or point JAVA_HOME at one",
    )


@lru_cache(maxsize=32)
def inspect(home: Path) -> Jdk | None:
    """Ask the Java in `home` what it is; None where it does not run."""
    try:
        said = subprocess.run(
            [home / "bin" / "java", "-version"], capture_output=True, text=True, timeout=30, check=True
        )
        modules = subprocess.run(
            [home / "bin" / "java", "--list-modules"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    number = re.search(r'version "(?:1\.)?(\d+)', said.stderr)
    if number is None:
        return None
    full = any(line.startswith(NEEDED_MODULE) for line in modules.stdout.splitlines())
    return Jdk(home, int(number.group(1)), full)


def _homes() -> Iterator[Path]:
    """Candidate homes in order of preference, each once."""
    candidates: list[Path] = []
    if named := os.environ.get("JAVA_HOME"):
        candidates.append(Path(named))
    for folder in JVM_FOLDERS:
        if folder.is_dir():
            installed = sorted(folder.iterdir(), key=_version_in_name, reverse=True)
            candidates += [
                home / "Contents" / "Home" if (home / "Contents").is_dir() else home for home in installed
            ]
    if on_path := shutil.which("java"):
        candidates.append(Path(on_path).resolve().parent.parent)
    seen: set[Path] = set()
    for home in candidates:
        real = home.resolve()
        if real not in seen and (real / "bin" / "java").exists():
            seen.add(real)
            yield real


def _version_in_name(home: Path) -> int:
    """The feature release a folder's name speaks of (java-21-openjdk-amd64), 0 where it does not."""
    number = re.search(r"(?<![\d.])(?:1\.)?(\d{1,2})(?!\d)", home.name)
    return int(number.group(1)) if number else 0
