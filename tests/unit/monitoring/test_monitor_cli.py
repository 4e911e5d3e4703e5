"""`rank-cli monitor` as a user meets it, with no cluster."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner, Result

from monitoring.metrics import METRICS
from ranking.cli import full_app
from ranking.errors import RankError
from tests.unit.monitoring.month_of import month_of

runner = CliRunner()


def call(*words: str) -> Result:
    return runner.invoke(full_app(), ["monitor", *words])


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("month")
    return month_of(folder / "captures", searches=104, silence=1)


@pytest.fixture(scope="module")
def rows(month: Path) -> Path:
    out = month.parent / "rows.jsonl"
    words = ("run", str(month), "--dry-run", "--days", "5", "--out", str(out))
    done = call(*words, "--prometheus", str(month.parent / "rank.prom"))
    assert done.exit_code == 2, done.output  # items without a score
    assert "items are shown without a score" in done.stdout
    assert "clicks and purchases simulated" in done.stdout
    assert "fewer than 100: not judged" in done.stderr
    return out


def test_a_run_and_its_report_agree(month: Path, rows: Path) -> None:
    run = call("run", str(month), "--dry-run", "--days", "5", "--format", "json")
    report = call("report", "--from", str(rows), "--format", "json")
    assert (run.exit_code, report.exit_code) == (2, 2)
    one, other = json.loads(run.stdout), json.loads(report.stdout)
    for found in (one, other):
        for figures in found["figures"]:
            figures.pop("computed_at", None)
        assert found.pop("annotations") is not None
    assert one == other
    assert (one["day"], one["k"], one["simulated"]) == ("2026-11-27", 10, True)
    assert {metric.name for metric in METRICS if metric.kind == "traffic"} <= one["figures"][0].keys()


def test_the_textfile_holds_the_last_day(month: Path, rows: Path) -> None:
    text = (month.parent / "rank.prom").read_text()
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    documents = [json.loads(line) for line in rows.read_text().splitlines()]
    last = next(
        d for d in documents if (d["day"], d["platform"], d["profile"]) == ("2026-11-27", "web", "all")
    )
    where = (("platform", "web"), ("profile", "all"))
    assert samples["rank_monitor_ctr_at_k", *where] == last["ctr_at_k"]
    assert samples["rank_monitor_searches", *where] == last["searches"]
    assert samples[("rank_monitor_day_timestamp_seconds",)] == 1795737600  # 2026-11-27T00:00:00Z
    assert sum(name[0] == "rank_monitor_alert" for name in samples) == 1


def test_the_page_is_well_formed_stands_alone_and_shows_a_hostile_name_as_text(rows: Path) -> None:
    hostile = rows.with_name("hostile.jsonl")
    hostile.write_text(rows.read_text().replace('"web"', '"<script>alert(1)</script>"'))
    page = rows.with_name("monitor.html")
    done = call("report", "--from", str(hostile), "--html", str(page))
    assert done.exit_code == 2
    text = page.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "http" not in text.replace("http-equiv", "")
    assert "simulated clicks and purchases" in text
    assert str(rows.parent) not in text
    open_tags: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in ("meta", "br"):
                open_tags.append(tag)

        def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            pass

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

    Checker().feed(text)
    assert open_tags == []


def test_a_reports_window_can_end_earlier(rows: Path) -> None:
    found = json.loads(call("report", "--from", str(rows), "--day", "2026-11-24", "--format", "json").stdout)
    assert (found["day"], found["days"]) == ("2026-11-24", ["2026-11-23", "2026-11-24"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "{month}", "--dry-run", "--day", "2026-13-01"), "is no day"),
        (("run", "{month}", "--dry-run", "--day", "2020-01-01"), "no captured searches"),
        (("run", "{month}", "--dry-run", "--live", "3"), "--dry-run asks none"),
        (("run", "{month}", "--dry-run", "--metrics-port", "0"), "add --every|serves a process that stays"),
        (("run", "{month}", "--dry-run", "--every", "10"), "duration needs a unit|not a duration"),
        (("run", "{month}", "--dry-run", "--reference", "2026-11-02:2026-11-01"), "is no window"),
        (("run", "{month}", "--dry-run", "--webhook", "file:///etc/passwd"), "not an http or https address"),
        (
            ("run", "{month}", "--dry-run", "--prometheus", "{month}/x.txt"),
            "would not be read by the textfile",
        ),
        (("run", "{month}", "--dry-run", "--rules", "{month}/none.yaml"), "no such file"),
        (("report", "--from", "{month}/none.jsonl"), "cannot be read"),
        (("report", "--from", "{bad}"), "line 2: searches is not int"),
        (("report", "--from", "{rows}", "--day", "2020-01-01"), "holds no figures up to 2020-01-01"),
        (("simulate", "{month}"), "is not empty"),
    ],
)
def test_a_wrong_option_is_one_sentence(
    month: Path, rows: Path, words: tuple[str, ...], message: str
) -> None:
    bad = rows.with_name("bad.jsonl")
    good = rows.read_text().splitlines()[0]
    bad.write_text(good + "\n" + json.dumps(json.loads(good) | {"searches": "many"}) + "\n")
    places = {"month": str(month), "rows": str(rows), "bad": str(bad)}
    done = call(*(word.format(**places) for word in words))
    assert isinstance(done.exception, RankError), done.output
    assert any(part in str(done.exception) for part in message.split("|"))


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"kind": "x"}', '{"kind": "cluster", "day": "20261120"}'])
def test_a_line_that_is_no_document_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(line + "\n")
    done = call("report", "--from", str(path))
    assert isinstance(done.exception, RankError)
    assert "line 1" in str(done.exception)
