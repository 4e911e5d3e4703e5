"""`make sbom`: a bill of materials (CycloneDX 1.6, JSON) of the installed environment, validated.

`cyclonedx-py` reads the environment and checks its answer against CycloneDX's own schema. Then this module
checks what no schema can: every dependency that pyproject.toml declares for this machine is listed, with a
version, and no path of the machine is in it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ranking.errors import InputError, RankError

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "build" / "sbom.cdx.json"


def write_sbom(target: Path, python: str = sys.executable) -> dict[str, Any]:
    """Write the bill of one environment; what it says.

    Args:
        target: the JSON file.
        python: the environment's interpreter.

    Raises:
        InputError: the tool is missing, or the bill does not fit the schema.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    words = ["--pyproject", "pyproject.toml", "--of", "JSON", "--sv", "1.6", "--output-reproducible"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "cyclonedx_py",
            "environment",
            *words,
            "--validate",
            "-o",
            str(target),
            python,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        hint = "pip install 'rank-toolkit[dev]'" if "No module named" in done.stderr else None
        raise InputError(f"no bill of materials: {(done.stderr.strip() or 'no reason')[-500:]}", hint=hint)
    bill: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    return bill


def declared(extras: bool = True) -> set[str]:
    """Names of what pyproject.toml asks for on this machine, as an index spells them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    if extras:
        lines += [line for group in project["optional-dependencies"].values() for line in group]
    wanted = [Requirement(line) for line in lines]
    here = [one for one in wanted if one.marker is None or one.marker.evaluate()]
    return {str(canonicalize_name(one.name)) for one in here} - {"rank-toolkit"}


def problems(bill: dict[str, Any], wanted: set[str]) -> list[str]:
    """What is wrong with a bill although it fits the schema, one sentence each."""
    listed = {canonicalize_name(part["name"]): part.get("version") for part in bill.get("components", [])}
    found = [f"{name} is declared and not listed" for name in sorted(wanted - listed.keys())]
    found += [f"{name} has no version" for name, version in sorted(listed.items()) if not version]
    if paths := re.findall(r'"(?:file://)?/(?:home|root|work|tmp|Users)/[^"]*"', json.dumps(bill)):
        found.append(f"a path of this machine is in it: {paths[0]}")
    return found


def main() -> None:
    """Write it, check it, say what it holds; exit 1 where something is wrong."""
    try:
        bill = write_sbom(TARGET)
        if wrong := problems(bill, declared()):
            raise InputError("; ".join(wrong), hint="pip install --editable '.[all,dev,docs,keyring]'")
    except RankError as e:
        print(f"error: {e}" + (f"\nhint: {e.hint}" if e.hint else ""), file=sys.stderr)
        raise SystemExit(1) from None
    n = len(bill["components"])
    print(
        f"{TARGET.relative_to(ROOT)}: {n} components, CycloneDX {bill['specVersion']}, valid", file=sys.stderr
    )


if __name__ == "__main__":
    main()
