"""examples/ as a reader runs them: the service over real HTTP, clients in Node and curl, the notebooks."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa
import pytest
from elasticsearch import Elasticsearch, helpers
from typer.testing import CliRunner

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from ranking.capture import EVENT_SCHEMA, read_captures, read_table
from ranking.cli import full_app
from ranking.clock import DAY_MS, now_ms
from ranking.profile import Profile
from ranking.publish import publish
from ranking.published import INDEX, read_published, resolve
from ranking.search import Searcher
from ranking.settings import get_settings
from replay import read_log
from tests.integration.conftest import missing, remove_family

pytestmark = pytest.mark.engines

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
USERS = [f"user-{i}" for i in range(20)]


@dataclass(frozen=True)
class Shop:
    """A family of dresses, and a profile of which a canary serves half of the users."""

    name: str  # of family and profile
    environment: dict[str, str]


@pytest.fixture(scope="module")
def shop(es: Elasticsearch) -> Iterator[Shop]:
    name = f"shop-{secrets.token_hex(4)}"
    wanted = desired_state(name)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, name)
    at = now_ms()
    documents = (
        {
            "_index": name,
            "_id": f"i{i:03d}",
            "item_id": f"i{i:03d}",
            "title": f"{'blue' if i % 3 else 'red'} dress",
            "category": "dress",
            "status": "on_sale",
            "price": 500 + i,
            "image_score": (i * 7 % 20) / 20,
            "created_at": at - i * DAY_MS // 4,
        }
        for i in range(120)
    )
    helpers.bulk(es, documents, refresh=True)
    for weight, percent in ((2.0, None), (6.0, 50)):
        before = read_published(es, name)
        publish(es, formula(name, weight), now_ms=at, replaces=before, canary_percent=percent)
    environment = {
        **os.environ,
        "ELASTICSEARCH_URL": get_settings().endpoint("Elasticsearch"),
        "RANK_INDEX": name,
        "PYTHONPATH": str(ROOT),
    }
    yield Shop(name, environment)
    es.delete_by_query(index=INDEX, query={"term": {"name": name}}, refresh=True, conflicts="proceed")
    for script in es.cluster.state(metric="metadata")["metadata"].get("stored_scripts", {}):
        if script.startswith(f"rank-profile-{name}-"):
            es.delete_script(id=script)
    remove_family(es, name)


def formula(name: str, weight: float) -> Profile:
    return Profile.model_validate(
        {
            "name": name,
            "execution": "script_score",
            "image": {"mode": "additive", "weight": weight},
            "freshness": {"scale": "14d", "offset": "1d"},
            "platforms": {"ios": {"image": {"weight": weight / 2}}},
            "k": 12,
        }
    )


class Service:
    """The example, started by uvicorn as docs/examples.md says."""

    def __init__(self, shop: Shop, folder: Path, **env: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.captures = folder / "captures"
        self.log = (folder / "log").open("wb")
        command = ["uvicorn", "--factory", "examples.search_service:create_app", "--port", str(self.port)]
        settings = {"SERVICE_PROFILE": shop.name, "SERVICE_CAPTURES": str(self.captures), **env}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**shop.environment, **settings},
            cwd=ROOT,
            stdout=self.log,
            stderr=self.log,
        )
        for _ in range(300):
            try:
                self.get("healthz")
                break
            except OSError:
                assert self.process.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)

    def get(self, path: str, **query: object) -> Any:
        return self.open(urllib.request.Request(f"http://127.0.0.1:{self.port}/{path}?{urlencode(query)}"))

    def post(self, path: str, body: object) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{path}",
            data=json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        return self.open(request)

    def open(self, request: urllib.request.Request) -> Any:
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)

    def refusal(self, path: str, **query: object) -> tuple[int, Any]:
        with pytest.raises(urllib.error.HTTPError) as refused:
            self.get(path, **query)
        return refused.value.code, json.load(refused.value)

    def stop(self) -> bool:
        """SIGTERM; whether it ended by itself, with everything shut down. uvicorn then ends by the signal."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.log.close()
        said = Path(self.log.name).read_text()
        return code in (0, -signal.SIGTERM) and "Application shutdown complete" in said


def float32(values: list[float]) -> list[float]:
    return [float(np.float32(value)) for value in values]


