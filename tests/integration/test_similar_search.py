"""Similar items on the real server: the neighbours are numpy's, in the order that the formula gives."""

import json

import numpy as np
import pytest
from elasticsearch import helpers
from typer.testing import CliRunner

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from ranking.cli import full_app
from ranking.errors import InputError, RankError, ServerError
from ranking.image import ImageBoost
from ranking.similar import SimilarQuery, find_similar

pytestmark = pytest.mark.engines
BOOST = ImageBoost.model_validate(
    {
        "mode": "additive",
        "weight": 7.0,
        "missing": 0.3,
        "transform": {"type": "power", "exponent": 2},
        "ai_generated": {"above": 0.5, "cap": 0.2},
    }
)
N, DIMS = 300, 32


def family(es, prefix):
    wanted = desired_state(prefix)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, prefix)
    return prefix


@pytest.fixture
def world(es, prefix):
    """Items with random vectors and scores, some sold, some of another tower, some without a vector."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(N, DIMS)).astype(np.float32)
    vectors += 1.5 * rng.normal(size=(12, DIMS))[rng.integers(0, 12, N)].astype(np.float32)
    items = []
    for i in range(N):
        items.append(
            {
                "item_id": f"i{i:03d}",
                "title": f"item {i}",
                "category": f"c{i % 3}",
                "price": 100 + i,
                "status": "sold" if i % 10 == 9 else "on_sale",
                "created_at": 1_790_000_000_000 + i,
                "updated_at": 1_790_000_000_000 + i,
                "image_embedding": vectors[i].tolist(),
                "image_embedding_version": "other" if i % 17 == 16 else "mine",
            }
        )
        if i % 4:
            items[-1]["image_score"] = float(np.float32(rng.random()))
        if i % 5 == 3:
            items[-1]["ai_generated"] = {"probability": (i % 11) / 10, "source": "simulated"}
        if i % 50 == 49:
            del items[-1]["image_embedding"], items[-1]["image_embedding_version"]
    index = family(es, prefix)
    helpers.bulk(es, [{"_index": index, "_id": d["item_id"], "_source": d} for d in items], refresh=True)
    return index, items, vectors


def expected(items, vectors, asked, query):
    """The same list by numpy, over every item."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    own = items[asked]
    scored = []
    for i, item in enumerate(items):
        if i == asked or item.get("image_embedding_version") != own["image_embedding_version"]:
            continue
        if query.on_sale and item["status"] != "on_sale":
            continue
        if query.same_category and item["category"] != own["category"]:
            continue
        similarity = (1 + float(unit[i] @ unit[asked])) / 2
        image = item.get("image_score", query.missing)
        if query.boost is not None:  # by hand: `BOOST` caps what is probably generated at 0.2, then squares
            image = item.get("image_score", 0.3)
            if item.get("ai_generated", {}).get("probability", 0.0) > 0.5:
                image = min(image, 0.2)
            image = image**2
        scored.append((-similarity * (1 - query.image_weight + query.image_weight * image), item["item_id"]))
    return [(item_id, -score) for score, item_id in sorted(scored)[: query.size]]


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"on_sale": False},
        {"same_category": True, "size": 5},
        {"image_weight": 0.5},
        {"image_weight": 1.0, "missing": 0.0, "size": 7},
        {"image_weight": 0.2, "same_category": True},
        {"image_weight": 0.8, "boost": BOOST},
    ],
    ids=lambda asked: str(sorted(asked)),
)
def test_the_list_is_that_of_numpy_over_every_item(es, world, asked, exact):
    index, items, vectors = world
    query = SimilarQuery(exact=exact, candidates=0 if exact else 2000, **asked)
    for i in (0, 16, 123):
        page = find_similar(es, index, f"i{i:03d}", query)
        wanted = expected(items, vectors, i, query)
        assert [item.item_id for item in page.items] == [item_id for item_id, _ in wanted]
        np.testing.assert_allclose([item.score for item in page.items], [s for _, s in wanted], atol=2e-6)
        assert [item.rank for item in page.items] == list(range(1, len(wanted) + 1))


def test_the_window_grows_until_nothing_outside_could_enter(es, world):
    """With weight 1 a far item with a good photo beats a near one without: 50 candidates are not enough."""
    index, items, vectors = world
    near = find_similar(es, index, "i000", SimilarQuery(image_weight=0.1, exact=True))
    query = SimilarQuery(image_weight=1.0, missing=0.0, exact=True)
    far = find_similar(es, index, "i000", query)
    assert near.window == 50 < far.window
    assert [i.item_id for i in far.items] == [i for i, _ in expected(items, vectors, 0, query)]
    assert any(item.rank_by_similarity > 50 for item in far.items)


