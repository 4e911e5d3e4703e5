"""Runs every benchmark, or those named on the command line, and writes one JSON file each."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib import import_module
from pathlib import Path

NAMES = (
    "boost",
    "replay",
    "measures",
    "capture",
    "offpolicy",
    "ab",
    "rollout",
    "report",
    "workbench",
    "ingest",
    "export",
    "similar",
    "serving",
    "gpu",
)
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    RESULTS.mkdir(exist_ok=True)
    for name in sys.argv[1:] or NAMES:
        result = import_module(f"benchmarks.{name}").run()
        result["machine"] = {"cpus": _cpus(), "python": platform.python_version()}
        target = RESULTS / f"{name}{_suffix(name)}.json"
        target.write_text(json.dumps(result, indent=2) + "\n")
        print(json.dumps(result, indent=2))
        print(f"wrote {target}", file=sys.stderr)


def _suffix(name: str) -> str:
    """A run of another size than the standard one has a file of its own."""
    size = os.environ.get("N_DOCS", "1000000")
    return f"_{size}" if name == "boost" and size != "1000000" else ""


def _cpus() -> int:
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    main()
