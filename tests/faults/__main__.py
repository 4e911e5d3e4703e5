"""Every fault, or those named, with figures: `make faults`, or `python -m tests.faults storm_429 rebalance`.

A whole run is written to benchmarks/results/faults.json, from which docs/faults.md has its table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults.catalogue import FAULTS
from tests.faults.run import Fault, Ground, run_fault

TARGET = Path(__file__).parents[2] / "benchmarks" / "results" / "faults.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Run them; 0 where all is well, 1 where something was lost, stale, wrong or too large."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *FAULTS], metavar="FAULT", help=", ".join(FAULTS))
    parser.add_argument("--messages", type=int, default=600, help="length of the stream")
    parser.add_argument("--per-s", type=float, default=80.0, help="pace of the producer")
    parser.add_argument("--out", type=Path, help="write the figures here; by default only a whole run does")
    asked = parser.parse_args(argv)
    names = asked.names or list(FAULTS)
    size = ["--messages", str(asked.messages), "--per-s", str(asked.per_s)]
    if len(names) == 1:
        rows = [_row(Ground(), FAULTS[names[0]], asked.messages, asked.per_s)]
    else:
        rows = [_alone(name, size) for name in names]
    result = {
        "what": "what is left of a stream of item messages under each fault",
        "messages": asked.messages,
        "producer_per_s": asked.per_s,
        "faults": rows,
        "machine": {"cpus": len(os.sched_getaffinity(0)), "python": platform.python_version()},
    }
    print(json.dumps(result, indent=2))
    if target := asked.out or (None if asked.names else TARGET):
        target.write_text(json.dumps(result, indent=2) + "\n")
        print(f"wrote {target}", file=sys.stderr)
    return 1 if any(row["problems"] for row in rows) else 0


def _alone(name: str, size: Sequence[str]) -> dict[str, Any]:
    """One fault in a process of its own: no thread or connection of one run is in the next."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        command = [sys.executable, "-X", "faulthandler", "-m", "tests.faults", name, *size, "--out", str(out)]
        status = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
        if not out.exists():
            return {"fault": name, "what": FAULTS[name].what, "problems": [f"the run ended with {status}"]}
        (row,) = json.loads(out.read_text())["faults"]
        return dict(row)


def _row(ground: Ground, fault: Fault, n_messages: int, per_s: float) -> dict[str, Any]:
    print(f"{fault.name}: {fault.what}", file=sys.stderr)
    try:
        figures = run_fault(ground, fault, n_messages=n_messages, per_s=per_s)
    except (RuntimeError, TimeoutError) as e:
        print(f"  {e}", file=sys.stderr)
        return {"fault": fault.name, "what": fault.what, "problems": [str(e)]}
    problems = figures.problems()
    print(f"  {', '.join(problems) or 'all well'} in {figures.seconds:.0f} s", file=sys.stderr)
    return {"fault": fault.name, "what": fault.what, **figures.to_dict(), "problems": problems}


if __name__ == "__main__":
    raise SystemExit(main())
