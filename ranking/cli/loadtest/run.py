"""`rank-cli loadtest run`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, index_name, profile_named
from ranking.cli.loadtest import _options as option
from ranking.cli.loadtest._options import ShapeName

if TYPE_CHECKING:
    from loadtest import Side
    from ranking.profile import Profile


def run(
    folder: option.Captures,
    baseline: Annotated[str, typer.Option("--baseline", help="File, shipped or published name.")] = "control",
    contender: option.Contender = "additive",
    rounds: option.RoundsOfEach = 6,
    shape: option.SearchShape = ShapeName.logged,
    speed_up: option.SpeedUp = 1.0,
    rate: option.SearchRate = 20.0,
    seconds: option.Seconds = 30.0,
    users: option.Users = None,
    think: option.Think = 0.0,
    connections: option.Connections = 256,
    timeout: option.Timeout = 30.0,
    workers: option.Workers = 1,
    worker: option.WorkerCommands = None,
    slo: option.SloFile = None,
    result_file: option.Out = None,
    html: option.Html = None,
    allow_remote: option.AllowRemote = False,
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Send captured searches under two profiles in turns, and compare latency, errors and the server's load.

    Searches keep their logged clock, platform and filters. Latency counts from the intended start, service
    time from the actual one.

    Example: rank-cli loadtest run captures --contender additive --speed-up 60 --slo slo.yaml
    """
    from loadtest import Plan, Searches, cluster_target, platforms, read_slo, read_workload, watched_nodes
    from ranking.cli.loadtest import _show
    from ranking.es import connect
    from ranking.settings import get_settings

    limits = read_slo(slo) if slo is not None else None
    plan = Plan(
        mode=option.check_mode(users, shape, default=ShapeName.logged),
        shape=shape.value,
        speed_up=speed_up,
        rate=rate,
        seconds=seconds,
        users=users or 1,
        think=think,
        connections=connections,
        rounds=rounds,
        processes=workers,
        workers=option.check_senders(workers, worker),
    )
    target = cluster_target(get_settings(), allow_remote=allow_remote, timeout=timeout)
    asked = read_workload(folder)
    es = connect()
    profiles: dict[Side, Profile] = {
        "baseline": profile_named(es, baseline),
        "contender": profile_named(es, contender),
    }
    named = index_name(index)
    searches = Searches(es, target, named, profiles=profiles, searches=asked, plan=plan)
    said = {"mode": plan.mode, "index": named, "searches": len(asked), "platforms": platforms(asked)}
    found = _show.play(
        [searches],
        labels={side: f"{profile.name} {profile.hash}" for side, profile in profiles.items()},
        said=said | plan.said(len(searches.at)),
        plan=plan,
        watches={"search": partial(watched_nodes, es)},
    )
    _show.finish(found, limits, result_file=result_file, html=html, fmt=fmt)
