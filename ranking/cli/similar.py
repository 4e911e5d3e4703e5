"""`rank-cli similar`: items whose photos look like an item's."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, PlatformOption, check_platform, index_name, profile_named


def similar(
    item_id: Annotated[str, typer.Argument(help="The item to find others like.")],
    size: Annotated[int, typer.Option("--size", "-n", min=1, max=1000, help="Items to print.")] = 10,
    image_weight: Annotated[
        float,
        typer.Option("--image-weight", min=0.0, max=1.0, help="How much the image score counts: 0 to 1."),
    ] = 0.0,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            help="With --image-weight: a photo counts what it counts in a search under this profile, the cap "
            "on AI-generated ones included. File, shipped or published name, or NAME@VERSION.",
        ),
    ] = None,
    platform: PlatformOption = None,
    missing: Annotated[
        float | None,
        typer.Option(
            "--missing", min=0.0, max=1.0, help="Image score of an unscored item: the profile's, else 0.5."
        ),
    ] = None,
    same_category: Annotated[
        bool, typer.Option("--same-category", help="Only items of the same category.")
    ] = False,
    all_statuses: Annotated[
        bool, typer.Option("--all-statuses", help="Also items that are sold or deleted.")
    ] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="Compare with every item, in place of the HNSW graph: slower.")
    ] = False,
    candidates: Annotated[
        int,
        typer.Option("--candidates", min=0, max=10_000, help="Looked at on each shard; more finds more."),
    ] = 0,
    explain: Annotated[
        bool, typer.Option("--explain", help="Each score as its parts, and the rank by similarity alone.")
    ] = False,
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Items that look like an item: nearest image embeddings, on sale, optionally better photos first.

    Embeddings are written by `rank-cli scorer embed`. With --profile, the photo's part in the score is that
    profile's: its transform, its value for unscored items, its rule for photos that a generator made.

    Example: rank-cli similar p0a1b2c3d4e5f --image-weight 0.3 --explain

    Example: rank-cli similar p0a1b2c3d4e5f --image-weight 0.3 --profile additive
    """
    from ranking.errors import InputError
    from ranking.es import connect
    from ranking.similar import SimilarQuery, find_similar

    check_platform(platform)
    if profile is not None and not image_weight:
        raise InputError(
            "--profile says what a photo counts, and without --image-weight it counts nothing",
            hint="add --image-weight 0.3",
        )
    if platform is not None and profile is None:
        raise InputError("--platform picks a profile's override", hint="add --profile NAME")
    es = connect()
    boost = None
    if profile is not None:
        boost = profile_named(es, profile).for_platform(platform).image
        if missing is not None:
            boost = boost.model_copy(update={"missing": missing})
    try:
        query = SimilarQuery(
            size=size,
            image_weight=image_weight,
            missing=0.5 if missing is None else missing,
            boost=boost,
            on_sale=not all_statuses,
            same_category=same_category,
            exact=exact,
            candidates=candidates,
        )
    except ValueError as e:
        raise InputError(str(e)) from None
    page = find_similar(es, index_name(index), item_id, query)
    rows: list[dict[str, Any]] = []
    for item in page.items:
        row: dict[str, Any] = {
            "rank": item.rank,
            "item_id": item.item_id,
            "score": item.score,
            "image_score": item.image_score,
            "title": item.title,
            "category": item.category,
            "price": item.price,
        }
        if explain:
            row |= {
                "similarity": item.similarity,
                "image": item.image,
                "ai_probability": item.ai_probability,
                "rank_by_similarity": item.rank_by_similarity,
            }
        rows.append(row)
    if fmt is out.Format.json:
        out.as_json(
            {
                "item_id": page.item_id,
                "title": page.title,
                "embedding_version": page.embedding_version,
                "image_weight": image_weight,
                "profile": profile,
                "exact": exact,
                "window": page.window,
                "took_ms": page.took_ms,
                "hits": rows,
            }
        )
        return
    out.table(rows, title=f"like {page.item_id}: {page.title or 'no title'}", right=("image_score", "image"))
    formula = (
        f"similarity * ({1 - image_weight:g} + {image_weight:g} * image)" if image_weight else "similarity"
    )
    if profile is not None and image_weight:
        formula += f", image as in profile {profile}"
    how = "every item" if exact else "HNSW"
    out.note(f"score = {formula}; {how}, {page.window} candidates, {page.took_ms} ms")
