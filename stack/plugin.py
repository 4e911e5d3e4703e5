"""The rank-boost plugin: built for one exact server, and put into a server's folder.

A server refuses a plugin built for another version of it, so each version has its own build, made against the
jars of the very server. Builds lie in the cache under a hash of the sources: the same sources are built once.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ranking.errors import StackError
from stack.bundle import distribution
from stack.fetch import cached, run_logged, sha256_of
from stack.jdk import find_jdk
from stack.paths import GB
from stack.process import tail
from stack.progress import note

NAME: Final = "rank-boost"
TITLE: Final = "rank-boost"  # in sentences
SOURCES: Final = Path(__file__).resolve().parent.parent / "plugin"
_SERVER_JAR: Final = re.compile(r"elasticsearch-(\d+\.\d+\.\d+)\.jar")
_LUCENE_JAR: Final = re.compile(r"lucene-core-(\d+\.\d+\.\d+)\.jar")


@dataclass(frozen=True, slots=True)
class Build:
    """A plugin zip."""

    path: Path
    es_version: str
    digest: str  # of the sources, 12 hex digits

    @property
    def sha256(self) -> str:
        """Of the zip, hex."""
        return sha256_of(self.path)


def server_version(home: Path) -> str:
    """The exact version of an unpacked server, from its jars.

    Raises:
        StackError: that folder is not a server's.
    """
    found = _number(home, _SERVER_JAR)
    if found is None:
        raise StackError(
            TITLE,
            f"{home} is not the folder of an Elasticsearch server: no lib/elasticsearch-VERSION.jar",
            hint="give the folder that holds bin, lib and modules, such as /usr/share/elasticsearch",
        )
    return found


def build(home: Path, *, tests: bool = False, cancel: threading.Event | None = None) -> Build:
    """The plugin for the server unpacked in `home`, from the cache where its sources were built before.

    Args:
        home: folder with `lib`.
        tests: run the plugin's own tests too, and build anew.
        cancel: gives up the build.

    Raises:
        StackError: no sources, no JDK or Maven, or the build failed.
        Cancelled: `cancel` was set.
    """
    version, digest = server_version(home), _digest()
    lucene = _number(home, _LUCENE_JAR) or ""
    stop = cancel or threading.Event()
    if tests:
        _maven(home, version, lucene, None, stop)
    folder = cached(
        TITLE,
        f"{NAME}-{digest}-es{version}",
        lambda into: _maven(home, version, lucene, into, stop),
        need_bytes=200e6,
        needs_all=(f"{NAME}.zip",),
    )
    return Build(folder / f"{NAME}.zip", version, digest)


def server_with_plugin(version: str, cancel: threading.Event) -> Path:
    """The cached server of a version with the plugin in it: hard links of the plain one, and one folder more.

    Raises:
        StackError: as `build`; or the server cannot be fetched.
        Cancelled: `cancel` was set.
    """
    plain = distribution(version, cancel)
    made = build(plain, cancel=cancel)

    def link(folder: Path) -> None:
        shutil.copytree(plain, folder, copy_function=_link, dirs_exist_ok=True)
        unpack(made.path, folder)

    return cached(
        "Elasticsearch",
        f"elasticsearch-{version}-{NAME}-{made.digest}",
        link,
        need_bytes=1 * GB,
        needs_all=("bin/elasticsearch", "lib", "modules", f"plugins/{NAME}/plugin-descriptor.properties"),
    )


def unpack(archive: Path, home: Path) -> Path:
    """Put the plugin into a server's `plugins` folder, as the server's own installer does; the folder."""
    target = home / "plugins" / NAME
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(target)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target


def install(made: Build, home: Path) -> None:
    """Install into a server's folder with the server's own command, in place of an earlier version.

    Raises:
        StackError: the folder is another version's, or the command refused.
    """
    if server_version(home) != made.es_version:
        raise StackError(TITLE, f"was built for {made.es_version}, and {home} is {server_version(home)}")
    command, env = _installer(home)
    if (home / "plugins" / NAME).exists():
        _run([*command, "remove", NAME], env)
    _run([*command, "install", "--batch", made.path.as_uri()], env)


def _installer(home: Path) -> tuple[list[str], dict[str, str]]:
    """`bin/elasticsearch-plugin`, or what it calls where a bundle left that script out."""
    jdk = find_jdk(TITLE)
    env = {**os.environ, "ES_JAVA_HOME": str(jdk.home), "JAVA_HOME": ""}
    script = home / "bin" / "elasticsearch-plugin"
    if script.exists():
        return [str(script)], env
    cli = home / "bin" / "elasticsearch-cli"
    if not cli.exists():
        raise StackError(
            TITLE, f"{home} has no bin/elasticsearch-plugin", hint="unpack the zip into plugins/rank-boost"
        )
    return ["bash", str(cli)], {**env, "CLI_NAME": "plugin", "CLI_LIBS": "lib/tools/plugin-cli"}


def _run(command: Sequence[str], env: dict[str, str]) -> None:
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        raise StackError(TITLE, "the server's installer refused", log_tail=said[-2000:])


def _digest() -> str:
    """Hash of everything that a build reads."""
    if not (SOURCES / "pom.xml").is_file():
        raise StackError(
            TITLE,
            "its sources are not here: they come with a checkout of the toolkit, not with the wheel",
            hint="run this from a checkout, or install a zip that was built from one",
        )
    found = hashlib.sha256()
    for path in sorted([SOURCES / "pom.xml", *(SOURCES / "src" / "main").rglob("*"), *_majors()]):
        if path.is_file():
            found.update(str(path.relative_to(SOURCES)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:12]


def _majors() -> list[Path]:
    return [path for folder in (SOURCES / "src").glob("es[0-9]*") for path in folder.rglob("*")]


def _number(home: Path, pattern: re.Pattern[str]) -> str | None:
    names = [path.name for path in (home / "lib").glob("*.jar")] if (home / "lib").is_dir() else []
    found = [match[1] for name in names if (match := pattern.fullmatch(name))]
    return found[0] if found else None


def _maven(home: Path, version: str, lucene: str, into: Path | None, cancel: threading.Event) -> None:
    """Run the build in a copy of the sources; with `into`, without tests, the zip is put there."""
    mvn = shutil.which("mvn")
    if mvn is None:
        raise StackError(TITLE, "is built with Maven, and `mvn` is not on the PATH", hint="install Maven")
    note(f"{TITLE}: building for Elasticsearch {version}{'' if into else ', with its tests'}")
    with tempfile.TemporaryDirectory(prefix=f"{NAME}-") as temporary:
        work = Path(temporary) / "plugin"
        shutil.copytree(SOURCES, work, ignore=shutil.ignore_patterns("target"))
        made = _package(mvn, work, home, version, lucene, tests=into is None, cancel=cancel)
        if into:
            shutil.copyfile(made, into / f"{NAME}.zip")


def _package(
    mvn: str, work: Path, home: Path, version: str, lucene: str, *, tests: bool, cancel: threading.Event
) -> Path:
    """`mvn package`; the zip."""
    log = work / "maven.log"
    command = [mvn, "-B", "-q", "-f", str(work / "pom.xml"), "package", f"-Des.version={version}"]
    command += [f"-Des.home={home.resolve()}", f"-Des.major={version.partition('.')[0]}"]
    command += [f"-Dlucene.version={lucene}"] if lucene else []
    command += ["-Djava.release=17"] if version.startswith("8.") else []
    command += [] if tests else ["-DskipTests"]
    env = {**os.environ, "JAVA_HOME": str(find_jdk(TITLE).home)}
    status = run_logged(command, work, log, cancel, env)
    zips = sorted((work / "target").glob(f"{NAME}-*-es{version}.zip"))
    if status != 0 or not zips:
        raise StackError(
            TITLE,
            f"could not be built for Elasticsearch {version}",
            hint="the lines above are Maven's; `rank-cli stack up --no-plugin` does without it",
            log_tail=tail(log, 15),
        )
    return zips[0]


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


__all__ = ["NAME", "TITLE", "Build", "build", "install", "server_version", "server_with_plugin", "unpack"]
