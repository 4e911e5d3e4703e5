"""What the stored script makes of a document, as far as a writer has to know: what it was sent, what it kept.

The script keeps the versions of fields that changed by themselves in the item's `partials` (its source says
what stands there); this module writes those of an item that is not there yet, and reads those of one that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import to_json

from ranking import fields
from ranking.item_message import epoch_ms
from scorer.ingest.analyzer import Document

UPDATE_SCRIPT: Final = "rank-item-update-v1"  # `rank-cli templates apply` stores it
ANSWERED: Final = tuple(f"items.*.{name}" for name in ("_index", "status", "error", "get._source"))
_READ: Final = (fields.UPDATED_AT, fields.PARTIALS)
_CONFLICTS: Final = 3  # times the server itself tries an update again that met another writer
_WITH_PHOTO: Final = (fields.IMAGE_HASH, fields.AI_GENERATED)  # as new as the photo's address
_NO_WHOLE: Final = -1  # no whole message came yet
_OWN: Final = (fields.ITEM_ID, fields.UPDATED_AT)


def bulk_lines(document: Document, *, merges: bool, likely_new: bool = True) -> bytes:
    """Two lines of a bulk request: a new item, a scripted update, or a whole document under its version.

    Args:
        document: what to write.
        merges: by the stored script.
        likely_new: the item is likely not there: it is made, which costs the server half of an update, and
            answered 409 where it is there after all. A partial document is an update in any case.
    """
    action: dict[str, Any] = {"_id": document.item_id}
    if not merges:
        guard = {"version": document.version, "version_type": "external_gte"}
        return b"%b\n%b\n" % (to_json({"index": action | guard}), to_json(document.source))
    if likely_new and not document.is_partial:
        return b"%b\n%b\n" % (to_json({"create": action}), to_json(document.source))
    action["retry_on_conflict"] = _CONFLICTS
    body: dict[str, Any] = {
        "script": {"id": UPDATE_SCRIPT, "params": {"doc": document.merged}},
        "_source": _READ,  # of the item as it is afterwards
    }
    if document.is_partial:
        body["upsert"] = absent_item(document)
    else:  # the pipeline runs on the `upsert` in any case: a short one, which the script fills
        body |= {"scripted_upsert": True, "upsert": {fields.ITEM_ID: document.item_id}}
    return b"%b\n%b\n" % (to_json({"update": action}), to_json(body))


def absent_item(document: Document) -> dict[str, Any]:
    """An item that is not there, as a partial document leaves it: deleted, and what it is to be waits.

    So it is in no results, and what came before its first whole message is not lost.
    """
    waiting = {name: value for name, value in document.merged.items() if name not in _OWN}
    return {
        fields.ITEM_ID: document.item_id,
        fields.STATUS: fields.DELETED,
        fields.UPDATED_AT: document.source[fields.UPDATED_AT],
        fields.PARTIALS: {
            "whole": _NO_WHOLE,
            "at": dict.fromkeys(changed_fields(document), document.version),
            "waiting": waiting,
        },
    }


def changed_fields(document: Document) -> set[str]:
    """The fields of the item that a partial document gives a version; its photo is one, by its address."""
    return {
        name
        for name in document.merged
        if name not in _OWN and name not in _WITH_PHOTO and not _is_score_field(name)
    }


def is_stale(document: Document, held: Mapping[str, Any]) -> bool:
    """Whether the item holds something newer in place of all that the document says.

    Args:
        document: as it was sent.
        held: `updated_at` and `partials` of the item afterwards; empty where the server did not say.
    """
    updated_at = held.get(fields.UPDATED_AT)
    if updated_at is None or updated_at == document.source.get(fields.UPDATED_AT):
        return False
    newest = epoch_ms(updated_at)
    partials = held.get(fields.PARTIALS) or {}
    at: Mapping[str, int] = partials.get("at", {})
    whole = int(partials.get("whole", newest))
    if max(whole, *at.values(), _NO_WHOLE) != newest:  # written in another way since
        at, whole = {}, newest
    if not document.is_partial:
        return whole > document.version
    return all(at.get(name, whole) > document.version for name in changed_fields(document))


def _is_score_field(name: str) -> bool:
    return name == fields.IMAGE_SCORE or name.startswith(("image_score_", "image_scored_at"))


__all__ = ["ANSWERED", "UPDATE_SCRIPT", "absent_item", "bulk_lines", "changed_fields", "is_stale"]
