"""Publishing a profile, and the commands a search engineer types every day, on a real cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch, helpers
from typer.testing import CliRunner

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from ranking.cli import full_app
from ranking.clock import DAY_MS
from ranking.errors import ServerError
from ranking.profile import Profile
from ranking.publish import read_published
from ranking.search import Searcher

pytestmark = pytest.mark.engines

NOW = 1_795_000_000_000


def profile(weight: float) -> Profile:
    return Profile.model_validate({"name": "mine", "image": {"mode": "additive", "weight": weight}})


@pytest.fixture
def index(es: Elasticsearch, prefix: str) -> str:
    wanted = desired_state(prefix)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, prefix)
    actions = [
        {
            "_index": prefix,
            "item_id": f"i{i:02d}",
            "title": "red dress" if i % 2 else "blue dress with a red belt",
            "status": "on_sale",
            "category": "dress",
            "price": 1000 + i,
            "image_score": (i * 7 % 20) / 20,
            "created_at": NOW - i * DAY_MS,
        }
        for i in range(20)
    ]
    helpers.bulk(es, actions, refresh=True)
    return prefix


def run(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(full_app(), list(words))
    return result.exit_code, result.stdout, result.stderr


class TestSearch:
    def test_explain_gives_parts_that_make_the_score(self, index: str) -> None:
        words = (
            "search",
            "red dress",
            "--profile",
            "additive",
            "--at",
            str(NOW),
            "--explain",
            "--index",
            index,
        )
        code, stdout, _ = run(*words, "--format", "json")
        found = json.loads(stdout)
        assert (code, found["now_ms"], found["total_hits"]) == (0, NOW, 20)
        assert (found["ranks_over"], found["ranks_over_all_matches"]) == (20, True)
        for hit in found["hits"]:
            assert hit["exact"]
            assert list(hit["ranks"]) == ["rel", "image", "freshness"]
            assert hit["ranks"]["freshness"] == hit["rank"]
            assert hit["combined"] == pytest.approx(hit["rel"] + 3.0 * hit["image_score"], rel=1e-6)
            assert hit["score"] == pytest.approx(hit["combined"] * hit["freshness"], rel=1e-6)
        assert run(*words)[0] == 0

    def test_two_profiles_side_by_side(self, es: Elasticsearch, index: str, tmp_path: Path) -> None:
        evil = "<script>alert(1)</script> red dress"
        doc = {"item_id": "evil", "title": evil, "status": "on_sale", "image_score": 1.0, "created_at": NOW}
        es.index(index=index, document=doc, refresh=True)
        html = tmp_path / "c.html"
        words = ("search", "red dress", "--compare", "additive", "--index", index, "--at", str(NOW))
        code, stdout, _ = run(*words, "--html", str(html), "--format", "json")
        found = json.loads(stdout)
        assert code == 0
        assert {hit["item_id"] for hit in found["contender"]["hits"]} >= set(found["change"]["entered"])
        assert all(hit["exact"] for side in ("baseline", "contender") for hit in found[side]["hits"])
        text = html.read_text(encoding="utf-8")
        assert "<script" not in text
        assert "&lt;script&gt;" in text
        assert run(*words)[0] == 0
        assert run("search", "red dress", "--html", str(html), "--index", index)[0] == 1

    def test_the_clock_moves_the_ranking(self, index: str) -> None:
        def ids(at: int) -> list[str]:
            words = ("search", "dress", "--at", str(at), "--index", index, "--format", "json")
            return [hit["item_id"] for hit in json.loads(run(*words)[1])["hits"]]

        assert ids(NOW)[0] != ids(NOW - 10 * DAY_MS)[0]
        assert "i00" not in ids(NOW - 10 * DAY_MS)  # not yet listed then

    def test_a_platform_gets_its_override(self, index: str) -> None:
        words = ("search", "dress", "--profile", "additive", "--index", index, "--format", "json")
        web, ios = (json.loads(run(*words, "--platform", platform)[1]) for platform in ("web", "ios"))
        assert web["profile_hash"] != ios["profile_hash"]

    def test_an_index_that_is_not_there_is_said(self) -> None:
        code, _, _ = run("search", "dress", "--index", "no-such-index")
        assert code == 1

    def test_a_document_without_item_id_is_said(self, es: Elasticsearch, index: str) -> None:
        document = {"title": "dress", "status": "on_sale"}  # past our pipeline, which fills it in
        es.index(index=index, document=document, pipeline="_none", refresh=True)
        with pytest.raises(ServerError, match="item_id"):
            Searcher(es, index, profile(1)).search("dress", now_ms=NOW)


class TestApplyBoost:
    def test_a_dry_run_previews_and_publishes_nothing(
        self, es: Elasticsearch, index: str, tmp_path: Path
    ) -> None:
        path = tmp_path / f"{index}.yaml"
        path.write_text(f"name: {index}\nimage: {{mode: additive, weight: 5}}\n")
        words = ("apply-boost", str(path), "--index", index, "--format", "json", "--at", str(NOW))
        code, stdout, stderr = run(*words, "--dry-run")
        result = json.loads(stdout)
        assert (code, result["published_version"]) == (0, None)
        assert "nothing was published" in stderr
        assert all(row["image_score"][1] >= row["image_score"][0] for row in result["preview"]["queries"])
        assert result["cost"]["n"] == result["cost"]["queries"] * 7 > 0
        assert result["cost"]["ratio"] > 0
        assert result["summary"] in stderr
        assert read_published(es, index) is None

    def test_publish_ask_again_and_list(self, es: Elasticsearch, index: str, tmp_path: Path) -> None:
        path = tmp_path / f"{index}.yaml"
        path.write_text(f"name: {index}\nimage: {{mode: additive, weight: 5}}\n")
        queries = tmp_path / "queries.txt"
        queries.write_text("red dress\n\nblue belt\n")
        words = ("apply-boost", str(path), "--index", index, "--queries", str(queries), "--format", "json")
        try:
            code, stdout, _ = run(*words, "--yes")
            assert (code, json.loads(stdout)["published_version"]) == (0, 1)
            rows = json.loads(stdout)["preview"]["queries"]
            assert [row["query"] for row in rows] == ["red dress", "blue belt"]
            code, stdout, stderr = run(*words, "--yes")
            assert json.loads(stdout)["published_version"] is None
            assert "live already" in stderr
            listed = json.loads(run("boost", "list", "--format", "json")[1])["profiles"]
            assert (index, 1) in [(row["name"], row["version"]) for row in listed]
            code, stdout, _ = run("search", "dress", "--profile", index, "--index", index, "--format", "json")
            assert (code, json.loads(stdout)["profile"]) == (0, index)
        finally:
            es.options(ignore_status=404).delete(index="rank-profiles", id=index, refresh=True)
            es.options(ignore_status=404).delete(index="rank-profiles", id=f"{index}@1", refresh=True)
