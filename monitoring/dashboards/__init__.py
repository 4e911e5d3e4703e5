"""Dashboards for Grafana and Kibana, made from the one list of metrics; `files/` holds them as made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from monitoring.dashboards.grafana import grafana_dashboard
from monitoring.dashboards.kibana import kibana_objects
from monitoring.store import INDEX, template
from ranking.whole_file import write_text

GRAFANA: Final = "grafana.json"
KIBANA: Final = "kibana.ndjson"
TEMPLATE: Final = "index_template.json"


def write_dashboards(folder: Path, index: str = INDEX) -> list[tuple[Path, str]]:
    """Write the files; each with what it is for.

    Raises:
        InputError: the folder cannot be written.
    """
    objects = "".join(json.dumps(one, sort_keys=True) + "\n" for one in kibana_objects(index))
    return [
        (
            write_text(folder / GRAFANA, [_pretty(grafana_dashboard(index))]),
            "Grafana, Elasticsearch data source",
        ),
        (write_text(folder / KIBANA, [objects]), "Kibana, saved objects"),
        (write_text(folder / TEMPLATE, [_pretty(template(index))]), "Elasticsearch, index template"),
    ]


def _pretty(data: object) -> str:
    return json.dumps(data, indent=2, sort_keys=True) + "\n"


__all__ = ["GRAFANA", "KIBANA", "TEMPLATE", "grafana_dashboard", "kibana_objects", "write_dashboards"]
