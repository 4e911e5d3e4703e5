"""The tables of an analysis: the paper's Table 2, and what it leaves out."""

from __future__ import annotations

import math
from typing import Any

from replay.ab.analysis import Analysis, Result


def paper_rows(analysis: Analysis, platform: str) -> list[dict[str, Any]]:
    """One row per metric, as Table 2 of the paper: variant/control and t, for each variant.

    A star stands where the adjusted p value is below 0.05 (the paper prints those in blue, unadjusted).
    """
    metrics = dict.fromkeys(one.metric for one in analysis.results)
    rows = []
    for metric in metrics:
        row: dict[str, Any] = {"Metric Name": metric}
        for variant in analysis.variants:
            try:
                one = analysis.find(metric, variant, platform)
            except KeyError:
                one = None
            star = "*" if one is not None and one.significant else ""
            row[f"{variant}/{analysis.control}"] = percent(one.ratio if one else None) + star
            t = one.t if one else None
            row[f"t-value ({variant} vs {analysis.control})"] = "" if t is None else f"{t:.4f}"
        rows.append(row)
    return rows


def detail_rows(analysis: Analysis, platform: str) -> list[dict[str, Any]]:
    """One row per metric, variant and method: what Table 2 leaves out. Changes are against the control."""
    return [
        {
            "metric": one.metric,
            "variant": one.variant,
            "method": one.method,
            "control": _value(one.control),
            "value": _value(one.value),
            "change": _change(None if one.ratio is None else one.ratio - 1),
            "95 % interval": _span(one.ratio_low, one.ratio_high, 1.0, 1.0),
            "p": _p(one.p),
            "adjusted": _p(one.p_adjusted),
            "at every look": _span(one.always_low, one.always_high, 0.0, one.control),
            "detectable": "" if one.detectable is None else f"{one.detectable:.1%}",
            **({"days needed": _days(one)} if analysis.effect is not None else {}),
        }
        for one in analysis.results
        if one.platform == platform
    ]


def _value(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.5g}"


def _change(value: float | None) -> str:
    return "" if value is None else f"{value:+.2%}"


def _span(low: float | None, high: float | None, minus: float, over: float) -> str:
    if low is None or high is None or not over > 0:
        return ""
    return f"{(low - minus) / over:+.1%} to {(high - minus) / over:+.1%}"


def percent(value: float | None) -> str:
    """A share in per cent with two digits, as the paper prints it; empty for nothing."""
    return "" if value is None else f"{value:.2%}"


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _days(one: Result) -> str:
    return "" if one.days_needed is None else f"{one.days_needed:.1f}"
