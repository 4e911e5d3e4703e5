"""`rank-cli replay offpolicy`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli.replay._options import ClickAction, Folder, Resamples, Seed

if TYPE_CHECKING:
    from replay.clicks import ExamProbs, Pages
    from replay.log import CaptureLog
    from replay.offpolicy import Evaluation, LoggerProbs


class Logger(StrEnum):
    """Where the chance in what was served comes from."""

    recorded = "recorded"
    arms = "arms"
    none = "none"


def offpolicy(
    folder: Folder,
    target: Annotated[
        list[str],
        typer.Option("--target", help="Profile to evaluate: file or shipped name; may be repeated."),
    ],
    logger: Annotated[
        Logger,
        typer.Option(
            "--logger",
            help="recorded: explored pages carry their probabilities. arms: users were drawn into arms. "
            "none: nothing was drawn; needs --exam-probs.",
        ),
    ] = Logger.recorded,
    propensities: Annotated[
        Path | None,
        typer.Option(
            "--propensities",
            help="Probabilities of what was shown (Parquet or CSV: search_id, item_id, step_prob, "
            "position_prob); needs --pages-were-drawn.",
        ),
    ] = None,
    were_drawn: Annotated[
        bool,
        typer.Option(
            "--pages-were-drawn",
            help="I state that pages were drawn with the probabilities of --propensities.",
        ),
    ] = False,
    exam_probs: Annotated[
        Path | None,
        typer.Option(
            "--exam-probs", help="Examination by rank, as `replay judge` writes it; needs --trust-exam-probs."
        ),
    ] = None,
    trusted: Annotated[
        bool,
        typer.Option(
            "--trust-exam-probs", help="I state that clicks are position-based and --exam-probs are right."
        ),
    ] = False,
    k: Annotated[int, typer.Option("--k", min=1, max=1000, help="Ranks whose clicks count.")] = 10,
    clip: Annotated[float, typer.Option("--clip", min=1, help="Where clipped weights are cut off.")] = 20.0,
    by_platform: Annotated[
        bool, typer.Option("--by-platform", help="Print each platform too; JSON always has them.")
    ] = False,
    action: ClickAction = "click",
    resamples: Resamples = 1000,
    seed: Seed = 0,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Estimate the clicks another profile would have earned from the clicks on what was served.

    Needs chance in what was served, and refuses a deterministic log unless you give probabilities and state
    that they hold. Each estimator says what it assumes; exits 2 where every one that needs support lacks it.

    Example: rank-cli replay offpolicy captures --target additive
    """
    import numpy as np

    from ranking.profile import find_profile
    from replay import rank, read_log
    from replay.clicks import read_exam_probs, read_pages
    from replay.offpolicy import evaluate

    exam = None
    if exam_probs is not None:
        if not trusted:
            raise typer.BadParameter("say --trust-exam-probs with it: nothing in the log can show them right")
        exam = read_exam_probs(exam_probs)
    log = read_log(folder)
    pages = read_pages(log, folder, action=action)
    probs = _probabilities(log, pages, logger, propensities, were_drawn, exam)
    found = []
    with out.progress("estimating", len(target)) as advance:
        for name in target:
            ranking = rank(log, find_profile(name))
            rng = np.random.default_rng(seed)
            found.append(
                evaluate(
                    log, pages, ranking, rng, k=k, probs=probs, exam=exam, clip=clip, n_resamples=resamples
                )
            )
            advance(1)
    if fmt is out.Format.json:
        out.as_json({"evaluations": [one.as_dict() for one in found]})
    else:
        for one in found:
            _print(one, by_platform)
    if any(one.unsupported for one in found):
        raise typer.Exit(2)


def _probabilities(
    log: CaptureLog,
    pages: Pages,
    logger: Logger,
    propensities: Path | None,
    were_drawn: bool,
    exam: ExamProbs | None,
) -> LoggerProbs | None:
    from ranking.errors import InputError
    from replay.offpolicy import arms, recorded, told

    if propensities is not None:
        if not were_drawn:
            raise typer.BadParameter(
                "say --pages-were-drawn with it: nothing in the log can show that they were"
            )
        return told(propensities, log, pages.shown)
    if logger is Logger.arms:
        probs, shares = arms(log, pages.shown, pages.user)
        out.note(
            "taken as drawn by user: " + ", ".join(f"{arm} {share:.1%}" for arm, share in shares.items())
        )
        return probs
    if logger is Logger.none:
        if exam is None:
            raise InputError(
                "with nothing drawn, only examination can carry an estimate",
                hint="give --exam-probs FILE --trust-exam-probs, learned where ranks were randomised",
            )
        return None
    return recorded(log, pages.shown)


def _print(found: Evaluation, by_platform: bool) -> None:
    said = "simulated clicks" if found.simulated else "clicks"
    out.table(
        [_row(row) for row in (found.estimates if by_platform else found.of())],
        title=(
            f"\n{found.target}: {said} per search in the first {found.k}; {found.searches} searches of "
            f"{found.users} users with {found.clicks} {said}, logged {found.logged:.4f} per search"
        ),
        right=(
            "value",
            "95 % interval",
            "lift",
            "95 % of lift",
            "n eff",
            "mean w",
            "max w",
            "top 1 %",
            "tail k",
        ),
    )
    out.note(f"logger: {found.logger}; target's page proven for {found.proven} of {found.searches} searches")
    if found.not_drawn:
        out.note(f"{found.not_drawn} searches were not drawn: left out")
    if found.coverage is not None:
        out.note(f"exam: {found.coverage:.1%} of the target's examination falls on items that were shown")
    for warning, names in found.warnings.items():
        out.note(f"{', '.join(names)}: {warning}")
    assumptions: dict[str, list[str]] = {}
    for row in found.of():
        assumptions.setdefault(row.assumes, []).append(row.name)
    for assumes, names in assumptions.items():
        out.note(f"assumed by {', '.join(names)}: {assumes}")


def _row(row: Any) -> dict[str, Any]:
    def span(low: float | None, high: float | None, form: str) -> str:
        return "" if low is None or high is None else f"{low:{form}} to {high:{form}}"

    w = row.weights
    return {
        "estimator": row.name,
        "segment": row.segment,
        "n": row.searches,
        "value": f"{row.value:.4f}",
        "95 % interval": span(row.low, row.high, ".4f"),
        "lift": f"{row.lift:+.4f}",
        "95 % of lift": span(row.lift_low, row.lift_high, "+.4f"),
        "n eff": "" if w is None else f"{w.n_effective:.0f}",
        "mean w": "" if w is None else f"{w.mean:.2f}",
        "max w": "" if w is None else f"{w.largest:.1f}",
        "top 1 %": "" if w is None else f"{w.top_share:.0%}",
        "tail k": "" if w is None or w.pareto_k is None else f"{w.pareto_k:.2f}",
        "trust": "no" if row.unsupported else "see notes" if row.warnings else "",
    }
