"""`rank-cli monitor` on a real cluster, a real webhook, a real Prometheus port and a real browser."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from typer.testing import CliRunner, Result

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from monitoring.annotations import read_publications, with_marks
from monitoring.dashboards.kibana import vega_lite
from monitoring.days import run as compute
from monitoring.metrics import METRICS, metric
from monitoring.rules import parse_rules
from monitoring.store import Store, template
from ranking.capture import Event, write_captures, write_events
from ranking.cli import full_app
from ranking.clock import format_time, now_ms, parse_time
from ranking.errors import BulkError, ServerError
from ranking.profile import builtin_profiles
from ranking.publish import publish, read_published
from ranking.search import Searcher
from tests.integration.conftest import missing, remove_family
from tests.unit.monitoring.month_of import month_of

pytestmark = pytest.mark.engines
DAY = "2026-11-27"
RULES = ["items are indexed without a score", "items are shown without a score"]


@pytest.fixture(scope="module")
def family(es: Elasticsearch) -> Iterator[str]:
    """A store's name, and a family of three items, two of which have a score."""
    name = f"test-monitor-{os.urandom(3).hex()}"
    wanted = desired_state(name)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, name)
    for i, score in enumerate((0.9, 0.2, None)):
        item = {"item_id": f"i{i}", "title": "red dress", "status": "on_sale", "created_at": "2026-11-01"}
        es.index(index=name, id=f"i{i}", document=item | ({"image_score": score} if score else {}))
    es.indices.refresh(index=name)
    yield name
    es.options(ignore_status=404).indices.delete(index=f"{name}-store", ignore_unavailable=True)
    es.options(ignore_status=404).indices.delete_index_template(name=f"{name}-store")
    remove_family(es, name)


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return month_of(tmp_path_factory.mktemp("month"), searches=104, silence=1)


