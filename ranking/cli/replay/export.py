"""`rank-cli replay export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ranking.cli import _output as out
from ranking.cli._options import duration
from ranking.cli.replay._options import Folder, JudgmentsOption

if TYPE_CHECKING:
    from replay.engine import Ranking
    from replay.judgments import Judgments
    from replay.log import CaptureLog

Target = Literal["trec-run", "trec-qrels", "trec-topics", "ubi", "quepid", "rre", "letor", "rank-eval"]


def export(
    target: Annotated[
        Target,
        typer.Argument(
            help="trec-run, trec-qrels, trec-topics, ubi, quepid, rre, letor, rank-eval.", metavar="FORMAT"
        ),
    ],
    folder: Folder,
    path: Annotated[Path, typer.Argument(help="The file to write; a folder for ubi.", metavar="OUT")],
    profile: Annotated[
        str | None,
        typer.Option("--profile", help="Rank under this profile; by default the pages as they were served."),
    ] = None,
    judged_by: JudgmentsOption = None,
    shift: Annotated[
        str, typer.Option("--shift", help="With --profile: move every clock, such as 7d.")
    ] = "0",
    k: Annotated[int | None, typer.Option("--k", min=1, help="At most so many places a search.")] = None,
    unjudged: Annotated[
        float | None,
        typer.Option("--unjudged", min=0, help="letor: grade of items nobody judged; left out by default."),
    ] = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Write a capture folder in a format that another tool reads: all of it, or nothing.

    Example: rank-cli replay export trec-run captures additive.run --profile additive --k 100
    """
    from ranking.profile import find_profile
    from replay import rank, read_log

    shift_ms = duration(shift, "--shift")
    written: dict[str, Any]
    if target == "ubi":
        from replay.exporting import export_ubi

        done = export_ubi(folder, path)
        written = {"searches": done.searches, "events": done.events, "files": list(done.files)}
    else:
        log = read_log(folder)
        name = profile or ("control" if target in ("letor", "rank-eval") else None)
        found = find_profile(name) if name else None
        ranking = rank(log, found, clock_shift_ms=shift_ms) if found and target != "rank-eval" else None
        written = {
            "rows": _write(target, log, folder, path, ranking, name, k, unjudged, judged_by),
            "files": [str(path)],
        }
    if fmt is out.Format.json:
        out.as_json({"format": target, **written})
    else:
        counts = ", ".join(f"{n} {what}" for what, n in written.items() if what != "files")
        out.note(f"wrote {counts} to {', '.join(written['files'])}")


def _write(
    target: Target,
    log: CaptureLog,
    folder: Path,
    path: Path,
    ranking: Ranking | None,
    profile: str | None,
    k: int | None,
    unjudged: float | None,
    judged_by: str | None,
) -> int:
    from ranking.profile import find_profile
    from replay import exporting

    if target == "trec-run":
        return exporting.export_run(log, path, ranking=ranking, k=k)
    if target == "trec-topics":
        return exporting.export_topics(log, path)
    judgments = _judgments(folder, judged_by)
    match target:
        case "trec-qrels":
            return exporting.export_qrels(log, judgments, path)
        case "quepid":
            return exporting.export_quepid(judgments, path)
        case "rre":
            return exporting.export_rre(judgments, path, index=str(log.searches["index"][0]))
        case "rank-eval":
            return exporting.export_rank_eval(log, judgments, find_profile(str(profile)), path, k=k or 10)
        case _:
            if ranking is None:
                raise AssertionError(target)
            return exporting.export_letor(log, ranking, judgments, path, unjudged=unjudged)


def _judgments(folder: Path, judged_by: str | None) -> Judgments:
    from ranking.errors import InputError
    from replay.judgments import read_judgments

    found = read_judgments(folder, judged_by)
    if found is None:
        raise InputError(
            f"no judgments in {folder}", hint="import some with `rank-cli replay import quepid` or trec-qrels"
        )
    if found.simulated:
        out.note("these judgments are simulated")
    return found
