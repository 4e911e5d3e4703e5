"""Kafka as a local process: KRaft, broker and controller in one, topics made on first use."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import struct
import subprocess
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from ranking.errors import StackError
from stack.engine import Launch, NotReady
from stack.fetch import cached, maven, verify
from stack.jdk import find_jdk
from stack.process import Process, spawn
from stack.progress import note

VERSION = "4.3.1"
API_VERSIONS = 18  # key of the one request that every broker answers in its version 0


@dataclass(frozen=True)
class Kafka:
    """One broker with a bounded heap."""

    heap: str = "256m"  # as in -Xmx

    name: ClassVar[str] = "kafka"
    title: ClassVar[str] = "Kafka"
    first_ports: ClassVar[Mapping[str, int]] = MappingProxyType({"broker": 9092, "controller": 9093})
    start_timeout_s: ClassVar[float] = 120.0

    @property
    def options(self) -> dict[str, str]:
        """Version and heap."""
        return {"version": VERSION, "heap": self.heap}

    @property
    def user(self) -> tuple[int, int] | None:
        """It runs as we do."""
        return None

    def prepare(self, cancel: threading.Event) -> None:
        """Find a JDK and fetch the jars."""
        find_jdk(self.title)
        self._jars(cancel)

    def _jars(self, cancel: threading.Event) -> Path:
        return cached(
            self.title,
            f"kafka-{VERSION}",
            lambda folder: _fetch(folder, cancel),
            need_bytes=300e6,
            needs_all=(f"kafka_2.13-{VERSION}.jar",),
        )

    def launch(self, launch: Launch) -> Process:
        """Format the storage if it is new, and start the broker."""
        data, config = launch.home / "data", launch.home / "server.properties"
        config.write_text(_properties(launch.ports, data))
        log4j = launch.home / "log4j2.properties"
        log4j.write_text((resources.files("stack") / "config" / "kafka.log4j2.properties").read_text())
        java = [
            str(find_jdk(self.title).java),
            "-XX:+UseSerialGC",
            f"-Xmx{self.heap}",
            f"-Dlog4j2.configurationFile={log4j}",
            "-cp",
            str(self._jars(launch.cancel) / "*"),
        ]
        if not (data / "meta.properties").exists():
            # A format that was cut short leaves a folder that the next one refuses.
            shutil.rmtree(data, ignore_errors=True)
            formatted = subprocess.run(
                [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id(), "-c", str(config)],
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            if formatted.returncode != 0:
                raise StackError(
                    self.title,
                    f"its storage in {data} could not be formatted",
                    hint="free the folder with `rank-cli stack down kafka --purge` and start again",
                    log_tail=(formatted.stdout + formatted.stderr)[-2000:],
                )
        child = spawn(
            [*java, "kafka.Kafka", config], log=launch.log, marker=launch.marker, env={}, cwd=launch.home
        )
        return Process.of(child.pid)

    def address(self, ports: Mapping[str, int]) -> str:
        """host:port of the broker."""
        return f"127.0.0.1:{ports['broker']}"

    def probe(self, address: str, ports: Mapping[str, int] | None) -> str:
        """An ApiVersions request: a broker answers it once it has joined and is unfenced."""
        problems = []
        for server in address.split(","):
            try:
                api_versions(server)
            except (OSError, ValueError, struct.error) as e:
                problems.append(f"{server}: {e}")
            else:
                return VERSION if ports else "unknown"
        raise NotReady("; ".join(problems))

    def defect(self, ports: Mapping[str, int]) -> str | None:
        """None is known."""
        return None


def cluster_id() -> str:
    """A random id as Kafka writes them: 16 bytes, base64url, never with a "-" first.

    Kafka's own `random-uuid` draws again on a leading "-": its parser takes such an id for an option.
    """
    while True:
        drawn = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not drawn.startswith("-"):
            return drawn


def api_versions(server: str, timeout_s: float = 5.0) -> int:
    """Ask a broker which requests it knows; how many they are.

    Raises:
        OSError: nothing listens there, or it hung up.
        ValueError: what listens there is not a Kafka broker.
    """
    host, _, port = server.strip().rpartition(":")
    client, correlation_id = b"rank-toolkit", 7
    request = struct.pack(f">hhih{len(client)}s", API_VERSIONS, 0, correlation_id, len(client), client)
    with socket.create_connection((host, int(port)), timeout=timeout_s) as s:
        s.sendall(struct.pack(">i", len(request)) + request)
        answer = s.makefile("rb").read(14)
    size, answered, error_code, count = struct.unpack(">iihi", answer)
    if answered != correlation_id or error_code != 0 or size < 10:
        raise ValueError("does not speak Kafka's protocol")
    return int(count)


def _fetch(folder: Path, cancel: threading.Event) -> None:
    note("Kafka: fetching 44 MB, once for all checkouts")
    manifest: dict[str, str] = json.loads(
        (resources.files("stack") / "config" / f"kafka-{VERSION}.sha256.json").read_text()
    )
    pom = folder / "pom.xml"
    pom.write_text((resources.files("stack") / "config" / "kafka.pom.xml").read_text())
    arguments = ["-DincludeScope=runtime"]
    what = f"org.apache.kafka:kafka_2.13:{VERSION}"
    maven("Kafka", "copy-dependencies", folder, arguments, what=what, cancel=cancel)
    pom.unlink()
    fetched = {path.name for path in folder.glob("*.jar")}
    if missing := sorted(manifest.keys() - fetched):
        raise StackError(
            "Kafka",
            f"Maven fetched {len(fetched)} jars, and {missing[0]} is not among them",
            hint="run `rank-cli stack up kafka` again; if it happens twice, look at the mirror Maven uses",
        )
    for unexpected in fetched - manifest.keys():
        (folder / unexpected).unlink()
    verify("Kafka", {folder / name: digest for name, digest in manifest.items()})


def _properties(ports: Mapping[str, int], data: Path) -> str:
    broker, controller = f"127.0.0.1:{ports['broker']}", f"127.0.0.1:{ports['controller']}"
    return f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{broker},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{broker}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=true
num.partitions=3
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
# 128 MB by default, half of the heap
log.cleaner.dedupe.buffer.size=8388608
"""
