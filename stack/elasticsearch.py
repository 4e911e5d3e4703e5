"""Elasticsearch as a local process: a single node, bound to 127.0.0.1.

Without security, as most tests and a developer's day want it; with TLS, a password and API keys where a
`Security` is given.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from ranking.errors import StackError
from ranking.settings import Login, get_settings
from stack.bundle import DEFAULT_VERSION, distribution
from stack.engine import Launch, NotReady
from stack.fetch import Cancelled
from stack.health import Forbidden, get_json
from stack.jdk import find_jdk
from stack.paths import remove_tree, unprivileged_user
from stack.plugin import TITLE, server_with_plugin
from stack.process import Process, give, reasons, spawn
from stack.progress import note
from stack.secure import SETTINGS, Security


@dataclass(frozen=True)
class Elasticsearch:
    """The server of one version with a bounded heap."""

    version: str = DEFAULT_VERSION
    heap: str = "1g"  # as in -Xmx
    security: Security | None = None  # None: plain HTTP, and everyone may do everything
    plugin: bool = True  # with the rank-boost plugin

    name: ClassVar[str] = "elasticsearch"
    title: ClassVar[str] = "Elasticsearch"
    first_ports: ClassVar[Mapping[str, int]] = MappingProxyType({"http": 9200, "transport": 9300})
    start_timeout_s: ClassVar[float] = 180.0

    @property
    def options(self) -> dict[str, str]:
        """Version and heap; with security, where a client finds what it needs to log in."""
        plain = {
            "version": self.version,
            "heap": self.heap,
            "security": "on" if self.security else "off",
            "plugin": "on" if self.plugin else "off",
        }
        if self.security is None:
            return plain
        return {
            **plain,
            "ca_certs": str(self.security.ca_certs),
            "credentials": str(self.security.credentials),
        }

    @property
    def user(self) -> tuple[int, int] | None:
        """`nobody` under root, which Elasticsearch refuses."""
        return unprivileged_user()

    def prepare(self, cancel: threading.Event) -> None:
        """Find a JDK, fetch the server, build the plugin."""
        find_jdk(self.title, for_other_user=self.user is not None)
        self._server(cancel)

    def _server(self, cancel: threading.Event) -> Path:
        """The server's folder; without the plugin, and a note, where that cannot be built."""
        if self.plugin:
            try:
                return server_with_plugin(self.version, cancel)
            except StackError as e:
                if e.engine != TITLE:
                    raise
                note(f"{self.title}: starts without the plugin: {e}")
        return distribution(self.version, cancel)

    def launch(self, launch: Launch) -> Process:
        """Start it and wait until it has bound its port (`-d` returns then)."""
        server = self._server(launch.cancel)
        jdk = find_jdk(self.title, for_other_user=self.user is not None)
        # A version's data cannot be read by an older one, so each has its own.
        data = launch.home / f"data-{self.version}"
        config, temporary, snapshots = launch.home / "config", launch.home / "tmp", launch.home / "snapshots"
        pid_file = launch.home / "elasticsearch.pid"
        for folder in (config, temporary):
            remove_tree(folder)
        pid_file.unlink(missing_ok=True)
        for folder in (data, config, temporary, snapshots):
            folder.mkdir(exist_ok=True)
        _configure(config, launch, data, secure=self.security is not None)
        env = {
            "ES_JAVA_HOME": str(jdk.home),
            "ES_JAVA_OPTS": f"-Xms{self.heap} -Xmx{self.heap} {os.environ.get('ES_JAVA_OPTS', '')}".strip(),
            "ES_PATH_CONF": str(config),
            "ES_TMPDIR": str(temporary),
            "HOME": str(launch.home),
            "JAVA_HOME": "",
        }
        if self.security:
            self.security.make(jdk)
            self.security.configure(server, config, env)
        launch.log.touch()
        if self.user:  # the folder of secrets stays ours
            for folder in (data, config, temporary, snapshots, launch.log.parent):
                give(folder, self.user)
        starter = spawn(
            [server / "bin" / "elasticsearch", "-d", "-p", pid_file],
            log=launch.log,
            marker=launch.marker,
            env=env,
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
        return f"{'https' if self.security else 'http'}://127.0.0.1:{ports['http']}"

    def probe(self, address: str, ports: Mapping[str, int] | None) -> str:
        """Cluster health at least yellow; the version that the server names."""
        if ports is None:
            login = get_settings().elasticsearch_login()
        else:
            login = self.security.login if self.security else Login()
        try:
            health = get_json(
                f"{address.rstrip('/')}/_cluster/health?wait_for_status=yellow&timeout=1s", login
            )
        except Forbidden:  # a key for some indices only: the server is there, and knows us
            return "unknown"
        if health.get("timed_out") or health.get("status") == "red":
            raise NotReady(f"cluster health is {health.get('status')}")
        root = get_json(address, login)
        return str(root.get("version", {}).get("number", "unknown"))

    def defect(self, ports: Mapping[str, int]) -> str | None:
        """None is known."""
        return None


def _configure(config: Path, launch: Launch, data: Path, *, secure: bool) -> None:
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
{SETTINGS if secure else "xpack.security.enabled: false"}
# A developer's disk is often over 90 % full; the watermarks would then make every index read-only.
cluster.routing.allocation.disk.threshold_enabled: false
"""
    )
    templates = resources.files("stack") / "config"
    for name in ("jvm.options", "log4j2.properties"):
        config.joinpath(name).write_text(templates.joinpath(f"elasticsearch.{name}").read_text())
