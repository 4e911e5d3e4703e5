"""Load tests on real engines: everything answered, counted by the servers too, and judged."""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from elasticsearch import Elasticsearch, helpers
from PIL import Image
from typer.testing import CliRunner

from ranking.capture import write_captures
from ranking.cli import full_app
from ranking.errors import ServerError
from ranking.kafka import open_admin
from ranking.profile import builtin_profiles
from ranking.search import Searcher
from ranking.settings import get_settings

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(
        "CI" not in os.environ and find_spec("locust") is None, reason="Locust is not installed"
    ),  # never imported here
]

NOW = 1_795_000_000_000


@pytest.fixture
def captures(es: Elasticsearch, family: str, tmp_path: Path) -> Path:
    prefix = family
    item = {"title": "red dress", "status": "on_sale", "created_at": NOW, "image_url": "0.jpg"}
    documents = ({"_index": prefix, "_id": f"i{i}", "item_id": f"i{i}", **item} for i in range(50))
    helpers.bulk(es, documents, refresh=True)
    profile = builtin_profiles()["control"]
    searcher = Searcher(es, prefix, profile)
    platforms = ("web", "ios", None)
    records = [
        searcher.capture("red dress", now_ms=NOW + 100 * i, platform=platforms[i % 3]) for i in range(20)
    ]
    write_captures(tmp_path / "captures", records, [profile])
    return tmp_path / "captures"


def test_both_sides_are_loaded_measured_and_judged(captures: Path, prefix: str, tmp_path: Path) -> None:
    slo = tmp_path / "slo.yaml"
    slo.write_text("latency_ms: {p99: 0.001}\nmax_error_rate: 0\nmax_rejections: 0\n")
    files = [str(tmp_path / name) for name in ("load.json", "load.html")]
    words = [
        *("loadtest", "run", str(captures), "--index", prefix, "--speed-up", "2", "--rounds", "2"),
        *("--workers", "2", "--slo", str(slo), "--out", files[0], "--html", files[1], "--format", "json"),
    ]
    done = CliRunner().invoke(full_app(), words)
    assert done.exit_code == 2, done.stderr  # nobody answers in a microsecond
    found = json.loads(done.stdout)
    for side in found["figures"]["search"].values():
        assert (side["n"], side["n_errors"]) == (40, 0)
        assert (
            40 <= side["server"]["searches"] < 80
        )  # one shard: one query a search; two processes, not twice
        assert side["server"]["rejected"] == 0
    assert found["workload"]["platforms"] == {"ios": 7, "none": 6, "web": 7}
    assert {one["what"]: one["holds"] for one in found["slo"]} == {
        "latency_ms p99": False,
        "error rate": True,
        "rejections": True,
    }
    again = CliRunner().invoke(full_app(), ["loadtest", "report", files[0], "--format", "json"])
    assert again.exit_code == 0
    assert json.loads(again.stdout)["rows"] == found["rows"]


def test_what_the_cluster_refuses_is_said_before_any_load(captures: Path) -> None:
    done = CliRunner().invoke(full_app(), ["loadtest", "run", str(captures), "--index", "nothing-there"])
    assert done.exit_code == 1
    assert "no such index" in str(done.exception)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(7)
    folder = tmp_path / "photos"
    folder.mkdir()
    for n in range(3):
        Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(folder / f"{n}.jpg")
    return folder


@pytest.fixture
def model(triton_url: str) -> str:
    """The shipped model on the local Triton, loaded where it is not yet."""
    from scorer.serving import ScoreClient, load_into, write_repository

    try:
        ScoreClient(triton_url, wait_s=0).check()
    except ServerError:
        repository = get_settings().state_dir / "triton" / "models"
        load_into(write_repository(repository, "compact"), triton_url)
    return triton_url


@pytest.fixture
def topic(kafka_bootstrap: str) -> Iterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    yield name
    for deleted in open_admin(kafka_bootstrap).delete_topics([name, f"{name}.dlq"]).values():
        with suppress(Exception):
            deleted.result(10)


