"""`rank-cli replay interleave`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._options import (
    AtOption,
    IndexOption,
    PlatformOption,
    check_platform,
    clock,
    index_name,
    profile_named,
    read_lines,
)
from ranking.cli.replay._options import ClickAction, Folder, Resamples, Seed

if TYPE_CHECKING:
    from replay.interleaving import Interleaving, Power


class Method(StrEnum):
    """How pages are drafted."""

    team_draft = "team-draft"
    balanced = "balanced"
    optimized = "optimized"


class Clicks(StrEnum):
    """Who clicks in a simulated experiment."""

    pbm = "pbm"
    judgments = "judgments"


def interleave(
    folder: Folder,
    baseline: Annotated[
        str, typer.Option("--baseline", help="With --power or --queries: profile, file or shipped name.")
    ] = "control",
    contender: Annotated[
        list[str] | None,
        typer.Option("--contender", help="With --power or --queries; several make a multileaving."),
    ] = None,
    method: Annotated[Method, typer.Option("--method", help="How pages are drafted.")] = Method.team_draft,
    power: Annotated[
        bool, typer.Option("--power", help="Simulate: how many searches and days an experiment needs.")
    ] = False,
    clicks: Annotated[
        Clicks,
        typer.Option("--clicks", help="With --power: the click model, fitted to DIR's clicks or judgments."),
    ] = Clicks.pbm,
    wanted: Annotated[
        float, typer.Option("--chance", min=0.05, max=0.999, help="With --power: chance of finding it.")
    ] = 0.8,
    repetitions: Annotated[
        int, typer.Option("--repetitions", min=1, max=1000, help="With --power: visits per search.")
    ] = 20,
    k: Annotated[int, typer.Option("--k", min=1, max=1000, help="With --power: length of the page.")] = 10,
    queries: Annotated[
        Path | None, typer.Option("--queries", help="Serve these queries interleaved, and capture into DIR.")
    ] = None,
    platform: PlatformOption = None,
    at: AtOption = None,
    index: IndexOption = None,
    action: ClickAction = "click",
    resamples: Resamples = 1000,
    seed: Seed = 0,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Say which ranking users prefer, from the clicks on interleaved pages; plan or serve such an experiment.

    Example: rank-cli replay interleave captures --power --baseline control --contender additive
    """
    if queries is not None:
        _serve(folder, baseline, contender or [], method, queries, platform, at, index, fmt)
    elif power:
        _power(folder, baseline, contender or [], method, clicks, wanted, repetitions, k, seed, fmt)
    else:
        _analyse(folder, action, resamples, seed, fmt)


def _analyse(folder: Path, action: str, resamples: int, seed: int, fmt: out.Format) -> None:
    import numpy as np

    from replay import read_log
    from replay.clicks import read_pages
    from replay.interleaving import analyse, read_credits

    log = read_log(folder)
    pages = read_pages(log, folder, action=action)
    found = analyse(log, pages, read_credits(log, pages), np.random.default_rng(seed), n_resamples=resamples)
    if fmt is out.Format.json:
        out.as_json(found.as_dict())
    else:
        _print(found)


def _print(found: Interleaving) -> None:
    said = "simulated clicks" if found.simulated else "clicks"
    out.table(
        [
            {
                "contender": row.contender,
                "segment": row.segment,
                "searches": row.searches,
                "clicked": row.clicked,
                "wins": row.wins,
                "losses": row.losses,
                "ties": row.ties,
                "preference": f"{row.preference:+.4f}",
                "95 % interval": "" if row.low is None else f"{row.low:+.4f} to {row.high:+.4f}",
                "users": row.users,
                "p (users)": "" if row.p_users is None else f"{row.p_users:.2g}",
                "p (searches)": "" if row.p_searches is None else f"{row.p_searches:.2g}",
            }
            for row in found.preferences
        ],
        title=f"{found.method} against {found.baseline}, {said}; above 0: the contender is preferred",
        right=("preference", "95 % interval", "p (users)", "p (searches)"),
    )
    for name, (same, total) in found.redrawn.items():
        out.note(f"{name}: replay gives the page that was drafted from in {same} of {total} searches")


