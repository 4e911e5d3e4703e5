"""Is search still as it should be? Figures per day, drift, parity, change points, alerts, dashboards.

run(captures, ...)         figures of some days, from captured searches and events
Store(es).write(...)       into an index, the same documents however often it is run
judge(rules, history, day) alerts, and what was not judged
write_page(...)            one self-contained HTML page

`monitoring.rollout` is apart: it changes what is live.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monitoring.alerts import Alert, Judged, judge
    from monitoring.changes import Change, find_changes
    from monitoring.days import Figures, run
    from monitoring.metrics import METRICS, Metric
    from monitoring.page import write_page
    from monitoring.rules import Rules, default_rules, read_rules
    from monitoring.series import History
    from monitoring.store import Store

_HOME = {
    "METRICS": "metrics",
    "Alert": "alerts",
    "Change": "changes",
    "Figures": "days",
    "History": "series",
    "Judged": "alerts",
    "Metric": "metrics",
    "Rules": "rules",
    "Store": "store",
    "default_rules": "rules",
    "find_changes": "changes",
    "judge": "alerts",
    "read_rules": "rules",
    "run": "days",
    "write_page": "page",
}

__all__ = [
    "METRICS",
    "Alert",
    "Change",
    "Figures",
    "History",
    "Judged",
    "Metric",
    "Rules",
    "Store",
    "default_rules",
    "find_changes",
    "judge",
    "read_rules",
    "run",
    "write_page",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'monitoring' has no attribute {name!r}")
    return getattr(import_module(f"monitoring.{_HOME[name]}"), name)
