"""The one place that prints. Data goes to stdout; notes and progress go to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any

import typer


class Format(StrEnum):
    """How data is printed."""

    table = "table"
    json = "json"


FormatOption = Annotated[
    Format, typer.Option("--format", help="How data is printed on stdout: table, or one JSON object.")
]


def note(message: str) -> None:
    """A line for people, on stderr."""
    print(message, file=sys.stderr, flush=True)


def as_json(data: Mapping[str, Any]) -> None:
    """One JSON object on stdout, keys as given."""
    print(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def raw(text: str) -> None:
    """Text on stdout exactly as it is, for pipes and files."""
    print(text)


def table(rows: Sequence[Mapping[str, Any]], *, title: str | None = None, right: Iterable[str] = ()) -> None:
    """A table on stdout, columns in the order of the first row's keys.

    Args:
        rows: one mapping per line, all with the same keys.
        title: a line above the table.
        right: columns to align right; numbers are aligned right without being named.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 160)
    grid = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    if not rows:
        console.print("(none)")
        return
    named_right = set(right)
    for column, first in rows[0].items():
        numeric = isinstance(first, int | float) and not isinstance(first, bool)
        grid.add_column(column, justify="right" if numeric or column in named_right else "left")
    for row in rows:
        grid.add_row(*(Text(cell(value)) for value in row.values()))
    console.print(grid)


def cell(value: Any) -> str:
    """One table cell: floats with six significant digits, an empty cell for nothing."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


@contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Any]:
    """A progress bar on stderr; yields `advance(n)`. Silent where stderr is not a terminal.

    Where it is silent, one line says how many were done when the work ends.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    done = 0
    console = Console(file=sys.stderr)
    if not console.is_terminal:

        def count(n: int = 1) -> None:
            nonlocal done
            done += n

        yield count
        note(f"{label}: {done}" + (f" of {total}" if total is not None else ""))
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(label, total=total)
        yield lambda n=1: bar.advance(task, n)
