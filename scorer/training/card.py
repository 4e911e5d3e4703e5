"""MODEL_CARD.md of a run: what was trained on what, what it is worth, and how to read its score."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from scorer.model.scorer import ImageScorer
from scorer.training.config import TrainConfig

CARD: Final = "MODEL_CARD.md"


def write_card(out: Path, scorer: ImageScorer, config: TrainConfig, metrics: Mapping[str, Any]) -> None:
    """Write the card into the run's folder.

    Args:
        out: the run's folder.
        scorer: what it holds.
        config: how it was trained.
        metrics: what `metrics.json` says.
    """
    size = scorer.image_size
    head = "-".join(str(width) for width in (scorer.embed_dim, *scorer.config.head.hidden, 1))
    changed = {k: v for k, v in config.model_dump().items() if v != getattr(TrainConfig(), k)}
    lines = [
        f"# {scorer.version}",
        "",
        "| | |",
        "|---|---|",
        f"| tower | `{config.tower}` |",
        f"| head | {head} perceptron, GELU, calibrated sigmoid |",
        "| score | float in [0, 1]; higher is better; about 0.5 for the median photo that it learned from |",
        f"| input | uint8 RGB, {size} x {size}, NHWC; squashed, not cropped |",
        f"| learned from | {metrics['n_photos']} photos on {metrics['n_serps']} pages |",
        f"| took | {metrics['seconds']} s |",
        "",
        "## What it is worth",
        *_worth(metrics.get("validation")),
        "",
        "## Settings other than the defaults",
        *([f"- `{name}`: {value}" for name, value in changed.items()] or ["None."]),
        "",
    ]
    (out / CARD).write_text("\n".join(lines), encoding="utf-8")


def _worth(validation: Mapping[str, Any] | None) -> list[str]:
    if validation is None:
        return ["Not measured: the run had no validation pages. `rank-cli scorer evaluate` measures it."]
    lines = [
        f"On {validation['n_serps']} validation pages, in percent, with 95 % bootstrap intervals over pages.",
        "A run that stops early or searches a grid chooses by these pages, which flatters it a little.",
        "",
        "| | | 95 % interval | pairs |",
        "|---|---|---|---|",
    ]
    for name, found in (("OPA", validation["opa"]), ("CA", validation["ca"])):
        if found:
            interval = f"{found['low']:.1f} to {found['high']:.1f}"
            lines.append(f"| {name} | {found['value']:.1f} | {interval} | {found['n_pairs']} |")
    return lines


__all__ = ["CARD", "write_card"]
