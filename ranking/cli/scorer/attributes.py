"""`rank-cli scorer attributes`: what a photo is like, in five numbers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._output import Format, FormatOption
from ranking.cli.scorer._options import ModelOption

if TYPE_CHECKING:
    from PIL import Image


class Source(StrEnum):
    """Where attributes come from."""

    auto = "auto"
    prompts = "prompts"
    statistics = "statistics"


def attributes(
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO...", help="Photos: any format that Pillow reads.")
    ],
    model: ModelOption = "compact",
    source: Annotated[
        Source,
        typer.Option(
            "--source",
            help="prompts (antonym texts on the model's embedding), statistics (of pixels), or auto: prompts "
            "where the model has a text side.",
        ),
    ] = Source.auto,
    format: FormatOption = Format.table,
) -> None:
    """Brightness, cleanness, colorfulness, contrast, sharpness of photos, each 0 to 1: higher is more.

    Example: rank-cli scorer attributes front.jpg back.jpg --format json
    """
    from scorer.model.attributes import ATTRIBUTES
    from scorer.model.photo import PhotoError, open_photo
    from scorer.model.prompts import NoTextSide
    from scorer.model.tips import attribute_values

    reader: _Prompted | None = None
    if source is not Source.statistics:
        try:
            reader = _Prompted(model)
        except NoTextSide as e:
            if source is Source.prompts:
                raise
            out.note(f"from image statistics: {e}")
    rows: list[dict[str, Any]] = []
    with out.progress("photos read", len(photos)) as advance:
        for path in photos:
            row: dict[str, Any] = {"photo": str(path), **dict.fromkeys(ATTRIBUTES), "error": None}
            try:
                image = open_photo(path)
                values = attribute_values([image])[0] if reader is None else reader.values(image)
                row |= {name: round(float(v), 4) for name, v in zip(ATTRIBUTES, values, strict=True)}
            except PhotoError as e:
                row["error"] = str(e)
            rows.append(row)
            advance(1)
    failed = any(row["error"] for row in rows)
    if format is Format.json:
        told = "statistics" if reader is None else "prompts"
        out.as_json({"source": told, "photos": rows})
    else:
        out.table(
            rows if failed else [{k: v for k, v in row.items() if k != "error"} for row in rows],
            right=ATTRIBUTES,
        )
    if failed:
        raise typer.Exit(1)


class _Prompted:
    """Attributes from the tower's embedding, as `rank-cli scorer embed` writes them."""

    def __init__(self, model: str) -> None:
        from scorer.model.scorer import tower_named
        from scorer.similar.embedder import Embedder

        self._embedder = Embedder(tower_named(model), need_prompts=True)

    def values(self, image: Image.Image) -> Any:
        from scorer.model.photo import preprocess

        pixels = preprocess(image, self._embedder.tower.image_size)[None]
        assert self._embedder.prompts is not None
        return self._embedder.prompts.attributes(self._embedder.embed(pixels))[0]
