"""A local cluster with TLS, a password and API keys, in a state folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

import stack
from ranking.settings import get_settings
from tests.jvm import SHORT_LIVED

VARIABLES = tuple(f"ELASTICSEARCH_{name}" for name in ("URL", "API_KEY", "USER", "PASSWORD", "CA_CERTS"))


@dataclass(frozen=True)
class SecureServer:
    """What `rank-cli stack up elasticsearch --secure` made."""

    state: Path
    said: str  # all that the command printed
    environment: dict[str, str]  # with it, commands meet this cluster

    @property
    def folder(self) -> Path:
        return self.state / "elasticsearch" / "secure"

    def rank_cli(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from ranking.cli import main; main()", *words],
            capture_output=True,
            text=True,
            env={**self.environment, **env},
            timeout=300,
        )


def es_version() -> str:
    """The server that the installed client is the client of."""
    return "8.19" if version("elasticsearch").startswith("8.") else "9"


@contextmanager
def running(state: Path) -> Iterator[SecureServer]:
    """Started by the command line, ended and deleted afterwards."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    environment |= {"RANK_STATE_DIR": str(state), "PYTHONPATH": str(Path.cwd()), "ES_JAVA_OPTS": SHORT_LIVED}
    server = SecureServer(state, "", environment)
    try:
        words = (
            "stack",
            "up",
            "elasticsearch",
            "--secure",
            "--es-heap",
            "512m",
            "--es-version",
            es_version(),
        )
        done = server.rank_cli(*words)
        assert done.returncode == 0, done.stderr
        yield SecureServer(state, done.stdout + done.stderr, environment)
    finally:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("ELASTICSEARCH_URL", raising=False)
            get_settings.cache_clear()
            stack.down(["elasticsearch"], state_dir=state, purge=True)
        get_settings.cache_clear()


def be_its_client(server: SecureServer, patch: pytest.MonkeyPatch, **env: str) -> None:
    """Make it the cluster of this process's settings."""
    for name in VARIABLES:
        patch.delenv(name, raising=False)
    for name, value in {"RANK_STATE_DIR": str(server.state), **env}.items():
        patch.setenv(name, value)
    get_settings.cache_clear()
