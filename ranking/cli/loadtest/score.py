"""`rank-cli loadtest score`."""

from __future__ import annotations

from functools import partial

from ranking.cli import _output as out
from ranking.cli.loadtest import _options as option
from ranking.cli.loadtest._options import RatedShape


def score(
    photos: option.PhotoFolder,
    rate: option.Rate = 20.0,
    seconds: option.Seconds = 30.0,
    rounds: option.Rounds = 6,
    shape: option.Shape = RatedShape.soak,
    batch: option.Batch = 1,
    users: option.Users = None,
    think: option.Think = 0.0,
    model: option.ModelName = "image_score",
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
    """Ask Triton for scores of photos at a rate, or with --users as fast as it answers so many.

    Photos go as the served model takes them, at the online priority: decoded to its size beforehand, or as
    files where it decodes. Rates are of requests; each carries --batch photos.

    Example: rank-cli loadtest score photos --rate 40 --shape knee --slo slo.yaml
    """
    from loadtest import Photos, Plan, model_server, read_slo, triton_addresses, watched_model
    from ranking.cli.loadtest import _show
    from ranking.settings import get_settings

    limits = read_slo(slo) if slo is not None else None
    plan = Plan(
        mode=option.check_mode(users, shape, default=RatedShape.soak),
        shape=shape.value,
        rate=rate,
        seconds=seconds,
        users=users or 1,
        think=think,
        connections=connections,
        rounds=rounds,
        processes=workers,
        workers=option.check_senders(workers, worker),
    )
    addresses = triton_addresses(get_settings(), allow_remote=allow_remote)
    server = model_server(addresses, photos, model=model, batch=batch, timeout=timeout)
    asked = Photos(server, plan)
    said = {"mode": plan.mode, "model": model, "input": server.input, "photos_per_request": batch}
    found = _show.play(
        [asked],
        labels={"contender": f"photos to {model}"},
        said=said | plan.said(len(asked.at)),
        plan=plan,
        watches={"score": partial(watched_model, addresses, model)},
    )
    _show.finish(found, limits, result_file=result_file, html=html, fmt=fmt)
