"""Writes docs/cli.md from the registered commands, and the profile's JSON Schema. Tests hold both files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent / "cli.md"
SCHEMA = Path(__file__).parent / "profile.schema.json"


@cache
def commands() -> dict[tuple[str, ...], Any]:
    """Every registered command by its words, such as ("templates", "plan")."""
    from typer.main import get_command

    from ranking.cli import full_app

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, child in getattr(command, "commands", {}).items():
            if hasattr(child, "commands"):
                yield from walk(child, (*words, name))
            else:
                yield (*words, name), child

    return dict(walk(get_command(full_app()), ()))


def section(words: tuple[str, ...], command: Any) -> str:
    """One command: its help, and what it takes."""
    lines = [f"## {' '.join(words)}", "", *_help(command), ""]
    rows = [_row(parameter) for parameter in command.params if parameter.name != "help"]
    if rows:
        lines += ["| argument or option | meaning |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def reference() -> str:
    """The whole page."""
    head = (
        "# rank-cli\n\nGenerated from the commands by `make docs`. `rank-cli COMMAND --help` says the same.\n"
    )
    return "\n".join([head, *(section(words, command) for words, command in commands().items())])


def _help(command: Any) -> Iterator[str]:
    paragraphs = [" ".join(part.split()) for part in (command.help or "").split("\n\n")]
    for i, paragraph in enumerate(paragraphs):
        if i:
            yield ""
        start, example, rest = paragraph.partition("Example: ")
        yield f"{start}Example: `{rest}`" if example else paragraph


def _row(parameter: Any) -> str:
    names = [*getattr(parameter, "opts", []), *getattr(parameter, "secondary_opts", [])]
    is_option = any(name.startswith("-") for name in names)
    shown = ", ".join(f"`{name}`" for name in names) if is_option else f"`{parameter.name.upper()}`"
    text = " ".join((getattr(parameter, "help", "") or "").split()).replace("|", "\\|")
    return f"| {shown} | {text} |"


def schema() -> str:
    """The profile's JSON Schema, as published."""
    from ranking.profile import profile_schema

    return json.dumps(profile_schema(), indent=2) + "\n"


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
    SCHEMA.write_text(schema(), encoding="utf-8")
