"""Guarded roll-outs without a server: rules, captures by hand, decisions, what entries say, the page."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from monitoring.rollout.audit import Entry
from monitoring.rollout.decide import decide
from monitoring.rollout.evidence import Evidence, Finding, read_evidence
from monitoring.rollout.observed import observe
from monitoring.rollout.page import write_page
from monitoring.rollout.rules import Rules, parse_margin, parse_steps, read_rules
from monitoring.rollout.state import HOUR_MS, Plan, State, fold, found_done
from ranking.canary import Canary
from ranking.capture import CapturedItem, CaptureRecord, Event, write_captures, write_events
from ranking.cli import full_app
from ranking.errors import ConfigError, InputError, RankError
from ranking.failures import Failure, write_failures
from ranking.profile import Profile
from ranking.published import Published

NOW = 1_795_000_000_000
PLAN = Plan((5.0, 50.0, 100.0), 24.0, Rules())


class TestRules:
    def test_every_problem_of_a_file_is_named_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "rules.yaml"
        path.write_text("alpha: 2\nsettle: soon\nguardrails: {BCR: {margin: 5%}, CTR: {margin: 5%}}\nx: 1\n")
        with pytest.raises(ConfigError) as refused:
            read_rules(path)
        said = refused.value.problems
        assert [problem.partition(":")[0] for problem in said] == ["alpha", "settle", "guardrails", "x"]
        assert "'CTR' is no guardrail; there are CTR@k, RR, BCR" in said[2]

    @pytest.mark.parametrize("content", ["", "[1]", "a: [", "guardrails: {}"])
    def test_a_file_that_is_none_is_refused(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "rules.yaml"
        path.write_text(content)
        with pytest.raises(ConfigError):
            read_rules(path)

    @pytest.mark.parametrize(
        ("name", "text", "value", "relative"),
        [
            ("CTR@10", "5%", 0.05, True),
            ("RR", "0.5pp", 0.005, False),
            ("took_p95", "20ms", 20.0, False),
            ("took_p99", "20%", 0.2, True),
            ("ATPU", "0.01", 0.01, False),
        ],
    )
    def test_a_margin_has_the_unit_of_its_metric(
        self, name: str, text: str, value: float, relative: bool
    ) -> None:
        margin = parse_margin(name, text)
        assert (margin.value, margin.relative) == (pytest.approx(value), relative)

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("error_rate", "5%"),
            ("took_p95", "5pp"),
            ("RR", "5ms"),
            ("BCR", "-5%"),
            ("BCR", "five"),
            ("BCR", "5"),
        ],
    )
    def test_another_unit_is_refused(self, name: str, text: str) -> None:
        with pytest.raises(ValueError, match=name):
            parse_margin(name, text)

    def test_alpha_is_shared_by_guardrails_and_steps(self) -> None:
        assert Rules().level(4) == pytest.approx(0.05 / (8 * 4))

    @pytest.mark.parametrize(
        "text", ["", "5", "100", "5,4,100", "0,100", "5,5,100", "nan,100", "5,50", "1.001,100"]
    )
    def test_steps_rise_to_100(self, text: str) -> None:
        with pytest.raises(InputError, match="--steps"):
            parse_steps(text)
        assert parse_steps("1, 5,100") == (1.0, 5.0, 100.0)


SALT = "mine@2"


def record(search_id: str, user: str | None, arm: str | None, **more: Any) -> CaptureRecord:
    """A page of three items; the second has no image score."""
    shown = (
        CapturedItem(f"i{rank}", 1.0, rank=rank, score=1.0, image_score=None if rank == 2 else 0.5)
        for rank in (1, 2, 3)
    )
    items = (*shown, CapturedItem("outside", 0.5))
    about = {"now_ms": NOW, "total_hits": 4, "items": items, "took_ms": 10, **more}
    return CaptureRecord(
        search_id=search_id,
        query="q",
        index="items",
        profile="mine",
        profile_hash="",
        k=3,
        window=0,
        rel_floor=None,
        user_id=user,
        arm=arm,
        **about,
    )


class TestObserved:
    def test_by_hand(self, tmp_path: Path) -> None:
        canary, control = f"{SALT}/canary", f"{SALT}/baseline"
        records = [
            record("1", "u1", canary, took_ms=30),
            record("2", "u1", canary, total_hits=0, items=()),
            record("3", "u2", control, took_ms=20),
            record("4", "both", control),
            record("5", "both", canary),
            record("6", "u3", "mine@1/canary"),  # of an earlier canary
            record("7", None, control),
            record("8", "early", control, now_ms=NOW - 1),
            record("9", "late", control, now_ms=NOW + HOUR_MS),
            record("10", "u4", control, total_hits=None, items=()),  # a native query counts no matches
        ]
        write_captures(tmp_path, records, [])
        clicks = [
            ("1", "i3", 3),
            ("1", "i3", 3),
            ("1", "i2", 2),
            ("3", "i1", None),
            ("8", "i1", 1),
            ("none", "i1", 1),
        ]
        events = [Event(search, item, "click", rank, NOW) for search, item, rank in clicks]
        write_events(tmp_path, [*events, Event("1", "i3", "purchase", 3, NOW, simulated=True)])
        write_failures(tmp_path, [Failure(NOW, "u2", control), Failure(NOW, "u5", control)])
        found = observe(tmp_path, SALT, since_ms=NOW, until_ms=NOW + HOUR_MS, ks=[2])
        assert (found.canary.n, found.control.n, found.crossed) == (1, 3, 1)
        mine = {name: float(values[0]) for name, values in found.canary.columns.items()}
        assert mine == {
            "searches": 2,
            "asked": 2,
            "failures": 0,
            "empty": 1,
            "shown": 3,
            "scored": 2,
            "shown@2": 2,
            "clicks@2": 1,  # the click on rank 3 is outside, the second one on it no second item
            "rr": 0.5,
            "purchases": 1,
        }
        assert sorted(found.canary.took_ms) == [10, 30]
        theirs = {name: float(values.sum()) for name, values in found.control.columns.items()}
        assert (theirs["searches"], theirs["asked"], theirs["failures"], theirs["empty"]) == (2, 4, 2, 1)
        assert (found.clicks, found.no_rank, found.purchases, found.failures) == (3, 1, 1, 2)
        assert found.simulated

    def test_failures_that_nobody_logs_are_not_none(self, tmp_path: Path) -> None:
        write_captures(tmp_path, [record("1", "u1", f"{SALT}/canary")], [])
        assert observe(tmp_path, SALT, since_ms=NOW, until_ms=NOW + 1).failures is None
        write_failures(tmp_path, [])
        assert observe(tmp_path, SALT, since_ms=NOW, until_ms=NOW + 1).failures == 0

    def test_a_day_without_searches_has_nobody(self, tmp_path: Path) -> None:
        write_captures(tmp_path, [record("1", "u1", f"{SALT}/canary")], [])
        found = observe(tmp_path, SALT, since_ms=NOW + 48 * HOUR_MS, until_ms=NOW + 72 * HOUR_MS, ks=[10])
        assert (found.searches, found.smallest) == (0, 0)

    def test_another_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no capture folder"):
            observe(tmp_path, SALT, since_ms=0, until_ms=1)
        (tmp_path / "searches" / "day=2026-11-18").mkdir(parents=True)
        (tmp_path / "searches" / "day=2026-11-18" / "part-1.parquet").write_text("no Parquet")
        with pytest.raises(InputError, match="not a readable Parquet file"):
            observe(tmp_path, SALT, since_ms=0, until_ms=1)


def entry(number: int, action: Any, percent: float, *, at_h: float = 0, reason: str = "why") -> Entry:
    return Entry(
        name="mine",
        version=2,
        number=number,
        action=action,
        at_ms=NOW + round(at_h * HOUR_MS),
        by="ana",
        percent=percent,
        from_percent=0.0,
        reason=reason,
        plan=PLAN.as_dict() if number == 1 else None,
    )


def stated(*entries: Entry) -> State:
    found = fold([entry(1, "started", 5.0), *entries])
    assert found is not None
    return found


def finding(name: str = "BCR", verdict: Any = "open", *, prove: bool = False) -> Finding:
    return Finding(name, verdict, 0.1, 0.05, -0.5, -0.6, -0.4, 0.05, True, False, prove)


SEEN = Evidence(
    findings=(finding(),),
    n_control=950,
    n_canary=50,
    share=0.05,
    mismatch_p=1.0,
    mismatch=False,
    enough=True,
    searches=3000,
    clicks=100,
    purchases=10,
    failures=0,
    crossed=0,
    since_ms=NOW,
    until_ms=NOW + 25 * HOUR_MS,
    simulated=True,
)
BREACH = replace(SEEN, findings=(finding(verdict="breached"),))


class TestDecide:
    @pytest.mark.parametrize(
        ("entries", "seen", "hours", "auto", "verb", "reason"),
        [
            ([], SEEN, 23.9, False, "hold", "24 h in this step are over"),
            ([], SEEN, 24, False, "advance", "no guardrail breached in 24.0 h, 50 users"),
            ([entry(2, "advanced", 50.0, at_h=24)], SEEN, 47, False, "hold", "24 h"),
            ([entry(2, "advanced", 50.0, at_h=24)], SEEN, 48, False, "finish", "no guardrail"),
            ([entry(2, "changed", 7.0, at_h=1)], SEEN, 25, False, "advance", "no guardrail"),
            ([entry(2, "paused", 5.0)], SEEN, 30, False, "hold", "paused"),
            ([entry(2, "paused", 5.0), entry(3, "resumed", 5.0)], SEEN, 30, False, "advance", ""),
            ([], replace(SEEN, enough=False), 30, False, "hold", "fewer than 500 users in an arm"),
            ([], replace(SEEN, findings=(finding(verdict="no data"),)), 30, False, "hold", "no data for BCR"),
            ([], replace(SEEN, findings=(finding(prove=True),)), 30, False, "hold", "not shown yet"),
            ([], replace(SEEN, findings=(finding(verdict="holds", prove=True),)), 30, False, "advance", ""),
            (
                [],
                BREACH,
                1,
                False,
                "breached",
                "BCR -50 % (at most -40 % at every look), beyond the margin of 5 %",
            ),
            ([], BREACH, 1, True, "roll_back", "BCR -50 %"),
            ([entry(2, "paused", 5.0)], BREACH, 1, True, "roll_back", "BCR -50 %"),
            (
                [],
                replace(SEEN, mismatch=True, enough=False),
                0.1,
                True,
                "roll_back",
                "sample ratio mismatch: 50 of 1000",
            ),
            (
                [entry(2, "breached", 5.0)],
                SEEN,
                30,
                False,
                "hold",
                "paused",
            ),  # it stays, until somebody resumes
            ([entry(2, "breached", 5.0)], SEEN, 30, True, "roll_back", "as in entry 2: why"),
            ([entry(2, "breached", 5.0), entry(3, "resumed", 5.0)], SEEN, 30, True, "advance", ""),
        ],
    )
    def test_what_comes_next(
        self, *, entries: list[Entry], seen: Evidence, hours: float, auto: bool, verb: str, reason: str
    ) -> None:
        state = stated(*entries)
        found = decide(state, seen, now_ms=NOW + round(hours * HOUR_MS), auto_rollback=auto)
        assert found.verb == verb
        assert reason in found.reason
        percent = {"hold": state.percent, "breached": state.percent, "roll_back": 0, "finish": 100}
        assert found.percent == percent.get(verb, 50.0)


def published(version: int, canary: Canary | None) -> Published:
    return Published(
        profile=Profile.model_validate({"name": "mine"}),
        version=version,
        published_at="2026-11-18T00:00:00.000Z",
        changed_at="2026-11-19T00:00:00.000Z",
        changed_by="bo",
        previous=None,
        canary=canary,
        seq_no=1,
        primary_term=1,
    )


class TestWhatTheAuditLacks:
    @pytest.mark.parametrize(
        ("live", "decided", "action", "percent"),
        [
            (published(1, Canary(2, 5.0, SALT)), None, None, 0),
            (published(1, Canary(2, 50.0, SALT)), 50.0, "advanced", 50),
            (published(1, Canary(2, 50.0, SALT)), None, "changed", 50),
            (published(1, None), 0.0, "rolled_back", 0),
            (published(1, None), None, "aborted", 0),
            (published(2, None), 100.0, "finished", 100),
            (published(2, None), None, "finished", 100),
            (published(3, None), None, "superseded", 0),
            (published(1, Canary(3, 5.0, "mine@3")), None, "superseded", 0),
            (None, None, "superseded", 0),
        ],
    )
    def test_what_is_live_says_what_was_done(
        self, live: Published | None, decided: float | None, action: str | None, percent: float
    ) -> None:
        state = stated(*([] if decided is None else [entry(2, "decided", decided, reason="BCR fell")]))
        found = found_done(state, live)
        if action is None or found is None:
            assert (found, action) == (None, None)
            return
        assert (found.action, found.percent, found.found) == (action, percent, True)
        assert found.number == state.next_number
        if decided is not None:
            assert "as decided in entry 2: BCR fell" in found.reason
        if live is not None:
            assert (found.by, found.at_ms) == ("bo", 1_795_046_400_000)
        after = fold([*state.entries, found])
        assert after is not None
        assert found_done(after, live) is None  # once

    def test_an_end_stays(self) -> None:
        assert found_done(stated(entry(2, "aborted", 0.0)), published(3, None)) is None


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        said = dict(attrs)
        if said.get("http-equiv") == "Content-Security-Policy":
            self.policy = str(said["content"])


def test_the_page_loads_nothing_and_shows_a_hostile_reason_as_text(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    state = stated(entry(2, "held", 5.0, reason=hostile), entry(3, "breached", 5.0, reason="BCR fell"))
    text = write_page(state, BREACH, tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert "script" not in page.tags
    assert page.policy.startswith("default-src 'none'")
    assert "&lt;script&gt;alert(1)" in text
    assert "simulated users" in text
    assert "BCR fell" in text
    assert write_page(state, None, tmp_path / "bare.html").exists()


def test_figures_come_back_from_the_audit_as_they_were() -> None:
    assert read_evidence(BREACH.as_dict()) == BREACH


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["check", "mine", "--captures", "x", "--watch", "--every", "soon"],
            "--every: not a duration: 'soon'",
        ),
        (
            ["check", "mine", "--captures", "x", "--watch", "--every", "10ms"],
            "--watch goes with --every 1s or more",
        ),
        (
            ["check", "mine", "--captures", "x", "--watch", "--dry-run"],
            "--watch goes with --every 1s or more",
        ),
        (["start", "additive", "--steps", "5,50"], "--steps '5,50' does not rise to 100"),
        (["start", "additive", "--guardrails", "none.yaml"], "none.yaml: no such file"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_a_server_is_asked(words: list[str], said: str) -> None:
    done = CliRunner().invoke(
        full_app(), ["rollout", *words], env={"ELASTICSEARCH_URL": "http://127.0.0.1:1"}
    )
    assert said in str(done.exception)
    assert isinstance(done.exception, RankError)
