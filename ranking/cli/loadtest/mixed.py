"""`rank-cli loadtest mixed`."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, index_name, profile_named
from ranking.cli.loadtest import _options as option
from ranking.cli.loadtest._options import ShapeName

if TYPE_CHECKING:
    from loadtest import Kind, Side, Source
    from loadtest.counters import Watch
    from ranking.profile import Profile


def mixed(
    folder: option.Captures,
    profile: Annotated[str, typer.Option("--profile", help="File, shipped or published name.")] = "additive",
    ingest_rate: Annotated[
        float, typer.Option("--ingest-rate", min=0, help="Item messages/s beside the searches.")
    ] = 0.0,
    score_rate: Annotated[
        float, typer.Option("--score-rate", min=0, help="Scoring requests/s beside the searches.")
    ] = 0.0,
    photos: Annotated[
        Path | None,
        typer.Option("--photos", exists=True, file_okay=False, help="Folder of photos for --score-rate."),
    ] = None,
    rounds: option.RoundsOfEach = 6,
    shape: option.SearchShape = ShapeName.logged,
    speed_up: option.SpeedUp = 1.0,
    rate: option.SearchRate = 20.0,
    seconds: option.Seconds = 30.0,
    topic: option.Topic = "items",
    like: option.Like = None,
    sample: option.Sample = 0.2,
    searchable_within: option.Within = 60.0,
    keep_items: option.KeepItems = False,
    batch: option.Batch = 1,
    model: option.ModelName = "image_score",
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
    """Searches alone and searches beside ingest and scoring, in turns: what do these cost the searches?

    The baseline is the searches alone; the contender the same searches with item messages (--ingest-rate) and
    scoring requests (--score-rate) at a constant rate beside them. Messages need an `ingest stream`, as for
    `loadtest ingest`.

    Example: rank-cli loadtest mixed captures --shape soak --rate 20 --ingest-rate 20 --topic items
    """
    from loadtest import (
        Photos,
        Plan,
        Searches,
        cluster_target,
        model_server,
        platforms,
        read_slo,
        read_workload,
        triton_addresses,
        watched_model,
        watched_nodes,
    )
    from ranking.cli.loadtest import _show
    from ranking.cli.loadtest._messages import messages_to
    from ranking.errors import InputError
    from ranking.es import connect
    from ranking.settings import get_settings

    limits = read_slo(slo) if slo is not None else None
    if not ingest_rate and not score_rate:
        raise InputError("nothing is beside the searches", hint="give --ingest-rate, --score-rate or both")
    if score_rate and photos is None:
        raise InputError("--score-rate needs photos", hint="name their folder by --photos")
    plan = Plan(
        shape=shape.value,
        speed_up=speed_up,
        rate=rate,
        seconds=seconds,
        connections=connections,
        rounds=rounds,
        processes=workers,
        workers=option.check_senders(workers, worker),
    )
    settings = get_settings()
    target = cluster_target(settings, allow_remote=allow_remote, timeout=timeout)
    asked = read_workload(folder)
    es = connect()
    served = profile_named(es, profile)
    named = index_name(index)
    both: dict[Side, Profile] = {"baseline": served, "contender": served}
    searches = Searches(es, target, named, profiles=both, searches=asked, plan=plan)
    beside = replace(plan, shape="soak", seconds=max(searches.at[-1], 0.1))
    sources: list[Source] = [searches]
    watches: dict[Kind, Watch] = {"search": partial(watched_nodes, es)}
    said: dict[str, Any] = {"mode": "open", "index": named, "searches": len(asked)}
    said |= {"platforms": platforms(asked)} | plan.said(len(searches.at))
    with ExitStack() as stack:
        added = []
        if ingest_rate:
            context = messages_to(
                es,
                topic,
                named,
                replace(beside, rate=ingest_rate),
                like=like or named,
                sample=sample,
                searchable_within=searchable_within,
                keep_items=keep_items,
                timeout=timeout,
                allow_remote=allow_remote,
                only="contender",
            )
            sources.append(stack.enter_context(context))
            said["messages_per_second"] = ingest_rate
            added.append(f"{ingest_rate:g} messages/s")
        if score_rate and photos is not None:
            addresses = triton_addresses(settings, allow_remote=allow_remote)
            server = model_server(addresses, photos, model=model, batch=batch, timeout=timeout)
            sources.append(Photos(server, replace(beside, rate=score_rate), only="contender"))
            watches["score"] = partial(watched_model, addresses, model)
            said |= {"scorings_per_second": score_rate, "photos_per_request": batch}
            added.append(f"{score_rate:g} scorings/s")
        label = f"{served.name} {served.hash}"
        found = _show.play(
            sources,
            labels={"baseline": f"{label}, alone", "contender": f"{label}, with {' and '.join(added)}"},
            said=said,
            plan=plan,
            watches=watches,
        )
    _show.finish(found, limits, result_file=result_file, html=html, fmt=fmt)
