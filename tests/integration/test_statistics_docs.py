"""docs/statistics.md, run as a reader would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from replay.measures import names
from replay.significance import TESTS

PAGE = Path("docs/statistics.md").resolve()


def test_the_commands_run_as_written(tmp_path: Path) -> None:
    bash = "\n".join(re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S))
    assert bash
    command = f'"{sys.executable}" -c "from ranking.cli import main; main()"'
    script = f'rank-cli() {{ {command} "$@"; }}\n{bash}'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PAGE.parent.parent)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "t-value (additive vs control)" in done.stdout
    assert json.loads((tmp_path / "analysis.json").read_text())["simulated"] is True
    assert (tmp_path / "analysis.html").stat().st_size > 10_000


def test_every_measure_and_test_is_explained() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in names() if f"| `{name}" not in text] == []
    assert [name for name in TESTS if f"| `{name}`" not in text] == []