def _power(
    folder: Path,
    baseline: str,
    contenders: list[str],
    method: Method,
    clicks: Clicks,
    wanted: float,
    repetitions: int,
    k: int,
    seed: int,
    fmt: out.Format,
) -> None:
    import numpy as np

    from ranking.profile import find_profile
    from replay import rank, read_log
    from replay.interleaving import from_clicks, from_judgments, simulate_power

    if not contenders:
        raise typer.BadParameter("--power needs a --contender")
    log = read_log(folder)
    model = (from_clicks if clicks is Clicks.pbm else from_judgments)(log, folder, k)
    before = rank(log, find_profile(baseline))
    found = []
    with out.progress("simulating searches", min(len(log), 2_000) * len(contenders)) as advance:
        for name in contenders:
            found.append(
                simulate_power(
                    log,
                    before,
                    rank(log, find_profile(name)),
                    model,
                    np.random.default_rng(seed),
                    method=method.value,
                    k=k,
                    repetitions=repetitions,
                    power=wanted,
                    advance=advance,
                )
            )
    if fmt is out.Format.json:
        rows = [{"contender": name, **one.as_dict()} for name, one in zip(contenders, found, strict=True)]
        out.as_json({"baseline": baseline, "experiments": rows})
        return
    out.table(
        [_power_row(name, one) for name, one in zip(contenders, found, strict=True)],
        title=f"{method.value} against {baseline}: what an experiment needs ({model.name})",
        right=("preference", "95 % interval", "days", "A/B searches"),
    )
    out.note("simulated users all behave alike: real ones need more searches, as theirs resemble each other")
    for name, one in zip(contenders, found, strict=True):
        if one.searches_needed is None:
            out.note(f"{name}: no preference beyond the noise of the simulation; raise --repetitions")


def _power_row(name: str, found: Power) -> dict[str, object]:
    return {
        "contender": name,
        "searches": found.searches,
        "same page": found.same_pages,
        "preference": f"{found.preference:+.4f}",
        "95 % interval": f"{found.low:+.4f} to {found.high:+.4f}",
        "decided": f"{found.decided:.1%}",
        "searches needed": found.searches_needed,
        "days": "" if found.days_needed is None else f"{found.days_needed:.1f}",
        "found in": "" if found.power_simulated is None else f"{found.power_simulated:.0%}",
        "clicks / search": f"{found.clicks_baseline:.3f} to {found.clicks_contender:.3f}",
        "A/B searches": found.ab_searches_needed,
    }


def _serve(
    folder: Path,
    baseline: str,
    contenders: list[str],
    method: Method,
    queries: Path,
    platform: str | None,
    at: str | None,
    index: str | None,
    fmt: out.Format,
) -> None:
    from ranking.capture import write_captures
    from ranking.es import connect
    from ranking.interleaver import Interleaver

    if not contenders:
        raise typer.BadParameter("--queries needs a --contender")
    now_ms, texts = clock(at), read_lines(queries)
    check_platform(platform)
    es = connect()
    profiles = [profile_named(es, name) for name in (baseline, *contenders)]
    serving = Interleaver(es, index_name(index), profiles, method=method.value)
    records = []
    with out.progress("serving interleaved searches", len(texts)) as advance:
        for text in texts:
            records.append(serving.capture(text, now_ms=now_ms, platform=platform))
            advance(1)
    serving.close()
    n = write_captures(folder, records, [profile.for_platform(platform) for profile in profiles])
    if fmt is out.Format.json:
        out.as_json({"searches_captured": n, "folder": str(folder), "method": method.value})
    else:
        out.note(f"captured {n} interleaved searches in {folder}")
