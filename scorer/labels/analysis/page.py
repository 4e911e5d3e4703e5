"""The analysis as one self-contained HTML file: verdict, distributions, words. No script, nothing fetched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ranking.html_file import render_page
from ranking.whole_file import write_text
from scorer.labels.analysis.scores import PAPER, ScoreAnalysis
from scorer.labels.analysis.words import SIDES, Word, WordAnalysis

F64 = NDArray[np.float64]
BINS: Final = 10
WIDTH, HEIGHT, LEFT, BOTTOM = 620, 240, 44, 34  # pixels of a plot, and of its margins
_SHOWN_WORDS: Final = 20


def write_page(scores: ScoreAnalysis, words: WordAnalysis | None, source: str, out: Path) -> Path:
    """Write the page, whole or not at all; returns `out`."""
    text = render_page(
        "scorer.labels.analysis",
        inline_styles=False,
        scores=scores,
        words=words,
        source=source,
        paper=PAPER,
        bars=bars(scores.clicked, scores.not_clicked),
        steps=[steps(scores.clicked), steps(scores.not_clicked)],
        ticks=[(round(_x(i / 5), 1), f"{i / 5:.1f}") for i in range(6)],
        plot={"width": WIDTH, "height": HEIGHT, "left": LEFT, "floor": HEIGHT - BOTTOM, "right": WIDTH - 8},
        sides=_sides(words),
        columns=_columns(words),
    )
    return write_text(out, [text])


def bars(clicked: F64, not_clicked: F64) -> list[dict[str, Any]]:
    """Histogram bars of both sides, as shares of each side: where they stand, and what they say."""
    edges = np.linspace(0.0, 1.0, BINS + 1)
    shares = [np.histogram(values, edges)[0] / len(values) for values in (clicked, not_clicked)]
    highest = max(float(share.max()) for share in shares)
    width = (_x(1.0) - _x(0.0)) / BINS
    found = []
    for number, (kind, share) in enumerate(zip(("clicked", "rest"), shares, strict=True)):
        for i in range(BINS):
            height = (HEIGHT - BOTTOM - 12) * float(share[i]) / highest
            says = f"{edges[i]:.1f} to {edges[i + 1]:.1f}: {share[i]:.1%}"
            found.append(
                {
                    "kind": kind,
                    "x": round(_x(float(edges[i])) + width * (0.08 + 0.42 * number), 1),
                    "y": round(HEIGHT - BOTTOM - height, 1),
                    "width": round(width * 0.42, 1),
                    "height": round(height, 1),
                    "says": says,
                }
            )
    return found


def steps(values: F64) -> str:
    """The cumulative distribution of one side, as the points of a line."""
    at, counts = np.unique(values, return_counts=True)
    share = np.cumsum(counts) / len(values)
    points = [(0.0, 0.0)]
    for x, y in zip(at, share, strict=True):
        points += [(float(x), points[-1][1]), (float(x), float(y))]
    points.append((1.0, 1.0))
    return " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in points)


def _x(score: float) -> float:
    return LEFT + (WIDTH - 8 - LEFT) * score


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 12) * share


def _sides(words: WordAnalysis | None) -> list[dict[str, Any]]:
    """Stacked bars of sentiment, per side."""
    if words is None:
        return []
    rows = []
    for name, shares in (("clicked", words.sentiment_clicked), ("not clicked", words.sentiment_not_clicked)):
        rows.append({"name": name, "parts": [{"kind": kind, "share": shares[kind]} for kind in SIDES]})
    return rows


def _columns(words: WordAnalysis | None) -> list[dict[str, Any]]:
    """Words that are one side's own, and those that divide the sides most."""
    if words is None:
        return []
    telling = [word for word in words.words if word.n_clicked + word.n_not_clicked >= 5]
    by_odds = sorted(telling, key=lambda word: -word.log_odds)
    return [
        _column("only common where clicked", words.unique_clicked),
        _column("only common where not clicked", words.unique_not_clicked),
        _column("most for clicked", [word for word in by_odds if word.log_odds > 0]),
        _column("most for not clicked", [word for word in reversed(by_odds) if word.log_odds < 0]),
    ]


def _column(name: str, words: Sequence[Word]) -> dict[str, Any]:
    return {"name": name, "words": words[:_SHOWN_WORDS]}


__all__ = ["bars", "steps", "write_page"]
