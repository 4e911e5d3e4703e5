"""The integration tests that meet Elasticsearch alone, on a local 8.19 with the client of 8.19.

    python -m tests.es8 [what to hand to pytest]

A server of version 8 refuses a client of version 9, and the client of 8.19 speaks to both. So a small virtual
environment in the state folder (no torch, no Triton) holds that client, and an engine of its own runs beside
the others.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ranking.settings import get_settings
from tests.jvm import SHORT_LIVED

ROOT = Path(__file__).parents[1]
CLIENT = "elasticsearch>=8.19,<9"
TOOLS = ("hypothesis", "pytest", "pytest-timeout")
# Those that every run of the integration tests meets; then those that only `make it8` adds. Not lint_traps:
# the traps are those of version 9, and 8.19 refuses some of the bodies (named functions) outright.
QUICK = ("parity", "templates", "features", "boost", "replay_live")
MORE = (
    "publication",
    "topk",
    "templates_history",
    "migrate",
    "pipeline",
    "item_update",
    "secure",
    "roles",
    "similar_search",
)
RANK_CLI = ("-c", "from ranking.cli import main; main()")


def python(folder: Path) -> Path:
    """The interpreter of the small environment, made or brought up to date where needed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], CLIENT, *TOOLS]
    interpreter, stamp = folder / "bin" / "python", folder / "installed.txt"
    if not stamp.exists() or stamp.read_text().splitlines() != wanted:
        venv.create(folder, with_pip=True)
        try:
            uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", interpreter]
            subprocess.run([*uv, *wanted], check=True)
        except subprocess.CalledProcessError:  # as in the Makefile
            pip = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *wanted], check=True)
        stamp.write_text("\n".join(wanted))
    return interpreter


@contextmanager
def server(interpreter: Path, state: Path) -> Iterator[dict[str, str]]:
    """Elasticsearch 8.19 in `state`; yields the environment in which commands and tests meet it."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("ELASTICSEARCH_")}
    env |= {"RANK_STATE_DIR": str(state), "PYTHONPATH": str(ROOT), "ES_JAVA_OPTS": SHORT_LIVED}

    def stack(*words: str) -> None:
        subprocess.run([interpreter, *RANK_CLI, "stack", *words], env=env, cwd=ROOT, check=True)

    try:
        stack("up", "elasticsearch", "--es-version", "8.19", "--es-heap", "512m")
        yield env
    finally:
        stack("down", "elasticsearch", "--purge")


def files(names: Sequence[str]) -> list[str]:
    """The modules of integration tests of those names."""
    return [f"tests/integration/test_{name}.py" for name in names]


def run_tests(interpreter: Path, env: dict[str, str], arguments: Sequence[str]) -> int:
    """Run pytest in the small environment; its exit status."""
    return subprocess.run(
        [interpreter, "-m", "pytest", *arguments], env=env, cwd=ROOT, check=False
    ).returncode


def main() -> int:
    """Make the environment, start the server, run the tests, stop the server."""
    folder = get_settings().state_dir.resolve() / "es8"
    folder.mkdir(parents=True, exist_ok=True)
    interpreter = python(folder / "venv")
    with server(interpreter, folder / "state") as env:
        return run_tests(interpreter, env, sys.argv[1:] or files(QUICK + MORE))


if __name__ == "__main__":
    raise SystemExit(main())
