"""Every block of code in the pages: run by a test, or at least something that could be run."""

from __future__ import annotations

import json

import pytest
import yaml

from docs import snippets
from docs.reference import commands as registered

BLOCKS = [block for path in snippets.pages() for block in snippets.blocks(path)]
COMMANDS = registered()


def test_the_page_is_what_the_pages_hold() -> None:
    said = snippets.TARGET.read_text(encoding="utf-8")
    assert said == snippets.page(), "run python -m docs.snippets"


def test_every_page_with_code_has_a_row_that_says_who_runs_it() -> None:
    unknown = {block.page for block in BLOCKS if not snippets.who(block.page)}
    assert unknown == set(), (
        "name the test in RUN_BY of docs/snippets.py, or say in NOT_RUN why there is none"
    )


@pytest.mark.parametrize(("page", "test"), snippets.RUN_BY.items())
def test_the_test_that_runs_a_page_reads_it(page: str, test: str) -> None:
    text = (snippets.ROOT / test).read_text(encoding="utf-8")
    name = page.rpartition("/")[2]
    assert name in text or name.removesuffix(".md") in text


def test_there_is_something_to_check() -> None:
    n_commands = sum(1 for block in BLOCKS for _ in snippets.commands(block.text))
    assert (len(BLOCKS) > 80, n_commands > 100) == (True, True), (len(BLOCKS), n_commands)


@pytest.mark.parametrize("block", BLOCKS, ids=[f"{block.page}-{i}" for i, block in enumerate(BLOCKS)])
def test_a_block_could_be_run(block: snippets.Block) -> None:
    if block.language in snippets.PYTHON:
        compile(block.text, block.page, "exec")
    elif block.language in {"yaml", "yml"}:
        yaml.safe_load(block.text)
    elif block.language == "json" and not block.text.startswith("--8<--"):
        json.loads(block.text)
    for words in snippets.commands(block.text):
        name = max((n for n in COMMANDS if tuple(words[: len(n)]) == n), key=len, default=None)
        assert name, f"no such command: rank-cli {' '.join(words)}"
        command = COMMANDS[name]
        rest = words[len(name) :]
        context = command.make_context("x", list(rest), resilient_parsing=True)
        command.make_parser(context).parse_args(list(rest))
