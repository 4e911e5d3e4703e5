"""`rank-cli replay judge`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, index_name
from ranking.cli.replay._options import ClickAction, Folder, Resamples, Seed

if TYPE_CHECKING:
    from replay.clicks import ClickGrades, Pages, Rated
    from replay.log import CaptureLog


def judge(
    folder: Folder,
    model: Annotated[
        str, typer.Option("--model", help="Click model: pbm (position-based), pbm-em, cascade, dbn or coec.")
    ] = "pbm",
    labels: Annotated[
        list[Path] | None,
        typer.Option("--from-labels", help="Instead: pages of photos with scores (JSONL); may be repeated."),
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            "--photos", help="With --from-labels: CSV item_id,image. The index is asked by default."
        ),
    ] = None,
    ratings: Annotated[
        Path | None,
        typer.Option("--from-ratings", help="Instead: CSV or JSONL of query, item_id, rating, rater."),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option("--scale", min=0.001, help="With --from-ratings: the best rating there is."),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Name of the ratings or labels; the file's by default.")
    ] = None,
    action: ClickAction = "click",
    min_examined: Annotated[
        float, typer.Option("--min-examined", min=0, help="Expected examinations that a grade needs.")
    ] = 10.0,
    whole: Annotated[bool, typer.Option("--whole", help="Round grades to whole ones.")] = False,
    to: Annotated[
        Path | None, typer.Option("--to", help="Write judgments/ and propensities/ here instead of DIR.")
    ] = None,
    resamples: Resamples = 200,
    seed: Seed = 0,
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Turn clicks, ratings or photo labels into judgments, and clicks into examination probabilities.

    Example: rank-cli replay judge captures --model pbm
    """
    from replay import read_log

    log = read_log(folder)
    target = to or folder
    if labels and ratings is not None:
        raise typer.BadParameter("--from-labels and --from-ratings are two sources: run the command twice")
    if labels:
        _from_labels(log, labels, photos, source, target, index, fmt)
    elif ratings is not None:
        _from_ratings(log, ratings, scale, source, target, fmt)
    else:
        import numpy as np

        from replay.clicks import MODELS, grades_from_clicks, read_pages, write_exam_probs
        from replay.judgments import write_judgments

        if model not in MODELS:
            raise typer.BadParameter(f"{model!r} is not one of {', '.join(MODELS)}", param_hint="--model")
        pages = read_pages(log, folder, action=action)
        rounds = resamples * len(pages.platforms()) if model in ("pbm", "pbm-em") else len(pages.platforms())
        with out.progress("refitting on resampled users", rounds) as advance:
            grades = grades_from_clicks(
                pages,
                model,
                np.random.default_rng(seed),
                min_examined=min_examined,
                rounded=whole,
                n_resamples=resamples,
                advance=advance,
            )
        write_judgments(target, grades.rows, grades.source)
        exam = (
            write_exam_probs(target, grades.evidence.exam, grades.source, simulated=pages.simulated)
            if grades.evidence.exam
            else None
        )
        _print_clicks(pages, grades, target, exam, fmt)


def _from_labels(
    log: CaptureLog,
    labels: list[Path],
    photos: Path | None,
    source: str | None,
    target: Path,
    index: str | None,
    fmt: out.Format,
) -> None:
    from ranking.item_photos import photos_in_index, read_photos_csv
    from replay.clicks import read_photo_labels

    if photos is not None:
        photo_of = read_photos_csv(photos)
    else:
        from ranking.es import connect

        photo_of = photos_in_index(connect(), index_name(index), sorted(set(log.item_id)))
    rated, unused = read_photo_labels(labels, log, photo_of)
    name = source or f"labels-{labels[0].stem}"
    out.note(f"{unused} labelled photos belong to no captured item")
    out.note("these grade the photo, whatever the query: they say nothing of relevance")
    _write_rated(log, rated, name, target, fmt)


def _from_ratings(
    log: CaptureLog, path: Path, scale: float | None, source: str | None, target: Path, fmt: out.Format
) -> None:
    from replay.clicks import read_ratings

    _write_rated(log, read_ratings(path, scale=scale), source or f"ratings-{path.stem}", target, fmt)


def _write_rated(log: CaptureLog, rated: Rated, source: str, target: Path, fmt: out.Format) -> None:
    from replay.judgments import write_judgments

    n = write_judgments(target, rated.rows, source)
    judged = {query for query, _, _ in rated.rows}
    result = {
        "source": source,
        "grades": n,
        "ratings": rated.n_ratings,
        "raters": rated.n_raters,
        "mean_disagreement": rated.disagreement,
        "queries": len(judged),
        "queries_in_log": len(judged & set(log.searches["query"])),
        "searches_judged": sum(query in judged for query in log.searches["query"]),
        "folder": str(target / "judgments"),
    }
    if fmt is out.Format.json:
        out.as_json(result)
    else:
        out.table([result])


def _print_clicks(
    pages: Pages, grades: ClickGrades, target: Path, exam: Path | None, fmt: out.Format
) -> None:
    from dataclasses import asdict

    said = "simulated clicks" if pages.simulated else "clicks"
    summary: dict[str, Any] = {
        "source": grades.source,
        "simulated": pages.simulated,
        "searches": len(pages.clicks),
        "users": pages.n_users,
        "clicks": pages.n_clicks,
        "stray_clicks": pages.n_stray,
        "grades": len(grades.rows),
        "pairs_examined_too_seldom": grades.left_out,
        "value_of_grade_4": grades.reference,
        "median_relative_error": float(_median(grades)),
        "facts": grades.evidence.facts,
        "folder": str(target / "judgments"),
    }
    if fmt is out.Format.json:
        rows = [asdict(row) for row in grades.evidence.exam]
        out.as_json({**summary, "exam_prob": rows, "propensities": str(exam) if exam else None})
        return
    if grades.evidence.exam:
        out.table(
            [
                {
                    "platform": row.platform,
                    "rank": row.rank,
                    "exam_prob": None if row.exam_prob is None else f"{row.exam_prob:.3f}",
                    "95 % interval": "" if row.low is None else f"{row.low:.3f} to {row.high:.3f}",
                    "impressions": row.impressions,
                    said: row.clicks,
                }
                for row in grades.evidence.exam
            ],
            title=f"Examination, rank 1 taken as always examined ({said})",
            right=("exam_prob", "95 % interval"),
        )
        unknown = sum(row.exam_prob is None for row in grades.evidence.exam)
        if unknown:
            out.note(f"{unknown} ranks have no exam_prob: no clicked item moved between them and rank 1")
        wide = sum(row.exam_prob is not None and row.low is None for row in grades.evidence.exam)
        if wide:
            out.note(f"{wide} ranks have no interval: too few clicks on items that moved; log more searches")
        out.note(f"wrote {exam}")
    out.note(
        f"{grades.source}: {len(grades.rows)} grades from {pages.n_clicks} {said} of {pages.n_users} users "
        f"in {len(pages.clicks)} searches; {grades.left_out} pairs were examined too seldom; "
        f"median relative error of a grade {_median(grades):.0%}"
    )
    for name, value in grades.evidence.facts.items():
        out.note(f"{name}: {value:.6g}")
    if pages.n_stray:
        out.note(f"{pages.n_stray} {said} are on a search or item that the log does not show: not counted")
    out.note(f"wrote {target / 'judgments' / (grades.source + '.parquet')}")


def _median(grades: ClickGrades) -> float:
    import numpy as np

    return float(np.median(grades.error / grades.value))
