"""Guarded roll-outs on a real cluster: steps, guardrails, operators at once, a kill between any two writes.

Users are simulated, but for one test that captures real pages; profiles, canaries and audit are the server's.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import BadRequestError, Elasticsearch, helpers
from typer.testing import CliRunner

from monitoring.rollout import Checked, Cluster, Plan, abort, check, find, observe, pause, start
from monitoring.rollout.audit import INDEX, append, read_entries, rollouts
from monitoring.rollout.rules import parse_rules
from monitoring.rollout.simulate import Effect, write_simulated
from monitoring.rollout.state import HOUR_MS, State
from ranking.canary import Canary
from ranking.capture import write_captures
from ranking.cli import full_app
from ranking.errors import InputError, StalePlan
from ranking.profile import Profile
from ranking.publish import change_percent, publish, rollback
from ranking.published import Published, read_published, resolve
from ranking.search import Searcher
from ranking.settings import get_settings

pytestmark = pytest.mark.engines

NOW = 1_795_000_000_000
DAY_H = 24
PAGE = Path(__file__).parents[2] / "docs" / "rollout.md"
RULES = parse_rules({"min_users": 60, "planned_users": 600, "settle": "1m"}, "rules")
PLAN = Plan((20.0, 50.0, 100.0), DAY_H, RULES)


def profile(name: str, weight: float) -> Profile:
    image = {"mode": "additive", "weight": weight}
    return Profile.model_validate({"name": name, "execution": "function_score", "image": image})


@dataclass
class Market:
    """A roll-out of a random name, with users who come when told."""

    at: Cluster
    name: str
    captures: Path

    def begin(self) -> State:
        publish(self.at.es, profile(self.name, 1), now_ms=NOW, replaces=None, index=self.at.profiles)
        return start(self.at, profile(self.name, 2), PLAN, now_ms=NOW)

    def live(self) -> Published:
        found = read_published(self.at.es, self.name, index=self.at.profiles)
        assert found is not None
        return found

    def users_come(self, state: State, *, n: int = 400, share: float | None = None, **effect: float) -> None:
        """For a day of the step that runs."""
        canary = Canary(state.version, share or state.percent, state.label)
        write_simulated(
            self.captures,
            canary,
            users=n,
            began_ms=state.step_began_ms + RULES.settle_ms,
            hours=DAY_H,
            effect=Effect(**effect),
            seed=round(state.percent),
        )

    def check(self, hours: float, **options: Any) -> Checked:
        """After so many hours of the roll-out."""
        return check(self.at, self.name, self.captures, now_ms=NOW + round(hours * HOUR_MS), **options)

    def actions(self) -> list[str]:
        return [one.action for one in find(self.at, self.name).entries]


@pytest.fixture
def market(es: Elasticsearch, prefix: str, tmp_path: Path) -> Market:
    at = Cluster(es, by="ana", profiles=f"{prefix}-profiles", audit=f"{prefix}-rollouts")
    return Market(at, prefix, tmp_path / "captures")


def test_a_harmless_canary_grows_until_it_serves_everybody(market: Market) -> None:
    state = market.begin()
    assert (state.percent, market.live().canary) == (20.0, Canary(2, 20.0, state.label))
    with pytest.raises(InputError, match=f"the roll-out {market.name}@2 is running, at 20 %"):
        start(market.at, profile(market.name, 3), PLAN, now_ms=NOW)
    market.users_come(state)
    early = market.check(23)
    assert (early.decision and early.decision.verb, early.state.percent) == ("hold", 20.0)
    said = market.check(24.5, dry_run=True)
    assert (said.decision and said.decision.percent, market.live().canary) == (
        50.0,
        Canary(2, 20.0, state.label),
    )
    grown = market.check(24.5)
    assert (grown.state.percent, market.live().canary) == (50.0, Canary(2, 50.0, state.label))
    assert market.check(24.5).state.percent == 50.0  # twice is as once
    market.users_come(grown.state)
    finished = market.check(49)
    assert (finished.state.ended, finished.bad) == ("finished", False)
    assert (market.live().version, market.live().canary) == (2, None)
    assert market.actions() == ["started", "held", "decided", "advanced", "held", "decided", "finished"]
    entries = finished.state.entries
    assert {one.by for one in entries} == {"ana"}
    assert entries[3].figures is not None
    assert entries[3].figures["n_canary"] > 60
    assert entries[3].figures["simulated"]
    assert market.check(50).decision is None
    assert len(market.actions()) == len(entries)


def test_a_harmful_canary_is_rolled_back_at_once_where_that_is_allowed(market: Market) -> None:
    state = market.begin()
    market.users_come(state, n=1000, clicks=0.0)
    found = market.check(12)
    assert (found.bad, found.decision and found.decision.verb) == (True, "breached")
    assert "CTR@10 -100 %" in found.state.last.reason
    assert market.live().canary is not None  # said, and not done
    assert market.check(13).bad
    assert market.actions() == ["started", "breached"]
    assert market.check(24.5).decision.verb == "breached"  # type: ignore[union-attr]  # and never advanced
    back = market.check(25, auto_rollback=True)
    assert (back.state.ended, back.bad, market.live().version, market.live().canary) == (
        "rolled_back",
        True,
        1,
        None,
    )
    assert market.actions() == ["started", "breached", "decided", "rolled_back"]


def test_arms_that_are_not_as_assigned_stop_it_before_anything_else(market: Market) -> None:
    market.users_come(market.begin(), share=40.0)  # a service that assigns by its own rule
    found = market.check(20, auto_rollback=True)
    assert found.state.ended == "rolled_back"
    assert "sample ratio mismatch" in found.state.last.reason


def test_of_operators_at_once_one_advances_one_step(market: Market) -> None:
    market.users_come(market.begin())
    together, outcomes = threading.Barrier(6), []

    def operator() -> None:
        together.wait()
        try:
            outcomes.append(market.check(24.5).decision)
        except StalePlan as e:
            outcomes.append(e)

    threads = [threading.Thread(target=operator) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert market.live().canary == Canary(2, 50.0, f"{market.name}@2")
    assert len(outcomes) == 6
    actions = market.actions()
    assert [action for action in actions if action in ("advanced", "changed")] == ["advanced"]
    assert market.check(24.6).repaired is None


class Killed(Exception):
    """The process is gone."""


class KilledAfter:
    """A client whose process is killed at a write: `before` it reaches the server, or after the answer."""

    def __init__(self, es: Elasticsearch, writes: int, before: bool) -> None:
        self._es, self._left, self._before = es, writes, before

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._es, name)
        if name != "index":
            return found

        def write(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left < 0 and self._before:
                raise Killed
            done = found(*args, **kwargs)
            if self._left < 0:
                raise Killed
            return done

        return write


@pytest.mark.parametrize(
    ("harm", "writes", "before"),
    [
        *((False, writes, True) for writes in (0, 1, 2)),
        (False, 2, False),
        (True, 1, False),
    ],
)
def test_killed_at_any_write_the_next_check_completes_it(
    market: Market, harm: bool, writes: int, before: bool
) -> None:
    """decided, the live document, advanced or rolled_back: each in turn is the process's last write."""
    market.users_come(market.begin(), clicks=0.0 if harm else 1.0)
    flaky: Any = KilledAfter(market.at.es, writes, before)
    dying = replace(market, at=replace(market.at, es=flaky))
    with pytest.raises(Killed):
        dying.check(24.5, auto_rollback=True)
    after = market.check(24.6, auto_rollback=True)
    end = "rolled_back" if harm else None
    canary = None if harm else Canary(2, 50.0, f"{market.name}@2")
    assert (after.state.ended, market.live().canary) == (end, canary)
    lacked = (writes, before) in ((1, False), (2, True))
    assert (after.repaired is not None) is lacked
    if after.repaired is not None:
        assert after.repaired.reason.startswith("found: ")
        assert "as decided in entry 2" in after.repaired.reason
    done = [
        action for action in market.actions() if action in ("advanced", "changed", "rolled_back", "aborted")
    ]
    assert done == ["rolled_back" if harm else "advanced"]
    assert market.check(24.7).repaired is None


