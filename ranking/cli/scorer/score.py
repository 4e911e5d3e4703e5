"""`rank-cli scorer score`: score photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._output import Format, FormatOption
from ranking.cli.scorer._options import DeviceOption, HeadOption, ModelOption, folder_of

if TYPE_CHECKING:
    from PIL import Image

    from scorer.calibration import Domain
    from scorer.model.tips import Hero, Measured


def score(
    photos: Annotated[
        list[Path],
        typer.Argument(metavar="PHOTO...", help="Photos: any format that Pillow reads; HEIC with an extra."),
    ],
    model: ModelOption = "compact",
    head: HeadOption = None,
    device: DeviceOption = "cpu",
    tips: Annotated[
        bool, typer.Option("--tips", help="Also: what to change on each photo, and which to show first.")
    ] = False,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            help="Tell strange photos by what `calibrate --save` wrote; by the model's own without.",
        ),
    ] = None,
    format: FormatOption = Format.table,
) -> None:
    """Score photos: 0 is poor, 1 is good.

    A photo is out of domain where it lies further from those that the model knows than 99 % of those from
    each other: its score is unproven. A model without a domain says nothing about it. A photo that cannot
    be read has an empty score and its error; the exit code is then 1. With --tips the photos are taken as
    those of one item: each gets what was measured and what to change, and the best is suggested as the
    first to show.

    Example: rank-cli scorer score front.jpg back.jpg --tips
    """
    from scorer.calibration import score_and_describe
    from scorer.model.photo import PhotoError, open_photo
    from scorer.model.scorer import load_scorer

    scorer = load_scorer(model, head=head, device=device)
    domain = _domain(head or folder_of(model), reference, scorer.version)
    advice = _Advice() if tips else None
    rows: list[dict[str, Any]] = []
    with out.progress("photos scored", len(photos)) as advance:
        for path in photos:
            row: dict[str, Any] = {
                "photo": str(path),
                "score": None,
                "out_of_domain": None,
                "domain_distance": None,
                "model_version": scorer.version,
                "error": None,
            }
            try:
                image = open_photo(path, size=None if tips else scorer.image_size)
                scores, features = score_and_describe(scorer, scorer.preprocess(image)[None])
                row["score"] = round(float(scores[0]), 4)
                if domain:
                    distance = float(domain.distances(features)[0])
                    row["domain_distance"] = round(distance, 4)
                    row["out_of_domain"] = distance > domain.threshold
                if advice:
                    advice.add(image)
            except PhotoError as e:
                row["error"] = str(e)
                if advice:
                    advice.add(None)
            rows.append(row)
            advance(1)
    failed = any(row["error"] for row in rows)
    known = {"threshold": round(domain.threshold, 4), "n_photos": domain.n_photos} if domain else None
    if format is Format.json:
        extra = advice.as_json(rows) if advice else {}
        out.as_json({"model_version": scorer.version, "domain": known, "photos": rows} | extra)
    else:
        hidden = set() if failed else {"error"}
        hidden |= set() if domain else {"out_of_domain", "domain_distance"}
        shown = [{k: v for k, v in row.items() if k not in hidden} for row in rows]
        out.table(shown, right=["score", "domain_distance"])
        if advice:
            advice.print(rows)
    strange = sum(bool(row["out_of_domain"]) for row in rows)
    if domain and strange:
        out.note(
            f"{strange} of {len(rows)} photos out of domain: further than {domain.threshold:.2f} from "
            "those that the model knows; their scores are unproven"
        )
    if failed:
        raise typer.Exit(1)


def _domain(folder: Path, reference: Path | None, version: str) -> Domain | None:
    """What the photos are compared with; a file of another model beside the weights is told, and not used."""
    from scorer.calibration import OtherModel, domain_of_reference, read_domain

    if reference is not None:
        return domain_of_reference(reference, version)
    try:
        return read_domain(folder, version)
    except OtherModel as e:
        out.note(f"out of domain is not told: {e}; {e.hint}")
        return None


class _Advice:
    """Tips and hero of the photos as they are read."""

    def __init__(self) -> None:
        self._measured: list[Measured | None] = []

    def add(self, image: Image.Image | None) -> None:
        from scorer.model.tips import measure

        self._measured.append(None if image is None else measure(image))

    def as_json(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Puts the tips into the rows; the hero apart."""
        from scorer.model.tips import as_rows, tips_for

        for row, measured in zip(rows, self._measured, strict=True):
            row["tips"] = as_rows(tips_for(measured)) if measured else []
        hero = self._hero(rows)
        if hero is None:
            return {"hero": None}
        return {"hero": {"photo": rows[hero.index]["photo"], "score": hero.score, "reason": hero.reason}}

    def print(self, rows: list[dict[str, Any]]) -> None:
        from scorer.model.tips import furthest_from_good, tips_for

        for row, measured in zip(rows, self._measured, strict=True):
            if measured is None:
                continue
            found = tips_for(measured)
            out.raw(f"\n{row['photo']}")
            for tip in found:
                out.raw(f"  - {tip.sentence}")
            if not found:
                out.raw(f"  nothing measured is beyond its limit; {furthest_from_good(measured)}")
        if hero := self._hero(rows):
            out.raw(f"\nshow {rows[hero.index]['photo']} first: {hero.reason}")

    def _hero(self, rows: list[dict[str, Any]]) -> Hero | None:
        from scorer.model.tips import suggest_hero

        return suggest_hero([row["score"] for row in rows], self._measured)
