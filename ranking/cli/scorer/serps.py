"""`rank-cli scorer serps`: pages for labelling, out of captured searches and clicks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, index_name
from ranking.cli._output import Format, FormatOption

if TYPE_CHECKING:
    from scorer.labels.serps import Funnel, SerpPage
    from scorer.labels.split import Divided


def serps(
    captures: Annotated[Path, typer.Argument(metavar="CAPTURES", help="Capture folder, with events.")],
    target: Annotated[
        Path, typer.Option("--out", help="JSONL to write; FILE.validation.jsonl is written beside it.")
    ],
    photos: Annotated[
        Path | None, typer.Option("--photos", help="CSV item_id,image. The index is asked by default.")
    ] = None,
    index: IndexOption = None,
    price_within: Annotated[
        float,
        typer.Option(
            "--price-within", min=0, help="Largest |price - clicked| / clicked. The paper is silent."
        ),
    ] = 0.3,
    before: Annotated[
        int, typer.Option("--before", min=0, help="Items before the clicked one, at most.")
    ] = 5,
    after: Annotated[int, typer.Option("--after", min=0, help="Items after the clicked one, at most.")] = 2,
    clicks: Annotated[int, typer.Option("--clicks", min=1, help="Clicked items, exactly.")] = 1,
    clicks_in: Annotated[str, typer.Option("--clicks-in", help="Count clicked items in: window, page.")] = (
        "window"
    ),
    min_items: Annotated[int, typer.Option("--min-items", min=2, help="Photos on a page, at least.")] = 2,
    action: Annotated[str, typer.Option("--action", help="Which events count as clicks.")] = "click",
    since: Annotated[
        str | None, typer.Option("--since", help="Searches from this time on: ISO 8601 or epoch ms.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Searches before this time.")] = None,
    split: Annotated[bool, typer.Option("--split/--no-split", help="Divide by time and by user.")] = True,
    split_at: Annotated[
        str | None,
        typer.Option("--split-at", help="Validation pages are from this time on. Default: the last 20 %."),
    ] = None,
    late: Annotated[
        float, typer.Option("--late", help="Share of pages, in time, that are for validation.")
    ] = 0.2,
    held_out: Annotated[
        float, typer.Option("--held-out-users", help="Share of users whose pages are for validation.")
    ] = 0.2,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Training pages, at most.")] = 150_000,
    validation_limit: Annotated[
        int, typer.Option("--validation-limit", min=1, help="Validation pages, at most.")
    ] = 36_104,
    salt: Annotated[str, typer.Option("--salt", help="Another salt draws another sample.")] = "",
    format: FormatOption = Format.table,
) -> None:
    """Extract pages of similarly priced items around one click, as the Image Score paper does.

    Prints how many searches each rule leaves. Every default is the paper's where it gives a value.

    Example: rank-cli scorer serps captures --photos photos.csv --out serps.jsonl
    """
    from ranking.errors import InputError
    from ranking.whole_file import write_json_lines
    from scorer.labels.serps import Rules, extract_from
    from scorer.labels.split import Split, divide

    if clicks_in not in ("window", "page"):
        raise typer.BadParameter(f"{clicks_in!r} is neither window nor page", param_hint="--clicks-in")
    try:
        rules = Rules(
            price_within=price_within,
            before=before,
            after=after,
            clicks=clicks,
            clicks_in="page" if clicks_in == "page" else "window",
            min_items=min_items,
            action=action,
            since_ms=_moment(since, "--since"),
            until_ms=_moment(until, "--until"),
        )
        plan = Split(
            from_ms=_moment(split_at, "--split-at"),
            late=late if split else 0.0,
            users=held_out if split else 0.0,
            n_training=limit,
            n_validation=validation_limit,
            salt=salt,
        )
    except ValueError as e:
        raise InputError(str(e)) from None
    photo_of = _photos(captures, photos, index)
    with out.progress("searches read") as advance:
        found, funnel = extract_from(captures, photo_of, rules, advance=advance)
    divided = divide(found, plan)
    beside = target.with_suffix(".validation" + (target.suffix or ".jsonl"))
    written = {str(target): write_json_lines(target, (page.to_dict() for page in divided.training))}
    if split:
        written[str(beside)] = write_json_lines(beside, (page.to_dict() for page in divided.validation))
    _print(found, funnel, divided, written, format)


def _moment(text: str | None, option: str) -> int | None:
    from ranking.clock import parse_time

    try:
        return None if text is None else parse_time(text)
    except ValueError as e:
        raise ValueError(f"{option}: {e}") from None


def _photos(captures: Path, photos: Path | None, index: str | None) -> dict[str, str]:
    """Photo by item: of the CSV, or of the index, unless the captures name them themselves."""
    from ranking.capture import read_captures
    from ranking.es import connect
    from ranking.item_photos import photos_in_index, read_photos_csv
    from scorer.labels.serps import EXTRA_IMAGE

    if photos is not None:
        return read_photos_csv(photos)
    nameless = {
        item.item_id
        for record in read_captures(captures)
        for item in record.items
        if item.rank is not None and not item.extras.get(EXTRA_IMAGE)
    }
    if not nameless:
        return {}
    out.note(f"asking the index for the photos of {len(nameless)} items")
    return photos_in_index(connect(), index_name(index), sorted(nameless))


def _print(
    found: list[SerpPage], funnel: Funnel, divided: Divided, written: dict[str, int], format: Format
) -> None:
    from ranking.item_message import iso_ms
    from scorer.labels.serps import RULES

    boundary = None if divided.boundary_ms is None else iso_ms(divided.boundary_ms)
    simulated = any(page.simulated for page in found)
    if format is Format.json:
        out.as_json(
            {
                "funnel": funnel.rows(),
                "split": dict(divided.rows),
                "boundary": boundary,
                "simulated": simulated,
                "written": written,
            }
        )
        return
    rows = [
        {"rule": row["rule"], "searches left": row["left"], "of those before": f"{row['share']:.1%}"}
        | {"what it asks": RULES.get(row["rule"], "searches in the folder")}
        for row in funnel.rows()
    ]
    out.table(rows, title="Pages left by each rule" + (" (simulated clicks)" if simulated else ""))
    out.table([{"split": name, "pages": n} for name, n in divided.rows])
    if boundary:
        out.note(f"late pages are those from {boundary} on")
    for path, n in written.items():
        out.note(f"wrote {n} pages to {path}")


__all__ = ["serps"]
