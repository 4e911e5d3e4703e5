"""Roles and the table of docs/security.md, held to a secure cluster: enough, the least, and nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch, helpers
from typer.main import get_command
from typer.testing import CliRunner

from index_templates import deploy, desired_state, ensure_index, plan_steps, read_live
from index_templates.desired import UPDATE_SCRIPTS
from index_templates.history import ensure_history, history_index
from index_templates.migration import Migration
from index_templates.roles import ROLES, Role, api_key_request, create_api_key, role_descriptor
from ranking.cli import full_app
from ranking.cli._errors import explain_error
from ranking.clock import format_time, now_ms
from ranking.errors import InputError, RankError, ServerError, StalePlan
from ranking.es import connect
from ranking.profile import find_profile, parse_profile
from ranking.publish import publish, rollback
from ranking.published import INDEX, MAPPINGS, SETTINGS, read_published, read_version
from ranking.settings import get_settings
from tests.integration.secure_server import SecureServer, be_its_client

pytestmark = pytest.mark.engines

ROOT = Path(__file__).parents[2]
READY, BARE = "role-ready", "role-bare"  # index families: one with items, one with nothing


def write_an_item(_folder: Path) -> None:
    """What `ingest stream` does to the index; its items come over Kafka."""
    from scorer.ingest.analyzer import Document
    from scorer.ingest.feeder import Feeder
    from scorer.ingest.records import Record

    source = {"item_id": "new", "title": "blue belt", "status": "on_sale"}
    feeder = Feeder(connect(), READY, wait_s=0)
    feeder.check()
    result = feeder.write([Document("new", 1, source, Record(value=None))])
    assert (len(result.written), result.refused) == (1, [])


def make_messages(_folder: Path) -> None:
    """What `loadtest ingest` asks Elasticsearch; its messages go over Kafka, and its looks are searches."""
    from loadtest import read_messages

    with pytest.raises(InputError, match="no items on sale"):  # those of this family have no created_at
        read_messages(connect(), READY)


def search_beside_messages(folder: Path) -> None:
    """What `loadtest mixed` asks Elasticsearch."""
    from loadtest import Plan, Searches, cluster_target, read_workload

    make_messages(folder)
    served = find_profile("additive")
    asked = read_workload(folder / "log")
    target = cluster_target(get_settings())
    profiles = {"baseline": served, "contender": served}
    Searches(connect(), target, READY, profiles=profiles, searches=asked, plan=Plan(speed_up=60))


def score_an_item(_folder: Path) -> None:
    """What `ingest backfill` does to the index, without a model."""
    from ranking.score_fields import LIVE
    from scorer.backfill.read import Item, check_index, read_slice
    from scorer.backfill.scope import Scope, Slice
    from scorer.backfill.scoring import Finding
    from scorer.backfill.write import ScoreWriter

    es = connect()
    check_index(es, READY)
    scope = Scope.last_days(90, index=READY, version="m2", now_ms=0)
    assert list(read_slice(es, scope, Slice(0, 1))) == []
    writer = ScoreWriter(es, READY, version="m2", target=LIVE, now_ms=lambda: 0, wait_s=1)
    result = writer.write([Finding(Item("i0", None, "m1"), 0.5)])
    assert (len(result.written), result.refused) == (1, [])


def search_in_the_workbench(_folder: Path, contender: str = "shipped:additive") -> None:
    """What the page of `serve` asks: its start, a search with a filter, and the cards of its items."""
    from workbench import Workbench
    from workbench.asked import LiveSearch

    bench = Workbench(open_cluster=connect, index=READY, profiles_folder=Path("none"))
    bench.live.categories()
    bench.start()
    asked = LiveSearch(
        query="red dress", baseline="shipped:control", contender=contender, filters={"status": "on_sale"}
    )
    found = bench.live.compare(asked)
    assert len(bench.photos.rows(found["item_ids"])) == 9


def search_with_a_published_profile(folder: Path) -> None:
    search_in_the_workbench(folder, "published:mine@1")


def publish_too_late(folder: Path) -> None:
    """What `apply-boost` does where a colleague published while it asked."""
    seen = read_published(connect(), "mine")
    assert seen is not None
    before = replace(seen, seq_no=seen.seq_no - 1)
    with pytest.raises(StalePlan):
        publish(connect(), find_profile(str(folder / "mine.yaml")), now_ms=0, replaces=before)


def roll_back(folder: Path) -> None:
    """What `rollout check --auto-rollback` does where simulated users are all in one arm."""
    from monitoring.rollout import Cluster, check
    from monitoring.rollout.simulate import Effect, write_simulated
    from ranking.canary import Canary

    captures, canary = folder / "one-arm", Canary(2, 100.0, "mine@2")
    if not captures.exists():
        write_simulated(captures, canary, users=50, began_ms=300_000, hours=1, effect=Effect())
    found = check(Cluster(connect()), "mine", captures, now_ms=7_200_000, auto_rollback=True)
    assert found.state.ended == "rolled_back"


# Scores of three places, so that any of them can be moved.
TWO_MODELS = {
    "image_score": 0.5,
    "image_score_version": "m1",
    "image_score_next": 0.6,
    "image_score_next_version": "m2",
}
BEFORE_A_ROLLBACK = {
    "image_score": 0.6,
    "image_score_version": "m2",
    "image_score_previous": 0.5,
    "image_score_previous_version": "m1",
}
Words = tuple[str, ...] | Callable[[Path], None]
COMMANDS: dict[str, tuple[str | None, Words]] = {
    "search": (READY, ("search", "red dress")),
    "search --explain": (READY, ("search", "red dress", "--explain")),
    "search --compare": (READY, ("search", "red dress", "--compare", "additive", "--html", "{tmp}/x.html")),
    "serve": (READY, search_in_the_workbench),
    "serve, with published profiles": (READY, search_with_a_published_profile),
    "search --profile PUBLISHED": (READY, ("search", "red dress", "--profile", "mine")),
    "similar": (READY, ("similar", "i0")),
    "similar --profile PUBLISHED": (READY, ("similar", "i0", "--image-weight", "0.3", "--profile", "mine")),
    "replay record": (READY, ("replay", "record", "{tmp}/new", "--queries", "{tmp}/queries.txt")),
    "replay verify --live": (READY, ("replay", "verify", "{tmp}/log", "--live")),
    "replay run --live": (READY, ("replay", "run", "{tmp}/log", "--live", "--report", "{tmp}/r.html")),
    "loadtest run": (
        READY,
        ("loadtest", "run", "{tmp}/log", "--rounds", "1", "--users", "1", "--seconds", "0.5"),
    ),
    "loadtest ingest": (READY, make_messages),
    "loadtest mixed": (READY, search_beside_messages),
    "boost plan-execution": (READY, ("boost", "plan-execution", "additive", "--captures", "{tmp}/log")),
    "boost lint --index": (READY, ("boost", "lint", "{tmp}/mine.yaml")),
    "apply-boost --dry-run": (READY, ("apply-boost", "{tmp}/mine.yaml", "--dry-run")),
    "boost list": (None, ("boost", "list")),
    "boost show": (None, ("boost", "show", "mine")),
    "boost diff PUBLISHED": (None, ("boost", "diff", "mine@1", "mine@live")),
    "plugin status": (None, ("plugin", "status")),
    "ingest upgrade status": (READY, ("ingest", "upgrade", "status")),
    "ingest upgrade compare": (READY, ("ingest", "upgrade", "compare")),
    "monitor report": (None, ("monitor", "report")),
    "rollout status": (None, ("rollout", "status", "mine")),
    "rollout history": (None, ("rollout", "history", "mine")),
    "rollout simulate": (None, ("rollout", "simulate", "mine", "{tmp}/users", "--users", "9")),
    "templates plan": (BARE, ("templates", "plan")),
    "templates history": (READY, ("templates", "history")),
    "index status": (READY, ("index", "status")),
    "templates apply --no-create-index": (BARE, ("templates", "apply", "--no-create-index")),
    "templates apply": (BARE, ("templates", "apply")),
    "templates rollback": (BARE, ("templates", "rollback", "--yes")),
    "index create": (BARE, ("index", "create")),
    "apply-boost --yes": (READY, ("apply-boost", "{tmp}/mine.yaml", "--rounds", "0", "--yes")),
    "apply-boost, a colleague was faster": (READY, publish_too_late),
    "boost rollback": (None, ("boost", "rollback", "mine", "--yes")),
    "boost promote": (None, ("boost", "promote", "mine", "--yes")),
    "boost prune": (None, ("boost", "prune", "mine", "--keep", "1", "--yes")),
    "monitor run, the first": (READY, ("monitor", "run", "{tmp}/log", "--rules", "{tmp}/rules.yaml")),
    "monitor run": (READY, ("monitor", "run", "{tmp}/log", "--rules", "{tmp}/rules.yaml", "--live", "1")),
    "rollout start": (READY, ("rollout", "start", "{tmp}/mine.yaml", "--yes")),
    "rollout check": (None, roll_back),
    "rollout pause": (None, ("rollout", "pause", "mine")),
    "rollout resume": (None, ("rollout", "resume", "mine")),
    "rollout abort": (None, ("rollout", "abort", "mine", "--yes")),
    "index migrate": (BARE, ("index", "migrate", "--force", "--delete-old", "--yes")),
    "index migrate --abort": (BARE, ("index", "migrate", "--abort")),
    "ingest stream": (READY, write_an_item),
    "ingest backfill": (READY, score_an_item),
    "ingest upgrade switch": (READY, ("ingest", "upgrade", "switch", "--version", "m2", "--yes")),
    "ingest upgrade rollback": (READY, ("ingest", "upgrade", "rollback", "--version", "m1", "--yes")),
    "ingest upgrade clean": (READY, ("ingest", "upgrade", "clean", "next", "--yes")),
}
# What changes nothing leaves the cluster as it was for the next.
READING = tuple(COMMANDS)[: tuple(COMMANDS).index("index status") + 1]
# Commands that ask no Elasticsearch, or that are for a local one.
NO_LOGIN = (
    "ab",
    "demo",
    "doctor",  # says of each check whether the login may look
    "plugin build",
    "plugin install",
    "stack",
    "templates export",
    "scorer",
    "ingest publish",
    "ingest dlq",
    "loadtest report",
    "monitor dashboards",
    "monitor simulate",
    "loadtest score",
    "loadtest worker",
    "replay",  # without --live
)


# Elasticsearch hides aliases from who may not see them, where it could refuse.
HIDDEN = {
    ("index status", ("items", "view_index_metadata")): "",
    ("index migrate", ("items", "manage")): f"error: Elasticsearch: there is no alias '{BARE}'",
}
# What only a later apply needs: the first one finds no history to read.
LATER = {(f"templates apply{option}", ("history", "read")) for option in ("", " --no-create-index")}
IN_A_DOCUMENT = (  # refused for each document, without a hint
    ("items", "index"),
    ("items", "write"),
    ("rank-monitor", "index"),
    ("rank-monitor", "delete"),
)
PLACES = ("cluster", "items", "rank-profiles", "history")
OTHERS = ("rank-monitor", "rank-rollouts")  # indices without a column: written as `INDEX:PRIVILEGE`


@dataclass(frozen=True)
class Row:
    """One line of the table: what a command needs."""

    command: str
    needs: tuple[tuple[str, str], ...]  # (where, privilege)
    roles: frozenset[str]

    def descriptor(self, *, without: tuple[str, str] | None = None) -> dict[str, Any]:
        family = COMMANDS[self.command][0] or READY
        names = {
            "items": [family, f"{family}-*"],
            "rank-profiles": [INDEX],
            "history": [history_index(family)],
            **{name: [name] for name in OTHERS},
        }
        held = [need for need in self.needs if need != without]
        indices = [
            {"names": names[where], "privileges": [privilege for at, privilege in held if at == where]}
            for where in names
        ]
        return {
            "cluster": [privilege for at, privilege in held if at == "cluster"],
            "indices": [entry for entry in indices if entry["privileges"]],
        }


def read_table() -> list[Row]:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    section = text.partition("## What each command needs")[2].partition("\n## ")[0]
    rows = []
    for line in section.splitlines():
        if not line.startswith("| `"):
            continue
        command, *places, roles = (cell.strip() for cell in line.strip("|").split("|"))
        needs = [
            (one.partition(":")[0], one.partition(":")[2])
            if one.partition(":")[0] in OTHERS
            else (where, one)
            for where, cell in zip(PLACES, places, strict=True)
            for one in cell.replace("`", "").split()
        ]
        rows.append(Row(command.strip("`"), tuple(needs), frozenset(filter(None, roles.split(", ")))))
    return rows


TABLE = read_table()
ROWS = {row.command: row for row in TABLE}


@pytest.fixture(scope="module")
def admin(secure_server: SecureServer) -> Iterator[Elasticsearch]:
    """The superuser, with a family of items in place."""
    with pytest.MonkeyPatch.context() as patch:
        be_its_client(secure_server, patch)
        es = connect()
    deploy_templates(es, READY)
    ensure_index(es, READY)
    items = (
        {
            "item_id": f"i{i}",
            "title": "red dress",
            "status": "on_sale",
            "image_embedding": [1.0, float(i), 0.5, 0.0],
            "image_embedding_version": "tower-1",
            **TWO_MODELS,
        }
        for i in range(9)
    )
    helpers.bulk(es, ({"_index": READY, "_id": item["item_id"], **item} for item in items), refresh=True)
    yield es
    es.close()
    get_settings.cache_clear()


@pytest.fixture(scope="module")
def folder(
    secure_server: SecureServer, admin: Elasticsearch, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A profile, queries, and a log of them."""
    path = tmp_path_factory.mktemp("roles")
    (path / "queries.txt").write_text("red dress\n")
    (path / "rules.yaml").write_text("rules: [{name: a, metric: score_parity, below: 1}]\n")
    (path / "mine.yaml").write_text(
        "name: mine\nexecution: script_score\nimage: {mode: additive, weight: 5}\n"
    )
    words = ["replay", "record", f"{path}/log", "--queries", f"{path}/queries.txt", "--index", READY]
    with pytest.MonkeyPatch.context() as patch:
        be_its_client(secure_server, patch)
        assert CliRunner().invoke(full_app(), words).exit_code == 0
    return path


