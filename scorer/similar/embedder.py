"""Embeddings of the index's photos, written into `image_embedding`, and attributes from the same vectors.

Items without an embedding are read page by page in one point in time, their photos are loaded and embedded,
and each item gets a partial update that holds only while the item is as it was read: one that changed in
between is left for the next run. So the command can be stopped and started at will, and run after every
ingest; it does what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from elasticsearch import Elasticsearch
from numpy.typing import NDArray
from torch.nn import functional

from ranking import fields
from ranking.errors import BulkError, InputError, ServerError
from ranking.es import server_errors
from ranking.paging import pages
from scorer.ingest.photos import PhotoError, PhotoLoader, PhotoSource
from scorer.model.prompts import NoTextSide, Prompts, load_prompts
from scorer.model.tower import COMPACT, Tower, load_tower

if TYPE_CHECKING:
    from scorer.ingest.photos import Pixels

_PAGE: Final = 256  # items read, embedded and written at a time
_BATCH: Final = 32


class Embedder:
    """One tower, ready to embed.

    `version` names the tower's weights; vectors of two versions are never compared. `prompts` is None where
    the tower has no text side; with `need_prompts` that is an error.
    """

    def __init__(self, spec: str = COMPACT, *, threads: int = 1, need_prompts: bool = False) -> None:
        torch.set_num_threads(threads)
        self.tower: Tower = load_tower(spec)
        self.version = _version(spec, self.tower)
        self._mean = torch.tensor(self.tower.mean).view(1, 3, 1, 1)
        self._std = torch.tensor(self.tower.std).view(1, 3, 1, 1)
        try:
            self.prompts: Prompts | None = load_prompts(spec)
        except NoTextSide:
            if need_prompts:
                raise
            self.prompts = None

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """L2-normalized embeddings, shape (n, embed_dim), of uint8 (n, size, size, 3).

        The mean over the photo and its mirror image, since a garment photographed from the left is the same.
        """
        from scorer.model.tower import embedding_of

        parts = []
        with torch.inference_mode():
            for start in range(0, len(pixels), _BATCH):
                x = torch.from_numpy(pixels[start : start + _BATCH]).permute(0, 3, 1, 2).float() / 255.0
                x = (x - self._mean) / self._std
                both = embedding_of(self.tower.visual, x) + embedding_of(self.tower.visual, x.flip(3))
                parts.append(functional.normalize(both.float(), dim=1))
        embedded: NDArray[np.float32] = torch.cat(parts).numpy()
        return embedded


@dataclass(slots=True)
class EmbedResult:
    """What became of the items of one run."""

    written: int = 0
    changed_meanwhile: int = 0  # left for the next run
    without_photo: dict[str, str] = field(default_factory=dict)  # item_id -> why its photo cannot be had


def embed_index(
    es: Elasticsearch,
    index: str,
    embedder: Embedder,
    source: PhotoSource,
    *,
    again: bool = False,
    advance: Callable[[int], object] | None = None,
) -> EmbedResult:
    """Embed the items of `index` that have a photo and no embedding of this tower.

    Args:
        es: a client.
        index: index or alias.
        embedder: the tower.
        source: where photos may come from.
        again: also those that have one of this tower.
        advance: told how many items were seen to.

    Raises:
        ServerError: the server refused, or is not there; what was written until then stays.
        BulkError: some documents were refused, with the server's reasons.
        InputError: the index holds vectors of another length.
    """
    check_mapping(es, index, embedder.tower.embed_dim)
    result = EmbedResult()
    failures: dict[str, str] = {}
    loader = PhotoLoader.for_size(source, embedder.tower.image_size)
    try:
        for hits in _pages(es, index, None if again else embedder.version):
            found = _load(hits, loader, result)
            if found:
                vectors = embedder.embed(np.stack([pixels for _, pixels in found]))
                attributes = embedder.prompts.attributes(vectors) if embedder.prompts else None
                updates = [
                    _update(hit, vector, embedder, None if attributes is None else attributes[i])
                    for i, ((hit, _), vector) in enumerate(zip(found, vectors, strict=True))
                ]
                _write(es, updates, result, failures)
            if advance is not None:
                advance(len(hits))
    finally:
        loader.close()
    with server_errors(f"refreshing {index}"):
        es.indices.refresh(index=index)
    if failures:
        raise BulkError(failures)
    return result


def check_mapping(es: Elasticsearch, index: str, dims: int) -> None:
    """See that the index takes vectors of this length.

    Raises:
        InputError: it does not, or has no field for them.
    """
    with server_errors(f"the mapping of {index}"):
        found = es.indices.get_field_mapping(index=index, fields=fields.IMAGE_EMBEDDING)
    for name, entry in found.body.items():
        mapping = (
            entry["mappings"].get(fields.IMAGE_EMBEDDING, {}).get("mapping", {}).get(fields.IMAGE_EMBEDDING)
        )
        if mapping is None:
            raise InputError(
                f"{name} has no field {fields.IMAGE_EMBEDDING}",
                hint="run `rank-cli templates apply`, then `rank-cli index migrate`",
            )
        held = mapping.get("dims")
        if held is not None and held != dims:
            raise InputError(
                f"{name} holds embeddings of {held} numbers, and this tower makes {dims}",
                hint="a field's length cannot change: index the items anew without image_embedding",
            )


def _pages(es: Elasticsearch, index: str, but: str | None) -> Iterator[list[dict[str, Any]]]:
    """Items with a photo, in pages; without those that have an embedding of version `but`."""
    must_not = [{"term": {fields.STATUS: fields.DELETED}}]
    if but is not None:
        must_not.append({"term": {fields.IMAGE_EMBEDDING_VERSION: but}})
    return pages(
        es,
        index,
        {"bool": {"must_not": must_not}},
        size=_PAGE,
        source_includes=[fields.IMAGE_URL, fields.ITEM_ID],
        seq_no_primary_term=True,
    )


def _load(
    hits: Sequence[Mapping[str, Any]], loader: PhotoLoader, result: EmbedResult
) -> list[tuple[Mapping[str, Any], Pixels]]:
    waiting = []
    for hit in hits:
        url = hit["_source"].get(fields.IMAGE_URL)
        if not url:
            result.without_photo[hit["_id"]] = "the item has no photo"
        else:
            waiting.append((hit, loader.submit(str(url))))
    found = []
    for hit, photo in waiting:
        try:
            found.append((hit, photo.result().pixels))
        except PhotoError as e:
            result.without_photo[hit["_id"]] = str(e)
    return found


def _update(
    hit: Mapping[str, Any],
    vector: NDArray[np.float32],
    embedder: Embedder,
    attributes: NDArray[np.float32] | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    doc: dict[str, Any] = {
        fields.IMAGE_EMBEDDING: vector.tolist(),
        fields.IMAGE_EMBEDDING_VERSION: embedder.version,
    }
    if attributes is not None and embedder.prompts is not None:
        values = zip(embedder.prompts.names, attributes, strict=True)
        doc[fields.IMAGE_ATTRIBUTES] = {name: round(float(value), 6) for name, value in values}
    action = {
        "_index": hit["_index"],
        "_id": hit["_id"],
        "if_seq_no": hit["_seq_no"],
        "if_primary_term": hit["_primary_term"],
    }
    return {"update": action}, {"doc": doc}


def _write(
    es: Elasticsearch,
    updates: Sequence[tuple[dict[str, Any], dict[str, Any]]],
    result: EmbedResult,
    failures: dict[str, str],
) -> None:
    with server_errors("writing embeddings"):
        answer = es.bulk(operations=[line for update in updates for line in update])
    for item in answer["items"]:
        outcome = item["update"]
        if outcome["status"] < 300:
            result.written += 1
        elif outcome["status"] in (404, 409):  # deleted, or newer than what was read
            result.changed_meanwhile += 1
        elif outcome["status"] == 429:
            raise ServerError(
                "Elasticsearch", "it is too busy to take more embeddings", hint="run this again"
            )
        else:
            error = outcome.get("error", {})
            failures[outcome["_id"]] = str(error.get("reason", error))


def _version(spec: str, tower: Tower) -> str:
    """`<name>-<8 hex digits>` over the weights: the same wherever the folder lies."""
    digest = sha256(json.dumps([tower.image_size, tower.mean, tower.std]).encode())
    for name, value in sorted(tower.visual.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    name = Path(spec.partition(":")[2]).name if spec.startswith("local-dir:") else spec.rpartition("/")[2]
    return f"{name.partition(':')[0] or 'tower'}-{digest.hexdigest()[:8]}"


__all__ = ["EmbedResult", "Embedder", "check_mapping", "embed_index"]
