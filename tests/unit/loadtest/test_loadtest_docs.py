"""docs/loadtest.md says what there is: its commands, their options, and limits that are read."""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from typer.main import get_command

from ranking.cli import full_app

pytest.importorskip("hdrh")

from loadtest import read_slo

PAGE = Path("docs/loadtest.md").read_text(encoding="utf-8")
JOINED = PAGE.replace("\\\n", " ")
LINES = sorted(set(re.findall(r"^(rank-cli loadtest .+)$", JOINED, re.MULTILINE)))


@cache
def options_of(verb):
    command = get_command(full_app()).commands["loadtest"].commands[verb]
    return {name for parameter in command.params for name in parameter.opts}


@pytest.mark.parametrize("line", LINES)
def test_a_command_of_the_page_has_the_options_that_it_is_shown_with(line):
    _, _, verb, *words = shlex.split(line, comments=True)
    assert {word for word in words if word.startswith("--")} <= options_of(verb)


def test_every_option_that_the_page_names_is_there():
    named = set(re.findall(r"`(--[a-z-]+)", PAGE)) - {"--rescore"}  # of `ingest stream`
    known = set().union(*(options_of(verb) for verb in ("run", "ingest", "score", "mixed", "report")))
    assert named <= known
    assert len(LINES) >= 8


def test_the_limits_of_the_page_are_read(tmp_path):
    (block,) = re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL)
    path = tmp_path / "slo.yaml"
    path.write_text(block)
    slo = read_slo(path)
    assert (slo.max_ratio["p95"], slo.of("score").latency_ms["p99"]) == (1.1, 200)
