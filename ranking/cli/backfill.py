"""`rank-cli ingest backfill`: scores for items that have none, or another model's."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, PhotosRoot, clock, index_name
from ranking.cli._output import Format, FormatOption

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from scorer.backfill import BackfillSummary, Estimate, Job


class Into(StrEnum):
    """Where scores are written."""

    live = "live"
    next = "next"


DaysOption = Annotated[int, typer.Option("--days", min=1, help="Items created in the last so many days.")]
SinceOption = Annotated[
    str | None,
    typer.Option("--at", help="The end of these days: ISO 8601 or epoch ms. This moment by default."),
]


def backfill(
    days: DaysOption = 90,
    photos_root: PhotosRoot = None,
    into: Annotated[
        Into, typer.Option("--into", help="live, or next: beside the live score, for `ingest upgrade`.")
    ] = Into.live,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count, and estimate from a sample. Writes nothing.")
    ] = False,
    sample: Annotated[
        int, typer.Option("--sample", min=1, max=10_000, help="With --dry-run: items to load and score.")
    ] = 64,
    hourly_cost: Annotated[
        float | None,
        typer.Option("--hourly-cost", min=0.0, help="With --dry-run: what an hour of one worker costs."),
    ] = None,
    max_per_second: Annotated[
        float | None,
        typer.Option("--max-per-second", min=0.01, help="Items per second, of all workers together."),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also items whose photo could not be scored before.")
    ] = False,
    max_failed_in_a_row: Annotated[
        int,
        typer.Option(
            "--max-failed-in-a-row",
            min=0,
            help="Stop when so many photos fail one after the other; 0 never does.",
        ),
    ] = 500,
    triton: Annotated[
        str | None, typer.Option("--triton", help="host:port of gRPC; TRITON_URL by default.")
    ] = None,
    triton_model: Annotated[
        str | None, typer.Option("--triton-model", help="The model's name there; image_score by default.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Score in the workers, without Triton: compact, or a scorer folder."),
    ] = None,
    runner: Annotated[
        str, typer.Option("--runner", help="direct, flink, spark, dataflow, portable or prism.")
    ] = "direct",
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Processes of --runner direct; 1 works in this one.")
    ] = 1,
    beam_option: Annotated[
        list[str] | None,
        typer.Option("--beam-option", help="A flag for Beam, such as --flink_master=host:8081."),
    ] = None,
    page: Annotated[
        int, typer.Option("--page", min=1, max=1_000, help="Items read, scored and written at a time.")
    ] = 64,
    wait_s: Annotated[
        float, typer.Option("--wait-s", min=0.1, help="Seconds to wait for an engine that goes away.")
    ] = 120.0,
    allow_private_hosts: Annotated[
        bool, typer.Option("--allow-private-hosts", help="Download photos from private addresses too.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 2 if anything is left to do, or failed (for CI).")
    ] = False,
    at: SinceOption = None,
    index: IndexOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Score items on sale that have no score, or another model's. Can be killed and started again at will.

    What is left to do is what a query finds, so nothing is done twice. Requests of `ingest stream` to Triton
    go first. An item that gets another photo meanwhile keeps no score of the old one; nothing but scores is
    touched. A photo that cannot be scored is marked in its item, and not tried again by this model unless
    --retry-failed is given.

    Example: rank-cli ingest backfill --days 90 --photos-root photos --dry-run

    Example: rank-cli ingest backfill --days 90 --into next --model runs/new --photos-root photos
    """
    from ranking.es import connect
    from scorer.backfill import Job, Scope, ScorerSpec, version_of
    from scorer.ingest.photos import PhotoSource
    from scorer.ingest.run import quiet_retries

    quiet_retries()
    now, name = clock(at), index_name(index)
    es = connect()
    spec = ScorerSpec(triton=triton, triton_model=triton_model, model=model, wait_s=wait_s)
    version = version_of(spec.open())
    job = Job(
        scope=Scope.last_days(
            days, index=name, version=version, now_ms=now, into=into.value, retry_failed=retry_failed
        ),
        scorer=spec,
        photos=PhotoSource(root=photos_root, allow_private_hosts=allow_private_hosts),
        page=page,
        most_in_a_row=max_failed_in_a_row,
        wait_s=wait_s,
    )
    if dry_run:
        from scorer.backfill import estimate

        found = estimate(
            es,
            job,
            n_sample=sample,
            workers=workers,
            max_per_second=max_per_second,
            hourly_cost=hourly_cost,
        )
        _show_estimate(found, format)
        if check and found.to_do:
            raise typer.Exit(2)
        return
    summary = _run(es, job, runner, workers, beam_option or [], max_per_second)
    _show_summary(summary, format)
    if summary.refused:
        raise typer.Exit(1)
    if check and (summary.remaining or summary.failed):
        raise typer.Exit(2)


def _run(
    es: Elasticsearch, job: Job, runner: str, workers: int, options: list[str], most: float | None
) -> BackfillSummary:
    from scorer.backfill import run_backfill
    from scorer.backfill.read import count_items
    from scorer.ingest import stop_on_signals

    to_do = count_items(es, job.scope.index, job.scope.query())
    with stop_on_signals() as stop, out.progress("items done", to_do) as advance:
        seen = 0

        def progress(done: int, _total: int) -> None:
            nonlocal seen
            advance(done - seen)
            seen = done

        summary = run_backfill(
            es,
            job,
            runner=runner,
            workers=workers,
            options=options,
            max_per_second=most,
            on_progress=progress,
            stop=stop,
        )
        progress(max(seen, summary.to_do - summary.remaining), summary.to_do)
    return summary


def _show_estimate(found: Estimate, format: Format) -> None:
    row = found.to_dict()
    if format is Format.json:
        out.as_json({"dry_run": True, **row})
        return
    reasons = row.pop("reasons")
    out.table([row])
    _show_reasons(reasons, "failures in the sample")
    if found.n_sample:
        out.note(
            f"{found.to_do} of {found.in_scope} items to do (counted); time, bytes and cost are estimates "
            f"from {found.n_sample} items that were loaded and scored just now, writing left out"
        )
    else:
        out.note("nothing to do")


def _show_summary(summary: BackfillSummary, format: Format) -> None:
    row = summary.to_dict()
    if format is Format.json:
        out.as_json(row)
    else:
        reasons = row.pop("reasons")
        out.table([row])
        _show_reasons(reasons, "why")
    if summary.interrupted:
        out.note(f"stopped with {summary.remaining} items left; the same command goes on")
    elif summary.remaining:
        out.note(f"{summary.remaining} items are left; the same command goes on")
    if summary.failed:
        out.note(f"{summary.failed} items are marked as failed; --retry-failed tries them again")
    if summary.refused:
        out.note(f"{summary.refused} documents were refused by the index")


def _show_reasons(reasons: dict[str, int], title: str) -> None:
    if reasons:
        rows = [{"reason": why, "items": n} for why, n in sorted(reasons.items(), key=lambda one: -one[1])]
        out.table(rows, title=title)


__all__ = ["backfill"]
