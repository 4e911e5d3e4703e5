"""What an item looks like: title, price, category and photo, read from the index by `item_id`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from elasticsearch import Elasticsearch

from ranking import fields
from ranking.es import check_complete, server_errors

_BATCH = 500


@dataclass(frozen=True, slots=True)
class ItemCard:
    """One item as a page shows it."""

    title: str = ""
    price: float | None = None
    category: str | None = None
    photo: Path | None = None  # a local file; None where there is none


def fetch_item_cards(
    es: Elasticsearch, index: str, item_ids: Iterable[str], *, photo_root: Path | None = None
) -> dict[str, ItemCard]:
    """Read the cards of items from `_source`.

    Args:
        es: the cluster.
        index: index or alias that holds the items.
        item_ids: which; those the index lacks are left out.
        photo_root: folder below which `image_url` may name a local file, as a path or a `file://` address.
            None: no photo is read.

    Raises:
        ServerError: the cluster refused.
    """
    wanted = sorted(set(item_ids))
    cards: dict[str, ItemCard] = {}
    source = [fields.ITEM_ID, fields.TITLE, fields.PRICE, fields.CATEGORY, fields.IMAGE_URL]
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start : start + _BATCH]
        with server_errors(f"items of {index}"):
            response = es.search(
                index=index,
                query={"terms": {fields.ITEM_ID: batch}},
                source_includes=source,
                size=len(batch),
            )
        check_complete(response.body)
        for hit in response["hits"]["hits"]:
            doc = hit["_source"]
            cards[str(doc[fields.ITEM_ID])] = _card(doc, photo_root)
    return cards


def local_photo(image_url: str | None, root: Path | None) -> Path | None:
    """The local file an `image_url` names, where it lies below `root`; None for anything else."""
    if not image_url or root is None:
        return None
    parts = urlsplit(image_url)
    if parts.scheme not in {"", "file"} or parts.netloc not in {"", "localhost"}:
        return None
    root = root.resolve()
    path = Path(unquote(parts.path) if parts.scheme else image_url)
    try:
        path = (root / path).resolve()
        return path if path.is_relative_to(root) and path.is_file() else None
    except (OSError, ValueError):  # a name that no file can have
        return None


def _card(doc: Mapping[str, Any], root: Path | None) -> ItemCard:
    price = doc.get(fields.PRICE)
    category = doc.get(fields.CATEGORY)
    return ItemCard(
        title=str(doc.get(fields.TITLE) or ""),
        price=None if price is None else float(price),
        category=None if category is None else str(category),
        photo=local_photo(doc.get(fields.IMAGE_URL), root),
    )
