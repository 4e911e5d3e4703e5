"""The audit says when nobody could be asked; the bill of materials says what it lacks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from release.audit import read_audit
from release.sbom import declared, problems, write_sbom

SAFE = {"name": "numpy", "version": "1.26.4", "vulns": []}
# as pip-audit 2.10 writes a package that its service does not answer for, and ends with 0
SKIPPED = {"name": "pillow", "skip_reason": "Dependency not found on PyPI and could not be audited: pillow"}
BROKEN = {
    "name": "urllib3",
    "version": "1.24.1",
    "vulns": [
        {"id": "PYSEC-2021-108", "fix_versions": ["1.26.5"]},
        {"id": "CVE-2019-11324", "fix_versions": []},
    ],
}
OWN = {"name": "rank-toolkit", "skip_reason": "distribution marked as editable"}


def test_an_audit_that_asked_nobody_is_not_good_news() -> None:
    found = read_audit({"dependencies": [SKIPPED, OWN]})
    assert (found.exit_code, found.looked_up) == (3, 0)
    assert found.sentence().startswith(
        "not audited: the vulnerability service answered for none of 1 packages"
    )


def test_an_audit_says_what_is_vulnerable_what_is_not_and_what_is_unknown() -> None:
    assert read_audit({"dependencies": [SAFE, OWN]}).exit_code == 0
    partly = read_audit({"dependencies": [SAFE, SKIPPED, OWN]})
    assert (partly.exit_code, partly.skipped) == (3, ["pillow"])
    worse = read_audit({"dependencies": [SAFE, SKIPPED, BROKEN]})
    assert worse.exit_code == 2
    assert worse.vulnerable == ["urllib3 1.24.1: CVE-2019-11324, PYSEC-2021-108 (fixed in 1.26.5)"]


def test_a_bill_of_an_empty_environment_is_valid_and_lacks_everything(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    bill = write_sbom(tmp_path / "sbom.json", str(tmp_path / "env" / "bin" / "python"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "rank-toolkit"
    wanted = declared(extras=False)
    assert {"elasticsearch", "numpy", "pydantic"} <= wanted
    assert problems(bill, wanted) == [f"{name} is declared and not listed" for name in sorted(wanted)]


def test_a_path_of_the_machine_in_a_bill_is_found() -> None:
    part = {"name": "numpy", "version": "1", "externalReferences": [{"url": "file:///home/me/numpy"}]}
    (said,) = problems({"components": [part]}, {"numpy"})
    assert said.startswith("a path of this machine is in it")
    assert json.dumps(part) not in said