def deploy_templates(es: Elasticsearch, family: str) -> None:
    wanted = desired_state(family)
    deploy(es, family, plan_steps(wanted, read_live(es, wanted)), now_ms=0)


class Bench:
    """The cluster as a command needs to find it, made again only after a command that may change it."""

    def __init__(self, es: Elasticsearch) -> None:
        self.es = es
        self.ready: str | None = None

    def prepare(self, command: str) -> None:
        wanted = "to read" if command in READING else command
        if self.ready != wanted:
            self.clear()
            self.fill(wanted)
        self.ready = wanted if command in READING else None

    def clear(self) -> None:
        """Nothing of the bare family, no script, no published profile."""
        es = self.es.options(ignore_status=404)
        indices = [f"{BARE}-*", history_index(BARE), INDEX, *OTHERS]
        if found := list(es.indices.get(index=indices, ignore_unavailable=True)):
            es.indices.delete(index=found)
        for kind, name in reversed([(wanted.kind, wanted.name) for wanted in desired_state(BARE)]):
            match kind:
                case "index_template":
                    es.indices.delete_index_template(name=name)
                case "component_template":
                    es.cluster.delete_component_template(name=name)
                case "ingest_pipeline":
                    es.ingest.delete_pipeline(id=name)
                case "script":
                    es.delete_script(id=name)

    def fill(self, wanted: str) -> None:
        if wanted == "to read" or wanted.startswith(("boost ", "monitor run")) or "colleague" in wanted:
            publish_versions(self.es)
        if wanted in ("to read", "monitor run"):
            keep_figures(self.es)
        if wanted == "to read" or wanted.startswith("rollout "):
            if wanted != "to read":
                publish_versions(self.es, weights=(1, 4))
            roll_out(self.es, wanted)
        if wanted.startswith(("ingest backfill", "ingest upgrade")):
            for script in (r for r in desired_state(READY) if r.name in UPDATE_SCRIPTS):
                self.es.put_script(id=script.name, script=script.body)
            scores = BEFORE_A_ROLLBACK if wanted.endswith("rollback") else TWO_MODELS
            updates = [
                {"_op_type": "update", "_index": READY, "_id": f"i{i}", "doc": scores} for i in range(9)
            ]
            helpers.bulk(self.es, updates, refresh=True)
        if wanted in ("templates rollback", "index create") or wanted.startswith("index migrate"):
            deploy_templates(self.es, BARE)
        if wanted == "ingest stream":
            deploy_templates(self.es, READY)  # the script that items are merged by
        if wanted.startswith("index migrate"):
            ensure_index(self.es, BARE)
            self.es.index(index=BARE, id="1", document={"item_id": "1", "title": "red dress"}, refresh=True)
            self.es.indices.delete(index=history_index(BARE))  # as where others deploy the templates
        if wanted == "index migrate --abort":
            names = {"old": f"{BARE}-000001", "new": f"{BARE}-000002"}
            Migration(family=BARE, **names, began_at=format_time(0), template_hash=None).save(self.es)