def test_the_service_serves_each_user_its_version_and_its_captures_replay_bit_for_bit(
    es: Elasticsearch, shop: Shop, tmp_path: Path
) -> None:
    service = Service(shop, tmp_path, SERVICE_REFRESH_S="0")
    try:
        ready = service.get("readyz")
        assert (ready["status"], ready["profile"]) == ("ready", f"{shop.name}@1")
        pages = {}
        for i, user in enumerate(USERS):
            platform = ("web", "ios")[i % 2]
            pages[user] = service.get("search", q="blue dress", user_id=user, platform=platform)
        anonymous = service.get("search", q="red dress", category="dress", size=3)
        assert service.refusal("search", q="blue", platform="fridge")[0] == 422
        assert service.refusal("search", q="")[0] == 422
        clicks = [
            {"search_id": page["search_id"], "item_id": page["items"][0]["item_id"], "rank": 1}
            for page in pages.values()
        ]
        assert service.post("events", {"events": clicks}) == {"accepted": len(USERS)}
        before = read_published(es, shop.name)
        publish(es, formula(shop.name, 9.0), now_ms=now_ms(), replaces=before, canary_percent=None)
        assert service.get("search", q="blue dress", user_id="user-1")["profile"] == f"{shop.name}@3"
        counted = service.get("readyz")["captured"]
        assert {label: one["served"] for label, one in counted.items()}[f"{shop.name}@3"] == 1
    finally:
        stopped = service.stop()
        for weight in (2.0, 6.0):  # as the others found it
            found = read_published(es, shop.name)
            publish(
                es,
                formula(shop.name, weight),
                now_ms=now_ms(),
                replaces=found,
                canary_percent=50 if weight == 6.0 else None,
            )
    assert stopped, (tmp_path / "log").read_text()
    by_user = {user: page["profile"].rpartition("@")[2] for user, page in pages.items()}
    assert set(by_user.values()) == {"1", "2"}
    # The same hash as docs/apply-boost.md gives for any language.
    for user, version in by_user.items():
        digest = hashlib.sha256(f"{shop.name}@2:{user}".encode()).hexdigest()
        taken = int(digest[:8], 16) % 10_000 < 5_000
        assert (version, pages[user]["arm"]) == (
            ("2", f"{shop.name}@2/canary") if taken else ("1", f"{shop.name}@2/baseline")
        )
    for user, page in list(pages.items())[:6]:
        weight = 6.0 if by_user[user] == "2" else 2.0
        platform = ("web", "ios")[USERS.index(user) % 2]
        searcher = Searcher(es, shop.name, formula(shop.name, weight))
        expected = searcher.search("blue dress", now_ms=page["now_ms"], platform=platform)
        assert [(one["item_id"], one["score"]) for one in page["items"]] == [
            (item.item_id, item.score) for item in expected.items
        ]
    assert (len(anonymous["items"]), anonymous["arm"]) == (3, None)

    records = {record.search_id: record for record in read_captures(service.captures)}
    assert len(records) == len(USERS) + 2
    for user, page in pages.items():
        record = records[page["search_id"]]
        assert (record.user_id, record.arm, record.now_ms) == (user, page["arm"], page["now_ms"])
        assert [item.item_id for item in record.items if item.rank] == [
            one["item_id"] for one in page["items"]
        ]
        assert record.window > 0
    events = read_table(service.captures, "events", EVENT_SCHEMA)
    assert sorted(events["search_id"].to_pylist()) == sorted(one["search_id"] for one in clicks)
    assert pa.compute.all(pa.compute.invert(events["simulated"])).as_py()
    done = CliRunner().invoke(full_app(), ["replay", "verify", str(service.captures), "--format", "json"])
    parity = json.loads(done.stdout)["parity"]
    assert (done.exit_code, parity["holds"], parity["searches"]) == (0, True, len(records))
    assert parity["bit_equal"] == parity["scores"] == 12 * (len(USERS) + 1) + 3


def test_the_service_without_a_published_profile_or_a_cluster_is_alive_and_not_ready(
    shop: Shop, tmp_path: Path
) -> None:
    service = Service(shop, tmp_path, SERVICE_PROFILE="nobody-published-it")
    try:
        assert service.get("healthz") == {"status": "alive"}
        code, said = service.refusal("readyz")
        assert (code, "no profile of that name is published" in said["why"]) == (503, True)
        code, said = service.refusal("search", q="dress")
        assert (code, said["hint"]) == (503, "rank-cli apply-boost nobody-published-it")
    finally:
        assert service.stop()


