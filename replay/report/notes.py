"""How to read the report, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TESTS = {
    "clustered": "Searches of one query are not independent, so standard errors are clustered by query text, "
    "with the t distribution.",
    "t": "Test: paired t over the means of each query text.",
    "wilcoxon": "Test: Wilcoxon's signed ranks over the means of each query text.",
    "randomization": "Test: randomization over the means of each query text.",
    "bca": "Test: bootstrap BCa over the means of each query text.",
}
_ADJUSTMENTS = {"bh": "Benjamini and Hochberg", "holm": "Holm", "none": "not at all"}


def notes(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and texts, from the assembled data of a report."""
    k, n, n_listed, n_detailed = (data[key] for key in ("k", "n_searches", "n_listed", "n_detailed"))
    first = data["comparisons"][0]
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
            f"95 % intervals of the mean difference. {_TESTS[first['test']]} p values of one comparison are "
            f"adjusted together ({_ADJUSTMENTS[first['adjustment']]}). "
            "Grey means the adjusted p is 0.05 or more: not shown to differ from zero.",
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
        ("Searches in this file", _carried(n, n_listed, n_detailed)),
        (
            "Sliders",
            "They move the contender's side. The page ranks again with the same formula and the same "
            "rounding, ties by item_id. What differs by platform stays so until its slider is moved. A photo "
            "that few settings bring up may be missing here; the ranking is not touched by that. Every page "
            "of this file is ranked again when it opens and compared with the replay's.",
        ),
    ]
    if data["n_unreadable_photos"]:
        found.append(("Photos", f"{data['n_unreadable_photos']:,} could not be read: a grey tile each."))
    return found


def _carried(n: int, n_listed: int, n_detailed: int) -> str:
    chosen = "the largest gains, the largest losses, and an even spread over the log"
    listed = f"All {n:,} searches are listed" if n_listed == n else f"{n_listed:,} of {n:,}: {chosen}"
    if n_detailed == n_listed:
        carried = "each with every logged candidate, so that sliders rank it again"
    else:
        carried = (
            f"each with the items of its first pages; {n_detailed:,} of them, {chosen}, carry every logged "
            "candidate, so that sliders rank them again"
        )
    return f"{listed}, {carried}. Figures, intervals and distributions count all {n:,}."