def keep_figures(es: Elasticsearch) -> None:
    """A store with figures, and a slice that a run will take away, also where midnight has passed."""
    from monitoring.store import Store

    store = Store(es)
    store.prepare()
    days = [format_time(now_ms() - n * 86_400_000)[:10] for n in range(2)]
    for day in ("2026-11-20", *days):
        slice_of = {"day": day, "platform": "old", "profile": "all", "k": 10, "simulated": False}
        store.write([{"kind": "traffic", **slice_of, "searches": 1, "took_p50_ms": 3.0}])


def roll_out(es: Elasticsearch, wanted: str) -> None:
    """The canary as a roll-out, where the command does not start one."""
    from monitoring.rollout import Cluster, Plan, Rules, pause, start

    live = read_published(es, "mine")
    assert live is not None
    assert live.canary is not None
    if wanted == "rollout start":
        rollback(es, live, now_ms=0)
        return
    canary = read_version(es, "mine", live.canary.version).profile
    start(Cluster(es), canary, Plan((5.0, 100.0), 24, Rules()), now_ms=0)
    if wanted == "rollout resume":
        pause(Cluster(es), "mine", now_ms=0, reason="paused")


def publish_versions(es: Elasticsearch, weights: tuple[int, ...] = (1, 2, 3, 4)) -> None:
    """Versions that were live, and a canary."""
    es.indices.create(index=INDEX, mappings=MAPPINGS, settings={**SETTINGS, "refresh_interval": "20ms"})
    for weight in weights:
        content = {
            "name": "mine",
            "execution": "script_score",
            "image": {"mode": "additive", "weight": weight},
        }
        publish(
            es,
            parse_profile(content, "mine"),
            now_ms=0,
            replaces=read_published(es, "mine"),
            canary_percent=5 if weight == 4 else None,
        )


