"""Elasticsearch servers that carry the plugin: a copy of the cached server by hard links, one process a node.

They speak plain JSON through `Server`, since one client library refuses the other major version's servers.
"""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from elastic_transport import ConnectionError as NotThere
from elastic_transport import Transport
from elastic_transport.client_utils import url_to_node_config

from stack.bundle import distribution, resolve_version
from stack.jdk import find_jdk
from stack.paths import remove_tree, unprivileged_user
from stack.plugin import server_with_plugin
from stack.ports import choose
from stack.process import Process, give, marked, spawn, stop, tail
from tests.jvm import SHORT_LIVED

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "stack" / "config"
JSON_LINES = "application/x-ndjson"


@dataclass
class Server:
    """A cluster with the plugin, by the address of one node."""

    url: str
    version: str
    transport: Transport | None = None

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and decoded answer; a list as body is sent as JSON lines, text as it is."""
        if self.transport is None:
            self.transport = Transport([url_to_node_config(self.url)], max_retries=0)
        headers = {"accept": "application/json", "content-type": "application/json"}
        sent: Any = body
        if isinstance(body, list):
            headers["content-type"] = JSON_LINES
            sent = "".join(json.dumps(line) + "\n" for line in body).encode()
        elif isinstance(body, str):
            sent = body.encode()
        meta, answer = self.transport.perform_request(
            method, path, body=sent, headers=headers, request_timeout=120.0
        )
        return meta.status, answer

    def do(self, method: str, path: str, body: Any = None) -> Any:
        """The answer of a call that has to succeed."""
        status, answer = self.call(method, path, body)
        assert status < 300, f"{method} {path}: {status} {json.dumps(answer)[:2000]}"
        return answer


@contextmanager
def cluster(
    version: str,
    home: Path,
    *,
    nodes: int = 1,
    heap: str = "512m",
    settings: Iterable[str] = (),
    java: str = SHORT_LIVED,
    bare: Container[int] = (),
) -> Iterator[Server]:
    """A running cluster of `nodes` processes with the plugin, below `home`; ended and removed afterwards.

    Args:
        version: "9.4" or "8.19", or longer.
        settings: more lines of elasticsearch.yml.
        java: more options of the JVM.
        bare: nodes without the plugin, from 0.
    """
    try:  # what was started ends, also where the start itself is interrupted
        yield start(version, home, nodes=nodes, heap=heap, settings=settings, java=java, bare=bare)
    finally:
        stop([Process.of(pid) for pid in marked(_marker(home))], patience_s=20)
        remove_tree(home)


def _marker(home: Path) -> str:
    return f"rank-boost-test:{home}"


def start(
    version: str,
    home: Path,
    *,
    nodes: int = 1,
    heap: str = "512m",
    settings: Iterable[str] = (),
    java: str = SHORT_LIVED,
    port: int = 9250,
    bare: Container[int] = (),
) -> Server:
    """As `cluster`, and left running."""
    version = resolve_version(version)
    home.mkdir(parents=True, exist_ok=True)
    for folder in (home, *home.parents[: len(home.parents) - 1]):
        with suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o011)
    installed = server_with_plugin(version, Event())
    jdk = find_jdk("Elasticsearch", for_other_user=unprivileged_user() is not None)
    http: list[int] = []
    transport: list[int] = []
    for _ in range(nodes):
        http.append(choose(port, taken=http))
        transport.append(choose(port + 100, taken=transport))
    names = [f"node{i}" for i in range(nodes)]
    for i, name in enumerate(names):
        lines = [
            "cluster.name: rank-boost-test",
            f"node.name: {name}",
            "network.host: 127.0.0.1",
            f"http.port: {http[i]}",
            f"transport.port: {transport[i]}",
            f"path.data: {home / name / 'data'}",
            f"path.logs: {home / name / 'logs'}",
            "xpack.security.enabled: false",
            "cluster.routing.allocation.disk.threshold_enabled: false",
            *settings,
        ]
        if nodes == 1:
            lines.append("discovery.type: single-node")
        else:
            lines.append(f"discovery.seed_hosts: {json.dumps([f'127.0.0.1:{port}' for port in transport])}")
            if not (home / name / "data").is_dir():
                lines.append(f"cluster.initial_master_nodes: {json.dumps(names)}")
        folder = distribution(version, Event()) if i in bare else installed
        _configure(home / name, lines)
        _spawn(folder, home / name, jdk.home, f"-Xms{heap} -Xmx{heap} {java}")
    server = Server(f"http://127.0.0.1:{http[0]}", version)
    _wait(server, home, nodes)
    return server


def _configure(home: Path, lines: list[str]) -> None:
    config, temporary = home / "config", home / "tmp"
    for folder in (config, temporary):
        remove_tree(folder)
    for folder in (config, temporary, home / "data", home / "logs"):
        folder.mkdir(parents=True, exist_ok=True)
    (config / "elasticsearch.yml").write_text("\n".join(lines) + "\n")
    for name in ("jvm.options", "log4j2.properties"):
        shutil.copyfile(CONFIG / f"elasticsearch.{name}", config / name)


def _spawn(installed: Path, home: Path, jdk: Path, java: str) -> None:
    (home / "pid").unlink(missing_ok=True)
    user = unprivileged_user()
    if user:
        give(home, user)
    spawn(
        [installed / "bin" / "elasticsearch", "-d", "-p", home / "pid"],
        log=home / "started.log",
        marker=_marker(home.parent),
        env={
            "ES_JAVA_HOME": str(jdk),
            "ES_JAVA_OPTS": java,
            "ES_PATH_CONF": str(home / "config"),
            "ES_TMPDIR": str(home / "tmp"),
            "HOME": str(home),
            "JAVA_HOME": "",
        },
        cwd=home,
        user=user,
    )


def _wait(server: Server, home: Path, nodes: int) -> None:
    deadline = time.monotonic() + 180
    host, port = server.url.removeprefix("http://").split(":")
    while time.monotonic() < deadline:
        with suppress(NotThere, OSError):
            socket.create_connection((host, int(port)), timeout=1).close()
            status, health = server.call("GET", f"/_cluster/health?wait_for_nodes={nodes}&timeout=5s")
            if status == 200 and health["number_of_nodes"] == nodes:
                return
        time.sleep(0.5)
    said = "\n".join(tail(log) for log in sorted(home.rglob("*.log")))
    raise RuntimeError(f"the cluster in {home} did not start:\n{said}")
