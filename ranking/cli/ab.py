"""`rank-cli ab`: A/B tests on users."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._options import relative_change

if TYPE_CHECKING:
    from replay.ab import Analysis

app = typer.Typer(no_args_is_help=True, help="A/B tests: what served users did, arm against arm.")


@app.command("analyze")
def analyze(
    file: Annotated[
        Path,
        typer.Argument(
            help="Users as Parquet or CSV, UBI events as JSONL, or a capture folder; see docs/statistics.md.",
            metavar="FILE",
        ),
    ],
    control: Annotated[
        str, typer.Option("--control", help="The variant that the others are compared with.")
    ] = "control",
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", help="Such as ARPU=revenue, CTR=clicks/searches, BCR=purchases>0; again for more."
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="How users were assigned: control=2,additive=1. Equal else.")
    ] = None,
    platform: Annotated[
        str | None, typer.Option("--platform", help="Print this platform only; all of them otherwise.")
    ] = None,
    student: Annotated[
        bool, typer.Option("--student", help="Student's t with one variance, rather than Welch's.")
    ] = False,
    adjust: Annotated[
        str, typer.Option("--adjust", help="Over metrics and variants of one platform: holm, bh or none.")
    ] = "holm",
    planned: Annotated[
        int,
        typer.Option(
            "--planned-users", min=2, help="Users of two arms at which intervals of every look are narrowest."
        ),
    ] = 100_000,
    effect: Annotated[
        str | None,
        typer.Option("--effect", help="A relative change, such as 2%: days until it would be detected."),
    ] = None,
    days: Annotated[
        float | None, typer.Option("--days", min=0.01, help="Days the data took; from first_seen otherwise.")
    ] = None,
    despite_mismatch: Annotated[
        bool, typer.Option("--despite-mismatch", help="Show figures although the arms are not as assigned.")
    ] = False,
    rejects: Annotated[
        Path | None, typer.Option("--rejects", help="Write rows that were left out here, with reasons.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write one self-contained page here.")] = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Compare every variant with the control: ratio and t as the paper's Table 2, and whether to believe it.

    Exit 2 where the arms are not as large as assigned: no figure is shown then, unless asked for.

    Example: rank-cli ab analyze users.parquet --control control --effect 2%
    """
    from ranking.errors import InputError
    from replay import ab

    wanted = None if effect is None else relative_change(effect, "--effect")
    metrics = [ab.parse_metric(text) for text in metric] if metric else None
    users = ab.read_users(file, metrics or ())
    if users.rejects:
        _note_rejects(users.reasons(), users.n)
    if rejects is not None:
        ab.write_rejects(rejects, users)
        out.note(f"wrote {rejects}")
    found = ab.analyze(
        users,
        control=control,
        metrics=metrics,
        split=None if split is None else _split(split),
        pooled=student,
        adjustment=adjust,
        planned=planned,
        days=days,
        effect=wanted,
    )
    if platform is not None and platform not in (ab.ALL, *users.platforms):
        raise InputError(
            f"no user is on platform {platform!r}", hint=f"there are {', '.join((ab.ALL, *users.platforms))}"
        )
    withheld = found.mismatch and not despite_mismatch
    if wanted is not None and users.days is None and days is None:
        out.note("days needed are unknown: the users have no first_seen, and --days is not given")
    if html is not None and not withheld:
        from replay.ab.page import write_page

        write_page(found, html)
        out.note(f"wrote {html}")
    if fmt is out.Format.json:
        out.as_json(found.as_dict() | ({"results": []} if withheld else {}))
    else:
        _print(found, platform, withheld=withheld)
    if withheld:
        out.note("figures are withheld: the arms are not as assigned, so their users are not alike")
        out.note("hint: look for the cause first; --despite-mismatch shows the figures all the same")
    if found.mismatch:
        raise typer.Exit(2)


@app.command("simulate")
def simulate(
    file: Annotated[Path, typer.Argument(help="Where to write: .parquet or .csv.", metavar="FILE")],
    users: Annotated[int, typer.Option("--users", min=6, help="Users in all arms together.")] = 300_000,
    seed: Annotated[int, typer.Option("--seed", help="Of the draw.")] = 1,
    lift: Annotated[float, typer.Option("--lift", help="Multiplies every effect; 0 is an A/A test.")] = 1.0,
) -> None:
    """Write simulated users of the paper's experiment, to try `ab analyze` on.

    Example: rank-cli ab simulate users.parquet --users 300000
    """
    from replay.ab import simulate_users, write_users

    write_users(file, simulate_users(users, seed=seed, lift=lift))
    out.note(f"wrote {users} simulated users to {file}")


def _print(found: Analysis, platform: str | None, *, withheld: bool) -> None:
    from replay.ab.table import detail_rows, paper_rows

    for one in found.balance:
        if one.mismatch or one.platform == "all":
            out.note(one.says)
    if withheld:
        return
    simulated = " (simulated users)" if found.users.simulated else ""
    for place in ("all", *found.users.platforms) if platform is None else (platform,):
        details = detail_rows(found, place)
        if not details:
            out.note(f"{place}: no variant and control with two users or more")
            continue
        rows = paper_rows(found, place)
        out.table(rows, title=f"\n{place}{simulated}", right=list(rows[0])[1:])
        out.table(details, right=list(details[0])[3:])
    out.note(
        f"two-sided t; * significant at 0.05, adjusted by {found.adjustment} over metrics and variants of a "
        "platform; at every look: interval that may be watched daily; "
        "detectable: relative change found with probability 0.8"
    )
    if found.users.note:
        out.note(found.users.note)


def _note_rejects(reasons: dict[str, int], kept: int) -> None:
    left = sum(reasons.values())
    listed = ", ".join(f"{why} ({n})" for why, n in list(reasons.items())[:4])
    out.note(f"{left} of {left + kept} rows left out: {listed}")


def _split(text: str) -> dict[str, float]:
    from ranking.errors import InputError

    found = {}
    for part in text.split(","):
        name, _, weight = part.partition("=")
        try:
            found[name.strip()] = float(weight)
        except ValueError:
            raise InputError(
                f"--split {text!r}: {part!r} is not VARIANT=WEIGHT", hint="for example control=1,additive=1"
            ) from None
    return found
