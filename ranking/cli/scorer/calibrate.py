"""`rank-cli scorer calibrate`: what a model's scores are like, whether they moved, and on whose scale."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._output import Format, FormatOption
from ranking.cli.scorer._options import DeviceOption, ModelOption, folder_of
from ranking.errors import InputError

if TYPE_CHECKING:
    from scorer.calibration import Drift, Reference

STRANGE = 0.05  # share of photos out of domain; by the threshold's definition it is 0.01 among alike photos


def calibrate(
    photos: Annotated[
        Path, typer.Option("--photos", help="Folder of photos; a photo's category is its folder's name.")
    ],
    model: ModelOption = "compact",
    save: Annotated[
        Path | None, typer.Option("--save", help="Write scores and features here, to compare with later.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option("--against", help="Test for drift from what --save wrote.")
    ] = None,
    like: Annotated[
        str | None,
        typer.Option("--like", help="A model whose scale --model is to take over; needs --out."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--out", help="With --like: scorer folder to write, --model on that scale.")
    ] = None,
    domain: Annotated[
        bool,
        typer.Option(
            "--domain",
            help="Write into the model's folder what these photos are like, for `scorer score` to tell "
            "strange ones: give those that it was trained on.",
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="With --against: exit 2 where scores moved or photos are strange.")
    ] = False,
    device: DeviceOption = "cpu",
    format: FormatOption = Format.table,
) -> None:
    """Score distribution per category; drift from a reference; a new model on the old one's scale.

    Drift: the population stability index (below 0.1 stable, up to 0.25 moved, above shifted) where the
    Kolmogorov-Smirnov test does not call it chance. Out of domain: further from the reference's photos than
    99 % of those are from each other, by what the tower reads of them; over 5 % of photos is strange.

    Example: rank-cli scorer calibrate --photos photos --save reference.npz

    Example: rank-cli scorer calibrate --photos new-photos --against reference.npz --check

    Example: rank-cli scorer calibrate --photos photos --model runs/new --like compact --out runs/new-scaled

    Example: rank-cli scorer calibrate --photos photos --model runs/new --domain
    """
    from scorer.calibration import by_category, read_reference, save_domain, save_reference, take
    from scorer.model.scorer import load_scorer
    from scorer.training.data import list_photos

    if (like is None) != (to is None):
        raise InputError("--like and --out go together")
    if check and against is None:
        raise InputError("--check needs --against")
    before = read_reference(against) if against else None
    scorer = load_scorer(model, device=device)
    names = list_photos(photos)
    with out.progress("photos scored", len(names)) as advance:
        now = take(scorer, photos, names, advance=advance)
    for reason in now.unreadable[:5]:
        out.note(f"left out: {reason}")
    if len(now.unreadable) > 5:
        out.note(f"left out: {len(now.unreadable) - 5} more photos that cannot be read")
    data: dict[str, Any] = {
        "model_version": scorer.version,
        "n_photos": len(now.scores),
        "n_unreadable": len(now.unreadable),
        "distributions": [
            {"category": d.category, "n": d.n, "mean": round(d.mean, 4)}
            | dict(zip(("p05", "p25", "p50", "p75", "p95"), (round(q, 4) for q in d.quantiles), strict=True))
            for d in by_category(now.scores, now.categories)
        ],
    }
    moved = False
    if before is not None:
        data["drift"], moved = _drift(before, now)
    if save is not None:
        save_reference(now, save)
        data["saved"] = str(save)
    if domain:
        data["domain"] = str(save_domain(now, folder_of(model)))
    if like is not None and to is not None:
        data["map"] = _rescale(model, now, like, to, photos, names)
    if format is Format.json:
        out.as_json(data)
    else:
        _print(data)
    if check and moved:
        raise typer.Exit(2)


def _drift(before: Reference, now: Reference) -> tuple[dict[str, Any], bool]:
    """Overall and per category that both have; whether anything moved."""
    import numpy as np

    from scorer.calibration import Domain, drift

    def row(category: str, found: Drift) -> dict[str, Any]:
        return {
            "category": category,
            "n": found.n,
            "psi": round(found.psi, 4),
            "ks": round(found.ks, 4),
            "p_value": float(f"{found.p_value:.3g}"),
            "verdict": found.verdict,
        }

    rows = [row("all", drift(before.scores, now.scores))]
    old, new = np.asarray(before.categories), np.asarray(now.categories)
    for category in sorted(set(before.categories) & set(now.categories)):
        rows.append(row(category, drift(before.scores[old == category], now.scores[new == category])))
    found: dict[str, Any] = {"reference_version": before.version, "scores": rows}
    moved = rows[0]["verdict"] != "stable"
    if before.version == now.version:
        domain = Domain.of(before.features)
        share = float(domain.outside(now.features).mean())
        found |= {"out_of_domain_share": round(share, 4), "threshold": round(domain.threshold, 4)}
        moved = moved or share > STRANGE
    else:
        out.note(f"the reference is of {before.version}: features of two models cannot be compared")
    return found, moved


def _rescale(
    model: str, now: Reference, like: str, to: Path, photos: Path, names: list[str]
) -> dict[str, Any]:
    """Write `model` with a map to the scale of `like`."""
    from scorer.calibration import drift, fit_score_map, save_domain, take
    from scorer.calibration.domain import FEWEST
    from scorer.calibration.rescale import write_mapped
    from scorer.model.scorer import load_scorer

    old = load_scorer(like)
    with out.progress("photos scored by the old model", len(names)) as advance:
        before = take(old, photos, names, advance=advance)
    write_mapped(model, fit_score_map(now.scores, before.scores), to)
    mapped = load_scorer(to)
    with out.progress("photos scored on the old scale", len(names)) as advance:
        after = take(mapped, photos, names, advance=advance)
    if len(after.features) >= FEWEST:
        save_domain(after, to)
    return {
        "folder": str(to),
        "model_version": mapped.version,
        "like": old.version,
        "psi_before": round(drift(before.scores, now.scores).psi, 4),
        "psi_after": round(drift(before.scores, after.scores).psi, 4),
    }


def _print(data: dict[str, Any]) -> None:
    out.table(data["distributions"], title=f"scores of {data['model_version']}, by category")
    if "drift" in data:
        found = data["drift"]
        out.table(found["scores"], title=f"against the reference of {found['reference_version']}")
        if "out_of_domain_share" in found:
            out.note(
                f"out of domain: {100 * found['out_of_domain_share']:.1f} % of photos lie further than "
                f"{found['threshold']:.3f} from the reference's; 1 % would be usual"
            )
    if "map" in data:
        out.table([data["map"]], title="on the other model's scale")
    if "saved" in data:
        out.note(f"reference written to {data['saved']}")
    if "domain" in data:
        out.note(f"domain written to {data['domain']}")


__all__ = ["calibrate"]
