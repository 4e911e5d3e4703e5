"""Which photo each item has: asked of the index, or read from a CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ranking import fields
from ranking.errors import InputError

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch


def photos_in_index(es: Elasticsearch, index: str, item_ids: Sequence[str]) -> dict[str, str]:
    """`image_url` by item_id, of the items that have one; items that have left the index are left out.

    Raises:
        ServerError: the server refused.
    """
    from ranking.es import check_complete, server_errors

    found: dict[str, str] = {}
    for start in range(0, len(item_ids), 1_000):
        some = item_ids[start : start + 1_000]
        with server_errors(f"read photos of {index}"):
            response = es.search(
                index=index,
                query={"terms": {fields.ITEM_ID: list(some)}},
                size=len(some),
                source_includes=[fields.ITEM_ID, fields.IMAGE_URL],
            )
        check_complete(response.body)
        for hit in response.body["hits"]["hits"]:
            source: dict[str, Any] = hit["_source"]
            if source.get(fields.IMAGE_URL):
                found[source[fields.ITEM_ID]] = source[fields.IMAGE_URL]
    return found


def read_photos_csv(path: Path) -> dict[str, str]:
    """Photo by item_id from a CSV with the columns item_id and image.

    Raises:
        InputError: it cannot be read, or lacks a column.
    """
    found = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            for row in reader:
                if not row.get("item_id") or not row.get("image"):
                    where = f"{path}:{reader.line_num}"
                    raise InputError(f"{where}: item_id or image is empty", hint="columns: item_id,image")
                found[row["item_id"]] = row["image"]
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise InputError(f"{path} is not a readable CSV file: {e}") from e
    return found


__all__ = ["photos_in_index", "read_photos_csv"]
