"""Moving an index on a real server while it is searched and written to, and when the mover is killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from elasticsearch import ApiError, ConflictError, Elasticsearch, NotFoundError, helpers
from typer.testing import CliRunner

from index_templates import migrate as work
from index_templates.copying import copy_range
from index_templates.index import index_status, write_alias, write_index
from index_templates.migration import open_migration, read_migrations
from ranking.cli import full_app
from ranking.clock import now_ms
from ranking.errors import ConfigError, InputError, ServerError, StalePlan
from ranking.profile import builtin_profiles
from ranking.search import Searcher

pytestmark = pytest.mark.engines

VERSION = 1_790_000_000_000


def document(n: int, title: str = "red dress") -> dict[str, object]:
    return {
        "item_id": f"i{n}",
        "title": f"{title} {n}",
        "status": "on_sale",
        "image_score": (n % 97) / 97,
        "created_at": VERSION - n,
        "count": 0,
    }


def fill(es: Elasticsearch, family: str, n: int) -> None:
    actions = (
        {
            "_index": family,
            "_id": f"i{k}",
            "_source": document(k),
            "version": VERSION,
            "version_type": "external_gte",
        }
        for k in range(n)
    )
    helpers.bulk(es, actions, chunk_size=2000, refresh=True)


def sources(es: Elasticsearch, index: str) -> dict[str, tuple[int, dict]]:
    es.indices.refresh(index=index)
    return {
        hit["_id"]: (hit["_version"], hit["_source"])
        for hit in helpers.scan(es, index=index, query={"version": True, "query": {"match_all": {}}})
    }


def run(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(full_app(), list(words))
    return result.exit_code, result.stdout, result.stderr


class SearchLoad(threading.Thread):
    """Searches through the read alias, as fast as it is answered."""

    def __init__(self, es: Elasticsearch, family: str) -> None:
        super().__init__()
        self.searcher = Searcher(es, family, builtin_profiles()["additive"])
        self.stop = threading.Event()
        self.n = self.failed = self.empty = 0

    def run(self) -> None:
        while not self.stop.is_set():
            self.n += 1
            try:
                page = self.searcher.search("red dress", now_ms=VERSION, size=10)
                self.empty += len(page.items) < 10
            except Exception:
                self.failed += 1


class WriteLoad(threading.Thread):
    """Writes of every kind through the aliases, each tried again while it is blocked; keeps what must be."""

    def __init__(self, es: Elasticsearch, family: str, n: int) -> None:
        super().__init__()
        self.es, self.family, self.n = es, family, n
        self.stop = threading.Event()
        self.expected: dict[str, str | None] = {}  # title, or None where it was deleted
        self.counts: dict[str, int] = {}
        self.ops = self.blocked = 0
        self.longest_ms = 0.0

    def run(self) -> None:
        rng, fresh = random.Random(7), self.n
        while not self.stop.is_set():
            n = rng.randrange(self.n)
            kind = rng.choice(["index", "update", "script", "delete", "new", "again"])
            doc_id = f"i{n}"
            version = VERSION + self.ops + 1
            self.ops += 1
            title = f"red dress {self.ops} {kind}"
            match kind:
                case "new":
                    fresh += 1
                    doc_id = f"i{fresh}"
                    self._do(self.es.index, id=doc_id, document=document(fresh, title))
                    self._wrote(doc_id, f"{title} {fresh}")
                case "index":
                    self._do(
                        self.es.index,
                        index=write_alias(self.family),
                        id=doc_id,
                        document=document(n, title),
                        version=version,
                        version_type="external_gte",
                    )
                    self._wrote(doc_id, f"{title} {n}")
                case "update" if self.expected.get(doc_id, "") is not None:
                    self._do(self.es.update, id=doc_id, doc={"title": title}, retry_on_conflict=3)
                    self.expected[doc_id] = title
                case "script" if self.expected.get(doc_id, "") is not None:
                    self._do(
                        self.es.update,
                        id=doc_id,
                        script={"source": "ctx._source.count += 1"},
                        retry_on_conflict=3,
                    )
                    self.counts[doc_id] = self.counts.get(doc_id, 0) + 1
                case "delete" | "again" if self.expected.get(doc_id, "") is not None:
                    self._do(self.es.delete, id=doc_id)
                    self.expected[doc_id] = None
                    if kind == "again":  # internal versions: may be lower than the one that was copied
                        self._do(self.es.index, id=doc_id, document=document(n, title))
                        self._wrote(doc_id, f"{title} {n}")

    def _wrote(self, doc_id: str, title: str) -> None:
        self.expected[doc_id] = title
        self.counts[doc_id] = 0

    def _do(self, call, *, index: str | None = None, **options) -> None:
        began = time.monotonic()
        while True:
            try:
                call(index=index or self.family, **options)
                break
            except ApiError as e:
                if e.status_code != 403:
                    raise
                self.blocked += 1
                time.sleep(0.005)
        self.longest_ms = max(self.longest_ms, (time.monotonic() - began) * 1000)


def test_searches_and_writes_go_on_during_a_migration(
    es: Elasticsearch, family: str, record_property
) -> None:
    n = 15_000
    fill(es, family, n)
    searches = [SearchLoad(es, family) for _ in range(2)]
    writes = WriteLoad(es, family, n)
    for thread in (*searches, writes):
        thread.start()
    time.sleep(0.5)
    try:
        done = work.migrate(es, family, now_ms=now_ms(), range_size=1_500)
        time.sleep(0.5)
    finally:
        for thread in (*searches, writes):
            thread.stop.set()
            thread.join()
    figures = {
        "searches": sum(s.n for s in searches),
        "failed": sum(s.failed for s in searches),
        "empty": sum(s.empty for s in searches),
        "writes": writes.ops,
        "writes_tried_again": writes.blocked,
        "longest_write_ms": round(writes.longest_ms),
        "paused_ms": done.paused_ms,
        "passes": done.passes,
        "copied": done.copied,
        "removed": done.removed,
    }
    print(figures)
    record_property("figures", json.dumps(figures))
    assert (figures["failed"], figures["empty"]) == (0, 0)
    assert figures["searches"] > 100
    assert write_index(es, family) == write_index(es, write_alias(family)) == f"{family}-000002"
    found = sources(es, family)
    for doc_id, title in writes.expected.items():
        assert (found[doc_id][1]["title"] if doc_id in found else None) == title, doc_id
    for doc_id, count in writes.counts.items():
        if doc_id in found:
            assert found[doc_id][1]["count"] == count, doc_id
    deleted = sum(title is None for title in writes.expected.values())
    made = sum(int(doc_id[1:]) >= n for doc_id in writes.expected)
    assert len(found) == n + made - deleted
    assert writes.ops > 200


def test_a_killed_migration_is_carried_on(es: Elasticsearch, family: str) -> None:
    fill(es, family, 20_000)
    command = [sys.executable, "-c", "from ranking.cli import main; main()", "index", "migrate"]
    process = subprocess.Popen(
        [*command, "--index", family, "--yes", "--force", "--range", "1000", "--format", "json"],
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        state = open_migration(es, family)
        if state is not None and state.copied >= 5_000:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    cut_off = open_migration(es, family)
    assert process.returncode == -signal.SIGKILL, err
    assert cut_off is not None
    assert cut_off.phase == "copy"
    assert 5_000 <= cut_off.copied < 20_000
    assert write_index(es, family) == f"{family}-000001"

    es.index(index=family, id="i1", document={"title": "written while nobody migrates"})
    es.delete(index=family, id="i2", refresh=True)
    code, stdout, stderr = run("index", "status", "--index", family, "--format", "json")
    assert (code, json.loads(stdout)["migration"]["phase"]) == (0, "copy"), stderr
    code, stdout, stderr = run("index", "migrate", "--index", family, "--yes", "--format", "json")
    assert code == 0, stderr
    done = json.loads(stdout)["migration"]
    assert done["phase"] == "done"
    assert done["copied"] <= 20_000 + 1_000 + 2  # one range is copied twice at most
    assert sources(es, f"{family}-000002") == sources(es, f"{family}-000001")
    assert len(read_migrations(es, family)) == 1


def test_a_mover_that_dies_between_block_and_swap_is_carried_on(es, family, monkeypatch) -> None:
    fill(es, family, 100)

    class Killed(BaseException):
        pass

    def die(*_args):
        raise Killed

    with monkeypatch.context() as patched:  # as SIGKILL would leave it: nothing is cleaned up
        patched.setattr(work, "swap", die)
        patched.setattr(work, "_let_writes_through", lambda *_: None)
        with pytest.raises(Killed):
            work.migrate(es, family, now_ms=now_ms())
    assert next(row.write_blocked for row in index_status(es, family))
    done = work.migrate(es, family, now_ms=now_ms())
    assert (done.phase, done.docs) == ("done", 100)
    es.index(index=family, id="i1", document=document(1))  # writes go through again


def test_a_mover_that_dies_between_swap_and_record_is_carried_on(es, family, monkeypatch) -> None:
    fill(es, family, 10)
    swap = work.swap

    def swap_and_die(*args):
        swap(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(work, "swap", swap_and_die)
    with pytest.raises(KeyboardInterrupt):
        work.migrate(es, family, now_ms=now_ms())
    assert write_index(es, family) == f"{family}-000002"
    es.index(index=family, id="new", document=document(77))
    done = work.migrate(es, family, now_ms=now_ms())
    assert done.phase == "done"
    assert es.exists(index=family, id="new")


def test_an_error_under_the_block_lets_writes_through_again(es, family, monkeypatch) -> None:
    fill(es, family, 10)
    with monkeypatch.context() as patched:
        patched.setattr(work.copying, "differing_sample", lambda *_a, **_k: (10, ["i3"]))
        with pytest.raises(ServerError, match="1 of 10 documents differ"):
            work.migrate(es, family, now_ms=now_ms())
    assert write_index(es, family) == f"{family}-000001"
    es.index(index=family, id="i1", document=document(1))
    assert work.migrate(es, family, now_ms=now_ms()).phase == "done"


def test_of_two_movers_the_first_stops(es, family, monkeypatch) -> None:
    fill(es, family, 10)
    first_copy = work.copying.copy_range
    taken_over = []

    def copy_and_be_taken_over(*args, **options):
        if not taken_over:
            taken_over.append(True)
            taken_over.append(work.migrate(es, family, now_ms=now_ms()))
        return first_copy(*args, **options)

    monkeypatch.setattr(work.copying, "copy_range", copy_and_be_taken_over)
    with pytest.raises(StalePlan) as caught:
        work.migrate(es, family, now_ms=now_ms())
    assert caught.value.hint
    assert taken_over[1].phase == "done"


def test_a_document_made_again_with_a_lower_version_is_copied(es: Elasticsearch, family: str) -> None:
    old, new = f"{family}-000001", f"{family}-000002"
    es.indices.create(index=new, settings={"index.gc_deletes": "0s", "index.refresh_interval": "-1"})
    es.index(
        index=old, id="a", document={"title": "first"}, version=50, version_type="external", refresh=True
    )
    assert copy_range(es, old, new, low=0, tag="t") == 1
    es.indices.put_settings(index=old, settings={"index.gc_deletes": "0s"})
    es.delete(index=old, id="a", version=51, version_type="external")
    es.indices.refresh(index=old)
    time.sleep(0.5)
    es.index(index=old, id="a", document={"title": "second"}, refresh=True)  # version 1
    copy_range(es, old, new, low=1, tag="t")
    copied = es.get(index=new, id="a")
    assert (copied["_version"], copied["_source"]["title"]) == (1, "second")


def test_versions_and_stamps_travel_with_the_documents(es: Elasticsearch, family: str) -> None:
    fill(es, family, 10)
    before = sources(es, family)
    work.migrate(es, family, now_ms=now_ms())
    assert sources(es, family) == before  # ingested_at too: a copy does not pass through the pipeline
    with pytest.raises(ConflictError):
        es.index(index=family, id="i1", document={}, version=VERSION - 1, version_type="external_gte")


def test_three_shards_with_unequal_numbers(es: Elasticsearch, family: str) -> None:
    es.indices.delete(index=f"{family}-000001")
    both = {family: {"is_write_index": True}}
    es.indices.create(index=f"{family}-000001", aliases=both, settings={"index.number_of_shards": 3})
    actions = (
        {"_index": family, "_id": f"i{k}", "routing": "x" if k % 3 else f"r{k}", "_source": document(k)}
        for k in range(3_000)
    )
    helpers.bulk(es, actions, refresh=True)
    done = work.migrate(es, family, now_ms=now_ms(), range_size=100)
    assert (done.docs, done.compared) == (3_000, 500)
    assert len(sources(es, f"{family}-000002")) == 3_000
    assert write_index(es, write_alias(family)) == f"{family}-000002"  # made where it was missing


def test_the_command_from_plan_to_delete(es: Elasticsearch, family: str) -> None:
    fill(es, family, 50)
    code, stdout, stderr = run("index", "migrate", "--index", family, "--format", "json")
    assert (code, json.loads(stdout)["migration"]) == (0, None)
    assert "nothing to migrate" in stderr

    _change_shape(es, family)
    _, stdout, _ = run("index", "status", "--index", family, "--format", "json")
    first = json.loads(stdout)["indices"][0]
    assert (first["made_with"] == first["current"], first["is_current"]) == (False, False)
    code, _, stderr = run("index", "migrate", "--index", family, "--dry-run")
    assert code == 0
    assert f"to {family}-000002" in stderr
    assert CliRunner().invoke(full_app(), ["index", "migrate", "--index", family], input="n\n").exit_code == 1
    assert run("index", "migrate", "--index", family, "--yes")[0] == 0
    code, stdout, _ = run("index", "status", "--index", family)
    assert code == 0
    assert "blocked" in stdout  # the old one
    with pytest.raises(ApiError, match="blocked"):
        es.index(index=f"{family}-000001", document=document(1))
    code, stdout, _ = run("index", "migrate", "--index", family, "--delete-old", "--yes", "--format", "json")
    assert json.loads(stdout)["deleted"] == [f"{family}-000001"]
    assert not es.indices.exists(index=f"{family}-000001")
    settings = es.indices.get_settings(index=f"{family}-000002", flat_settings=True)
    assert settings[f"{family}-000002"]["settings"]["index.refresh_interval"] == "1s"
    assert "index.gc_deletes" not in settings[f"{family}-000002"]["settings"]


def test_a_migration_is_given_up_and_begun_again(es: Elasticsearch, family: str, monkeypatch) -> None:
    fill(es, family, 20)
    with pytest.raises(InputError, match="no migration"):
        work.abort(es, family)
    with monkeypatch.context() as patched:
        patched.setattr(work, "swap", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            work.migrate(es, family, now_ms=now_ms())
    assert run("index", "migrate", "--index", family, "--abort")[0] == 0
    assert not es.indices.exists(index=f"{family}-000002")
    es.index(index=family, id="i1", document=document(1))
    assert work.migrate(es, family, now_ms=now_ms()).new == f"{family}-000002"


def test_what_cannot_be_migrated_is_said(es: Elasticsearch, family: str) -> None:
    with pytest.raises(ServerError, match="no alias"):
        work.look_ahead(es, f"{family}-nothing")
    es.indices.put_index_template(
        name=f"theirs-{family}", index_patterns=[f"{family}-000002"], priority=500, template={}
    )
    with pytest.raises(ConfigError, match="did not take its shape"):
        work.migrate(es, family, now_ms=now_ms())
    assert not es.indices.exists(index=f"{family}-000002")
    es.indices.delete_index_template(name=f"theirs-{family}")
    assert work.migrate(es, family, now_ms=now_ms()).phase == "done"
    es.indices.delete_alias(index=f"{family}-000002", name=family)
    with pytest.raises(ServerError, match="no alias"):
        work.migrate(es, family, now_ms=now_ms())
    with pytest.raises(NotFoundError):
        es.search(index=family)


def _change_shape(es: Elasticsearch, family: str) -> None:
    """As `templates apply` would after a file has changed."""
    found = es.indices.get_index_template(name=f"rank-{family}")["index_templates"][0]["index_template"]
    es.indices.put_index_template(
        name=f"rank-{family}",
        index_patterns=found["index_patterns"],
        composed_of=found["composed_of"],
        priority=found["priority"],
        meta=found["_meta"],
        template={"mappings": {"_meta": {"rank-toolkit": {"template_hash": "another"}}}},
    )
