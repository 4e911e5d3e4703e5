"""Similar items on the real server: the neighbours are numpy's, in the order that the formula gives."""

import json

import numpy as np
import pytest
import torch
from elasticsearch import helpers
from typer.testing import CliRunner

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from marketplace.photos import from_photos
from ranking.cli import full_app
from ranking.errors import InputError, ServerError
from ranking.similar import SimilarQuery, find_similar
from scorer.ingest.photos import PhotoSource
from scorer.model.tower import load_tower
from scorer.similar.embedder import Embedder, embed_index

pytestmark = pytest.mark.engines
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
    ],
    ids=str,
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


@pytest.fixture
def market(es, prefix, shared):
    """Forty real photos as items, without embeddings."""
    items = from_photos(shared / "photos" / "validation", n_items=40, now_ms=1_790_000_000_000).items
    messages = [item.message() for item in items]
    index = family(es, prefix)
    helpers.bulk(es, [{"_index": index, "_id": m["item_id"], "_source": m} for m in messages], refresh=True)
    return index, items, PhotoSource(root=shared.resolve())


def test_the_indexs_photos_are_embedded_once_and_found_by_their_own_vector(es, market):
    index, items, source = market
    embedder = Embedder("compact")
    result = embed_index(es, index, embedder, source)
    assert (result.written, result.without_photo) == (40, {})
    assert embed_index(es, index, embedder, source).written == 0
    assert embed_index(es, index, embedder, source, again=True).written == 40
    own = items[0].item_id
    hit = es.search(index=index, query={"term": {"item_id": own}}, fields=["image_embedding", "title"])[
        "hits"
    ]["hits"][0]
    vector = np.array(hit["fields"]["image_embedding"], dtype=np.float32)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert hit["fields"]["title"] == [items[0].title]  # the rest of the item is as it was
    page = find_similar(es, index, own, SimilarQuery(size=5, on_sale=False, exact=True))
    from scorer.model.photo import read_photo

    tower = load_tower("compact")
    pixels = np.stack([read_photo(item.image_path, tower.image_size) for item in items])
    with torch.inference_mode():
        mean, std = torch.tensor(tower.mean).view(1, 3, 1, 1), torch.tensor(tower.std).view(1, 3, 1, 1)
        x = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std
        e = torch.nn.functional.normalize(tower.visual(x) + tower.visual(x.flip(3)), dim=1).numpy()
    cosine = e @ e[0]
    nearest = sorted((i for i in range(1, 40)), key=lambda i: -cosine[i])[:5]
    assert [item.item_id for item in page.items] == [items[i].item_id for i in nearest]
    np.testing.assert_allclose([i.similarity for i in page.items], (1 + cosine[nearest]) / 2, atol=1e-4)


def test_photos_that_cannot_be_had_are_told_and_the_rest_is_embedded(es, market):
    index, items, source = market
    es.update(index=index, id=items[0].item_id, doc={"image_url": "file:///etc/passwd"})
    es.update(index=index, id=items[1].item_id, doc={"image_url": None})
    es.update(index=index, id=items[2].item_id, doc={"status": "deleted"}, refresh=True)
    result = embed_index(es, index, Embedder("compact"), source)
    assert result.written == 37
    assert result.without_photo[items[0].item_id] == "the photo's path leads outside the photos root"
    assert result.without_photo[items[1].item_id] == "the item has no photo"


def test_an_item_that_changed_while_it_was_embedded_is_left_for_the_next_run(es, market):
    index, items, source = market

    class Slow(Embedder):
        def embed(self, pixels):
            es.update(index=index, id=items[0].item_id, doc={"image_url": str(items[1].image_path)})
            return super().embed(pixels)

    result = embed_index(es, index, Slow("compact"), source)
    assert (result.written, result.changed_meanwhile) == (39, 1)
    result = embed_index(es, index, Embedder("compact"), source)
    assert (result.written, result.changed_meanwhile) == (1, 0)


def test_vectors_of_another_length_are_refused_before_anything_is_written(es, world, shared):
    index, _, _ = world
    with pytest.raises(InputError, match="holds embeddings of 32 numbers, and this tower makes"):
        embed_index(es, index, Embedder("compact"), PhotoSource(root=shared))


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


def test_the_pages_snippets_run(es, market, monkeypatch):
    """docs/similar.md, as a reader would, with a real item in place of ITEM_ID."""
    import re
    import shlex
    from pathlib import Path

    from ranking.settings import get_settings

    index, items, source = market
    monkeypatch.setenv("RANK_INDEX", index)
    get_settings.cache_clear()
    page = (Path(__file__).parents[2] / "docs" / "similar.md").read_text(encoding="utf-8")
    page = page.replace("ITEM_ID", items[0].item_id).replace(
        "--photos-root photos", f"--photos-root {source.root}"
    )
    ran = 0
    for block in re.findall(r"^```sh\n(.*?)^```", page, flags=re.M | re.S):
        for line in block.splitlines():
            words = shlex.split(line)[1:]
            if words[0] == "similar" or (words[:2] == ["scorer", "embed"] and "--tower" not in words):
                done = CliRunner().invoke(full_app(), words)
                assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception}"
                ran += 1
    (code,) = re.findall(r"^```python\n(.*?)^```", page, flags=re.M | re.S)
    exec(compile(code.replace('"items"', repr(index)), "similar.md", "exec"), {})
    get_settings.cache_clear()
    assert ran == 4