@pytest.mark.parametrize("writes", [1, 2])
def test_a_start_that_was_killed_is_started_again(market: Market, writes: int) -> None:
    """Behind the version's document, and behind the live document."""
    publish(market.at.es, profile(market.name, 1), now_ms=NOW, replaces=None, index=market.at.profiles)
    flaky: Any = KilledAfter(market.at.es, writes, before=True)
    with pytest.raises(Killed):
        start(replace(market.at, es=flaky), profile(market.name, 2), PLAN, now_ms=NOW)
    with pytest.raises(InputError, match="there is no roll-out"):
        market.check(1)
    state = start(market.at, profile(market.name, 2), PLAN, now_ms=NOW + 1)
    assert market.live().canary == Canary(state.version, 20.0, state.label)
    assert state.last.reason.startswith("took over" if writes == 2 else "published")


def test_what_others_do_meanwhile_is_written_down(market: Market) -> None:
    state = market.begin()
    market.users_come(state)
    what: dict[str, Any] = {"now_ms": NOW + HOUR_MS, "publisher": "bo", "index": market.at.profiles}
    change_percent(market.at.es, market.live(), 30.0, **what)
    seen = market.check(2)
    assert seen.repaired is not None
    assert (seen.repaired.action, seen.repaired.by, seen.repaired.percent) == ("changed", "bo", 30.0)
    assert seen.state.step_began_ms == NOW + HOUR_MS
    assert pause(market.at, market.name, now_ms=NOW, reason="sale").paused
    with pytest.raises(InputError, match="is paused already"):
        pause(market.at, market.name, now_ms=NOW, reason="sale")
    rollback(market.at.es, market.live(), **what)
    with pytest.raises(InputError, match="has ended: aborted"):
        abort(market.at, market.name, now_ms=NOW, reason="too late")
    assert find(market.at, market.name).last.by == "bo"


