"""`rank-cli scorer analyze`: do clicked photos score higher than those beside them?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._output import Format, FormatOption

if TYPE_CHECKING:
    from scorer.labels.analysis import ScoreAnalysis, Word, WordAnalysis


def analyze(
    labels: Annotated[
        list[Path], typer.Argument(metavar="LABELS...", help="Label files (JSONL) whose lines say `clicked`.")
    ],
    html: Annotated[Path | None, typer.Option("--html", help="Also write a page with plots.")] = None,
    top: Annotated[
        int, typer.Option("--top", min=1, help="Most common adjectives of a side that count as common.")
    ] = 30,
    resamples: Annotated[
        int, typer.Option("--resamples", min=0, help="Draws of pages for the 95 % intervals.")
    ] = 2000,
    seed: Annotated[int, typer.Option("--seed", help="Of the draws.")] = 0,
    format: FormatOption = Format.table,
) -> None:
    """Compare scores and adjectives of clicked photos with those of the photos beside them.

    Example: rank-cli scorer analyze labels/labels.jsonl --html analysis.html
    """
    import numpy as np

    from scorer.labels import read_files
    from scorer.labels.analysis import analyze_scores, analyze_words, write_page

    found = read_files(labels)
    if found.warning:
        out.note(found.warning)
    with out.progress("resamples of pages", resamples) as advance:
        scores = analyze_scores(
            found.pages, rng=np.random.default_rng(seed), n_resamples=resamples, advance=advance
        )
    words = analyze_words(found.pages, top=top)
    if html is not None:
        write_page(scores, words, found.name, html)
        out.note(f"wrote {html}")
    if format is Format.json:
        said = None if words is None else words.to_dict()
        out.as_json({"skipped": found.skipped, "scores": scores.to_dict(), "adjectives": said})
    else:
        _print(scores, words)


def _print(scores: ScoreAnalysis, words: WordAnalysis | None) -> None:
    from scorer.labels.analysis.scores import PAPER

    title = f"Normalised scores on {scores.n_pages} pages" + (
        " (simulated clicks)" if scores.simulated else ""
    )
    out.table(
        [
            _side("clicked", scores.n_clicked, scores.median_clicked, scores.mean_clicked)
            | {"paper's median": PAPER["median"][0], "paper's mean": PAPER["mean"][0]},  # type: ignore[index]
            _side("not clicked", scores.n_not_clicked, scores.median_not_clicked, scores.mean_not_clicked)
            | {"paper's median": PAPER["median"][1], "paper's mean": PAPER["mean"][1]},  # type: ignore[index]
        ],
        title=title,
    )
    out.table(
        [
            {"test": "difference of means", "figure": str(scores.mean_difference), "p": ""},
            {"test": "Kolmogorov-Smirnov", "figure": f"{scores.ks:.3f}", "p": f"{scores.ks_p:.3g}"},
            {"test": "Mann-Whitney: P(clicked > not)", "figure": str(scores.superiority),
             "p": f"{scores.mann_whitney_p:.3g}"},
            {"test": "rank-biserial", "figure": f"{scores.rank_biserial:+.3f}, {scores.effect}", "p": ""},
            {"test": "P(clicked > not) within pages", "figure": str(scores.within_pages), "p": ""},
        ]
    )  # fmt: skip
    for why, n in scores.left_out.items():
        out.note(f"{n} pages left out: {why}")
    if words is None:
        out.note("no adjectives in these labels")
    else:
        sides = (("clicked", words.sentiment_clicked), ("not clicked", words.sentiment_not_clicked))
        out.table(
            [
                {"adjectives of": name} | {kind: f"{share:.1%}" for kind, share in shares.items()}
                for name, shares in sides
            ],
            right=["positive", "neutral", "negative"],
        )
        out.table(
            [
                {"only common where": name, "adjectives": ", ".join(map(_said, unique)) or "(none)"}
                for name, unique in (
                    ("clicked", words.unique_clicked),
                    ("not clicked", words.unique_not_clicked),
                )
            ]
        )
    out.note(scores.verdict)


def _side(name: str, n: int, median: float, mean: float) -> dict[str, object]:
    return {"photos": name, "n": n, "median": f"{median:.3f}", "mean": f"{mean:.4f}"}


def _said(word: Word) -> str:
    sign = {"positive": "+", "negative": "-", "neutral": ""}[word.sentiment]
    return f"{word.word} {sign}".strip()


__all__ = ["analyze"]
