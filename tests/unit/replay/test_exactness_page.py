"""docs/exactness.md: every change log line can be read, every command and option exists."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from docs.reference import commands
from replay.history import parse_change

PAGE = Path("docs/exactness.md").read_text(encoding="utf-8")
LINES = re.findall(r'^    (\{"item_id".*?\}+)(?:  .*)?$', PAGE, re.MULTILINE)
COMMANDS = re.findall(r"^    (rank-cli .*)$", PAGE, re.MULTILINE)
INLINE = re.findall(r"`(replay [^`]+)`", PAGE)


@pytest.mark.parametrize("line", [line for line in LINES if "..." not in line])
def test_a_change_log_line_can_be_read(line: str) -> None:
    assert len(parse_change(json.loads(line))) == 1


def test_the_page_has_lines_and_commands() -> None:
    assert len(LINES) == 4
    assert len(COMMANDS) == 3
    assert len(INLINE) > 8


@pytest.mark.parametrize("command", [*COMMANDS, *(f"rank-cli {text}" for text in INLINE)])
def test_a_command_exists_with_its_options(command: str) -> None:
    registered = commands()
    for part in command.split(" -- "):
        words = shlex.split(part)[1:]
        name = max((n for n in registered if tuple(words[: len(n)]) == n), key=len)
        known = {option for p in registered[name].params for option in (*p.opts, *p.secondary_opts)}
        given = {word.split("=")[0] for word in words if word.startswith("--")}
        assert given <= known, (command, given - known)