class TestOtherLanguages:
    """The page of each client against the toolkit's own: same version, arm, items, and scores to the bit."""

    TEXTS = ("blue dress", 'a "red" ${now_ms} dress')

    def check(
        self,
        es: Elasticsearch,
        shop: Shop,
        answer: dict[str, Any],
        *,
        text: str,
        user: str | None,
        platform: str | None,
    ) -> None:
        profile, arm = resolve(es, shop.name, user)
        searcher = Searcher(es, shop.name, profile, scripts="published")
        page = searcher.search(text, now_ms=answer["now_ms"], platform=platform)
        assert (answer["hash"], answer["arm"]) == (profile.hash, arm)
        assert [one["item_id"] for one in answer["items"]] == [item.item_id for item in page.items]
        assert float32([one["score"] for one in answer["items"]]) == [item.score for item in page.items]
        assert float32([one["rel"] for one in answer["items"]]) == [item.rel for item in page.items]

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*words], capture_output=True, text=True, env=env, timeout=60)

    @pytest.mark.parametrize(
        ("user", "platform"), [("user-1", "ios"), ("user-2", None), ("ユーザー", "web"), (None, None)]
    )
    def test_node(self, es: Elasticsearch, shop: Shop, user: str | None, platform: str | None) -> None:
        node = shutil.which("node") or missing("no node here: apt-get install nodejs")
        options = [*(["--user", user] if user else []), *(["--platform", platform] if platform else [])]
        done = self.run(
            str(node), str(EXAMPLES / "node/search.mjs"), shop.name, *self.TEXTS, *options, **shop.environment
        )
        assert done.returncode == 0, done.stderr
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers[0]["items"]) == 12
        for text, answer in zip(self.TEXTS, answers, strict=True):
            self.check(es, shop, answer, text=text, user=user, platform=platform)

    def test_node_says_what_is_wrong_in_a_sentence(self, shop: Shop) -> None:
        node = shutil.which("node") or missing("no node here: apt-get install nodejs")
        script = str(EXAMPLES / "node/search.mjs")
        done = self.run(str(node), script, "nobody", "dress", **shop.environment)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "error: no profile nobody is published: rank-cli apply-boost\n"
        done = self.run(str(node), script, shop.name, "x", **{**shop.environment, "RANK_INDEX": "nowhere"})
        assert done.stderr == "error: no such index [nowhere]\n"

    @pytest.mark.parametrize(("user", "platform"), [("user-1", "ios"), ("user-2", None), (None, None)])
    def test_curl(self, es: Elasticsearch, shop: Shop, user: str | None, platform: str | None) -> None:
        if not (shutil.which("curl") and shutil.which("jq")):
            pytest.skip("curl and jq are not both here: apt-get install curl jq")
        for text in self.TEXTS:
            done = self.run(
                "sh",
                str(EXAMPLES / "node/search.sh"),
                shop.name,
                text,
                *([user] if user else []),
                **shop.environment,
                **({"PLATFORM": platform} if platform else {}),
            )
            assert done.returncode == 0, done.stderr
            self.check(es, shop, json.loads(done.stdout), text=text, user=user, platform=platform)


NOTEBOOKS = sorted((EXAMPLES / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def kernel() -> Iterator[Any]:
    """One Python for all notebooks: its start and its imports are most of the time."""
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(
        cwd=str(EXAMPLES / "notebooks"),
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "RANK_STATE_DIR": str(get_settings().state_dir.resolve()),
        },
    )
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def leavings(es: Elasticsearch, triton_url: str, kafka_bootstrap: str) -> Iterator[None]:
    """What `make demo` leaves behind; the tests of the demo left it where they ran before."""
    folder = get_settings().state_dir / "demo"
    there = (folder / "captures").is_dir() and (folder / "photos").is_dir()
    if not (there and es.indices.exists(index="rank-demo")):
        words = ["demo", "--items", "400", "--searches", "120", "--format", "json"]
        code = "from ranking.cli import main; main()"
        subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, check=True, capture_output=True)
    yield
    remove_family(es, "notebook-items")  # where a notebook broke off


@pytest.mark.usefixtures("leavings")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_its_file_holds_no_output(path: Path, kernel: Any) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)
    if path.stem.startswith("4_") and len(read_log(get_settings().state_dir / "demo" / "captures")) < 900:
        pytest.skip(
            "arms and examination need the 900 searches of `make demo`; the tests of the demo serve fewer"
        )
    notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
    if not os.environ.get("RANK_SLOW_CELLS"):  # a Beam pipeline, and degraded photos: other tests run them
        notebook.cells = [one for one in notebook.cells if "slow" not in one.metadata.get("tags", ())]
    NotebookClient(notebook, km=kernel, timeout=120).execute()
    printed = "".join(one.get("text", "") for cell in notebook.cells for one in cell.get("outputs", ()))
    assert len(printed) > 100, printed
