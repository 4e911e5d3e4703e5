"""docs/judgments.md, offpolicy.md and interleaving.md, run as a reader would; clicks are simulated.

Snippets that ask a cluster are run by tests/integration/test_drawn_pages.py.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ranking.cli import full_app
from ranking.explore import SwapPairs
from ranking.profile import builtin_profiles
from tests.unit.replay.world import by_arms, explored, interleaved

DOCS = Path(__file__).parents[3] / "docs"


def snippets(page: str, *, live: bool) -> list[tuple[str, str]]:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), flags=re.M | re.S)
    return [(kind, text) for kind, text in blocks if ("connect()" in text) == live]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    sides = [
        builtin_profiles()[name].model_copy(update={"k": 6, "window": 20})
        for name in ("control", "multiplicative")
    ]
    explored(folder / "captures", SwapPairs(0.5, 6), n=500, profile=sides[0])
    by_arms(folder / "arms", n=500, profiles=(sides[0], sides[1]))
    interleaved(folder / "interleaved", n=200)
    (folder / "ratings.csv").write_text("query,docid,rating\nquery 0,q00-i00,3\n")
    return folder


@pytest.mark.parametrize("page", ["judgments.md", "offpolicy.md", "interleaving.md"])
def test_every_snippet_runs(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    found = snippets(page, live=False)
    assert found
    for kind, text in found:
        if kind == "python":
            exec(compile(text, page, "exec"), {})
            continue
        for line in text.splitlines():
            program, *words = shlex.split(line, comments=True)
            assert program == "rank-cli"
            done = CliRunner().invoke(full_app(), words)
            assert done.exit_code == 0, f"{line}\n{done.output}"
