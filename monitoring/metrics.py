"""The one list of metrics: documents, mapping, rules, Prometheus, dashboards and the page are made from it.

A metric of kind `traffic` has a value per day, platform and profile version; one of kind `cluster` has a
value per day, measured on the cluster when `monitor run` ran.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal

from ranking.errors import InputError

Kind = Literal["traffic", "cluster"]
Better = Literal["higher", "lower", "neither"]
Unit = Literal["", "share", "ms"]
Group = Literal["engagement", "page", "drift", "exactness", "cost"]
GROUPS: Final[dict[Group, str]] = {
    "engagement": "What users did",
    "page": "What pages showed",
    "drift": "Scores and their drift",
    "exactness": "Does production rank as the formula says",
    "cost": "Cost",
}


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure per day."""

    name: str  # key in documents, rules and, after `rank_monitor_`, in Prometheus
    title: str
    group: Group
    unit: Unit
    better: Better
    says: str  # its definition, in one sentence
    kind: Kind = "traffic"


METRICS: Final = (
    Metric(
        "ctr_at_k",
        "CTR@k",
        "engagement",
        "share",
        "higher",
        "Clicked items among the first k, as a share of the items shown there.",
    ),
    Metric(
        "rr_first_click",
        "RR of first click",
        "engagement",
        "",
        "higher",
        "Mean of 1 / rank of the highest clicked item, over searches with a click.",
    ),
    Metric(
        "bcr",
        "BCR via search",
        "engagement",
        "share",
        "higher",
        "Share of users who searched on the day and bought an item that these searches showed.",
    ),
    Metric(
        "atpu",
        "ATPU via search",
        "engagement",
        "",
        "higher",
        "Purchases through searches of the day, per user who searched.",
    ),
    Metric(
        "zero_result_rate",
        "Zero-result rate",
        "engagement",
        "share",
        "lower",
        "Share of searches that found nothing.",
    ),
    Metric(
        "image_score_at_k",
        "Image score@k",
        "page",
        "",
        "higher",
        "Mean image score of the scored items among the first k, mean over searches.",
    ),
    Metric(
        "freshness_at_k",
        "Freshness@k",
        "page",
        "",
        "higher",
        "Mean freshness factor of the first k, under the curve of the profile that served.",
    ),
    Metric(
        "ai_share_at_k",
        "AI share@k",
        "page",
        "share",
        "lower",
        "Share of checked items among the first k whose photo is generated with probability 0.5 or more.",
    ),
    Metric(
        "coverage_at_k",
        "Scored items@k",
        "drift",
        "share",
        "higher",
        "Share of the items shown among the first k that have an image score.",
    ),
    Metric(
        "image_psi",
        "PSI of image score",
        "drift",
        "",
        "lower",
        "Population stability index of the shown image scores, against the reference days.",
    ),
    Metric(
        "image_ks",
        "KS of image score",
        "drift",
        "",
        "lower",
        "Largest difference of the two distribution functions of shown image scores.",
    ),
    Metric(
        "rel_psi",
        "PSI of relevance",
        "drift",
        "",
        "lower",
        "Population stability index of the shown relevance, against the reference days.",
    ),
    Metric(
        "rel_ks",
        "KS of relevance",
        "drift",
        "",
        "lower",
        "Largest difference of the two distribution functions of shown relevance.",
    ),
    Metric(
        "score_parity",
        "Served scores as computed",
        "exactness",
        "share",
        "higher",
        "Share of logged scores that the formula gives bit for bit.",
    ),
    Metric(
        "page_parity",
        "Served pages as computed",
        "exactness",
        "share",
        "higher",
        "Share of logged pages that the formula gives item for item.",
    ),
    Metric("took_p50_ms", "Took p50", "cost", "ms", "lower", "Median of the server's own time per search."),
    Metric("took_p95_ms", "Took p95", "cost", "ms", "lower", "95th percentile of the server's own time."),
    Metric("took_p99_ms", "Took p99", "cost", "ms", "lower", "99th percentile of the server's own time."),
    Metric(
        "second_pass_rate",
        "Windows asked again",
        "cost",
        "share",
        "lower",
        "Share of searches whose captured window does not prove the first k under the profile that served: "
        "a window of that size needs a second pass, and a replay a re-query.",
    ),
    Metric(
        "index_coverage",
        "Scored items in the index",
        "drift",
        "share",
        "higher",
        "Share of the items on sale that have an image score, in the index when the run looked.",
        "cluster",
    ),
    Metric(
        "live_score_parity",
        "Live scores as computed",
        "exactness",
        "share",
        "higher",
        "Share of scores of searches sent to the cluster that the formula gives bit for bit.",
        "cluster",
    ),
    Metric(
        "live_page_parity",
        "Live order as computed",
        "exactness",
        "share",
        "higher",
        "Share of searches sent to the cluster whose order the formula gives.",
        "cluster",
    ),
)
COUNTS: Final = {
    "searches": "searches",
    "users": "users who searched",
    "items_shown": "items shown among the first k",
    "clicked_searches": "searches with a click",
    "clicks": "clicked items among the first k",
    "purchases": "purchases",
    "scores_compared": "logged scores that were computed again",
    "items_on_sale": "items on sale, in the index",
    "live_searches": "searches sent to the cluster",
}
_BY_NAME: Final = {metric.name: metric for metric in METRICS}


def metric(name: str) -> Metric:
    """The metric of that name.

    Raises:
        InputError: there is none; says which come near.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    near = get_close_matches(name, _BY_NAME, n=3, cutoff=0.5)
    raise InputError(
        f"there is no metric {name!r}",
        hint=f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(_BY_NAME)}",
    )


def spelled(one: Metric, value: float) -> str:
    """A value for people: shares in per cent, times in ms."""
    match one.unit:
        case "share":
            digits = 3 if 0.99 < value < 1 else 1
            shown = min(value, 0.99999) if value < 1 else value  # what is not all is never shown as 100 %
            return f"{shown:.{digits}%}".replace("%", " %")
        case "ms":
            return f"{value:.4g} ms"
        case _:
            return f"{value:.4g}"


__all__ = ["COUNTS", "GROUPS", "METRICS", "Metric", "metric", "spelled"]
