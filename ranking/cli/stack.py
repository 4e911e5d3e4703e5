"""`rank-cli stack`: the local engines."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ranking.cli._options import IndexOption, index_name
from ranking.cli._output import Format, FormatOption

app = typer.Typer(
    no_args_is_help=True, help="Start, find and stop the local engines: Elasticsearch, Triton, Kafka."
)


class EngineName(StrEnum):
    """An engine of the stack."""

    elasticsearch = "elasticsearch"
    triton = "triton"
    kafka = "kafka"


Engines = Annotated[
    list[EngineName] | None, typer.Argument(help="Which engines; all three if none is named.")
]


@app.command("up")
def stack_up(
    engines: Engines = None,
    model_repository: Annotated[
        Path | None,
        typer.Option(help="Triton's model repository. Default: triton/models in the state folder."),
    ] = None,
    es_version: Annotated[
        str | None, typer.Option(help="Elasticsearch version: 9.4.3 (default) or 8.19.")
    ] = None,
    es_heap: Annotated[
        str,
        typer.Option(help="Elasticsearch's heap, as in -Xmx; ES_JAVA_OPTS adds what else its Java is told."),
    ] = "1g",
    kafka_heap: Annotated[str, typer.Option(help="Kafka's heap, as in -Xmx.")] = "256m",
    secure: Annotated[
        bool | None,
        typer.Option("--secure/--no-secure", help="Elasticsearch with TLS, a password and API keys."),
    ] = None,
    plugin: Annotated[
        bool | None,
        typer.Option("--plugin/--no-plugin", help="Elasticsearch with the rank-boost plugin (default)."),
    ] = None,
    es_port: Annotated[
        int | None, typer.Option(help="Elasticsearch's HTTP port; a free one if left out.")
    ] = None,
    triton_port: Annotated[
        int | None, typer.Option(help="Triton's gRPC port; a free one if left out.")
    ] = None,
    kafka_port: Annotated[int | None, typer.Option(help="Kafka's port; a free one if left out.")] = None,
    docker: Annotated[
        bool, typer.Option("--docker", help="Containers of compose.yaml in place of local processes.")
    ] = False,
    format: FormatOption = Format.table,
) -> None:
    """Start what does not run yet, and wait until it is ready. Does nothing the second time.

    An engine named by ELASTICSEARCH_URL, TRITON_URL or KAFKA_BOOTSTRAP is checked and left alone.
    With --secure, commands find CA and password by themselves; docs/security.md has the roles.

    Example: rank-cli stack up elasticsearch triton
    """
    from stack import Options, up

    asked = {"elasticsearch": es_port, "triton": triton_port, "kafka": kafka_port}
    options = Options(
        es_version=es_version,
        es_heap=es_heap,
        es_secure=secure,
        es_plugin=plugin,
        kafka_heap=kafka_heap,
        model_repository=model_repository,
        ports={name: port for name, port in asked.items() if port is not None},
    )
    found = up(_names(engines), options=options, use_docker=docker)
    _print([endpoint.to_row() for endpoint in found.values()], format)
    if "elasticsearch" in found and found["elasticsearch"].managed:
        _say_where_the_login_is()


@app.command("down")
def stack_down(
    engines: Engines = None,
    purge: Annotated[bool, typer.Option("--purge", help="Delete data and logs too.")] = False,
) -> None:
    """Stop what `up` started, and nothing else. Data stays for the next `up`.

    Example: rank-cli stack down kafka
    """
    from ranking.cli import _output as out
    from stack import down

    stopped = down(_names(engines), purge=purge)
    out.note(f"stopped: {', '.join(stopped)}" if stopped else "nothing of ours was running")


@app.command("status")
def stack_status(engines: Engines = None, format: FormatOption = Format.table) -> None:
    """Show each engine: ready, not answering, broken (`up` starts it again) or stopped. Starts nothing.

    Example: rank-cli stack status --format json
    """
    from stack import status

    _print([endpoint.to_row() for endpoint in status(_names(engines)).values()], format)


@app.command("logs")
def stack_logs(
    engine: Annotated[EngineName, typer.Argument(help="Which engine.")],
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last lines.")] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep printing what is added, until Ctrl-C.")
    ] = False,
) -> None:
    """Print the last lines of an engine's log.

    Example: rank-cli stack logs triton --lines 100 --follow
    """
    from ranking.cli import _output as out
    from stack import logs

    for text in logs(engine.value, lines=lines, follow=follow):
        out.raw(text)


class RoleName(StrEnum):
    """Who a key is for."""

    reader = "reader"
    writer = "writer"
    admin = "admin"
    migrator = "migrator"


@app.command("api-key")
def stack_api_key(
    role: Annotated[
        RoleName, typer.Option("--role", help="reader, writer, admin or migrator (docs/security.md).")
    ],
    index: IndexOption = None,
    days: Annotated[int | None, typer.Option("--days", min=1, help="Days until the key expires.")] = None,
    print_request: Annotated[
        bool, typer.Option("--print-request", help="Print the body for curl, and stop; needs no server.")
    ] = False,
    format: FormatOption = Format.table,
) -> None:
    """Make an API key with the least that a role needs, and print it, once, on stdout.

    Example: rank-cli stack api-key --role reader --index items --days 90
    """
    from index_templates.roles import api_key_request, create_api_key
    from ranking.cli import _output as out
    from ranking.es import connect

    request = api_key_request(role.value, index_name(index), days=days)
    if print_request:
        out.as_json(request)
        return
    made = create_api_key(connect(), request)
    if format is Format.json:
        out.as_json(made)
    else:
        out.raw(made["encoded"])
        out.note(
            f"key {made['name']}, id {made['id']}: set ELASTICSEARCH_API_KEY to it; it is not shown again"
        )


def _say_where_the_login_is() -> None:
    from ranking.cli import _output as out
    from ranking.settings import get_settings

    record = get_settings().local_stack()
    if credentials := record.get("elasticsearch_credentials"):
        ca_certs = record.get("elasticsearch_ca_certs")
        out.note(f"Elasticsearch: user and password are in {credentials}, the CA is {ca_certs}")


def _names(engines: list[EngineName] | None) -> list[str]:
    return [engine.value for engine in engines or ()]


def _print(rows: list[dict[str, str | int | bool | None]], format: Format) -> None:
    from ranking.cli import _output as out

    if format is Format.json:
        out.as_json({"engines": rows})
    else:
        out.table(rows)
