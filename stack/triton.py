"""Triton Inference Server as a local process: the binary and Python backend of the nvidia-pytriton wheel.

The server runs in explicit model control, so that a model written into the repository later is loaded by
a client's `load_model(name)`; models that are there at start are loaded at start.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from ranking.errors import StackError
from stack.engine import Launch, NotReady
from stack.fetch import cached
from stack.process import Process, count, spawn

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SHARED_MEMORY = Path("/dev/shm")
STUB = "triton_python_backend_stub"  # runs one instance of a model of the Python backend


@dataclass(frozen=True)
class Triton:
    """The server over one model repository."""

    model_repository: Path

    name: ClassVar[str] = "triton"
    title: ClassVar[str] = "Triton"
    first_ports: ClassVar[Mapping[str, int]] = MappingProxyType({"grpc": 8001, "http": 8000, "metrics": 8002})
    start_timeout_s: ClassVar[float] = 180.0

    @property
    def options(self) -> dict[str, str]:
        """The model repository."""
        return {"model_repository": str(self.model_repository)}

    @property
    def user(self) -> tuple[int, int] | None:
        """It runs as we do."""
        return None

    def prepare(self, cancel: threading.Event) -> None:
        """Lay out the backend folder."""
        _backends(_wheel())

    def launch(self, launch: Launch) -> Process:
        """Start the server."""
        site = _wheel()
        self.model_repository.mkdir(parents=True, exist_ok=True)
        # Names of its shared memory begin with this, so that what a killed server left can be removed.
        region = f"rank_{hashlib.sha256(launch.marker.encode()).hexdigest()[:12]}_"
        for left_over in SHARED_MEMORY.glob(f"{region}*"):
            with contextlib.suppress(OSError):
                left_over.unlink()
        ports = launch.ports
        command: list[str | Path] = [
            site / "pytriton" / "tritonserver" / "bin" / "tritonserver",
            f"--model-repository={self.model_repository}",
            f"--backend-directory={_backends(site)}",
            "--model-control-mode=explicit",
            "--load-model=*",
            # A model that does not load must not take the server with it, nor make it "not ready".
            "--exit-on-error=false",
            "--strict-readiness=false",
            "--http-address=127.0.0.1",
            f"--http-port={ports['http']}",
            "--grpc-address=127.0.0.1",
            f"--grpc-port={ports['grpc']}",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={ports['metrics']}",
            f"--backend-config=python,shm-region-prefix-name={region}",
            "--backend-config=python,stub-timeout-seconds=120",
            "--exit-timeout-secs=10",
        ]
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2
        threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, min(cores, 2), cores // 2))
        child = spawn(
            command,
            log=launch.log,
            marker=launch.marker,
            env={
                "LD_LIBRARY_PATH": str(site / "nvidia_pytriton.libs"),
                "PYTHONPATH": os.pathsep.join([str(site), str(Path(__file__).resolve().parent.parent)]),
                "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
                "OMP_NUM_THREADS": threads,
                # Spinning threads of torch starve each other on busy cores: 18 photos/s instead of 390.
                "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "passive"),
            },
            cwd=launch.home,
        )
        return Process.of(child.pid)

    def address(self, ports: Mapping[str, int]) -> str:
        """host:port of gRPC."""
        return f"127.0.0.1:{ports['grpc']}"

    def probe(self, address: str, ports: Mapping[str, int] | None) -> str:
        """Readiness over HTTP; over gRPC where only addresses are known, with commas between."""
        if ports is None:
            versions = [_probe_grpc(server.strip()) for server in address.split(",")]  # each must be ready
            return versions[0]
        _ask(ports, "/health/ready")
        return str(json.loads(_ask(ports, ""))["version"])

    def defect(self, ports: Mapping[str, int]) -> str | None:
        """A model of the Python backend with fewer processes than instances.

        Triton 2.51 does not start a model process that died again, and says "ready" of the server and of the
        model all the same; each request that meets it fails.
        """
        for row in json.loads(_ask(ports, "/repository/index", b'{"ready": true}')):
            name, state = row["name"], row.get("state")
            if state != "READY":
                continue
            config = json.loads(_ask(ports, f"/models/{name}/config"))
            if config.get("backend") == "python":
                wanted = sum(group["count"] for group in config["instance_group"])
                if count(STUB, f"{self.model_repository / name}/") < wanted:
                    return f"a process of model {name!r} died"
        return None


def _ask(ports: Mapping[str, int], path: str, body: bytes | None = None) -> bytes:
    """What the server answers over HTTP.

    Raises:
        NotReady: nothing, or an error.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{ports['http']}/v2{path}", data=body, timeout=5) as response:
            return bytes(response.read())
    except urllib.error.HTTPError as e:
        raise NotReady(f"HTTP {e.code} {e.reason}") from e
    except (OSError, ValueError) as e:
        raise NotReady(str(e)) from e


def _probe_grpc(address: str) -> str:
    try:
        from tritonclient import grpc
    except ImportError:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except (OSError, ValueError) as e:
            raise NotReady(str(e)) from e
        return "unknown"
    from tritonclient.utils import InferenceServerException

    client = grpc.InferenceServerClient(address)
    try:
        if not client.is_server_ready(client_timeout=5):
            raise NotReady("the server says that it is not ready")
        return str(client.get_server_metadata(client_timeout=5).version)
    except InferenceServerException as e:
        raise NotReady(e.message() or str(e)) from e
    finally:
        client.close()


def _wheel() -> Path:
    """The folder nvidia-pytriton is installed in.

    Raises:
        StackError: it is not installed, or has no stub for this Python.
    """
    spec = importlib.util.find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise StackError(
            "Triton",
            "the package nvidia-pytriton, which carries the server, is not installed",
            hint="on 64-bit Linux: `pip install 'rank-toolkit[stack]'`; elsewhere set TRITON_URL to a "
            "running server, or start the others with `rank-cli stack up elasticsearch kafka`",
        )
    site = Path(spec.origin).parent.parent
    stubs = site / "pytriton" / "tritonserver" / "python_backend_stubs"
    if not (stubs / PYTHON).is_dir():
        known = ", ".join(sorted((p.name for p in stubs.glob("*")), key=lambda v: int(v.split(".")[1])))
        raise StackError(
            "Triton",
            f"its Python backend has no stub for Python {PYTHON}, only for {known}",
            hint="make the virtual environment with one of these",
        )
    return site


def _backends(site: Path) -> Path:
    """The backend folder: the wheel's Python backend with the stub of this Python beside it."""
    server = site / "pytriton" / "tritonserver"

    def build(folder: Path) -> None:
        shutil.copytree(
            server / "backends" / "python", folder / "python", ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copy2(server / "python_backend_stubs" / PYTHON / STUB, folder / "python" / STUB)
        (folder / "python" / STUB).chmod(0o755)

    version = metadata.version("nvidia-pytriton")
    return cached(
        "Triton",
        f"triton-backends-pytriton-{version}-py{PYTHON}",
        build,
        need_bytes=50e6,
        needs_all=(f"python/{STUB}", "python/libtriton_python.so"),
    )
