"""`rank-cli doctor` on real engines, of which one thing at a time is broken: mostly on the secure cluster."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from elasticsearch import Elasticsearch, helpers
from typer.testing import CliRunner

from doctor import Finding, Options, examine
from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from index_templates.roles import api_key_request, create_api_key
from ranking.canary import Canary
from ranking.cli import full_app
from ranking.clock import now_ms
from ranking.es import connect
from ranking.kafka import ensure_topics, open_producer
from ranking.profile import Profile
from ranking.publish import publish
from ranking.published import INDEX
from ranking.query_log import QueryLine
from ranking.recording import record_queries
from ranking.search import Searcher
from ranking.settings import get_settings
from tests.integration.conftest import remove_family
from tests.integration.secure_server import SecureServer, be_its_client

pytestmark = pytest.mark.engines

Look = Callable[..., dict[str, Finding]]


@pytest.fixture(scope="module")
def admin(secure_server: SecureServer) -> Iterator[Elasticsearch]:
    with pytest.MonkeyPatch.context() as patch:
        be_its_client(secure_server, patch)
        es = connect()
    yield es
    es.options(ignore_status=404).indices.delete(index=INDEX)
    es.close()
    get_settings.cache_clear()


@pytest.fixture(scope="module")
def items(admin: Elasticsearch) -> Iterator[str]:
    """A family of nine scored items that nobody breaks for good."""
    family = f"well-{secrets.token_hex(4)}"
    deploy(admin, family)
    ensure_index(admin, family)
    fill(admin, family, 9)
    yield family
    remove_family(admin, family)


@pytest.fixture
def look(secure: SecureServer, items: str, monkeypatch: pytest.MonkeyPatch) -> Look:
    """What is found on the secure cluster; a value of an option or of the environment may be changed."""

    def call(*only: str, **changes: Any) -> dict[str, Finding]:
        env = {name: changes.pop(name) for name in list(changes) if name.isupper()}
        be_its_client(secure, monkeypatch, **env)
        found = examine(Options(**{"index": items, **changes}), only=only)
        return {one.check: one for one in found}

    return call


def deploy(es: Elasticsearch, family: str) -> None:
    wanted = desired_state(family)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))


def fill(es: Elasticsearch, index: str, n: int, scored: int | None = None, **changes: Any) -> None:
    documents = (
        {
            "_index": index,
            "_id": f"i{i}",
            "item_id": f"i{i}",
            "title": "red dress",
            "status": "on_sale",
            "created_at": now_ms() - 1000 * i,
            **({"image_score": 0.5, "image_score_version": "m1"} if scored is None or i < scored else {}),
            **changes,
        }
        for i in range(n)
    )
    helpers.bulk(es, documents, refresh=True)


def scripted(name: str, **changes: Any) -> Profile:
    formula = {"name": name, "execution": "script_score", "image": {"mode": "additive", "weight": 3}}
    return Profile.model_validate({**formula, **changes})


def states(found: dict[str, Finding], state: str) -> set[str]:
    return {name for name, one in found.items() if one.state == state}


def test_a_cluster_in_order_has_no_problem_and_no_warning(
    look: Look, items: str, admin: Elasticsearch
) -> None:
    admin.options(ignore_status=404).indices.delete(index=INDEX)
    found = look("elasticsearch", "index", "profiles")
    assert states(found, "problem") == states(found, "not checked") == set(), found
    assert states(found, "warning") <= {"disk", "scripts"}, (
        found
    )  # what the machine and other tests may leave
    assert found["aliases"].says.startswith(f"{items} and {items}-write point at {items}-000001, 9 documents")
    assert found["documents"].says == "9 of 9 items on sale have an image score (100.0%): m1 9"
    assert found["login"].says.startswith("user elastic, a superuser")
    assert "the roles reader, writer, admin, migrator" in found["privileges"].says


class TestTheLogin:
    def test_a_key_that_is_none_is_a_problem_and_the_rest_is_not_checked(self, look: Look) -> None:
        found = look("elasticsearch", ELASTICSEARCH_API_KEY="bm86bm8=")
        assert "the login was refused" in found["elasticsearch"].says
        assert "bm86bm8" not in str(found)
        assert states(found, "not checked") == set(found) - {"elasticsearch"}

    def test_a_reader_sees_every_check_and_is_told_what_its_key_is_not_enough_for(
        self, look: Look, admin: Elasticsearch, items: str
    ) -> None:
        key = create_api_key(admin, api_key_request("reader", items, days=3))["encoded"]
        found = look("elasticsearch", "index", "profiles", ELASTICSEARCH_API_KEY=key)
        assert states(found, "not checked") == states(found, "problem") == set(), found
        assert "expires in 3.0 days" in found["login"].says
        assert "the roles reader;" in found["privileges"].says
        assert re.search(r"; `[a-z -]+` lacks [a-z:/_]+( on \S+)?.*, and \d+ more$", found["privileges"].says)
        held = look("privileges", ELASTICSEARCH_API_KEY=key, role="migrator")["privileges"]
        assert held.says.startswith("not enough for the role migrator: it lacks cluster:admin/tasks/cancel,")
        assert held.fix == f"rank-cli stack api-key --role migrator --index {items}"

    def test_a_key_for_writing_hears_of_each_check_that_it_may_not_look(
        self, look: Look, admin: Elasticsearch, items: str
    ) -> None:
        key = create_api_key(admin, api_key_request("writer", items))["encoded"]
        found = look("elasticsearch", "index", ELASTICSEARCH_API_KEY=key)
        assert states(found, "problem") == set(), found
        assert states(found, "not checked") >= {"health", "clock", "scripts", "disk", "shards", "templates"}
        assert found["clock"].says.startswith("this login may not look: ")
        assert found["clock"].fix == "docs/security.md names the role for each command"
        assert found["documents"].state == "ok"

    def test_http_to_a_server_that_speaks_https_is_said(self, look: Look) -> None:
        url = get_settings().endpoint("Elasticsearch").replace("https:", "http:")
        found = look("elasticsearch", ELASTICSEARCH_URL=url)["elasticsearch"]
        assert (found.state, "the server speaks https" in found.says) == ("problem", True)

    def test_a_ca_that_is_another_is_said(self, look: Look) -> None:
        url = get_settings().endpoint("Elasticsearch")
        found = look("elasticsearch", ELASTICSEARCH_URL=url)["elasticsearch"]
        assert "not signed by a CA that we trust" in found.says
        assert "ELASTICSEARCH_CA_CERTS" in found.fix


class TestTheNodes:
    @pytest.mark.parametrize(("shift_ms", "state"), [(0, "ok"), (5_000, "warning"), (-120_000, "problem")])
    def test_clocks_that_differ_are_said_in_seconds(self, look: Look, shift_ms: int, state: str) -> None:
        found = look("clock", clock=lambda: now_ms() + shift_ms)["clock"]
        assert found.state == state, found
        if shift_ms:
            word = "behind" if shift_ms > 0 else "ahead of"
            assert word in found.says
            assert abs(float(found.says.split(" is ")[1].split()[0]) - abs(shift_ms) / 1000) < 1

    def test_refused_script_compilations_are_counted(self, look: Look, admin: Elasticsearch) -> None:
        rate = "script.max_compilations_rate"
        admin.cluster.put_settings(persistent={rate: "1/10m"})
        try:
            for i in range(3):
                script = {"source": f"{i} + 1.{secrets.randbelow(10**9)}"}
                query = {"script_score": {"query": {"match_all": {}}, "script": script}}
                admin.options(ignore_status=(400, 429, 500)).search(index="well-*", query=query)
            found = look("scripts")["scripts"]
        finally:
            admin.cluster.put_settings(persistent={rate: None})
        assert found.state == "warning"
        assert "at most 1/10m; " in found.says
        assert "were refused" in found.says

    def test_a_disk_past_the_flood_stage_is_a_problem(self, look: Look, admin: Elasticsearch) -> None:
        disk = "cluster.routing.allocation.disk"
        marks = {"low": "900tb", "high": "899tb", "flood_stage": "898tb"}
        settings: dict[str, Any] = {f"{disk}.watermark.{name}": free for name, free in marks.items()}
        settings[f"{disk}.threshold_enabled"] = False  # nothing happens to the indices
        before = admin.cluster.get_settings(flat_settings=True)["persistent"]
        admin.cluster.put_settings(persistent=settings)
        try:
            assert "switched off" in look("disk")["disk"].says
            admin.cluster.put_settings(persistent={f"{disk}.threshold_enabled": True})
            found = look("disk")["disk"]
        finally:
            admin.cluster.put_settings(persistent={name: before.get(name) for name in settings})
        assert (found.state, "past the flood stage, indices are read-only" in found.says) == ("problem", True)


class TestTheIndex:
    @pytest.fixture
    def patient(self, admin: Elasticsearch) -> Iterator[str]:
        family = f"sick-{secrets.token_hex(4)}"
        deploy(admin, family)
        yield family
        remove_family(admin, family)

    def test_a_family_that_is_not_there_is_one_problem_with_the_command(self, look: Look) -> None:
        found = look("index", index="nobody")
        assert found["templates"].says == "nothing of the family 'nobody' is in the cluster"
        assert found["templates"].fix.startswith("rank-cli templates apply --index nobody")
        assert found["aliases"].fix == "rank-cli index create --index nobody"
        assert states(found, "problem") == {"templates", "aliases"}

    def test_what_is_missing_or_changed_of_the_templates_is_named_and_an_index_made_without_them(
        self, look: Look, admin: Elasticsearch, patient: str
    ) -> None:
        pipeline = admin.ingest.get_pipeline(id=f"rank-{patient}")[f"rank-{patient}"]
        admin.ingest.put_pipeline(id=f"rank-{patient}", processors=[], meta=pipeline["_meta"])
        found = look("templates", index=patient)["templates"]
        assert (found.state, found.says) == (
            "warning",
            f"not as the files say: ingest_pipeline/rank-{patient}",
        )
        admin.indices.delete_index_template(name=f"rank-{patient}")
        found = look("templates", index=patient)["templates"]
        assert (found.state, found.says) == ("problem", f"missing: index_template/rank-{patient}")
        # An index made now, before the template is back, gets types of its own.
        admin.index(index=f"{patient}-000001", document={"item_id": "1", "title": "x", "image_score": "0.5"})
        admin.indices.put_alias(index=f"{patient}-000001", name=patient)
        found = look("index", index=patient)
        assert "item_id is text, not keyword" in found["mapping"].says
        assert "image_score is text, not float" in found["mapping"].says
        assert found["mapping"].fix.endswith(f"rank-cli index migrate --index {patient}")
        assert found["aliases"].says == f"the alias {patient}-write is missing"

    def test_aliases_of_two_indices_and_an_index_without_writes_are_problems(
        self, look: Look, admin: Elasticsearch, patient: str
    ) -> None:
        ensure_index(admin, patient)
        admin.indices.put_settings(index=f"{patient}-000001", settings={"index.blocks.read_only": True})
        found = look("aliases", index=patient)["aliases"]
        assert "takes no writes (index.blocks.read_only)" in found.says
        assert found.fix.startswith(f"PUT {patient}-000001/_settings")
        admin.indices.put_settings(index=f"{patient}-000001", settings={"index.blocks.read_only": None})
        admin.indices.create(index=f"{patient}-000002")
        actions = [
            {"remove": {"index": f"{patient}-000001", "alias": f"{patient}-write"}},
            {"add": {"index": f"{patient}-000002", "alias": f"{patient}-write"}},
        ]
        admin.indices.update_aliases(actions=actions)
        found = look("aliases", index=patient)["aliases"]
        assert found.says == f"{patient} points at {patient}-000001, {patient}-write at {patient}-000002"
        assert found.state == "problem"

    def test_items_without_a_score_or_a_date_and_rejected_ones_are_counted(
        self, look: Look, admin: Elasticsearch, patient: str
    ) -> None:
        ensure_index(admin, patient)
        fill(admin, patient, 10, scored=4)
        found = look("documents", "rejected", index=patient)
        assert found["documents"].says == "4 of 10 items on sale have an image score (40.0%): m1 4"
        assert found["documents"].fix == f"rank-cli ingest backfill --index {patient} --dry-run"
        fill(admin, patient, 10, created_at=None, image_score_version="m2")
        found = look("documents", index=patient)
        assert "10 have no created_at" in found["documents"].says
        admin.index(index=f"{patient}-failures", document={"item_id": "x"}, refresh=True)
        assert look("rejected", index=patient)["rejected"].says == "the pipeline rejected 1 items"


def test_a_published_profile_without_its_script_or_its_field_or_readable_text_is_a_problem(
    look: Look, admin: Elasticsearch, items: str
) -> None:
    name = f"p{secrets.token_hex(4)}"
    publish(admin, scripted(name), now_ms=now_ms(), replaces=None)
    factor = {"type": "numeric", "field": "seller_rating", "missing": 1, "max": 2}
    publish(admin, scripted(f"{name}-b", factors=[factor]), now_ms=now_ms(), replaces=None)
    admin.indices.refresh(index=INDEX)
    found = look("profiles")
    assert found[f"profile {name}"].says == f"version 1 fits {items}"
    unknown = found[f"profile {name}-b"]
    assert (unknown.state, "seller_rating" in unknown.says) == ("problem", True), unknown
    assert unknown.fix == f"rank-cli boost lint {name}-b --index {items}"
    elsewhere = look("profiles", index="nobody")[f"profile {name}"]
    assert (elsewhere.state, "no index 'nobody'" in elsewhere.says) == ("not checked", True)
    (script,) = admin.get(index=INDEX, id=name)["_source"]["scripts"].values()
    admin.delete_script(id=script["id"])
    broken = {"profile_json": json.dumps({"name": f"{name}-b", "image": {"mode": "both"}})}
    admin.update(index=INDEX, id=f"{name}-b", doc=broken, refresh=True)
    found = look("profiles")
    assert found[f"profile {name}"].says == f"not in the cluster: {script['id']}"
    assert found[f"profile {name}-b"].says.startswith("it cannot be read: ")
    canary = Canary(version=7, percent=5, salt=name).as_dict()
    admin.update(index=INDEX, id=name, doc={"canary": canary}, refresh=True)
    assert "no such version is published" in look("profiles")[f"profile {name}"].says


def test_kafka_says_what_nobody_has_read_and_what_could_not_be_used(
    kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = f"doctor-{secrets.token_hex(4)}"
    monkeypatch.setenv("KAFKA_BOOTSTRAP", kafka_bootstrap)
    get_settings.cache_clear()

    def look(group: str) -> dict[str, Finding]:
        return {one.check: one for one in examine(Options(topic=topic, group=group), only=["kafka"])}

    assert f"no {topic!r} yet" in look(topic)["kafka"].says
    ensure_topics(kafka_bootstrap, {topic: 2, f"{topic}.dlq": 1})
    assert look(topic)["dead letters"].says == f"{topic}.dlq is empty"
    producer = open_producer(kafka_bootstrap)
    for i in range(5):
        producer.produce(topic, b"{}", str(i).encode())
    producer.produce(f"{topic}.dlq", b"{}")
    producer.flush()
    found = look(topic)
    assert found["lag"].says == f"the group {topic} has read nothing of {topic}, which holds 5 messages"
    assert found["dead letters"].says == f"{topic}.dlq holds 1"
    assert found["dead letters"].fix == f"rank-cli ingest dlq list --topic {topic}"

    from ranking.kafka import open_consumer

    consumer = open_consumer(kafka_bootstrap, topic)
    consumer.subscribe([topic])
    read = 0
    while read < 3:
        message = consumer.poll(1.0)
        if message is not None and not message.error():
            consumer.commit(message, asynchronous=False)
            read += 1
    consumer.close()
    behind = int(look(topic)["lag"].says.removeprefix(f"{topic} is ").split()[0])
    assert 0 <= behind <= 2


def test_a_triton_without_the_model_says_how_to_load_it(
    triton_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_URL", triton_url)
    get_settings.cache_clear()
    found = {one.check: one for one in examine(only=["photo"])}
    if found["triton"].state == "problem":
        assert "has no model 'image_score'" in found["triton"].says
        assert found["triton"].fix == "run `rank-cli scorer export`"
    else:
        assert "scored a photo in" in found["photo"].says


def test_captures_are_verified_and_a_changed_score_is_found(
    look: Look, admin: Elasticsearch, items: str, tmp_path: Path
) -> None:
    lines = [QueryLine("red dress"), QueryLine("dress")]
    record_queries(Searcher(admin, items, scripted("mine")), lines, tmp_path, now_ms=now_ms())
    found = look("captures", captures=tmp_path)
    assert found["replay"].says == "18 of 18 scores of the last 2 searches are bit-equal"
    assert found["captures"].state == "ok"
    (path,) = tmp_path.glob("searches/day=*/*.parquet")
    table = pq.ParquetFile(path).read()
    scores = [[None if x is None else x + 1.0 for x in row] for row in table["score"].to_pylist()]
    column = table.schema.get_field_index("score")
    changed = table.set_column(column, table.schema.field(column), pa.array(scores, pa.list_(pa.float32())))
    pq.write_table(changed, path)
    os.utime(path, (0, now_ms() / 1000 - 3 * 86_400))
    found = look("captures", captures=tmp_path)
    assert found["replay"].state == "problem"
    assert found["replay"].says.startswith("0 of 18 scores")
    assert found["replay"].fix == f"rank-cli replay verify {tmp_path}"
    assert (found["captures"].state, "3.0 days ago" in found["captures"].says) == ("warning", True)
    words = ["doctor", "--only", "captures", "--captures", str(tmp_path)]
    assert CliRunner().invoke(full_app(), words).exit_code == 2