def test_what_cannot_be_answered_is_one_sentence(es, world):
    index, _, _ = world
    with pytest.raises(InputError, match="has no item 'nobody'"):
        find_similar(es, index, "nobody")
    with pytest.raises(InputError, match="item 'i049' has no image embedding") as e:
        find_similar(es, index, "i049")
    assert "scorer embed" in str(e.value.hint)
    with pytest.raises(ServerError, match="no such index"):
        find_similar(es, f"{index}-absent", "i000")
    with pytest.raises(ValueError, match="image_weight"):
        SimilarQuery(image_weight=float("nan"))


def test_the_command_prints_parts_that_multiply_to_the_score(es, world, monkeypatch):
    index, _, _ = world
    words = ["similar", "i000", "--index", index, "--image-weight", "0.4", "--explain", "--format", "json"]
    done = CliRunner().invoke(full_app(), words)
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["item_id"] == "i000"
    assert len(found["hits"]) == 10
    for hit in found["hits"]:
        assert hit["score"] == pytest.approx(hit["similarity"] * (0.6 + 0.4 * hit["image"]))
        assert hit["image"] == pytest.approx(hit["image_score"] if hit["image_score"] is not None else 0.5)
    by_similarity = sorted(found["hits"], key=lambda hit: hit["rank_by_similarity"])
    assert [h["similarity"] for h in by_similarity] == sorted(
        (h["similarity"] for h in found["hits"]), reverse=True
    )
    monkeypatch.setenv("ELASTICSEARCH_URL", "http://127.0.0.1:1")
    from ranking.settings import get_settings

    get_settings.cache_clear()
    gone = CliRunner().invoke(full_app(), words)
    get_settings.cache_clear()
    assert "nothing answers" in str(gone.exception)


def test_under_a_profile_a_photo_counts_what_it_counts_in_a_search(es, world, tmp_path):
    index, items, _ = world
    file = tmp_path / "capped.yaml"
    file.write_text(
        "name: capped\nimage: {mode: multiplicative, weight: 0.5, missing: 0.3, ai_generated: {cap: 0.1}}\n"
        "platforms: {ios: {image: {ai_generated: {neutral: 0.9}}}}\n"
    )
    words = ["similar", "i000", "--index", index, "--size", "200", "--explain", "--format", "json", "--exact"]
    words += ["--image-weight", "0.4", "--profile", str(file)]

    def images(*more):
        done = CliRunner().invoke(full_app(), [*words, *more])
        assert done.exit_code == 0, done.exception
        hits = json.loads(done.stdout)["hits"]
        for hit in hits:
            assert hit["score"] == pytest.approx(hit["similarity"] * (0.6 + 0.4 * hit["image"]))
        return {hit["item_id"]: hit["image"] for hit in hits}

    web, ios, unscored = images(), images("--platform", "ios"), images("--missing", "0.7")
    generated = {d["item_id"] for d in items if d.get("ai_generated", {}).get("probability", 0) > 0.5} & set(
        web
    )
    assert len(generated) > 10
    assert max(web[item] for item in generated) <= 0.1
    assert max(web.values()) > 0.9
    assert {ios[item] for item in generated} == {0.9}
    assert {round(unscored[item], 6) for item in web if web[item] == 0.3} == {0.7}
    for wrong, says in (
        (["--image-weight", "0"], "without --image-weight"),
        (["--profile", "nobody"], "nobody"),
        (["--platform", "fridge"], "fridge"),
    ):
        failed = CliRunner().invoke(full_app(), [*words, *wrong])
        assert isinstance(failed.exception, RankError)
        assert says in str(failed.exception)


def test_a_new_photo_takes_the_old_ones_embedding_with_it(es, world):
    """The stored script for partial updates drops vector and version together."""
    index, _, _ = world
    change = {"image_url": "https://shop.example/new.jpg", "updated_at": 1_799_000_000_000}
    es.update(index=index, id="i001", doc={"image_url": "https://shop.example/old.jpg"})
    es.update(
        index=index, id="i001", script={"id": "rank-item-update-v1", "params": {"doc": change}}, refresh=True
    )
    with pytest.raises(InputError, match="no image embedding"):
        find_similar(es, index, "i001")
    assert "image_embedding_version" not in es.get(index=index, id="i001")["_source"]
