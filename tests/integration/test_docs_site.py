"""The documentation as a site: every link leads somewhere, and no page asks another host."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath

import pytest

from docs.site.links import rewrite

ROOT = Path(__file__).parents[2]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make site` does, warnings as errors."""
    target = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(target)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_python_pages_come_from_docstrings(site: Path) -> None:
    replay = (site / "api" / "replay.html").read_text(encoding="utf-8")
    assert 'id="replay.verify"' in replay or 'id="replay.parity.verify"' in replay
    assert "Raises" in (site / "api" / "ranking.html").read_text(encoding="utf-8")
    assert "exact_k" in (site / "proof.html").read_text(encoding="utf-8")


def test_a_page_asks_no_other_host_and_its_search_finds(address: str, browser) -> None:
    page = browser.new_page()
    asked: list[str] = []
    problems: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{address}/proof.html")
    assert page.locator("h1").inner_text().startswith("The proof of the bound")
    page.locator("input.md-search__input").fill("require-exact")
    page.locator(".md-search-result__link").first.wait_for(timeout=15_000)
    page.goto(f"{address}/api/ranking.html")
    page.goto(f"{address}/index.html")
    page.close()
    outside = [url for url in asked if not url.startswith((address, "data:", "blob:"))]
    assert (outside, problems) == ([], [])
    assert len(asked) > 5


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[x](../ranking/topk.py)", "x (`ranking/topk.py`)"),
        ("[topk.py](../ranking/topk.py)", "`ranking/topk.py`"),
        ("[a page](profiles.md#keys)", "[a page](profiles.md#keys)"),
        ("![picture](images/report.png)", "![picture](images/report.png)"),
        ("[out](https://example.org/x.py)", "[out](https://example.org/x.py)"),
    ],
)
def test_links_out_of_the_pages_become_paths(before: str, after: str) -> None:
    assert rewrite(before, PurePosixPath(), ROOT / "docs", None) == after


def test_with_a_repository_they_lead_there() -> None:
    got = rewrite("[x](../../ranking/topk.py)", PurePosixPath("decisions"), ROOT / "docs", "https://h/r/")
    assert got == "[x](https://h/r/blob/main/ranking/topk.py)"
