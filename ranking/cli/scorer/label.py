"""`rank-cli scorer label`: labels by a vision model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._output import Format, FormatOption

if TYPE_CHECKING:
    from scorer.labelling.run import LabelSummary


def label(
    serps: Annotated[
        Path, typer.Argument(metavar="SERPS", help="Pages to label: what `scorer serps` writes.")
    ],
    folder: Annotated[
        Path, typer.Option("--out", help="Folder of the run. The same one again goes on where it was.")
    ],
    model: Annotated[str, typer.Option("--model", help="The endpoint's name of a model that sees pictures.")],
    base_url: Annotated[
        str, typer.Option("--base-url", envvar="OPENAI_BASE_URL", help="OpenAI-compatible endpoint.")
    ] = "https://api.openai.com/v1",
    photos: Annotated[
        Path | None, typer.Option("--photos", help="Folder that file names start from; no file without it.")
    ] = None,
    key_env: Annotated[
        str, typer.Option("--key-env", help="Environment variable that holds the API key.")
    ] = "OPENAI_API_KEY",
    prompt: Annotated[
        str, typer.Option("--prompt", help="zero_shot, guided, NAME-vN, or a file.")
    ] = "guided",
    translate: Annotated[
        bool, typer.Option("--translate/--no-translate", help="Have each query translated to English first.")
    ] = True,
    passes: Annotated[
        int, typer.Option("--passes", min=1, help="Times a page is judged; the second in reverse order.")
    ] = 1,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Label the first N pages only.")] = None,
    max_photos: Annotated[
        int, typer.Option("--max-photos", min=2, help="Pages of more photos are left out.")
    ] = 8,
    side: Annotated[int, typer.Option("--side", min=32, help="Longer side of a sent picture, pixels.")] = 512,
    price_in: Annotated[float | None, typer.Option("--price-in", help="Money per million tokens in.")] = None,
    price_out: Annotated[
        float | None, typer.Option("--price-out", help="Money per million tokens out.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option("--budget", help="Stop before the folder's runs have cost more.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Requests at a time.")] = 4,
    rpm: Annotated[int | None, typer.Option("--rpm", min=1, help="Requests per minute, at most.")] = None,
    tpm: Annotated[int | None, typer.Option("--tpm", min=1, help="Tokens per minute, at most.")] = None,
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds that one try may take.")] = 120.0,
    attempts: Annotated[int, typer.Option("--attempts", min=1, help="Tries of one request.")] = 6,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Longest answer.")] = 4_000,
    response_format: Annotated[
        str, typer.Option("--response-format", help="json_schema, json_object or none, as the endpoint can.")
    ] = "json_schema",
    old_limit: Annotated[
        bool, typer.Option("--old-limit", help="Send max_tokens, not max_completion_tokens.")
    ] = False,
    temperature: Annotated[
        float | None, typer.Option("--temperature", help="The endpoint's own by default.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the orders in which photos are shown.")] = 0,
    judge: Annotated[
        str | None, typer.Option("--judge", help="Name in the label file; MODEL/PROMPT by default.")
    ] = None,
    format: FormatOption = Format.table,
) -> None:
    """Label pages of photos with a vision model; one request per page, all its photos in it.

    The key is read from the environment. Answers are kept raw before they are used, so a run that was killed,
    or stopped by its budget, goes on without paying again. Prints what it cost and whether the order in which
    photos were shown swayed the scores.

    Example: rank-cli scorer label serps.jsonl --out labels --model gpt-4o --photos photos --budget 5 --price-in 2.5 --price-out 10
    """  # noqa: E501
    from ranking.errors import InputError
    from scorer.ingest.photos import PhotoSource
    from scorer.ingest.run import quiet_retries
    from scorer.labelling import EndpointConfig, LabelConfig, Prices, label_pages, read_pages_to_label

    quiet_retries()
    pages, skips = read_pages_to_label(serps, max_photos=max_photos)
    if skips:
        out.note(f"left out {len(skips)} lines: " + "; ".join(map(str, skips[:3])))
    pages = pages[:limit]
    try:
        endpoint = EndpointConfig(
            base_url=base_url,
            model=model,
            key_env=key_env,
            timeout_s=timeout_s,
            attempts=attempts,
            max_tokens=max_tokens,
            response_format=response_format,
            old_limit=old_limit,
            temperature=temperature,
        )
        config = LabelConfig(
            prompt=prompt,
            translate=translate,
            passes=passes,
            seed=seed,
            side=side,
            workers=workers,
            rpm=rpm,
            tpm=tpm,
            budget=budget,
            prices=Prices(per_million_in=price_in, per_million_out=price_out),
            judge=judge,
        )
    except ValueError as e:
        raise InputError(str(e)) from None
    with out.progress("pages gone through", len(pages) * passes) as advance:
        told = label_pages(pages, folder, PhotoSource(root=photos), endpoint, config, advance=advance)
    if format is Format.json:
        out.as_json(told.to_dict() | {"folder": str(folder), "skipped": len(skips)})
    else:
        _print(told, folder)
    if told.stopped == "interrupted":
        raise typer.Exit(1)


def _print(told: LabelSummary, folder: Path) -> None:
    row: dict[str, Any] = {
        "pages": told.pages,
        "labelled": told.labelled,
        "repaired": told.repaired,
        "failed": sum(told.failed.values()),
        "waiting": told.waiting,
        "requests": told.requests,
        "of earlier runs": told.from_journal,
        "retries": told.retries,
        "tokens in": told.tokens_in,
        "tokens out": told.tokens_out,
        "cost": "unknown" if told.cost is None else f"{told.cost:.4f}",
    }
    out.table([row], right=["cost"])
    for kind, n in told.failed.items():
        out.note(f"{n} failed: {kind} ({folder / 'failures.jsonl'} says which and why)")
    if told.maybe_billed:
        out.note(f"{told.maybe_billed} requests of a killed run may have been billed without an answer")
    if told.untranslated:
        out.note(f"{told.untranslated} queries were shown as they are: no usable translation came")
    if told.bias is not None:
        out.note(told.bias.verdict)
        if told.bias.flipped_pairs is not None:
            share = f"{told.bias.flipped_pairs:.1%}"
            out.note(f"{share} of pairs change order when the page is shown backwards")
    if told.stopped:
        out.note(f"stopped: {told.stopped}; the same command goes on")
    out.note(f"wrote {folder / 'labels.jsonl'}")


__all__ = ["label"]
