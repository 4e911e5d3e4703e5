"""A Grafana dashboard over the index of figures: a panel per metric, a line per platform and profile version.

The data source is Elasticsearch, which Grafana has built in: the index name and the time field `day` are set
there. It is a variable of the dashboard, so the file can be imported and provisioned as it is.
"""

from __future__ import annotations

from typing import Any, Final

from monitoring.metrics import GROUPS, METRICS, Metric

_UNITS: Final = {"share": "percentunit", "ms": "ms", "": "short"}
_SOURCE: Final = {"type": "elasticsearch", "uid": "${store}"}
_WIDTH, _HEIGHT = 8, 8  # of a panel; a row holds 24


def grafana_dashboard(index: str) -> dict[str, Any]:
    """The dashboard as JSON, for Grafana 10 and later."""
    panels: list[dict[str, Any]] = [_alerts()]
    y = 6
    for group, title in GROUPS.items():
        panels.append(_row(len(panels) + 1, title, y))
        y += 1
        mine = [metric for metric in METRICS if metric.group == group]
        for i, metric in enumerate(mine):
            at = {"x": i % 3 * _WIDTH, "y": y + i // 3 * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
            panels.append(_panel(len(panels) + 1, metric, at))
        y += -(-len(mine) // 3) * _HEIGHT
    return {
        "uid": "rank-monitor",
        "title": "Search monitor",
        "description": f"Figures of rank-cli monitor, in the index {index}.",
        "tags": ["rank-toolkit"],
        "timezone": "utc",
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": 39,
        "version": 1,
        "refresh": "",
        "time": {"from": "now-60d", "to": "now"},
        "templating": {"list": [_data_source(), _variable("platform"), _variable("profile")]},
        "annotations": {"list": [_annotations()]},
        "panels": panels,
    }


def _panel(number: int, metric: Metric, at: dict[str, int]) -> dict[str, Any]:
    traffic = metric.kind == "traffic"
    query = "kind:traffic AND platform:$platform AND profile:$profile" if traffic else "kind:cluster"
    split = [_terms("2", "platform"), _terms("3", "profile")] if traffic else []
    return {
        "id": number,
        "type": "timeseries",
        "title": metric.title,
        "description": metric.says,
        "gridPos": at,
        "datasource": _SOURCE,
        "targets": [
            {
                "refId": "A",
                "datasource": _SOURCE,
                "query": query,
                "alias": "{{term platform}} {{term profile}}" if traffic else metric.title,
                "timeField": "day",
                "metrics": [{"id": "1", "type": "avg", "field": metric.name}],
                "bucketAggs": [*split, _by_day("4")],
            }
        ],
        "fieldConfig": {
            "defaults": {
                "unit": _UNITS[metric.unit],
                "custom": {"lineWidth": 2, "fillOpacity": 0, "showPoints": "auto", "spanNulls": False},
            },
            "overrides": [],
        },
        "options": {
            "legend": {
                "displayMode": "list",
                "placement": "bottom",
                "showLegend": True,
                "calcs": ["lastNotNull"],
            },
            "tooltip": {"mode": "multi", "sort": "none"},
        },
    }


def _alerts() -> dict[str, Any]:
    return {
        "id": 1,
        "type": "table",
        "title": "Alerts",
        "description": "Rules that did not hold, by the last day on which they did not.",
        "gridPos": {"x": 0, "y": 0, "w": 24, "h": 6},
        "datasource": _SOURCE,
        "targets": [
            {
                "refId": "A",
                "datasource": _SOURCE,
                "query": "kind:alert",
                "timeField": "day",
                "metrics": [{"id": "1", "type": "raw_data", "settings": {"size": "100"}}],
                "bucketAggs": [],
            }
        ],
        "transformations": [
            {
                "id": "filterFieldsByName",
                "options": {"include": {"names": ["day", "since", "severity", "rule", "sentence"]}},
            }
        ],
        "fieldConfig": {"defaults": {}, "overrides": []},
        "options": {"showHeader": True, "cellHeight": "sm"},
    }


def _row(number: int, title: str, y: int) -> dict[str, Any]:
    at = {"x": 0, "y": y, "w": 24, "h": 1}
    return {"id": number, "type": "row", "title": title, "gridPos": at, "collapsed": False, "panels": []}


def _terms(number: str, field: str) -> dict[str, Any]:
    settings = {"size": "20", "order": "asc", "orderBy": "_key", "min_doc_count": "1"}
    return {"id": number, "type": "terms", "field": field, "settings": settings}


def _by_day(number: str) -> dict[str, Any]:
    settings = {"interval": "1d", "min_doc_count": "1"}
    return {"id": number, "type": "date_histogram", "field": "day", "settings": settings}


def _data_source() -> dict[str, Any]:
    return {
        "name": "store",
        "label": "Data source",
        "type": "datasource",
        "query": "elasticsearch",
        "hide": 0,
        "multi": False,
        "includeAll": False,
        "refresh": 1,
        "regex": "",
        "options": [],
    }


def _variable(field: str) -> dict[str, Any]:
    """Which platforms, or profile versions, are drawn; `all` is the figure over all of them."""
    return {
        "name": field,
        "label": field,
        "type": "query",
        "datasource": _SOURCE,
        "query": f'{{"find": "terms", "field": "{field}", "query": "kind:traffic"}}',
        "hide": 0,
        "multi": True,
        "includeAll": True,
        "current": {"selected": True, "text": ["all"], "value": ["all"]},
        "refresh": 2,
        "sort": 1,
        "regex": "",
        "options": [],
    }


def _annotations() -> dict[str, Any]:
    return {
        "name": "Changes of profiles",
        "datasource": _SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "purple",
        "target": {"query": "kind:annotation"},
        "timeField": "at",
        "textField": "text",
    }


__all__ = ["grafana_dashboard"]