def test_an_abort_ends_the_canary_and_another_roll_out_may_start(market: Market) -> None:
    market.begin()
    assert abort(market.at, market.name, now_ms=NOW + 1, reason="looks wrong").ended == "aborted"
    assert (market.live().version, market.live().canary) == (1, None)
    again = start(market.at, profile(market.name, 3), PLAN, now_ms=NOW + 2)
    assert again.label == f"{market.name}@3"
    assert rollouts(market.at.es, market.at.audit) == [f"{market.name}@3", f"{market.name}@2"]
    with pytest.raises(InputError, match="is live already"):
        start(market.at, profile(market.name, 1), PLAN, now_ms=NOW)


def test_an_entry_is_written_once_and_holds_nothing_unknown(market: Market) -> None:
    state = market.begin()
    (first,) = read_entries(market.at.es, state.label, market.at.audit)
    with pytest.raises(StalePlan, match=rf"roll-out {state.label} \(started at .* by ana\)"):
        append(market.at.es, replace(first, reason="another"), market.at.audit)
    assert read_entries(market.at.es, state.label, market.at.audit) == [first]
    with pytest.raises(BadRequestError, match="strict_dynamic_mapping_exception"):
        market.at.es.index(index=market.at.audit, document={"name": "x", "note": "y"})


def test_the_arms_of_real_captures_are_those_of_the_hash(market: Market, family: str, tmp_path: Path) -> None:
    es, state = market.at.es, market.begin()
    docs = (
        {"_index": family, "item_id": f"i{i}", "title": "red dress", "image_score": 0.5} for i in range(5)
    )
    helpers.bulk(es, docs, refresh=True)
    users, records, profiles = [f"user-{i}" for i in range(40)], [], {}
    for user in users:
        served, arm = resolve(es, market.name, user, index=market.at.profiles)
        searcher = Searcher(es, family, served)
        records.append(searcher.capture("dress", now_ms=NOW + HOUR_MS, user_id=user, arm=arm))
        profiles[served.hash] = served
    write_captures(tmp_path, records, profiles.values())
    found = observe(tmp_path, state.label, since_ms=NOW, until_ms=NOW + 2 * HOUR_MS, ks=[3])
    taken = sum(Canary(2, 20.0, state.label).takes(user) for user in users)
    assert (found.canary.n, found.control.n, found.crossed) == (taken, 40 - taken, 0)
    assert 0 < taken < 40
    assert found.canary.columns["shown@3"].tolist() == [3.0] * taken
    assert (found.canary.columns["scored"] == 5).all()
    assert not found.simulated


@pytest.fixture
def demo(
    es: Elasticsearch, family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, str]]:
    """A folder to work in, and a random name of index and profile."""
    helpers.bulk(
        es, [{"_index": family, "item_id": "i1", "title": "dress", "image_score": 0.5}], refresh=True
    )
    monkeypatch.setenv("ELASTICSEARCH_URL", get_settings().endpoint("Elasticsearch"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANK_INDEX", family)
    monkeypatch.setenv("RANK_PUBLISHER", "ana")
    get_settings.cache_clear()
    yield tmp_path, family
    get_settings.cache_clear()
    for index in ("rank-profiles", INDEX):
        es.delete_by_query(
            index=index,
            query={"term": {"name": family}},
            refresh=True,
            ignore_unavailable=True,
            conflicts="proceed",
        )


def test_every_snippet_of_the_page_runs(demo: tuple[Path, str]) -> None:
    """rank-cli in this process, for its start is most of the time; everything else in a shell."""
    folder, name = demo
    text = PAGE.read_text(encoding="utf-8").replace("sharper-photos", name)
    ran, at = 0, ""
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", text, flags=re.M | re.S):
        if language == "yaml":
            (folder / ("rules.yaml" if "guardrails" in block else f"{name}.yaml")).write_text(block)
        if language == "python":
            exec(compile(block, str(PAGE), "exec"), {})
        for line in block.splitlines() if language == "bash" else ():
            if line.startswith("rank-cli "):
                command, _, expected = line.replace("$at", at).partition("|| test $? = ")
                said = CliRunner().invoke(full_app(), shlex.split(command, comments=True)[1:])
                assert said.exit_code == int(expected or 0), (line, said.output, said.exception)
                ran += 1
            else:
                done = subprocess.run(
                    ["bash", "-euc", f"{line}; echo ${{at:-}}"], capture_output=True, text=True, check=True
                )
                at = done.stdout.strip() or at
    assert ran == 12
    history = CliRunner().invoke(full_app(), ["rollout", "history", name, "--format", "json"])
    (found,) = json.loads(history.stdout)["rollouts"]
    assert [one["action"] for one in found["audit"]] == [
        *("started", "decided", "advanced", "paused", "resumed", "decided", "rolled_back")
    ]
    assert (folder / "rollout.html").stat().st_size > 5_000
    again = CliRunner().invoke(full_app(), ["rollout", "check", name, "--captures", "captures"])
    assert (again.exit_code, "has ended: rolled_back" in again.stderr) == (2, True)
