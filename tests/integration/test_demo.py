"""The main job, end to end, as a user runs it; and the README's own words, run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ranking.settings import get_settings

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def demo(*words: str) -> list[str]:
    return [str(BIN / "rank-cli"), "demo", "--format", "json", *words]


def run_demo(*words: str) -> dict[str, Any]:
    done = subprocess.run(demo(*words), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module", autouse=True)
def engines(triton_url: str, kafka_bootstrap: str, es: object) -> None:
    """All three are up."""


def test_on_real_photos_every_item_is_scored_and_every_score_replayed(shared: Path, tmp_path: Path) -> None:
    labels = shared / "labels"
    result = run_demo(
        "--photos",
        str(shared / "photos"),
        "--labels",
        str(labels / "train.jsonl"),
        "--labels",
        str(labels / "validation.jsonl"),
        "--queries",
        str(shared / "queries" / "wands_queries.tsv"),
        "--report",
        str(tmp_path / "report.html"),
    )
    assert result["items_published"] >= 2000
    assert result["items_published"] == result["items_indexed"] == result["items_scored"]
    parity = result["parity"]
    assert parity["searches"] == result["searches_captured"] == 900
    assert parity["bit_equal"] == parity["scores"] > 10_000
    assert parity["identical_topk"] == parity["searches"]
    assert result["live"]["bit_equal"] == result["live"]["scores"] > 1_000
    assert Path(result["report"]).stat().st_size > 500_000


def test_triton_killed_in_the_middle_loses_no_score(tmp_path: Path) -> None:
    stack = json.loads((get_settings().state_dir / "stack.json").read_text())
    pid = stack["engines"]["triton"]["pid"]
    process = subprocess.Popen(
        demo("--items", "500", "--searches", "60", "--report", str(tmp_path / "r.html")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stderr is not None
    said: list[str] = []

    def listen() -> None:
        for line in process.stderr or ():
            said.append(line)

    listener = threading.Thread(target=listen)
    listener.start()
    while process.poll() is None and not any("Triton serves" in line for line in said):
        time.sleep(0.1)
    time.sleep(1.5)  # publishing is over in a moment: the ingest is at work
    os.kill(pid, signal.SIGKILL)
    time.sleep(5)
    subprocess.run([str(BIN / "rank-cli"), "stack", "up", "triton"], check=True, cwd=ROOT)
    assert process.stdout is not None
    result = json.loads(process.stdout.read())
    listener.join()
    assert process.wait() == 0
    assert any("waiting: " in line for line in said), said
    without_photo = int(re.findall(r"(\d+) without a photo", "".join(said))[0])
    assert result["items_indexed"] == result["items_published"] == 500
    assert result["items_scored"] == 500 - without_photo
    assert result["parity"]["bit_equal"] == result["parity"]["scores"]


@pytest.fixture(scope="module")
def marketplace() -> dict[str, Any]:
    return run_demo("--items", "400", "--searches", "120")


@pytest.mark.usefixtures("marketplace")
def test_the_tutorial() -> None:
    """docs/tutorial.md: every command, in one shell, on what the demo left behind."""
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    found = re.findall(r"^```bash\n(.*?)^```", text, flags=re.M | re.S)
    assert len(found) == 7
    env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    script = "".join(found).replace("source .venv/bin/activate\n", "")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, cwd=ROOT, env=env
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert (ROOT / ".rank" / "mine.html").stat().st_size > 100_000
    assert "image_score@" in done.stdout


@pytest.mark.usefixtures("marketplace")
class TestReadme:
    """Every snippet of the README, on a generated marketplace."""

    def blocks(self, language: str) -> list[str]:
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.M | re.S)

    def test_the_shell_commands(self) -> None:
        assert self.blocks("bash")
        env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
        for block in self.blocks("bash"):
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block], capture_output=True, text=True, cwd=ROOT, env=env
            )
            assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"

    def test_the_python(self) -> None:
        assert self.blocks("python")
        for block in self.blocks("python"):
            done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, cwd=ROOT)
            assert done.returncode == 0, f"{block}\n{done.stderr[-2000:]}"

    def test_every_link_leads_somewhere(self) -> None:
        for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
            for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
                assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"

    def test_the_profile_of_the_docs_is_one(self, tmp_path: Path) -> None:
        block = re.findall(
            r"^```yaml\n(.*?)^```", (ROOT / "docs/profiles.md").read_text(), flags=re.M | re.S
        )[0]
        path = tmp_path / "mine.yaml"
        path.write_text(block)
        done = subprocess.run(
            [str(BIN / "rank-cli"), "boost", "lint", str(path)], capture_output=True, text=True
        )
        assert (done.returncode, "0 errors, 0 warnings" in done.stderr) == (0, True)
