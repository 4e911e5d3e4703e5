"""Fetching engines from Maven Central into the cache, once, checked by SHA-256.

A folder in the cache is complete or absent: it is made under a temporary name and renamed, and a lock
keeps a second process from fetching the same thing. Maven itself does the fetching, so that mirrors and
proxies in the user's settings.xml hold here too.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ranking.errors import StackError
from ranking.settings import ENGINE_KEYS
from stack.paths import cache_dir, remove_tree, require_space
from stack.process import tail
from stack.progress import note
from stack.record import locked

PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"


class Cancelled(Exception):
    """The person at the terminal gave up."""


def cached(
    engine: str, name: str, build: Callable[[Path], None], *, need_bytes: float, needs_all: Sequence[str] = ()
) -> Path:
    """The folder `name` of the cache, made by `build` if it is not there.

    Args:
        engine: whom to name in an error.
        name: folder name; holds the version, so that a new version is a new folder.
        build: fills the empty folder it is given.
        need_bytes: free disk that `build` needs at its peak.
        needs_all: paths inside that must exist; a folder that lost one is made again.
    """
    cache = cache_dir()
    folder = cache / name

    def complete() -> bool:
        return folder.is_dir() and all((folder / path).exists() for path in needs_all)

    if complete():
        return folder
    with locked(cache / f".{name}.lock", f"{engine}: waiting for another process that fetches {name}"):
        if complete():
            return folder
        require_space(engine, cache, need_bytes)
        remove_tree(folder)
        for left_over in cache.glob(f".{name}-*.tmp"):
            remove_tree(left_over)
        made = Path(tempfile.mkdtemp(dir=cache, prefix=f".{name}-", suffix=".tmp"))
        try:
            build(made)
            made.chmod(0o755)
            made.rename(folder)
        finally:
            remove_tree(made)
    return folder


def maven(
    engine: str, goal: str, folder: Path, arguments: Sequence[str], *, what: str, cancel: threading.Event
) -> None:
    """Run a goal of Maven's dependency plugin that puts files into `folder`.

    The local repository is a temporary one in `folder`, so that 1 GB does not stay in ~/.m2 and two runs
    do not write to one repository at the same time.

    Raises:
        StackError: Maven is not installed, or failed.
        Cancelled: `cancel` was set.
    """
    mvn = shutil.which("mvn")
    if mvn is None:
        raise StackError(
            engine,
            "is fetched with Maven, and `mvn` is not on the PATH",
            hint="install Maven (`apt install maven`, `brew install maven`), or set "
            f"{ENGINE_KEYS[engine].upper()} to a running server",
        )
    log, repository = folder / "maven.log", folder / ".maven"
    command = [mvn, "-B", "-q", f"{PLUGIN}:{goal}", f"-Dmaven.repo.local={repository}"]
    command += [f"-DoutputDirectory={folder}", *arguments]
    if run_logged(command, folder, log, cancel) != 0:
        raise StackError(
            engine,
            f"Maven could not fetch {what}",
            hint="check the network and the mirrors in ~/.m2/settings.xml, then try again",
            log_tail=tail(log, 8),
        )
    log.unlink()
    remove_tree(repository)


def run_logged(
    command: Sequence[str],
    folder: Path,
    log: Path,
    cancel: threading.Event,
    env: Mapping[str, str] | None = None,
) -> int:
    """Run a command in `folder`, all it says into `log`; its exit status.

    Raises:
        Cancelled: `cancel` was set; the command is ended.
    """
    with log.open("wb") as sink:
        child = subprocess.Popen(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT
        )
        while child.poll() is None:
            if cancel.wait(0.2):
                child.terminate()
                child.wait()
                raise Cancelled
    return child.returncode


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def verify(engine: str, files: Mapping[Path, str]) -> None:
    """Compare files with their SHA-256.

    Raises:
        StackError: one differs; it is deleted, so that the next run fetches it again.
    """
    for path, expected in files.items():
        found = sha256_of(path)
        if found != expected:
            path.unlink()
            note(f"{engine}: SHA-256 of {path.name} is {found}, expected {expected}")
            raise StackError(
                engine,
                f"{path.name} is not the file that was published (its SHA-256 differs), and was deleted",
                hint="run `rank-cli stack up` again; if it happens twice, look at the mirror Maven uses",
            )