@contextmanager
def ingesting(topic: str, index: str, photos: Path) -> Iterator[None]:
    """A real `ingest stream` beside the load."""
    from scorer.ingest import PhotoSource, run_stream

    stop = threading.Event()
    options = {"photos": PhotoSource(root=photos), "topic": topic, "group": topic, "index": index}
    running = threading.Thread(target=run_stream, kwargs={**options, "stop": stop})
    running.start()
    try:
        yield
    finally:
        stop.set()
        running.join()


@pytest.mark.usefixtures("model")
def test_searches_beside_ingest_and_scoring_are_told_apart_and_the_servers_agree(
    captures: Path, family: str, es: Elasticsearch, topic: str, photos: Path
) -> None:
    prefix = family
    slo = captures.parent / "slo.yaml"
    slo.write_text(
        "searchable: {max_error_rate: 0}\npublish: {max_error_rate: 0}\nscore: {max_error_rate: 0}"
    )
    words = [
        *("loadtest", "mixed", str(captures), "--index", prefix, "--shape", "soak", "--rate", "10"),
        *("--seconds", "2", "--rounds", "1", "--topic", topic, "--ingest-rate", "5", "--sample", "0.5"),
        *("--score-rate", "5", "--photos", str(photos), "--slo", str(slo), "--format", "json"),
    ]
    with ingesting(topic, prefix, photos):
        done = CliRunner().invoke(full_app(), words)
        assert done.exit_code == 0, done.stderr
        found = json.loads(done.stdout)["figures"]
        gone = found["publish"]["contender"]["n"] + 1  # and one before the first round: does somebody ingest?
        deleted = {"bool": {"must": [{"prefix": {"item_id": "load-"}}, {"term": {"status": "deleted"}}]}}
        until = time.monotonic() + 30
        while time.monotonic() < until and es.count(index=prefix, query=deleted)["count"] < gone:
            time.sleep(0.2)
    assert set(found["search"]) == {"baseline", "contender"}
    assert set(found["publish"]) == set(found["searchable"]) == set(found["score"]) == {"contender"}
    n = {kind: sides["contender"]["n"] for kind, sides in found.items()}
    assert (n["search"], n["searchable"]) == (20, (n["publish"] + 1) // 2)
    assert found["score"]["contender"]["server"]["requests"] >= n["score"]  # and those of the ingest
    es.indices.refresh(index=prefix)
    assert es.count(index=prefix, query={"prefix": {"item_id": "load-"}})["count"] == gone
    assert es.count(index=prefix, query=deleted)["count"] == gone, "no item of the load stays on sale"


@pytest.mark.usefixtures("model")
def test_triton_counts_as_many_photos_as_were_sent_and_users_do_not_wait_for_each_other(photos: Path) -> None:
    words = [
        "loadtest",
        "score",
        str(photos),
        "--users",
        "4",
        "--seconds",
        "1",
        "--rounds",
        "1",
        "--batch",
        "3",
    ]
    done = CliRunner().invoke(full_app(), [*words, "--format", "json"])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    side = found["figures"]["score"]["contender"]
    median = next(
        row for row in found["rows"] if (row["measure"], row["percentile"]) == ("service_time", 50.0)
    )
    # Little's law: requests under way at a time; below 1 where gRPC holds up the process (no init_gevent).
    assert side["per_second"] * median["contender"] / 1000 > 1.3
    assert side["n_errors"] == 0
    assert side["server"]["photos"] == 3 * side["n"] > 0


def test_an_ingest_that_does_not_run_is_said_before_any_load(captures: Path, prefix: str, topic: str) -> None:
    words = ["loadtest", "ingest", "--topic", topic, "--index", prefix, "--searchable-within", "0.5"]
    done = CliRunner().invoke(full_app(), words)
    assert done.exit_code == 1
    assert "no search found an item 0.5 s after it was published" in str(done.exception)
    assert "published the deletion of 1 items" in done.stderr
