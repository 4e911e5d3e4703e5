"""A Kibana dashboard as saved objects: a data view, a Vega-Lite drawing per metric, and the dashboard.

Vega-Lite, because its specification is public and checked by a schema, which Lens' saved state is not. Kibana
puts the dashboard's filters and time range where the placeholders stand.
"""

from __future__ import annotations

import json
from typing import Any, Final

from monitoring.metrics import METRICS, Metric
from monitoring.slices import ALL

_FORMATS: Final = {"share": ".1%", "ms": "~s", "": ".3~f"}
_WIDTH, _HEIGHT = 16, 11  # of a panel; a row holds 48
SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v5.json"


def kibana_objects(index: str) -> list[dict[str, Any]]:
    """Saved objects, one a line of an import file, for Kibana 8.8 and later."""
    drawings = [(f"{index}-{metric.name}", metric) for metric in METRICS]
    return [
        _data_view(index),
        *(_drawing(object_id, metric, index) for object_id, metric in drawings),
        _dashboard(index, [object_id for object_id, _ in drawings]),
    ]


def vega_lite(metric: Metric, index: str) -> dict[str, Any]:
    """The specification of one metric's drawing: a line per platform, dashed marks where profiles changed."""
    traffic = metric.kind == "traffic"
    kind: list[dict[str, Any]] = [{"term": {"kind": metric.kind}}, {"exists": {"field": metric.name}}]
    if traffic:
        kind.append({"term": {"profile": ALL}})
    encoding: dict[str, Any] = {
        "x": {"field": "_source.day", "type": "temporal", "title": None},
        "y": {
            "field": f"_source.{metric.name}",
            "type": "quantitative",
            "title": metric.title,
            "axis": {"format": _FORMATS[metric.unit]},
            "scale": {"zero": False},
        },
    }
    if traffic:
        encoding["color"] = {"field": "_source.platform", "type": "nominal", "title": None}
    columns = ["day", metric.name, *(["platform"] if traffic else [])]
    return {
        "$schema": SCHEMA,
        "title": metric.title,
        "description": metric.says,
        "layer": [
            {
                "data": _data(index, kind, columns, "day"),
                "mark": {"type": "line", "point": True, "tooltip": True},
                "encoding": encoding,
            },
            {
                "data": _data(index, [{"term": {"kind": "annotation"}}], ["at", "text"], "at"),
                "mark": {"type": "rule", "strokeDash": [3, 3], "color": "#888888", "tooltip": True},
                "encoding": {
                    "x": {"field": "_source.at", "type": "temporal"},
                    "tooltip": {"field": "_source.text", "type": "nominal"},
                },
            },
        ],
    }


def _data(index: str, clauses: list[dict[str, Any]], columns: list[str], moment: str) -> dict[str, Any]:
    body = {
        "size": 10_000,
        "_source": columns,
        "sort": [{moment: "asc"}],
        "query": {
            "bool": {
                "must": ["%dashboard_context-must_clause%"],
                "filter": [
                    "%dashboard_context-filter_clause%",
                    {"range": {"day": {"%timefilter%": True}}},
                    *clauses,
                ],
                "must_not": ["%dashboard_context-must_not_clause%"],
            }
        },
    }
    return {"url": {"index": index, "body": body}, "format": {"property": "hits.hits"}}


def _data_view(index: str) -> dict[str, Any]:
    return {
        "id": index,
        "type": "index-pattern",
        "attributes": {"title": index, "name": "Search monitor", "timeFieldName": "day"},
        "references": [],
    }


def _drawing(object_id: str, metric: Metric, index: str) -> dict[str, Any]:
    state = {
        "title": metric.title,
        "type": "vega",
        "aggs": [],
        "params": {"spec": json.dumps(vega_lite(metric, index), indent=2)},
    }
    return {
        "id": object_id,
        "type": "visualization",
        "attributes": {
            "title": f"Search monitor: {metric.title}",
            "description": metric.says,
            "uiStateJSON": "{}",
            "version": 1,
            "visState": json.dumps(state),
            "kibanaSavedObjectMeta": {"searchSourceJSON": _no_query()},
        },
        "references": [],
    }


def _dashboard(index: str, drawings: list[str]) -> dict[str, Any]:
    panels, references = [], []
    for i, object_id in enumerate(drawings):
        key = f"p{i + 1}"
        at = {"x": i % 3 * _WIDTH, "y": i // 3 * _HEIGHT, "w": _WIDTH, "h": _HEIGHT, "i": key}
        panels.append(
            {
                "type": "visualization",
                "panelIndex": key,
                "gridData": at,
                "embeddableConfig": {},
                "panelRefName": f"panel_{key}",
            }
        )
        references.append({"name": f"{key}:panel_{key}", "type": "visualization", "id": object_id})
    return {
        "id": f"{index}-dashboard",
        "type": "dashboard",
        "attributes": {
            "title": "Search monitor",
            "description": f"Figures of rank-cli monitor, in the index {index}.",
            "panelsJSON": json.dumps(panels),
            "optionsJSON": json.dumps({"useMargins": True, "hidePanelTitles": False}),
            "timeRestore": True,
            "timeFrom": "now-60d",
            "timeTo": "now",
            "version": 1,
            "kibanaSavedObjectMeta": {"searchSourceJSON": _no_query()},
        },
        "references": references,
    }


def _no_query() -> str:
    return json.dumps({"query": {"query": "", "language": "kuery"}, "filter": []})


__all__ = ["SCHEMA", "kibana_objects", "vega_lite"]
