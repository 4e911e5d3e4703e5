"""Writes docs/snippets.md: which test runs the code of which page. A test holds the file to it.

A page with code has a row in `RUN_BY` or `NOT_RUN`, or a test that names it. Every block is checked at least:
each `rank-cli` line names a command with options that exist, Python compiles, YAML and JSON can be read.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "snippets.md"
GENERATED = {"docs/cli.md", "docs/snippets.md"}

# Page: the test that runs its shell and Python as a reader would. What is not here is checked, not run.
RUN_BY = {
    "README.md": "tests/integration/test_demo.py",
    "docs/apply-boost.md": "tests/integration/test_apply_boost_docs.py",
    "docs/attributes.md": "tests/integration/model/test_scorer_docs.py",
    "docs/export.md": "tests/integration/model/test_scorer_docs.py",
    "docs/interleaving.md": "tests/integration/simulated/test_clicks_docs.py",
    "docs/judgments.md": "tests/integration/simulated/test_clicks_docs.py",
    "docs/labelling.md": "tests/unit/scorer/test_labelling_docs.py",
    "docs/monitoring.md": "tests/integration/test_monitoring.py",
    "docs/offpolicy.md": "tests/integration/simulated/test_clicks_docs.py",
    "docs/profiles.md": "tests/integration/test_demo.py",
    "docs/replay_formats.md": "tests/integration/test_recording.py",
    "docs/report.md": "tests/unit/replay/test_report_page.py",
    "docs/security.md": "tests/integration/test_roles.py",
    "docs/similar.md": "tests/integration/test_similar.py",
    "docs/statistics.md": "tests/integration/test_statistics_docs.py",
    "docs/tutorial.md": "tests/integration/test_demo.py",
}
RUNS = {
    "docs/monitoring.md": 1,
    "docs/profiles.md": 1,
    "docs/security.md": 2,
}  # blocks, where not all of a page's shell and Python
# Why the others are not run as they stand.
NOT_RUN = {
    "docs/ai_generated.md": "a stream has no end, and the classifier is yours",
    "docs/backfill.md": "needs a model and other runners; tests/integration/test_backfill.py does the same",
    "docs/exactness.md": "tests/integration/test_exactness.py runs the same on indices of its own",
    "docs/faults.md": "`make faults`, twenty minutes",
    "docs/image_model.md": "training takes minutes; tests/integration/model runs it small",
    "docs/ingest.md": "a stream has no end; tests/integration/test_ingest.py starts and stops it",
    "docs/ingest_speed.md": "a benchmark of some minutes",
    "docs/lint.md": "tests/unit/ranking/test_lint.py runs each rule",
    "docs/loadtest.md": "tests/integration/test_loadtest.py runs the same for seconds",
    "docs/profile_schema.md": "the schema itself, and a comment",
    "docs/releasing.md": "needs a registry and an identity",
    "docs/replay_speed.md": "a benchmark of some minutes",
    "docs/serving.md": "the Python is run by tests/integration/test_serving_servers.py; exports take minutes",
    "docs/sweep.md": "tests/unit/replay runs the same",
    "docs/templates.md": "tests/integration/test_item_update.py sends such updates",
    "plugin/README.md": "needs a container build; tests/integration/plugin runs the queries",
}
SHELL, PYTHON = {"sh", "bash", "shell", "console"}, {"python", "py"}
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^(?:    )?(?:\w+=\S* )*rank-cli (.+)$", re.MULTILINE)
_ENDS = re.compile(r" (?:\||&&|>>?|2>) .*| \|$|\)$")


@dataclass(frozen=True, slots=True)
class Block:
    """One block of code of a page."""

    page: str  # relative to the repository
    language: str  # "" where the fence names none, "indented" where there is no fence
    text: str


def pages() -> list[Path]:
    """Every page that people read, the generated ones left out."""
    found = [ROOT / "README.md", ROOT / "plugin" / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
    found += sorted(ROOT.glob("examples/**/*.md"))
    return [path for path in found if str(path.relative_to(ROOT)) not in GENERATED]


def blocks(path: Path) -> Iterator[Block]:
    """The code of a page: what is fenced, and runs of indented lines that hold a command."""
    page = str(path.relative_to(ROOT))
    text = path.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        yield Block(page, found[1], found[2])
    bare = _FENCE.sub("", text)
    for run in re.findall(r"(?:^    \S.*\n(?:^(?:    .*)?\n)*)", bare, flags=re.MULTILINE):
        if re.search(r"^    (?:rank-cli|make|python|pip) ", run, flags=re.MULTILINE):
            yield Block(page, "indented", run)


def commands(text: str) -> Iterator[list[str]]:
    """The words of each `rank-cli` line, continuation lines joined, what is piped or redirected cut off."""
    for line in _COMMAND.findall(text.replace("\\\n", " ")):
        words = shlex.split(_ENDS.sub("", line.strip()), comments=True)
        while "--" in words and "rank-cli" in words[words.index("--") :]:  # a command that runs another one
            words = words[: words.index("--")]
        yield words


def who(page: str) -> str:
    """Which test runs a page, or why none does; "" where nobody says."""
    if page in RUN_BY:
        return f"`{RUN_BY[page]}`"
    if page in NOT_RUN:
        return f"not run: {NOT_RUN[page]}"
    name = page.rpartition("/")[2]
    tests = (ROOT / "tests").rglob("test_*.py")
    named = sorted(path for path in tests if name in path.read_text(encoding="utf-8"))
    return f"read by `{named[0].relative_to(ROOT)}`" if named else ""


def page() -> str:
    """The whole page."""
    rows, n_run, n_checked = [], 0, 0
    for path in pages():
        found = [b for b in blocks(path) if b.language in SHELL | PYTHON | {"indented", ""}]
        others = [b for b in blocks(path) if b not in found]
        if not found and not others:
            continue
        name = str(path.relative_to(ROOT))
        fenced = [b for b in found if b.language != "indented"]
        runs = RUNS.get(name, len(fenced)) if name in RUN_BY else 0
        n_run += runs
        n_checked += len(found) + len(others) - runs
        n_commands = sum(1 for block in found for _ in commands(block.text))
        rows.append(f"| {name} | {len(found) + len(others)} | {n_commands} | {runs} | {who(name)} |")
    head = f"""# How these pages are held true

Generated by `python -m docs.snippets`. {n_run} blocks of code are run by a test as a reader would,
{n_checked} more are checked: each `rank-cli` line names a command with options that exist, Python compiles,
YAML and JSON can be read. A block in a page that has no row here makes a test fail.

| page | blocks | `rank-cli` lines | run | by, or why not |
|---|---:|---:|---:|---|
"""
    tail = """
| also held | by |
|---|---|
| links, anchors, no page left out | `make site` is strict, `tests/integration/test_docs_site.py` builds it |
| the site asks no other host | there, in Chromium |
| `cli.md` is what `--help` says; the schema is the profile's; the lint page is the rules | `tests/unit/cli` |
| tables of commands and privileges | `tests/integration/test_roles.py` |
| figures of benchmarks | by hand, from `benchmarks/results`; machine and day stand in the file |
"""
    return head + "\n".join(rows) + "\n" + tail


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
