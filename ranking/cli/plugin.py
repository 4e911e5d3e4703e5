"""`rank-cli plugin`: the rank-boost plugin, built, installed, and found on a cluster's nodes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from ranking.cli import _output as out
from ranking.cli._output import Format, FormatOption

app = typer.Typer(
    no_args_is_help=True, help="The optional plugin that serves an exact boost at nearly the price of BM25."
)

VersionOption = Annotated[
    str | None,
    typer.Option("--es-version", help="A server that the local stack fetches: 9.4.3 (default) or 8.19."),
]
HomeOption = Annotated[
    Path | None,
    typer.Option("--es-home", help="Folder of a server: the one with bin, lib and plugins."),
]


@app.command("build")
def build(
    es_version: VersionOption = None,
    es_home: HomeOption = None,
    to: Annotated[Path, typer.Option("--out", help="Folder to put the zip into.")] = Path("dist"),
    tests: Annotated[bool, typer.Option("--tests", help="Run the plugin's own Java tests too.")] = False,
    format: FormatOption = Format.table,
) -> None:
    """Build the plugin's zip for one exact server version. Needs a JDK 21 or newer, and Maven.

    A server takes no plugin that was built for another version of it, so each version needs its own zip.

    Example: rank-cli plugin build --es-home /usr/share/elasticsearch
    """
    from stack import plugin

    made = plugin.build(_home(es_version, es_home), tests=tests)
    to.mkdir(parents=True, exist_ok=True)
    target = to / f"{plugin.NAME}-es{made.es_version}.zip"
    shutil.copyfile(made.path, target)
    row = {"zip": str(target), "es_version": made.es_version, "sources": made.digest, "sha256": made.sha256}
    if format is Format.json:
        out.as_json(row)
    else:
        out.table([row])


@app.command("install")
def install(es_home: HomeOption = None, format: FormatOption = Format.table) -> None:
    """Build the plugin and install it: into a server's folder, or on the local stack's Elasticsearch.

    A node of a cluster of your own loads it when it is restarted; one node after the other will do
    (plugin/README.md). The local Elasticsearch is restarted here.

    Example: rank-cli plugin install --es-home /usr/share/elasticsearch
    """
    from stack import Options, down, plugin, up

    if es_home is not None:
        made = plugin.build(es_home)
        plugin.install(made, es_home)
        row: dict[str, object] = {"installed": str(es_home / "plugins" / plugin.NAME), "sources": made.digest}
        out.note("restart that node: a server loads its plugins when it starts")
    else:
        down(["elasticsearch"])
        found = up(["elasticsearch"], options=Options(es_plugin=True))["elasticsearch"]
        row = {"installed": found.address, "es_version": found.version}
    if format is Format.json:
        out.as_json(row)
    else:
        out.table([row])


@app.command("status")
def status(
    check: Annotated[
        bool, typer.Option("--check", help="Exit 2 unless every node runs it, in one version.")
    ] = False,
    format: FormatOption = Format.table,
) -> None:
    """Which nodes of the cluster run the plugin, and whether profiles can be served natively.

    Example: rank-cli plugin status --check
    """
    from ranking.es import connect
    from ranking.features import find_features, plugin_versions

    es = connect()
    features, versions = find_features(es, refresh=True), plugin_versions(es)
    rows = [{"node": node, "rank_boost": version or "no"} for node, version in (versions or {}).items()]
    if format is Format.json:
        out.as_json(
            {"es_version": features.version, "native": features.rank_boost, "nodes": versions},
        )
    else:
        out.table(rows)
        out.note(_verdict(features.rank_boost, versions))
    if check and not features.rank_boost:
        raise typer.Exit(2)


def _home(version: str | None, home: Path | None) -> Path:
    import threading

    from ranking.errors import InputError
    from stack.bundle import DEFAULT_VERSION, distribution, resolve_version

    if home is not None and version is not None:
        raise InputError("--es-home names a version already", hint="leave --es-version out")
    return home or distribution(resolve_version(version or DEFAULT_VERSION), threading.Event())


def _verdict(native: bool | None, versions: dict[str, str | None] | None) -> str:
    if versions is None:
        known = "a node answers the query" if native else "the node that was asked does not know the query"
        return f"this key may not list nodes; {known}"
    if native:
        return "every node runs it: profiles with `execution: plugin` are served natively"
    having = sum(version is not None for version in versions.values())
    why = (
        "the nodes run different versions of it"
        if having == len(versions)
        else f"{having} of {len(versions)} nodes run it"
    )
    return f"{why}: profiles with `execution: plugin` are served by their scripts, with the same scores"