@pytest.fixture(scope="module")
def bench(admin: Elasticsearch) -> Bench:
    return Bench(admin)


Run = Callable[..., str]


@pytest.fixture
def run(secure: SecureServer, bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command with a key that has one role descriptor; the sentence of its error, "" where none."""

    def call(command: str, descriptor: dict[str, Any], later: bool = False) -> str:
        bench.prepare(command)
        if later:
            ensure_history(bench.es, BARE)
        made = bench.es.security.create_api_key(
            name="test", role_descriptors={"test": descriptor}, refresh=False
        )
        be_its_client(secure, monkeypatch, ELASTICSEARCH_API_KEY=made["encoded"])
        family, words = COMMANDS[command]
        try:
            if callable(words):
                words(folder)
                return ""
            words = tuple(word.replace("{tmp}", str(folder)) for word in words)
            result = CliRunner().invoke(full_app(), [*words, *(["--index", family] if family else [])])
        except RankError as e:
            return explain_error(e)
        if isinstance(result.exception, RankError):
            return explain_error(result.exception)
        assert result.exit_code == 0, (result.output, result.exception)
        return ""

    return call


def commands_of(command: Any, words: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command of the command line, by its words."""
    below = getattr(command, "commands", None)
    if below is None:
        yield " ".join(words)
    for word, one in (below or {}).items():
        yield from commands_of(one, (*words, word))


def test_the_table_names_every_command() -> None:
    assert list(ROWS) == list(COMMANDS)
    for command in commands_of(get_command(full_app())):
        known = any(
            row == command or row.startswith(f"{command} ") or row.startswith(f"{command},") for row in ROWS
        )
        alone = any(command == words or command.startswith(f"{words} ") for words in NO_LOGIN)
        assert known or alone, f"{command}: a row of docs/security.md says what it needs"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_key_with_the_privileges_of_the_table_is_enough_and_with_one_less_is_refused(
    run: Run, command: str
) -> None:
    row = ROWS[command]
    assert run(command, row.descriptor()) == ""
    assert row.needs
    for need in row.needs:
        said = run(command, row.descriptor(without=need), (command, need) in LATER)
        if (command, need) in HIDDEN:
            assert said.partition("\n")[0] == HIDDEN[command, need]
            continue
        assert "HTTP 403" in said or "is unauthorized for API key" in said, (need, said or "not needed")
        assert len(said.splitlines()) == 2 or need in IN_A_DOCUMENT, said


@pytest.mark.parametrize(
    ("role", "command"), [(role, row.command) for row in TABLE for role in sorted(row.roles)]
)
def test_a_role_is_enough_for_what_the_table_says(run: Run, role: Role, command: str) -> None:
    assert run(command, role_descriptor(role, COMMANDS[command][0] or READY)) == ""


@pytest.mark.parametrize("role", ROLES)
def test_a_role_lacks_something_for_every_other_command(
    secure: SecureServer, admin: Elasticsearch, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is refused where one privilege is lacking, the test above tries; the server says which are.
    enough = set()
    for family in (READY, BARE):
        descriptor = {"test": role_descriptor(role, family)}
        key = admin.security.create_api_key(name="test", role_descriptors=descriptor, refresh=False)
        be_its_client(secure, monkeypatch, ELASTICSEARCH_API_KEY=key["encoded"])
        asks = connect().security.has_privileges
        for command, row in ROWS.items():
            needs = row.descriptor()
            if (COMMANDS[command][0] or READY) == family and asks(
                cluster=needs["cluster"], index=needs["indices"]
            )["has_all_requested"]:
                enough.add(command)
    assert enough == {command for command, row in ROWS.items() if role in row.roles}


def test_a_role_is_for_its_own_family_only(run: Run) -> None:
    said = run("search", role_descriptor("reader", BARE))
    assert said.splitlines() == [
        f"error: Elasticsearch: search in {READY}: not allowed: indices:data/read/search on {READY} "
        "needs one of the index privileges read, all (HTTP 403)",
        "hint: docs/security.md names the role for each command",
    ]


@pytest.mark.parametrize("index", ["*", "items,orders", "items*", "../x", ""])
def test_a_family_that_would_widen_a_key_is_refused(index: str) -> None:
    with pytest.raises(InputError):
        role_descriptor("reader", index)


def test_the_command_prints_the_key_once_and_the_body_for_curl(secure: SecureServer, folder: Path) -> None:
    words = ("stack", "api-key", "--role", "reader", "--index", READY)
    printed = CliRunner().invoke(full_app(), [*words, "--days", "3", "--print-request"])
    assert json.loads(printed.stdout) == api_key_request("reader", READY, days=3)
    assert json.loads(printed.stdout)["expiration"] == "3d"
    made = secure.rank_cli(*words)
    assert len(made.stdout.split()) == 1
    assert made.stdout.strip() not in made.stderr
    found = secure.rank_cli("search", "dress", "--index", READY, ELASTICSEARCH_API_KEY=made.stdout.strip())
    assert found.returncode == 0
    as_json = secure.rank_cli(*words, "--format", "json")
    assert set(json.loads(as_json.stdout)) == {"id", "name", "encoded"}


def test_the_docs_words_make_keys(
    secure: SecureServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    with_the_command, with_curl = re.findall(r"^```sh\n(.*?api-key.*?)^```", text, flags=re.M | re.S)
    shim = tmp_path / "rank-cli"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from ranking.cli import main; main()" "$@"\n')
    shim.chmod(0o755)
    login = get_settings().elasticsearch_login()
    assert login.password is not None
    env = {**secure.environment, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    curl = {
        "ELASTICSEARCH_URL": get_settings().endpoint("Elasticsearch"),
        "ELASTICSEARCH_CA_CERTS": str(login.ca_certs),
        # a person types the password when curl asks for it
        "ELASTICSEARCH_USER": f"{login.user}:{login.password.get_secret_value()}",
        "ELASTICSEARCH_PASSWORD": "",
    }
    printed = [
        subprocess.run(["bash", "-euc", block], env=given, capture_output=True, text=True, check=True).stdout
        for block, given in (
            (f'{with_the_command}echo "$ELASTICSEARCH_API_KEY"', env),
            (with_curl, {**env, **curl}),
        )
    ]
    keys = [printed[0].strip(), *re.findall(r'"encoded":"([^"]+)"', printed[1])]
    assert len(keys) == 5
    for key in keys:
        be_its_client(secure, monkeypatch, ELASTICSEARCH_API_KEY=key)
        assert connect().security.authenticate()["authentication_type"] == "api_key"


def test_the_exported_script_needs_an_admins_key_and_hides_it_from_the_process_list(
    secure: SecureServer, bench: Bench, tmp_path: Path
) -> None:
    bench.prepare("templates apply")
    assert secure.rank_cli("templates", "export", str(tmp_path), "--index", BARE).returncode == 0
    seen, curl = tmp_path / "arguments.txt", tmp_path / "curl"
    curl.write_text(f'#!/bin/sh\necho "$@" >> {seen}\nexec {shutil.which("curl")} "$@"\n')
    curl.chmod(0o755)
    env = secure.environment | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "CURL_OPTIONS": f"--cacert {secure.folder / 'ca.crt'}",
        "ELASTICSEARCH_URL": get_settings().endpoint("Elasticsearch"),
    }

    def run(role: Role) -> subprocess.CompletedProcess[str]:
        key = create_api_key(bench.es, api_key_request(role, BARE))["encoded"]
        done = subprocess.run(
            ["sh", str(tmp_path / "apply.sh")],
            env={**env, "ELASTICSEARCH_API_KEY": key},
            capture_output=True,
            text=True,
        )
        assert key not in seen.read_text() + done.stdout + done.stderr
        return done

    refused = run("reader")
    assert (refused.returncode, "security_exception" in refused.stderr) == (1, True)
    assert run("admin").returncode == 0
    wanted = desired_state(BARE)
    assert plan_steps(wanted, read_live(bench.es, wanted)) == []
    assert "there already" in run("admin").stdout


def test_who_makes_a_key_needs_manage_own_api_key_and_the_roles_privileges(
    secure: SecureServer, admin: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = role_descriptor("reader", READY)
    maker = {"cluster": [*reader["cluster"], "manage_own_api_key"], "indices": reader["indices"]}
    for name, role in (("maker", maker), ("nobody", reader)):
        admin.security.put_role(name=name, **role)
        admin.security.put_user(username=name, password="hunter22", roles=[name], refresh=True)
    login = {"ELASTICSEARCH_PASSWORD": "hunter22"}
    words = ("stack", "api-key", "--role", "reader", "--index", READY)
    made = secure.rank_cli(*words, ELASTICSEARCH_USER="maker", **login)
    be_its_client(secure, monkeypatch, ELASTICSEARCH_API_KEY=made.stdout.strip())
    assert CliRunner().invoke(full_app(), ["search", "dress", "--index", READY]).exit_code == 0
    refused = secure.rank_cli(*words, ELASTICSEARCH_USER="nobody", **login)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "needs one of the cluster privileges manage_own_api_key" in refused.stderr
    assert "hunter22" not in refused.stderr


def test_a_cluster_without_security_makes_no_keys(es: Elasticsearch) -> None:
    with pytest.raises(ServerError, match="make the API key rank-reader-items"):
        create_api_key(es, api_key_request("reader"))
