"""`rank-cli ingest upgrade`: from one image model to the next, in an index that is searched meanwhile."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, index_name
from ranking.cli._output import Format, FormatOption
from ranking.errors import InputError

app = typer.Typer(
    no_args_is_help=True,
    help="From one image model to the next: compare, switch, roll back. Filled by `backfill --into next`.",
)


class Place(StrEnum):
    """Where a score is kept that no query reads."""

    previous = "previous"
    next = "next"


VersionOption = Annotated[
    str | None, typer.Option("--version", help="Version of the scores; needed where there are several.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it; without, say what would be done.")]
RateOption = Annotated[
    float | None, typer.Option("--max-per-second", min=1.0, help="Items moved per second at most.")
]


@app.command("status")
def upgrade_status(index: IndexOption = None, format: FormatOption = Format.table) -> None:
    """Count the items on sale by score version: live, next, previous, failed.

    Example: rank-cli ingest upgrade status
    """
    from ranking.es import connect
    from scorer.backfill import upgrade

    found = upgrade.upgrade_status(connect(), index_name(index))
    if format is Format.json:
        out.as_json(found.to_dict())
        return
    rows = [
        {"place": place, "version": version, "items": n, "share": round(n / found.on_sale, 4)}
        for place in ("live", "next", "previous", "failed")
        for version, n in getattr(found, place).items()
    ]
    out.table(rows, title=f"{found.index}: {found.on_sale} items on sale, {found.unscored} unscored")


@app.command("compare")
def compare(
    version: VersionOption = None,
    after: Annotated[bool, typer.Option("--after", help="After a switch: live against previous.")] = False,
    most: Annotated[
        int, typer.Option("--sample", min=100, help="Items to read at most, about; drawn by hash.")
    ] = 100_000,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a picture of the distributions here.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 2 where the scores of all items have moved or shifted.")
    ] = False,
    min_coverage: Annotated[
        float,
        typer.Option(
            "--min-coverage", min=0.0, max=1.0, help="With --check: share of items that hold a new score."
        ),
    ] = 0.99,
    index: IndexOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Compare the next model's scores with the live ones: PSI, KS, order, coverage, overall and by category.

    PSI below 0.1 is stable, up to 0.25 moved, above shifted. Where it moved, a boost weight means something
    else after the switch; `psi_after_map` is what `scorer calibrate --like` would leave.

    Example: rank-cli ingest upgrade compare --html compare.html --check
    """
    from ranking.es import connect
    from ranking.score_fields import LIVE, NEXT
    from scorer.backfill import upgrade
    from scorer.backfill.compare import compare_pairs, psi_after_map, read_pairs

    es, name = connect(), index_name(index)
    if after:
        live = upgrade.upgrade_status(es, name).live
        if version is None and len(live) != 1:
            raise InputError(f"live scores of {name} are of {len(live)} versions", hint="name one: --version")
        wanted = version or next(iter(live))
    else:
        wanted = upgrade.only_version(es, name, "next", version)
    with out.progress("items compared") as advance:
        pairs = read_pairs(
            es, name, new=LIVE if after else NEXT, new_version=wanted, most=most, advance=advance
        )
    rows = compare_pairs(pairs)
    mapped = psi_after_map(pairs)
    coverage = pairs.with_new / pairs.on_sale if pairs.on_sale else 0.0
    if html is not None:
        from scorer.backfill.picture import comparison_page

        html.write_text(comparison_page(pairs, rows, mapped), encoding="utf-8")
        out.note(f"wrote {html}")
    data: dict[str, Any] = {
        "index": name,
        "old_version": pairs.old_version,
        "new_version": pairs.new_version,
        "on_sale": pairs.on_sale,
        "with_new": pairs.with_new,
        "with_both": pairs.with_both,
        "n_compared": len(pairs.old),
        "coverage": round(coverage, 4),
        "psi_after_map": None if mapped is None else round(mapped, 4),
    }
    if format is Format.json:
        out.as_json(data | {"scores": [row.to_dict() for row in rows]})
    else:
        out.table([data])
        out.table([row.to_dict() for row in rows], title="old against new")
    if check and (rows[0].drift.verdict != "stable" or coverage < min_coverage):
        raise typer.Exit(2)


@app.command("switch")
def switch(
    version: VersionOption = None,
    yes: YesOption = False,
    max_per_second: RateOption = None,
    index: IndexOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Make the next model's scores live; what was live is kept for `rollback`. Killed, it goes on when run
    again.

    Then let `ingest stream` score with the new model (`rank-cli scorer export --load`), and run
    `rank-cli ingest backfill` for the items that came in between.

    Example: rank-cli ingest upgrade switch --yes
    """
    _move("switch", version, yes, max_per_second, index, format)


@app.command("rollback")
def rollback(
    version: VersionOption = None,
    yes: YesOption = False,
    max_per_second: RateOption = None,
    index: IndexOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Make the previous scores live again; those that were live are kept as next, for another switch.

    Export the old model again as well, and run `rank-cli ingest backfill` for items that came since.

    Example: rank-cli ingest upgrade rollback --yes
    """
    _move("rollback", version, yes, max_per_second, index, format)


@app.command("clean")
def clean(
    place: Annotated[Place, typer.Argument(help="previous (no rollback after that), or next.")],
    yes: YesOption = False,
    max_per_second: RateOption = None,
    index: IndexOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Remove the scores that are kept beside the live ones.

    Example: rank-cli ingest upgrade clean previous --yes
    """
    from ranking.clock import now_ms
    from ranking.es import connect
    from scorer.backfill import upgrade
    from scorer.backfill.read import count_items

    es, name = connect(), index_name(index)
    query = {"exists": {"field": f"image_score_{place.value}_version"}}
    todo = count_items(es, name, query)
    if yes and todo:
        with out.progress("items cleaned", todo) as advance:
            done = upgrade.clean_scores(
                es, name, [place.value], now_ms=now_ms(), per_second=max_per_second, on_progress=advance
            )
    else:
        done = 0
        if todo:
            out.note(f"{place.value} scores of {todo} items would be removed; --yes does it")
    _show({"index": name, "place": place.value, "found": todo, "removed": done}, format)


def _move(
    move: str, version: str | None, yes: bool, most: float | None, index: str | None, format: Format
) -> None:
    from ranking.clock import now_ms
    from ranking.es import connect
    from scorer.backfill import upgrade
    from scorer.backfill.read import count_items

    es, name = connect(), index_name(index)
    what: upgrade.Move = "switch" if move == "switch" else "rollback"
    try:
        wanted = upgrade.only_version(es, name, "next" if what == "switch" else "previous", version)
    except InputError:
        if version is None or version not in upgrade.upgrade_status(es, name).live:
            raise
        wanted = version
        out.note(f"{version} is live already")
    todo = count_items(es, name, upgrade.to_move(what, wanted))
    done = 0
    if yes and todo:
        with out.progress("items moved", todo) as advance:
            done = upgrade.move_scores(
                es, name, what, wanted, now_ms=now_ms(), per_second=most, on_progress=advance
            )
    elif todo:
        out.note(f"{wanted} would become live in {todo} items; --yes does it")
    _show({"index": name, "move": move, "version": wanted, "found": todo, "moved": done}, format)
    if yes:
        live = upgrade.upgrade_status(es, name).live
        others = sum(n for held, n in live.items() if held != wanted)
        if others:
            out.note(f"{others} items on sale have scores of another version; `rank-cli ingest backfill`")


def _show(row: dict[str, Any], format: Format) -> None:
    if format is Format.json:
        out.as_json(row)
    else:
        out.table([row])


__all__ = ["app"]
