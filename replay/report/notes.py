"""How to read the report, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def notes(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and texts, from the assembled data of a report."""
    k, n, n_shown = data["k"], data["n_searches"], data["n_shown"]
    sources = ", ".join(data["judgment_sources"])
    found = [
        (
            "Exact",
            "A score is exact when the formula, fed with the logged relevance and document values, gives the "
            "logged float32 score bit for bit. A ranking is exact to k when no item outside the log could "
            "have entered its first k: such an item is at most as relevant as the least relevant logged "
            "candidate, so even brand new and with a perfect photo it would score lower.",
        ),
        (
            "Intervals",
            "95 % intervals of the mean difference per search. Searches of one query are not independent, so "
            "standard errors are clustered by query text, with the t distribution. p values of one "
            "comparison are adjusted together (Benjamini and Hochberg). Grey means the adjusted p is 0.05 or "
            "more: not shown to differ from zero.",
        ),
        (
            f"nDCG@{k}",
            "The gain is the grade, the discount is log2(rank + 1), unjudged items gain nothing. "
            f"Grades from: {sources}."
            if sources
            else "Not measured: the log has no judgments.",
        ),
        (
            "Age and freshness",
            "Age in days at the clock of each side; freshness is the factor under one curve for both sides. "
            "A later clock says what the logged items would do then: items listed since are not in the log.",
        ),
        (
            "Shown searches",
            f"All {n:,} searches of the log are in this file."
            if n_shown == n
            else f"{n_shown:,} of {n:,} searches are in this file: the largest gains, the largest losses, "
            f"and an even spread over the log. Figures, intervals and pictures by platform count all {n:,}.",
        ),
        (
            "Sliders",
            "They move the contender's side. The page ranks again with the same formula and the same "
            "rounding, ties by item_id. What differs by platform stays so until its slider is moved. A photo "
            "that few settings bring up may be missing here; the ranking is not touched by that.",
        ),
    ]
    if data["n_unreadable_photos"]:
        found.append(("Photos", f"{data['n_unreadable_photos']:,} could not be read: a grey tile each."))
    return found
