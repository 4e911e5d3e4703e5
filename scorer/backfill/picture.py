"""Two models' score distributions as one HTML file with SVG inside: nothing from elsewhere, no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ranking.html_file import base_style, policy
from scorer.backfill.compare import ALL, Compared, Pairs

_BINS: Final = 25  # of [0, 1]
_W, _H, _PAD = 340, 150, 24
_STYLE: Final = """
main { display: grid; gap: 24px; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 18px; }
figure { margin: 0; padding: 14px 16px; background: var(--surface); border-radius: var(--radius); }
svg { width: 100%; height: auto; } text { fill: var(--soft); font-size: 11px; }
.old { fill: var(--soft); fill-opacity: 0.28; stroke: var(--soft); }
.new { fill: none; stroke: var(--accent); stroke-width: 2; }
.axis { stroke: var(--line); fill: none; }
.key span { margin-right: 18px; } .key .o { color: var(--soft); } .key .n { color: var(--accent); }
.moved, .shifted { color: var(--warm-ink); font-weight: 600; }
"""


def comparison_page(pairs: Pairs, rows: Sequence[Compared], psi_after_map: float | None) -> str:
    """The whole file: all items first, then each category that has a row."""
    style = base_style() + _STYLE
    named = np.asarray(pairs.categories)
    figures = []
    for row in rows:
        chosen = np.ones(len(named), dtype=bool) if row.category == ALL else named == row.category
        figures.append(_figure(row, pairs.old[chosen], pairs.new[chosen]))
    mapped = "" if psi_after_map is None else f" A quantile map would leave a PSI of {psi_after_map:.3f}."
    coverage = pairs.with_new / pairs.on_sale if pairs.on_sale else 0.0
    title = f"{pairs.new_version} against {pairs.old_version}"
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy(style=style)}">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>"
        f"<header><h1>Image scores: {escape(title)}</h1>"
        f"<p>{len(pairs.old):,} items with scores of both models; {pairs.with_new:,} of {pairs.on_sale:,} "
        f"items on sale ({coverage:.1%}) hold a new score.{mapped} PSI below 0.1 is stable, up to 0.25 "
        "moved, above shifted.</p>"
        f"<p class='key'><span class='o'>&#9632; {escape(pairs.old_version)}</span>"
        f"<span class='n'>&#9473; {escape(pairs.new_version)}</span></p></header>"
        f"<section class='grid'>{''.join(figures)}</section></main></body></html>\n"
    )


def _figure(row: Compared, old: NDArray[np.float64], new: NDArray[np.float64]) -> str:
    counts = [np.histogram(scores, _BINS, (0.0, 1.0))[0] / len(scores) for scores in (old, new)]
    top = max(float(one.max()) for one in counts)
    paths = [_steps(one / top) for one in counts]
    said = f"PSI {row.drift.psi:.3f}, KS {row.drift.ks:.3f}, order {row.spearman:.3f}"
    return (
        f"<figure><figcaption><h3>{escape(row.category)} <small>{row.n:,} items</small></h3>"
        f"<small><span class='{row.drift.verdict}'>{row.drift.verdict}</span> &middot; {said}</small>"
        f"</figcaption><svg viewBox='0 0 {_W} {_H}' role='img' aria-label='{escape(row.category)}: {said}; "
        f"mean {row.old_mean:.3f} before, {row.new_mean:.3f} after'>"
        f"<path class='axis' d='M{_PAD} {_H - _PAD}H{_W - 4}'/>"
        f"<path class='old' d='{paths[0]}Z'/><path class='new' d='{paths[1]}'/>"
        f"<text x='{_PAD}' y='{_H - 8}'>0</text><text x='{_W - 10}' y='{_H - 8}'>1</text>"
        f"<text x='{_W / 2 - 14}' y='{_H - 8}'>score</text></svg></figure>"
    )


def _steps(heights: NDArray[np.float64]) -> str:
    width = (_W - _PAD - 4) / _BINS
    floor = _H - _PAD
    parts = [f"M{_PAD} {floor}"]
    for i, height in enumerate(heights):
        y = floor - height * (_H - _PAD - 8)
        parts.append(f"V{y:.1f}H{_PAD + (i + 1) * width:.1f}")
    return "".join([*parts, f"V{floor}"])


__all__ = ["comparison_page"]