class Hook:
    """A webhook that is busy at first, and remembers what it was told."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.signatures: list[str | None] = []
        self.answers = [503]  # then 204
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = hook.answers.pop(0) if hook.answers else 204
                if status == 204:
                    hook.bodies.append(body)
                    hook.signatures.append(self.headers["X-Rank-Signature"])
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/token-in-the-path"


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.server.shutdown()
    made.server.server_close()


def monitor(*words: str) -> Result:
    return CliRunner().invoke(full_app(), ["monitor", *words])


def run(month: Path, family: str, *words: str) -> Result:
    return monitor("run", str(month), "--index", family, "--store", f"{family}-store", *words)


def stored(es: Elasticsearch, family: str) -> dict[str, dict[str, Any]]:
    es.indices.refresh(index=f"{family}-store")
    hits = es.search(index=f"{family}-store", size=1000)["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


def test_a_run_writes_what_was_computed_and_once_more_changes_nothing(
    es: Elasticsearch, family: str, month: Path
) -> None:
    assert run(month, family, "--days", "5").exit_code == 2
    first = stored(es, family)
    assert set(first[f"{DAY}|traffic|web|all"]) <= set(template()["template"]["mappings"]["properties"])
    expected = compute(month, n_days=5).documents
    traffic = {key: one for key, one in first.items() if one["kind"] == "traffic"}
    assert len(traffic) == len(expected)
    for one in expected:
        kept = traffic[f"{one['day']}|traffic|{one['platform']}|{one['profile']}"]
        assert {key: value for key, value in kept.items() if key != "computed_at"} == one
    cluster = next(one for one in first.values() if one["kind"] == "cluster")
    assert (cluster["items_on_sale"], cluster["items_with_score"]) == (3, 2)
    assert cluster["index_coverage"] == pytest.approx(2 / 3)
    assert run(month, family, "--days", "2").exit_code == 2
    again = stored(es, family)
    assert again.keys() == first.keys()
    for key, one in again.items():
        assert one | {"computed_at": "", "at": ""} == first[key] | {"computed_at": "", "at": ""}


def test_late_events_change_their_day_and_slices_that_are_no_more_go(
    es: Elasticsearch, family: str, month: Path, tmp_path: Path
) -> None:
    assert run(month, family, "--days", "1").exit_code == 2
    copy = shutil.copytree(month, tmp_path / "copy")
    before = stored(es, family)[f"{DAY}|traffic|all|all"]
    at_ms = parse_time("2026-11-30T00:00:00Z")
    write_events(copy, [Event("m7-004-00000", "i00000", "purchase", None, at_ms, simulated=True)])
    es.index(
        index=f"{family}-store",
        id=f"{DAY}|traffic|web|old",
        document={"kind": "traffic", "day": DAY, "platform": "web", "profile": "old"},
        refresh=True,
    )
    done = run(copy, family, "--days", "1")
    assert "took away 1 of slices that are no more" in done.stderr
    after = stored(es, family)
    assert after[f"{DAY}|traffic|all|all"]["purchases"] == before["purchases"] + 1
    assert f"{DAY}|traffic|web|old" not in after
    assert run(month, family, "--days", "1").exit_code == 2  # as it was, for others


def test_live_searches_rank_as_computed_and_a_later_run_keeps_what_was_seen(
    es: Elasticsearch, family: str, tmp_path: Path
) -> None:
    profile = builtin_profiles()["additive"]
    record = Searcher(es, family, profile).capture("red dress", now_ms=now_ms(), platform="web")
    write_captures(tmp_path, [record], [profile.for_platform("web")])
    for words in (("--live", "1"), ()):
        done = run(tmp_path, family, *words, "--days", "1", "--format", "json")
        alerts = [one["rule"] for one in json.loads(done.stdout)["alerts"]]
        assert (done.exit_code, alerts) == (2, ["items are indexed without a score"])  # one of three has none
    today = stored(es, family)[f"{format_time(now_ms())[:10]}|cluster"]
    assert (today["live_searches"], today["live_score_parity"], today["live_page_parity"]) == (1, 1.0, 1.0)
    for key in [key for key in stored(es, family) if key.startswith(record_day(record.now_ms))]:
        if "|traffic|" in key:
            es.delete(index=f"{family}-store", id=key)


def record_day(ms: int) -> str:
    return format_time(ms)[:10]


def test_the_webhook_is_told_once_signed_and_again_after_a_busy_answer(
    es: Elasticsearch, family: str, month: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK_WEBHOOK_SECRET", "hunter22")
    hook.answers = [503]
    told = run(month, family, "--days", "1", "--webhook", hook.url)
    assert (told.exit_code, len(hook.bodies)) == (2, 1)
    data = json.loads(hook.bodies[0])
    assert (data["day"], [one["rule"] for one in data["alerts"]]) == (
        DAY,
        RULES,
    )
    digest = hmac.new(b"hunter22", hook.bodies[0], hashlib.sha256).hexdigest()
    assert hook.signatures == [f"sha256={digest}"]
    again = run(month, family, "--days", "1", "--webhook", hook.url)
    assert (again.exit_code, len(hook.bodies)) == (2, 1)
    for key in (key for key, one in stored(es, family).items() if one["kind"] == "alert"):
        es.delete(index=f"{family}-store", id=key, refresh=True)
    hook.answers = [302]
    refused = run(month, family, "--days", "1", "--webhook", hook.url)
    assert isinstance(refused.exception, ServerError)
    assert str(refused.exception) == "webhook: 127.0.0.1 refused the alerts (HTTP 302)"
    assert "token-in-the-path" not in refused.output + told.output
    assert "hunter22" not in refused.output + told.output
    assert run(month, family, "--days", "1", "--webhook", hook.url).exit_code == 2
    assert len(hook.bodies) == 2  # what was refused is told by the next run


def test_what_the_mapping_does_not_know_is_refused_and_another_index_is_left_alone(
    es: Elasticsearch, family: str
) -> None:
    store = Store(es, f"{family}-store")
    with pytest.raises(BulkError, match="strict"):
        store.write([{"kind": "cluster", "day": DAY, "colour": "red"}])
    with pytest.raises(ServerError, match="is there and not a store of monitor's"):
        Store(es, f"{family}-000001").prepare()


def test_published_versions_name_the_slices_and_mark_the_days(
    es: Elasticsearch, family: str, month: Path
) -> None:
    index = f"{family}-profiles"
    at = parse_time("2026-11-25T08:00:00Z")
    profile = builtin_profiles()["additive"]
    publish(es, profile, now_ms=at, replaces=None, index=index)
    live = read_published(es, "additive", index=index)
    later = profile.model_copy(update={"k": 30})
    publish(es, later, now_ms=at + 3_600_000, replaces=live, canary_percent=5, index=index)
    es.indices.refresh(index=index)
    versions, marks = read_publications(es, index=index)
    assert [one["text"] for one in sorted(marks, key=lambda one: (one["at"], one["text"]))] == [
        "additive@1 published",
        "additive@1 live, canary additive@2 at 5 %",
        "additive@2 published",
    ]
    figures = compute(month, n_days=5, versions=versions)
    by_day = {(d["day"], d["profile"]) for d in figures.documents}
    assert (DAY, "additive@1") in by_day
    assert ("2026-11-24", "additive@1") not in by_day
    assert {one.day for one in with_marks([*figures.documents, *marks]).annotations} == {"2026-11-25"}


def test_the_drawings_of_kibana_find_the_figures(es: Elasticsearch, family: str, month: Path) -> None:
    import vl_convert

    run(month, family, "--days", "5")
    for name in ("ctr_at_k", "index_coverage"):
        spec = vega_lite(metric(name), f"{family}-store")
        for layer in spec["layer"]:
            body = layer["data"]["url"]["body"]
            clauses = body["query"]["bool"]
            span = {"gte": "2020-01-01", "lte": "2100-01-01"}
            clauses["must"], clauses["must_not"] = [], []  # as Kibana does where no filter is set
            clauses["filter"] = [c for c in clauses["filter"] if not isinstance(c, str)]
            clauses["filter"][0] = {"range": {"day": span}}
            source = body.pop("_source")
            hits = es.search(index=layer["data"]["url"]["index"], source=source, **body)["hits"]["hits"]
            layer["data"] = {"values": [dict(hit) for hit in hits]}
        shown = spec["layer"][0]["data"]["values"]
        assert len(shown) == (20 if name == "ctr_at_k" else 1)  # five days of three platforms and all
        assert "<svg" in vl_convert.vegalite_to_svg(spec, vl_version="5.20")


def test_a_process_that_stays_serves_its_metrics(month: Path) -> None:
    words = ["run", str(month), "--dry-run", "--days", "1", "--every", "60s", "--metrics-port", "0"]
    start = [sys.executable, "-c", "from ranking.cli import main; main()", "monitor", *words]
    with subprocess.Popen(start, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stderr is not None
            url = next(line for line in process.stderr if line.startswith("metrics: ")).split()[1]
            assert any("alert" in line for line in process.stderr if DAY in line)  # the first round is over
            with urllib.request.urlopen(url, timeout=10) as answer:
                text = answer.read().decode()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=20)
    assert 'rank_monitor_score_parity{platform="web",profile="all"} 1.0' in text


def test_the_month_of_the_docs_gives_the_figures_of_the_docs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")
    block = next(one for one in re.findall(r"```sh\n(.*?)```", text, re.S) if "monitor simulate" in one)
    monkeypatch.chdir(tmp_path)
    done = [CliRunner().invoke(full_app(), line.split()[1:]) for line in block.splitlines()]
    assert [one.exit_code for one in done] == [0, 2, 2]
    assert "android: 74 searches, fewer than 100: not judged" in done[1].stderr
    for words in ("24.6 %", "4.3 %", "46.6 %", "2026-11-25", "2026-11-17"):
        assert words in done[2].stdout, words
    rules = re.search(r"```yaml\n(.*?)```", text, re.S)
    assert rules is not None
    assert len(parse_rules(rules[1], "docs").rules) == 4


def test_the_page_runs_clean_in_a_browser_and_fits_a_phone(month: Path, family: str, tmp_path: Path) -> None:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        missing("no Chromium: install it with `apt-get install chromium`")
    from playwright.sync_api import sync_playwright

    run(month, family, "--days", "5")
    page_file = tmp_path / "monitor.html"
    words = ("report", "--store", f"{family}-store", "--day", DAY, "--html", str(page_file))
    assert monitor(*words).exit_code == 2
    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda one: one.url != page_file.as_uri() and problems.append(one.url))
        page.goto(page_file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.locator(".alarm").last.inner_text().startswith("items are shown without a score")
        drawn = {metric.name for metric in METRICS} - {"live_score_parity", "live_page_parity"}
        cards = {
            key.removeprefix("p-")
            for key in page.locator('h3[id^="p-"]').evaluate_all("all => all.map(h => h.id)")
        }
        assert drawn - {"index_coverage"} <= cards
        line = page.locator('article[aria-labelledby="p-score_parity"] polyline.l0').get_attribute("points")
        assert len(line.split()) == 5
        page.locator('article[aria-labelledby="p-ctr_at_k"] summary').click()
        assert page.locator('article[aria-labelledby="p-ctr_at_k"] tbody tr').count() == 5
        browser.close()
    assert problems == []
