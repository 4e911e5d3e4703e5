"""`make audit`: known vulnerabilities of what is installed, by pip-audit; and whether anybody could be asked.

pip-audit calls a package that its service does not answer for "skipped", prints "No known vulnerabilities
found" and ends with 0, even if all were skipped: no network reads like good news. So its JSON is read here.

    0  every package was looked up, and none is known to be vulnerable
    2  vulnerabilities were found
    3  some or all could not be looked up, so nothing is known of them
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FOUND, UNKNOWN = 2, 3


@dataclass(frozen=True, slots=True)
class Audit:
    """What one audit knows."""

    looked_up: int
    vulnerable: list[str]  # "name version: id, id (fixed in ...)"
    skipped: list[str]  # names of which nothing is known

    @property
    def exit_code(self) -> int:
        """As a command ends."""
        return FOUND if self.vulnerable else UNKNOWN if self.skipped else 0

    def sentence(self) -> str:
        """What is known, and what to do next."""
        if self.vulnerable:
            return f"{len(self.vulnerable)} packages with known vulnerabilities: " + "; ".join(
                self.vulnerable
            )
        if not self.looked_up:
            return (
                f"not audited: the vulnerability service answered for none of {len(self.skipped)} packages; "
                "run this where it can be reached, or with PIP_AUDIT_VULNERABILITY_SERVICE=osv"
            )
        if self.skipped:
            return (
                f"{self.looked_up} packages without known vulnerabilities; nothing is known of "
                f"{len(self.skipped)}: {', '.join(self.skipped[:10])}"
            )
        return f"{self.looked_up} packages without known vulnerabilities"


def read_audit(report: Mapping[str, Any], own: str = "rank-toolkit") -> Audit:
    """pip-audit's JSON, with what it skipped set apart; `own` is this package, which no index knows."""
    looked_up, vulnerable, skipped = 0, [], []
    for one in report.get("dependencies", []):
        if one["name"] == own:
            continue
        if "skip_reason" in one:
            skipped.append(str(one["name"]))
            continue
        looked_up += 1
        if one.get("vulns"):
            ids = ", ".join(sorted(v["id"] for v in one["vulns"]))
            fixed = sorted({version for v in one["vulns"] for version in v.get("fix_versions", [])})
            mended = f" (fixed in {', '.join(fixed)})" if fixed else " (no fixed version)"
            vulnerable.append(f"{one['name']} {one['version']}: {ids}{mended}")
    return Audit(looked_up, vulnerable, skipped)


def main() -> None:
    """Ask, print one sentence, end with 0, 2 or 3."""
    words = ["--local", "--skip-editable", "--progress-spinner", "off", "--format", "json", *sys.argv[1:]]
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", *words], capture_output=True, text=True, check=False
    )
    try:
        audit = read_audit(json.loads(done.stdout))
    except ValueError:  # it stops before it prints where the service refuses the connection
        print(f"not audited: {done.stderr.strip()[-500:] or 'pip-audit said nothing'}", file=sys.stderr)
        raise SystemExit(UNKNOWN) from None
    print(audit.sentence(), file=sys.stderr)
    raise SystemExit(audit.exit_code)


if __name__ == "__main__":
    main()
