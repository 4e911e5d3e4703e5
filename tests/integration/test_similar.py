"""Embeddings of real photos, written into the index and found again by `rank-cli similar`."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from elasticsearch import helpers
from typer.testing import CliRunner

from marketplace.photos import from_photos
from ranking.cli import full_app
from ranking.errors import InputError
from ranking.settings import get_settings
from ranking.similar import SimilarQuery, find_similar
from scorer.ingest.photos import PhotoSource
from scorer.model.photo import read_photo
from scorer.model.tower import load_tower
from scorer.similar.embedder import Embedder, embed_index
from tests.integration.test_similar_search import family

pytestmark = pytest.mark.engines


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


def test_vectors_of_another_length_are_refused_before_anything_is_written(es, market, shared):
    index, items, _ = market
    es.update(index=index, id=items[0].item_id, doc={"image_embedding": [0.5] * 32}, refresh=True)
    with pytest.raises(InputError, match="holds embeddings of 32 numbers, and this tower makes"):
        embed_index(es, index, Embedder("compact"), PhotoSource(root=shared))


def test_the_pages_snippets_run(es, market, monkeypatch):
    """docs/similar.md, as a reader would, with a real item in place of ITEM_ID."""
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
    assert ran == 5
