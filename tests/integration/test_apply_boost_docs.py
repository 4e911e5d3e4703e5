"""docs/apply-boost.md, run from top to bottom as a reader would: bash, curl, Python and Node."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch, helpers

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from ranking.clock import DAY_MS, now_ms
from ranking.settings import get_settings
from tests.integration.conftest import missing

pytestmark = pytest.mark.engines

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "apply-boost.md"
NAME = "sharper-photos"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)


@pytest.fixture(scope="module")
def reader(
    es: Elasticsearch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder and an environment: an index of dresses, and `rank-cli` on the path."""
    index = "test-docs-apply-boost"
    wanted = desired_state(index)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, index)
    at = now_ms()
    docs = (
        {
            "_index": index,
            "item_id": f"i{i:03d}",
            "title": f"{'blue' if i % 3 else 'red'} dress",
            "status": "on_sale",
            "image_score": (i * 7 % 20) / 20,
            "created_at": at - i * DAY_MS // 4,
        }
        for i in range(120)
    )
    helpers.bulk(es, docs, refresh=True)
    folder = tmp_path_factory.mktemp("docs")
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    command = bin_folder / "rank-cli"
    command.write_text(f"#!{sys.executable}\nfrom ranking.cli import main\n\nmain()\n")
    command.chmod(0o755)
    yield (
        folder,
        {
            **os.environ,
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "ELASTICSEARCH_URL": get_settings().endpoint("Elasticsearch"),
            "RANK_INDEX": index,
        },
    )
    es.delete_by_query(index="rank-profiles", query={"term": {"name": NAME}}, refresh=True)
    for script in es.cluster.state(metric="metadata")["metadata"].get("stored_scripts", {}):
        if script.startswith(f"rank-profile-{NAME}-"):
            es.delete_script(id=script)
    for one in es.indices.get(index=f"{index}*"):
        es.indices.delete(index=one)
    es.options(ignore_status=404).indices.delete_index_template(name=f"rank-{index}")
    for part in ("settings", "item", "image-score"):
        es.options(ignore_status=404).cluster.delete_component_template(name=f"rank-{part}-{index}")
    es.options(ignore_status=404).ingest.delete_pipeline(id=f"rank-{index}")


def test_every_snippet_runs(reader: tuple[Path, dict[str, str]]) -> None:
    folder, env = reader
    said: dict[str, list[str]] = {"bash": [], "python": [], "js": []}
    for language, block in BLOCKS:
        if language == "yaml":
            (folder / f"{NAME}.yaml").write_text(block)
            continue
        words = {"bash": ["bash", "-euo", "pipefail", "-c", block], "python": [sys.executable, "-c", block]}
        if language == "js":
            node = shutil.which("node")
            if node is None:
                missing("no node: the JavaScript snippets are not run")
            words["js"] = [str(node), "--input-type=module", "-e", block]
        done = subprocess.run(
            words[language], capture_output=True, text=True, cwd=folder, env=env, timeout=120
        )
        assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        said[language].append(done.stdout)
    with_client, with_toolkit = said["python"]
    page, canary = (json.loads(out) for out in said["js"])
    assert len(page) == 20
    assert sorted(json.loads(with_client)) == sorted(page)  # the same items, at clocks some seconds apart
    assert with_toolkit.split()[0] == "120"
    assert canary["bucket"] == int(re.findall(rf"`{NAME}@2` \| `user-1` \| (\d+)", PAGE.read_text())[0])
    assert (folder / "compare.html").stat().st_size > 10_000
    assert sum(language == "bash" for language, _ in BLOCKS) == 5
