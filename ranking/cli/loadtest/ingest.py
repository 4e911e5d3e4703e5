"""`rank-cli loadtest ingest`."""

from __future__ import annotations

from functools import partial

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, index_name
from ranking.cli.loadtest import _options as option
from ranking.cli.loadtest._options import RatedShape


def ingest(
    topic: option.Topic = "items",
    index: IndexOption = None,
    like: option.Like = None,
    rate: option.Rate = 20.0,
    seconds: option.Seconds = 30.0,
    rounds: option.Rounds = 6,
    shape: option.Shape = RatedShape.soak,
    sample: option.Sample = 0.2,
    searchable_within: option.Within = 60.0,
    keep_items: option.KeepItems = False,
    connections: option.Connections = 256,
    timeout: option.Timeout = 30.0,
    workers: option.Workers = 1,
    worker: option.WorkerCommands = None,
    slo: option.SloFile = None,
    result_file: option.Out = None,
    html: option.Html = None,
    allow_remote: option.AllowRemote = False,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Publish item messages at a rate: until the brokers have each, and until searches find a sample.

    Needs an `ingest stream` on that topic and index, started by you. Messages are new items, made of those of
    an index (--like) under names of their own, and deleted afterwards.

    Example: rank-cli loadtest ingest --topic items --rate 50 --seconds 20 --slo slo.yaml
    """
    from loadtest import Plan, read_slo, watched_nodes
    from ranking.cli.loadtest import _show
    from ranking.cli.loadtest._messages import messages_to
    from ranking.es import connect

    limits = read_slo(slo) if slo is not None else None
    plan = Plan(
        shape=shape.value,
        rate=rate,
        seconds=seconds,
        connections=connections,
        rounds=rounds,
        processes=workers,
        workers=option.check_senders(workers, worker),
    )
    es = connect()
    named = index_name(index)
    with messages_to(
        es,
        topic,
        named,
        plan,
        like=like or named,
        sample=sample,
        searchable_within=searchable_within,
        keep_items=keep_items,
        timeout=timeout,
        allow_remote=allow_remote,
    ) as messages:
        said = {"mode": "open", "topic": topic, "index": named, "sample": sample}
        found = _show.play(
            [messages],
            labels={"contender": f"item messages to {topic}"},
            said=said | plan.said(len(messages.at)),
            plan=plan,
            watches={"publish": partial(watched_nodes, es)},
        )
    _show.finish(found, limits, result_file=result_file, html=html, fmt=fmt)
