"""`rank-cli replay run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, relative_change
from ranking.cli.replay._cluster import ask_cluster
from ranking.cli.replay._findings import Findings, show
from ranking.cli.replay._options import Folder, HistoryOption, JudgmentsOption, Live
from ranking.cli.replay._prepare import as_of_notes, base_query_note, moved_clocks, prepared

if TYPE_CHECKING:
    from replay.evaluation import Evaluation, Question

_CONTENDERS = ("additive", "multiplicative")


def run(
    folder: Folder,
    baseline: Annotated[str, typer.Option("--baseline", help="Profile: file or shipped name.")] = "control",
    contender: Annotated[
        list[str] | None, typer.Option("--contender", help="Profile to compare; may be given again.")
    ] = None,
    shift: Annotated[
        list[str] | None,
        typer.Option(
            "--shift", help="Move every clock, such as 7d: what the page would be then; may be given again."
        ),
    ] = None,
    judged_by: JudgmentsOption = None,
    history: HistoryOption = None,
    reconstruct: Annotated[
        bool,
        typer.Option("--reconstruct", help="Give searches without candidates those of the cluster now."),
    ] = False,
    require_exact: Annotated[
        int | None,
        typer.Option(
            "--require-exact", min=1, max=1000, help="Ask again what is not proven down to this rank."
        ),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", help="Keep the log that was reconstructed or asked again.", metavar="DIR"),
    ] = None,
    k: Annotated[int, typer.Option("--k", min=1, max=1000, help="Length of the page that is measured.")] = 10,
    measures: Annotated[
        str | None,
        typer.Option("--measures", help='What is measured, such as "nDCG@10,P(rel=2)@5,image_score@10".'),
    ] = None,
    by: Annotated[
        str, typer.Option("--by", help="Segments: any of platform,category,frequency; all for all three.")
    ] = "platform",
    test: Annotated[
        str,
        typer.Option("--test", help="clustered, t, wilcoxon, randomization or bca: see docs/statistics.md."),
    ] = "clustered",
    cluster: Annotated[
        str, typer.Option("--cluster", help="What moves together: searches of one query, or of one user.")
    ] = "query",
    adjust: Annotated[
        str, typer.Option("--adjust", help="Adjustment of the p values of one comparison: bh, holm or none.")
    ] = "bh",
    effect: Annotated[
        str | None,
        typer.Option("--effect", help="A relative change, such as 1%: days of log until it is detectable."),
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Write the HTML report here.")] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", help="Write a summary for a pull request here.")
    ] = None,
    live: Live = False,
    index: IndexOption = None,
    photos: Annotated[
        Path | None, typer.Option("--photos", help="Folder below which the report may read item photos.")
    ] = None,
    runner: Annotated[
        str | None,
        typer.Option(
            "--runner",
            help="Piece by piece, in constant memory: local (threads), or a Beam runner: direct, flink, "
            "spark, dataflow, portable, prism. The same figures. Without a report.",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Of --runner local or direct; 0 for one per core.")
    ] = 0,
    beam_option: Annotated[
        list[str] | None,
        typer.Option("--beam-option", help="A flag for Beam, such as --flink_master=host:8081."),
    ] = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Rank every captured search under other profiles, and say what changes, how sure, how exact.

    Example: rank-cli replay run captures --contender additive --contender multiplicative --report report.html
    """
    from ranking.errors import InputError
    from ranking.profile import find_profile
    from replay import compare_rankings, read_log
    from replay import verify as verify_log
    from replay.history import read_history
    from replay.judgments import read_judgments
    from replay.measures import measure, split
    from replay.moments import moment, page_changes
    from replay.significance import DIMENSIONS

    chosen = None if measures is None else [measure(text) for text in split(measures)]
    dimensions = DIMENSIONS if by == "all" else [name.strip() for name in by.split(",") if name.strip()]
    wanted = None if effect is None else relative_change(effect, "--effect")
    shifts = moved_clocks(shift)
    before, *others = [find_profile(name) for name in (baseline, *(contender or _CONTENDERS))]
    if runner is not None:
        from replay.evaluation import Question

        if report or markdown or live or history or reconstruct or require_exact or len(shifts) > 1:
            raise InputError(
                "--runner keeps no candidates and asks no cluster",
                hint="leave out what asks one, the report and the summary, and all but one --shift",
            )
        question = Question(
            baseline=before,
            contenders=tuple(others),
            k=k,
            measures=None if chosen is None else tuple(split(measures or "")),
            clock_shift_ms=shifts[0],
            judged_by=judged_by,
            categories="category" in dimensions,
        )
        pieces = evaluated(folder, question, runner, workers, beam_option or [])
        compared = pieces.compare(dimensions=dimensions, test=test, adjustment=adjust, clusters=cluster)
        show(Findings(compared, pieces.parity), fmt, effect=wanted)
        return
    known = read_history(history) if history else None
    with prepared(
        folder,
        [before, *others],
        shifts,
        baseline=baseline,
        history=history,
        reconstruct=reconstruct,
        require_exact=require_exact,
        keep=keep,
        index=index,
    ) as (ready, asked):
        log = read_log(ready)
        parity, judgments = verify_log(log), read_judgments(folder, judged_by)
    moments = [moment(log, ms, known, before.base_query.statuses) for ms in shifts]
    comparisons = [
        compare_rankings(
            at.log,
            at.rank(before),
            at.rank(other),
            judgments,
            k=k,
            chosen=chosen,
            dimensions=dimensions,
            test=test,
            adjustment=adjust,
            clusters=cluster,
        )
        for at in moments
        for other in others
    ]
    logged = moments[0] if shifts[0] == 0 else moment(log, 0, known, before.base_query.statuses)
    later = [at for at in moments if at.clock_shift_ms]
    changes = page_changes([logged, *later], [before, *others], k=k) if later else []
    base_query_note(log, [before, *others])
    as_of_notes(moments)
    today = ask_cluster(log, index, None) if live else None
    if report is not None:
        from ranking.es import connect
        from replay.reporting import write_report

        es = connect() if photos is not None or live else None
        write_report(
            moments[0].log,
            folder,
            comparisons,
            parity,
            live=today,
            judgments=judgments,
            out=report,
            es=es,
            photo_root=photos,
        )
        out.note(f"wrote {report}")
    if markdown is not None:
        from replay.reporting import write_summary

        write_summary(moments[0].log, folder, comparisons, parity, live=today, out=markdown, report=report)
        out.note(f"wrote {markdown}")
    found = Findings(comparisons, parity, today, changes, moments, asked, report, markdown)
    show(found, fmt, effect=wanted)


def evaluated(
    folder: Path, question: Question, runner: str, workers: int, beam_options: list[str]
) -> Evaluation:
    """Evaluate piece by piece, here or on a Beam runner."""
    if runner != "local":
        from replay.pipeline import evaluate_with_beam

        return evaluate_with_beam(folder, question, runner=runner, workers=workers, options=beam_options)
    from replay.batches import count_searches
    from replay.evaluation import evaluate

    with out.progress("evaluating searches", count_searches(folder)) as advance:
        return evaluate(folder, question, threads=workers, advance=advance)
