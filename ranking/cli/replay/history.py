"""`rank-cli replay history`: what each item was, at any moment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._options import clock

app = typer.Typer(no_args_is_help=True, help="Item history: build it from changes, look into it.")

_FRAME = ("item_id", "valid_from", "valid_to", "removed")
HistoryFolder = Annotated[Path, typer.Option("--history", help="A history folder.", metavar="DIR")]


@app.command("build")
def build(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="JSONL or Parquet file or folder of changes, kafka:TOPIC or index:NAME; in order of arrival",
            metavar="SOURCE...",
        ),
    ],
    folder: Annotated[Path, typer.Option("--out", help="Write the history here.", metavar="DIR")],
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Fold changes of items into intervals; duplicates and changes out of order do no harm.

    Example: rank-cli replay history build kafka:items scores.jsonl --out history
    """
    from itertools import chain

    from replay.history import fold, read_source, write_history

    n = 0
    with out.progress("reading changes") as advance:

        def count(more: int) -> None:
            nonlocal n
            n += more
            advance(more)

        table = fold(chain.from_iterable(read_source(source) for source in sources), count)
    history = write_history(folder, table, sources, n)
    found = {"changes": n, **history.summary(), "history": str(folder)}
    if fmt is out.Format.json:
        out.as_json(found)
    else:
        from ranking.clock import format_time

        out.note(
            f"{n} changes of {history.n_items} items are {len(history)} intervals, "
            f"{format_time(found['from_ms'])} to {format_time(found['to_ms'])}, in {folder}"
        )


@app.command("show")
def show(
    item_id: Annotated[str, typer.Argument(help="The item.", metavar="ITEM_ID")],
    folder: HistoryFolder = Path("history"),
    at: Annotated[
        str | None, typer.Option("--at", help="Only as of this moment: ISO 8601 or epoch ms.")
    ] = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Show what an item was, interval by interval, or at one moment.

    Example: rank-cli replay history show m07-00005 --history history --at 2026-11-20T09:00:00Z
    """
    from ranking.clock import format_time
    from ranking.errors import InputError
    from replay.history import read_history

    states = read_history(folder).states(item_id)
    if not states:
        raise InputError(f"{folder} has no item {item_id!r}")
    if at is not None:
        moment = clock(at)
        states = [s for s in states if s["valid_from"] <= moment < (s["valid_to"] or moment + 1)]
        if not states:
            raise InputError(f"{item_id!r} was not there at {format_time(moment)}")
    if fmt is out.Format.json:
        out.as_json({"item_id": item_id, "states": states})
        return
    out.table(_rows(states))


def _rows(states: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first state as it is, then what each later one changed."""
    from ranking.clock import format_time
    from replay.history.changes import DATES

    rows = []
    before: dict[str, Any] = {}
    for state in states:
        values = {n: format_time(int(v)) if n in DATES else v for n, v in state.items() if n not in _FRAME}
        said = ["removed"] if state["removed"] else []
        said += [f"{n} {v}" for n, v in values.items() if before.get(n) != v]
        said += [f"no {n}" for n in before if n not in values]
        until = state["valid_to"]
        rows.append(
            {
                "from": format_time(state["valid_from"]),
                "to": "" if until is None else format_time(until),
                "values": ", ".join(said),
            }
        )
        before = values
    return rows
