"""Which messages of one batch say something that no newer one of the batch says again."""

from __future__ import annotations

from collections.abc import Sequence

from ranking.item_message import ItemMessage
from scorer.ingest.records import Record

Read = tuple[ItemMessage, Record]


def newest(messages: Sequence[Read]) -> tuple[list[Read], int]:
    """Of each item its newest whole message, and the changes since then; and how many that leaves out.

    Of two at one time the later arrival is taken. Changes of an item follow its whole message, by age.
    """
    whole: dict[str, Read] = {}
    changes: dict[str, list[Read]] = {}
    for message, record in messages:
        item_id = message.item_id
        if message.is_partial:
            changes.setdefault(item_id, []).append((message, record))
            continue
        known = whole.get(item_id)
        if known is None or message.updated_at >= known[0].updated_at:
            whole[item_id] = (message, record)
    news = [read for item_id, read in whole.items() if item_id not in changes]
    for item_id, of_item in changes.items():
        news += _of_item(whole.get(item_id), of_item)
    return news, len(messages) - len(news)


def _of_item(whole: Read | None, changes: Sequence[Read]) -> list[Read]:
    left: list[Read] = []
    said: set[str] = set()
    for message, record in sorted(changes, key=lambda change: change[0].updated_at)[::-1]:
        older = whole is not None and message.updated_at < whole[0].updated_at
        if not older and not message.changed <= said:
            left.append((message, record))
            said |= message.changed
    return [*([whole] if whole else []), *reversed(left)]


__all__ = ["Read", "newest"]
