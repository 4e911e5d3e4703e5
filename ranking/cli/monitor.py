"""`rank-cli monitor`: figures per day, drift, parity, alerts, and their dashboards."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._monitor_table import show
from ranking.cli._options import IndexOption, duration, index_name

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from monitoring import Figures, Judged, Rules, Store
    from monitoring.prometheus import Gauges

app = typer.Typer(no_args_is_help=True, help="Figures per day of live search: drift, parity, alerts.")

Captures = Annotated[Path, typer.Argument(help="Capture folder, as of `replay record`.", metavar="CAPTURES")]
StoreOption = Annotated[str, typer.Option("--store", help="Index of the figures.")]
RulesOption = Annotated[
    Path | None, typer.Option("--rules", help="YAML file of alert rules; those of the toolkit by default.")
]


@app.command("run")
def run(
    captures: Captures,
    day: Annotated[
        str | None, typer.Option("--day", help="Last day, UTC; the last one captured by default.")
    ] = None,
    days: Annotated[
        int, typer.Option("--days", min=1, max=3650, help="So many days up to it; late events change days.")
    ] = 3,
    k: Annotated[int, typer.Option("--k", min=1, max=1000, help="How much of a page counts.")] = 10,
    events: Annotated[
        Path | None,
        typer.Option("--events", help="A folder whose events/ counts instead.", exists=True, file_okay=False),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", help="FIRST:LAST day for drift; the 7 days before each by default."),
    ] = None,
    live: Annotated[
        int, typer.Option("--live", min=0, help="Send so many searches of the last day to the cluster.")
    ] = 0,
    rules: RulesOption = None,
    store: StoreOption = "rank-monitor",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask no cluster, write no index, tell no webhook.")
    ] = False,
    rows: Annotated[
        Path | None, typer.Option("--out", help="Write the documents here too, one JSON object a line.")
    ] = None,
    prometheus: Annotated[
        Path | None, typer.Option("--prometheus", help="Write a .prom file for the textfile collector.")
    ] = None,
    every: Annotated[
        str | None, typer.Option("--every", help="Run again and again, such as 1h, until stopped.")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option("--metrics-port", min=0, max=65535, help="With --every: serve /metrics.")
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(
            "--webhook",
            envvar="RANK_WEBHOOK_URL",
            show_envvar=True,
            help="Post new alerts here; signed where RANK_WEBHOOK_SECRET is set.",
        ),
    ] = None,
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Compute days from captures and events, keep them, and hold the rules against the last one.

    Exit 2 where a rule does not hold. A run may be repeated: the same days are written to the same documents.

    Example: rank-cli monitor run captures --days 3 --live 50 --prometheus rank.prom
    """
    from monitoring import default_rules, read_rules
    from monitoring.webhook import check_url
    from ranking.errors import InputError, RankError

    if metrics_port is not None and every is None:
        raise InputError("--metrics-port serves a process that stays", hint="add --every 1h")
    if dry_run and live:
        raise InputError("--live asks the cluster, and --dry-run asks none", hint="leave one of the two out")
    wait_s = duration(every, "--every") / 1000 if every is not None else 0.0
    if every is not None and wait_s < 1:
        raise InputError("--every is at least a second", hint="for example --every 1h")
    if webhook:
        check_url(webhook)
    chosen = read_rules(rules) if rules is not None else default_rules()
    asked = _Asked(
        captures=captures,
        day=day,
        days=days,
        k=k,
        events=events,
        reference=_reference(reference),
        live=live,
        rules=chosen,
        store=None if dry_run else store,
        rows=rows,
        prometheus=prometheus,
        webhook=None if dry_run else webhook,
        index=index_name(index),
        fmt=fmt,
    )
    with ExitStack() as stack:
        gauges = None
        if prometheus is not None or metrics_port is not None:
            from monitoring.prometheus import Gauges, serving

            gauges = Gauges()
            if metrics_port is not None:
                port = stack.enter_context(serving(gauges, metrics_port))
                out.note(f"metrics: http://127.0.0.1:{port}/metrics")
        if every is None:
            if not asked.once(gauges):
                raise typer.Exit(2)
            return
        while True:
            began = time.monotonic()
            try:
                asked.once(gauges)
            except RankError as e:  # the next round may find the cluster again
                from ranking.cli._errors import explain_error

                out.note(explain_error(e))
            time.sleep(max(0.0, wait_s - (time.monotonic() - began)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What `monitor run` was asked for, once or every so often."""

    captures: Path
    day: str | None
    days: int
    k: int
    events: Path | None
    reference: tuple[str, str] | None
    live: int
    rules: Rules
    store: str | None
    rows: Path | None
    prometheus: Path | None
    webhook: str | None
    index: str
    fmt: out.Format

    def once(self, gauges: Gauges | None) -> bool:
        """One run; whether every rule holds."""
        from monitoring import Store, judge
        from monitoring.annotations import read_publications
        from monitoring.cluster import look
        from monitoring.series import History
        from ranking.clock import format_time, now_ms
        from ranking.es import connect

        es: Elasticsearch | None = None
        kept: Store | None = None
        versions: list[Any] = []
        more: list[dict[str, Any]] = []
        if self.store is not None:
            es = connect()
            kept = Store(es, self.store)
            kept.prepare()
            versions, more = read_publications(es)
        figures = self._figures(versions)
        if es is not None:
            document, parity = self._look(es, figures, look)
            more.append(document)
            if parity is not None and not parity.holds:
                wrong = parity.scores - parity.bit_equal
                out.note(f"live: {wrong} of {parity.scores} scores are not the formula's")
        computed = format_time(now_ms())
        documents = [{**one, "computed_at": computed} for one in (*figures.documents, *more)]
        earlier: list[dict[str, Any]] = []
        if kept is not None:
            gone = kept.write(documents)
            out.note(
                f"wrote {len(documents)} documents to {kept.index}"
                + (f", took away {gone} of slices that are no more" if gone else "")
            )
            earlier = kept.read(_days_before(figures.days[-1]))
        history = History(earlier or documents)
        judged = judge(self.rules, history, figures.days[-1])
        if self.rows is not None:
            from ranking.whole_file import write_json_lines

            write_json_lines(self.rows, documents)
            out.note(f"wrote {self.rows}")
        if gauges is not None:
            gauges.show(documents, judged, now_ms=now_ms())
            if self.prometheus is not None:
                gauges.write(self.prometheus)
                out.note(f"wrote {self.prometheus}")
        for empty in figures.empty:
            out.note(f"{empty}: no searches")
        show(history, judged, self.fmt, figures)
        if kept is not None:
            _tell(kept, judged, self.webhook)
        return not judged.alerts

    def _figures(self, versions: list[Any]) -> Figures:
        from monitoring import run as compute

        with out.progress("days read") as advance:
            return compute(
                self.captures,
                last=self.day,
                n_days=self.days,
                k=self.k,
                events=self.events,
                versions=versions,
                reference=self.reference,
                advance=advance,
            )

    def _look(self, es: Elasticsearch, figures: Figures, look: Any) -> Any:
        from ranking.clock import now_ms

        if not self.live:
            return look(es, self.index, now_ms=now_ms())
        with out.progress("live searches", min(self.live, len(figures.latest))) as advance:
            return look(es, self.index, now_ms=now_ms(), log=figures.latest, live=self.live, advance=advance)


@app.command("report")
def report(
    rows: Annotated[
        Path | None,
        typer.Option("--from", help="What `monitor run --out` wrote, instead of the index."),
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="So many days up to --day.")] = 60,
    day: Annotated[
        str | None, typer.Option("--day", help="The day that is judged; the last one by default.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write one self-contained page here.")] = None,
    rules: RulesOption = None,
    store: StoreOption = "rank-monitor",
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Print, draw or judge what `monitor run` has kept. Changes nothing; exit 2 where a rule does not hold.

    Example: rank-cli monitor report --days 60 --html monitor.html
    """
    from monitoring import Store, default_rules, judge, read_rules, write_page
    from monitoring.annotations import with_marks
    from monitoring.days import days_until
    from monitoring.reading import read_rows
    from ranking.errors import InputError
    from ranking.es import connect

    chosen = read_rules(rules) if rules is not None else default_rules()
    if rows is not None:
        documents, source = read_rows(rows), rows.name
    else:
        kept = Store(connect(), store)
        documents, source = kept.read(), kept.index
    history = with_marks(documents)
    there = [one for one in history.days if day is None or one <= day]
    if not there:
        raise InputError(
            f"{source} holds no figures" + (f" up to {day}" if day else ""),
            hint="make some: rank-cli monitor run CAPTURES",
        )
    first = days_until(there[-1], days)[0]
    last = there[-1] if there[-1] < history.days[-1] else "9999"  # of the last day, the cluster as last seen
    history = with_marks([one for one in documents if first <= one["day"] <= last])
    judged = judge(chosen, history, there[-1])
    if html is not None:
        write_page(history, judged, chosen, html, source=source)
        out.note(f"wrote {html}")
    show(history, judged, fmt, None)
    if judged.alerts:
        raise typer.Exit(2)


@app.command("dashboards")
def dashboards(
    folder: Annotated[Path, typer.Option("--out", help="Folder to write to; made where missing.")],
    store: StoreOption = "rank-monitor",
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Write dashboards for Grafana and Kibana, and the index template. Asks no cluster.

    Example: rank-cli monitor dashboards --out dashboards
    """
    from monitoring.dashboards import write_dashboards

    written = write_dashboards(folder, store)
    if fmt is out.Format.json:
        out.as_json({"files": [{"file": str(path), "for": what} for path, what in written]})
    else:
        out.table([{"file": str(path), "for": what} for path, what in written])


@app.command("simulate")
def simulate(
    folder: Annotated[Path, typer.Argument(help="Folder to write captures to.", metavar="OUT")],
    last: Annotated[str, typer.Option("--last", help="Last day, UTC.")] = "2026-11-27",
    days: Annotated[int, typer.Option("--days", min=1, max=400, help="How many days.")] = 30,
    searches: Annotated[int, typer.Option("--searches", min=10, help="On an ordinary day.")] = 300,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Equal seeds make equal months.")] = 7,
) -> None:
    """Write a month of captures in which everything is simulated, to try the monitor on.

    Example: rank-cli monitor simulate month --days 30
    """
    from marketplace.month import Month, simulate_month
    from monitoring.days import parse_day
    from ranking.clock import DAY_MS, parse_time
    from ranking.errors import InputError

    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty", hint="name a new folder")
    end_ms = parse_time(parse_day(last).isoformat()) + DAY_MS
    with out.progress("days simulated", days) as advance:
        n = simulate_month(folder, Month(last_ms=end_ms, days=days, searches=searches, seed=seed), advance)
    out.note(f"wrote {n} simulated searches to {folder}")


def _reference(text: str | None) -> tuple[str, str] | None:
    from monitoring.days import parse_day
    from ranking.errors import InputError

    if text is None:
        return None
    first, colon, last = text.partition(":")
    if not colon or parse_day(first) > parse_day(last):
        raise InputError(f"--reference {text!r} is no window", hint="for example 2026-11-01:2026-11-07")
    return first, last


def _days_before(day: str) -> str:
    """The first day that a rule may look at: a year and more."""
    from monitoring.days import days_until

    return days_until(day, 400)[0]


def _tell(kept: Store, judged: Judged, webhook: str | None) -> None:
    """Post what is new, and remember that it was told: in this order, so that nothing is lost."""
    import os

    from monitoring.store import alert_document
    from monitoring.webhook import body_of, send

    new = kept.new_alerts(judged.alerts)
    told = bool(webhook and new)
    if webhook and new:
        send(webhook, body_of(judged.day, new), secret=os.environ.get("RANK_WEBHOOK_SECRET"))
        out.note(f"told the webhook of {len(new)} new alerts")
    old = {alert.alert_id for alert in judged.alerts} - {alert.alert_id for alert in new}
    if judged.alerts:
        kept.write([alert_document(one, notified=told or one.alert_id in old) for one in judged.alerts])
