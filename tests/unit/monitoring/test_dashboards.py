"""Dashboards: as generated, of known fields, and held to the schemas that there are."""

from __future__ import annotations

import json
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from monitoring.dashboards import (
    GRAFANA,
    KIBANA,
    TEMPLATE,
    grafana_dashboard,
    kibana_objects,
    write_dashboards,
)
from monitoring.dashboards.kibana import vega_lite
from monitoring.metrics import METRICS, metric
from monitoring.store import INDEX, template

FIELDS = template()["template"]["mappings"]["properties"]
FILES = resources.files("monitoring.dashboards") / "files"


@pytest.fixture(scope="module")
def vega_lite_schema() -> Any:
    """Vega-Lite's own schema, version 5, out of altair, which takes seconds to import and is not imported."""
    from jsonschema import Draft7Validator

    spec = find_spec("altair")
    assert spec is not None
    assert spec.origin is not None
    file = Path(spec.origin).parent / "vegalite" / "v5" / "schema" / "vega-lite-schema.json"
    return Draft7Validator(json.loads(file.read_text(encoding="utf-8")))


def test_the_files_of_the_package_are_the_generated_ones(tmp_path: Path) -> None:
    write_dashboards(tmp_path)
    for name in (GRAFANA, KIBANA, TEMPLATE):
        assert (FILES / name).read_text(encoding="utf-8") == (tmp_path / name).read_text(), (
            "write them again: rank-cli monitor dashboards --out monitoring/dashboards/files"
        )


def test_every_metric_has_a_field_a_panel_and_a_drawing() -> None:
    names = {one.name for one in METRICS}
    panels = grafana_dashboard(INDEX)["panels"]
    assert {
        t["metrics"][0]["field"] for p in panels for t in p.get("targets", []) if p["type"] == "timeseries"
    } == names
    drawn = {
        one["id"].removeprefix(f"{INDEX}-") for one in kibana_objects(INDEX) if one["type"] == "visualization"
    }
    assert drawn == names
    assert all(FIELDS[name]["type"] == "double" for name in names)


def test_grafanas_own_types_read_the_dashboard_and_lose_nothing() -> None:
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import dashboard, elasticsearch

    ours = grafana_dashboard(INDEX)
    read = json.loads(JSONEncoder().encode(dashboard.Dashboard.from_json(ours)))
    outside = {"timeField", "textField"}  # the data source's own words, which its types leave out

    def lost(mine: Any, theirs: Any, at: str) -> list[str]:
        if isinstance(mine, dict):
            return [
                one
                for key, value in mine.items()
                if key not in outside
                for one in (lost(value, theirs[key], f"{at}.{key}") if key in theirs else [f"{at}.{key}"])
            ]
        if isinstance(mine, list):
            pairs = zip(mine, theirs, strict=True)
            return [one for i, (a, b) in enumerate(pairs) for one in lost(a, b, f"{at}[{i}]")]
        return [] if mine == theirs else [at]

    assert [one for one in lost(ours, read, "") if ".annotations.list[0].target.query" not in one] == []
    for panel in ours["panels"]:
        for target in panel.get("targets", []):
            again = json.loads(JSONEncoder().encode(elasticsearch.Dataquery.from_json(target)))
            assert lost(target, again, panel["title"]) == []


@pytest.mark.parametrize("name", ["ctr_at_k", "took_p95_ms", "index_coverage"])  # each kind and unit
def test_the_drawings_are_valid_vega_lite(name: str, vega_lite_schema: Any) -> None:
    spec = vega_lite(metric(name), INDEX)
    for layer in spec["layer"]:
        assert layer["data"]["url"]["index"] == INDEX
        assert set(layer["data"]["url"]["body"]["_source"]) <= set(FIELDS)
        layer["data"]["url"] = "figures.json"  # Kibana's own: a query where Vega has an address
    vega_lite_schema.validate(spec)


def test_kibanas_objects_refer_to_each_other_and_to_nothing_else() -> None:
    objects = kibana_objects(INDEX)
    ids = {(one["type"], one["id"]) for one in objects}
    assert len(ids) == len(objects)
    for one in objects:
        assert {(ref["type"], ref["id"]) for ref in one["references"]} <= ids
    board = objects[-1]
    panels = json.loads(board["attributes"]["panelsJSON"])
    named = {ref["name"] for ref in board["references"]}
    assert named == {f"{panel['panelIndex']}:{panel['panelRefName']}" for panel in panels}
    places = [(p["gridData"]["x"], p["gridData"]["y"]) for p in panels]
    assert len(set(places)) == len(places)
