"""Titles and photos of items. A photo is asked for by its item's id; no request names a file.

Which file that is, the index says (`image_url`), and only a file below the photos root is read.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch

from replay.report.cards import ItemCard, fetch_item_cards, local_photo
from replay.report.thumbnails import small_photo

_MOST_CARDS = 20_000
_MOST_PHOTOS = 4_000  # of about 3 kB


class Photos:
    """Cards and small photos, the last used kept in memory."""

    def __init__(self, cluster: Callable[[], Elasticsearch], index: str, root: Path | None) -> None:
        self._cluster, self._index = cluster, index
        self.root = root
        self._lock = threading.Lock()
        self._cards: OrderedDict[str, ItemCard] = OrderedDict()
        self._small: OrderedDict[tuple[Path, int], bytes] = OrderedDict()

    def rows(self, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Title, price, category, and whether there is a photo, by item id; asked of the index anew.

        Raises:
            ServerError: the cluster refused.
        """
        found = fetch_item_cards(self._cluster(), self._index, ids, photo_root=self.root)
        with self._lock:
            for item_id, card in found.items():
                _keep(self._cards, item_id, card, _MOST_CARDS)
        return {
            item_id: {
                "title": card.title,
                "price": card.price,
                "category": card.category,
                "photo": card.photo is not None,
            }
            for item_id, card in found.items()
        }

    def photo(self, item_id: str) -> bytes | None:
        """The small photo of an item, WebP; None where there is none to be read.

        Raises:
            ServerError: the cluster refused.
        """
        if self.root is None:
            return None
        with self._lock:
            card = self._cards.get(item_id)
        if card is None:
            self.rows([item_id])
            card = self._cards.get(item_id)
        path = local_photo(str(card.photo), self.root) if card is not None and card.photo else None
        if path is None:
            return None
        key = (path, path.stat().st_mtime_ns)
        with self._lock:
            known = self._small.get(key)
        small = small_photo(path) if known is None else known
        if small is not None:
            with self._lock:
                _keep(self._small, key, small, _MOST_PHOTOS)
        return small


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)


__all__ = ["Photos"]
