"""`rank-cli replay rebuild`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, clock, index_name
from ranking.cli.replay._cluster import parity_rows
from ranking.cli.replay._options import HistoryOption

if TYPE_CHECKING:
    from replay.live import LiveParity


def rebuild(
    command: Annotated[
        list[str] | None,
        typer.Argument(
            help="Runs on the scratch index: after --, with {index} for its name; RANK_INDEX names it too.",
            metavar="[-- COMMAND...]",
        ),
    ] = None,
    history: HistoryOption = None,
    at: Annotated[
        str | None, typer.Option("--at", help="The moment: ISO 8601 or epoch ms.", metavar="TIME")
    ] = None,
    captures: Annotated[
        Path | None,
        typer.Option(
            "--captures",
            help="Ask the searches of this log again, in one point in time.",
            metavar="DIR",
        ),
    ] = None,
    index: IndexOption = None,
    leftovers: Annotated[
        bool, typer.Option("--leftovers", help="List scratch indices that are there, and make none.")
    ] = False,
    remove: Annotated[
        str | None, typer.Option("--remove", help="Remove this scratch index, or `all`.", metavar="NAME")
    ] = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Make a scratch index as of a moment, use it, remove it: relevance with the statistics of then.

    Example: rank-cli replay rebuild --history history --at 2026-11-20T09:00:00Z --captures captures
    """
    from contextlib import ExitStack

    from ranking.errors import InputError
    from ranking.es import connect
    from replay.history import read_history
    from replay.rebuild import scratch_index

    if leftovers or remove is not None:
        _leftovers(remove, fmt)
        return
    if history is None or at is None:
        raise InputError("give --history and --at", hint="see rank-cli replay rebuild --help")
    if captures is None and not command:
        raise InputError(
            "nothing to do on the scratch index",
            hint="give --captures DIR, or a command after --: -- rank-cli search 'red dress'",
        )
    _end_on_sigterm()
    es, known, at_ms = connect(), read_history(history), clock(at)
    code = 0
    today: LiveParity | None = None
    with ExitStack() as stack:
        with out.progress("writing the scratch index", len(known.alive(at_ms))) as advance:
            made = scratch_index(es, known, at_ms, index=index_name(index), advance=advance)
            scratch = stack.enter_context(made)
        stack.callback(out.note, f"removing {scratch.name}")
        out.note(f"{scratch.name}: {scratch.documents} documents as of {at}, {scratch.shards} shards")
        for caveat in scratch.caveats:
            out.note(f"statistics may differ: {caveat}")
        if captures is not None:
            today = _replay(captures, scratch.name, fmt)
        if command:
            code = _run(command, scratch.name)
    if fmt is out.Format.json:
        out.as_json({**scratch.as_dict(), "live": today.as_dict() if today else None, "exit_code": code})
    if code:
        raise typer.Exit(code)


def _replay(captures: Path, name: str, fmt: out.Format) -> LiveParity:
    from ranking.es import connect
    from replay import read_log, verify_live
    from replay import verify as verify_log

    log = read_log(captures)
    with out.progress("asking the scratch index", len(log)) as advance:
        today = verify_live(connect(), log, index=name, fixed=True, advance=advance)
    if fmt is out.Format.table:
        out.table(parity_rows(verify_log(log), today))
    return today


def _run(command: list[str], name: str) -> int:
    import os
    import subprocess
    import sys

    words = [word.replace("{index}", name) for word in command]
    if words[0] == "rank-cli":  # the one that runs now, whatever PATH says
        words = [sys.executable, "-c", "from ranking.cli import main; main()", *words[1:]]
    return subprocess.run(words, env={**os.environ, "RANK_INDEX": name}, check=False).returncode


def _end_on_sigterm() -> None:
    """A polite kill ends as an exception does, so that the scratch index is removed."""
    import signal
    import sys

    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))


def _leftovers(remove: str | None, fmt: out.Format) -> None:
    from ranking.es import connect
    from replay.rebuild import leftovers as find_leftovers
    from replay.rebuild import remove as remove_index

    es = connect()
    found = find_leftovers(es)
    if remove is not None:
        names = [one.name for one in found] if remove == "all" else [remove]
        for name in names:
            remove_index(es, name)
        out.note(f"removed {len(names)}: {', '.join(names) or 'there was none'}")
        found = find_leftovers(es)
    rows = [one.as_dict() for one in found]
    if fmt is out.Format.json:
        out.as_json({"scratch_indices": rows})
    else:
        out.table([{k: row[k] for k in ("name", "of", "at", "documents", "made")} for row in rows])
