"""Engines for the tests: found in the environment or in the local stack, else started.

Nothing connects on import. A missing engine is a skip on a laptop, and a failure where CI is set.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from ranking.errors import RankError
from ranking.es import connect
from ranking.settings import get_settings
from tests.integration.secure_server import SecureServer, be_its_client, running

SHARED = Path(os.environ.get("RANK_SHARED", "../shared"))


def missing(reason: str) -> None:
    """Skip on a laptop, fail in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"not allowed to be missing in CI: {reason}")
    pytest.skip(reason)


def _endpoint(engine: str) -> str:
    from stack import up

    try:
        up([engine.lower()])
        get_settings.cache_clear()
        return get_settings().endpoint(engine)
    except RankError as e:
        missing(str(e))
        raise


@pytest.fixture(scope="session")
def plain() -> Iterator[Elasticsearch]:
    """The local stack's Elasticsearch as it is."""
    _endpoint("Elasticsearch")
    client = connect()
    yield client
    client.close()


@pytest.fixture(scope="session")
def es(plain: Elasticsearch) -> Iterator[Elasticsearch]:
    """It, for tests that write."""
    client = plain
    # Random formulas are many scripts: at the default rate, the tests that follow find no compilations left.
    rate = "script.max_compilations_rate"
    before = client.cluster.get_settings(flat_settings=True)["persistent"].get(rate)
    client.cluster.put_settings(persistent={rate: "100000/1m"})
    yield client
    client.cluster.put_settings(persistent={rate: before})


@pytest.fixture(scope="session")
def secure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureServer]:
    """A cluster with TLS and logins, started on first use, beside the local stack's."""
    with running(tmp_path_factory.mktemp("secure")) as server:
        yield server


@pytest.fixture
def secure(secure_server: SecureServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecureServer]:
    """For one test, the settings' cluster is the secure one, and the login its superuser's."""
    be_its_client(secure_server, monkeypatch)
    yield secure_server
    get_settings.cache_clear()


@pytest.fixture(scope="session")
def triton_url() -> str:
    return _endpoint("Triton")


@pytest.fixture(scope="session")
def kafka_bootstrap() -> str:
    return _endpoint("Kafka")


@pytest.fixture(scope="module")  # while it is there, this thread has a loop running, and asyncio.run refuses
def browser() -> Iterator[Any]:
    """Chromium."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        missing("no Chromium: install it with `apt-get install chromium`")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("no playwright: pip install 'rank-toolkit[dev]'")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def prefix(es: Elasticsearch) -> Iterator[str]:
    """A random name for an index family; whatever was made under it is removed after the test."""
    name = f"test-{secrets.token_hex(4)}"
    yield name
    remove_family(es, name)


@pytest.fixture
def family(es: Elasticsearch, prefix: str) -> str:
    """An index as the templates make it, and the alias of its name."""
    wanted = desired_state(prefix)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, prefix)
    return prefix


def remove_family(es: Elasticsearch, name: str) -> None:
    """Take away whatever was made under a random name."""
    for index in es.indices.get(index=[f"{name}*", f"rank-history-{name}*"], expand_wildcards="all"):
        es.indices.delete(index=index)
    quiet = es.options(ignore_status=404)
    for template in es.indices.get_index_template()["index_templates"]:
        if name in template["name"]:
            quiet.indices.delete_index_template(name=template["name"])
    for component in es.cluster.get_component_template()["component_templates"]:
        if name in component["name"]:
            quiet.cluster.delete_component_template(name=component["name"])
    quiet.ingest.delete_pipeline(id=f"*{name}*")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos, labels and queries."""
    if not (SHARED / "photos").is_dir():
        missing(f"no photos in {SHARED}; set RANK_SHARED to the folder that holds photos/, labels/, queries/")
    return SHARED
