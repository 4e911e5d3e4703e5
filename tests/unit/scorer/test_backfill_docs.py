"""docs/backfill.md: every command in it is one, with options that there are; clusters are in integration."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from typer.main import get_command

from ranking.beam import check_options, check_runner
from ranking.cli import full_app
from scorer.pipeline.__main__ import parser

TEXT = (Path(__file__).parents[3] / "docs" / "backfill.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    blocks = re.findall(r"^```(?:sh)?\n(.*?)^```", TEXT, flags=re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip()]


def test_every_command_of_the_page_is_one() -> None:
    ran = 0
    for program, *words in commands():
        if program == "python":
            assert words[:2] == ["-m", "scorer.pipeline"]
            known, others = parser().parse_known_args(words[2:])
            assert known.subscription == "projects/P/subscriptions/items"
            check_options([word for word in others if word.startswith("--")])
            continue
        assert program == "rank-cli"
        command = get_command(full_app())
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        context = command.make_context("x", list(words), resilient_parsing=True)
        command.make_parser(context).parse_args(list(words))
        if "--runner" in words:
            check_runner(words[words.index("--runner") + 1])
            check_options([w.removeprefix("--beam-option=") for w in words if w.startswith("--beam-option=")])
        ran += 1
    assert ran >= 11
