"""`rank-cli scorer embed`: image embeddings for the items of an index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, index_name
from ranking.cli._output import Format, FormatOption


def embed(
    tower: Annotated[
        str, typer.Option("--tower", help="compact, MODEL:PRETRAINED, hf-hub:org/repo, local-dir:/path.")
    ] = "compact",
    photos_root: Annotated[
        Path | None, typer.Option("--photos-root", help="Folder below which photos may be read from files.")
    ] = None,
    private_hosts: Annotated[
        bool, typer.Option("--allow-private-hosts", help="Also download from addresses of one's own network.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Also items that have an embedding already.")
    ] = False,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads for torch.")] = 1,
    index: IndexOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Write image embeddings of the index's photos, for `rank-cli similar`.

    Does what is missing, so it can be stopped and started again, and run after every ingest. Where the tower
    has a text side, `image_attributes` are written from the same vectors.

    Example: rank-cli scorer embed --tower local-dir:runs/similar --photos-root photos
    """
    from ranking.es import connect
    from scorer.ingest.photos import PhotoSource
    from scorer.similar.embedder import Embedder, embed_index

    es, name = connect(), index_name(index)
    embedder = Embedder(tower, threads=threads)
    source = PhotoSource(root=photos_root, allow_private_hosts=private_hosts)
    with out.progress("items seen") as advance:
        result = embed_index(es, name, embedder, source, again=again, advance=advance)
    row = {
        "index": name,
        "embedding_version": embedder.version,
        "dims": embedder.tower.embed_dim,
        "written": result.written,
        "changed_meanwhile": result.changed_meanwhile,
        "without_photo": len(result.without_photo),
        "attributes": embedder.prompts is not None,
    }
    if format is Format.json:
        out.as_json(row)
    else:
        out.table([row])
    for item_id, why in list(result.without_photo.items())[:3]:
        out.note(f"{item_id}: {why}")
