"""The same photo is not scored twice: by its hash and the version of the model.

Two places know a photo's score. The item in the index does (`image_hash`, `image_score_version`), so a
change of the price alone needs no photo at all; it is asked with one multi-get for each batch. And the
process does, for the photos that it saw last, so that one photo under two addresses or on two items is
scored once.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from elasticsearch import ApiError, AuthorizationException, Elasticsearch, TransportError
from pydantic import ValidationError

from ranking import fields
from ranking.errors import ServerError
from ranking.item_message import AiGenerated

CAPACITY: Final = 100_000  # photos kept in the process: some 30 MB
_HELD: Final = (
    fields.IMAGE_URL,
    fields.IMAGE_HASH,
    fields.IMAGE_SCORE,
    fields.IMAGE_SCORE_VERSION,
    fields.IMAGE_SCORED_AT,
    fields.AI_GENERATED,
)


@dataclass(frozen=True, slots=True)
class KnownScore:
    """The score of a photo, which weights made it and when."""

    digest: str | None  # None where the item was scored before hashes were kept
    score: float
    version: str
    scored_at: str | int  # as it stands in the index
    ai: AiGenerated | None = None
    url: str | None = None  # the photo's address on the item that has it


class LiveVersion:
    """The version of the weights that would score now, asked for again every few seconds.

    Args:
        ask: asks the server; a ServerError leaves the version as it was.
        every_s: how old an answer may be.
    """

    def __init__(
        self, ask: Callable[[], str], *, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._every_s = every_s
        self._clock = clock
        self._lock = threading.Lock()
        self._version: str | None = None
        self._asked = float("-inf")

    def __call__(self) -> str | None:
        """The version; None as long as none is known."""
        with self._lock:
            due = self._clock() - self._asked >= self._every_s
            if due:
                self._asked = self._clock()  # one thread asks, the others go on
        if due:
            with contextlib.suppress(ServerError):  # whoever scores next says that it is gone
                self.seen(self._ask())
        return self._version

    def seen(self, version: str) -> None:
        """An answer came from these weights."""
        with self._lock:
            self._version = version
            self._asked = self._clock()


class PhotoMemory:
    """Scores that are known already.

    Args:
        es: a client, or None to know only what this process has seen.
        index: index or alias of the items.
        version: the weights that would score now; scores of others are not used.
        trust_urls: take the photo of an item for the same as long as its address is, without reading it.
        capacity: photos kept in the process.
    """

    def __init__(
        self,
        es: Elasticsearch | None,
        index: str,
        version: LiveVersion,
        *,
        trust_urls: bool = True,
        capacity: int = CAPACITY,
    ) -> None:
        self._es = es
        self._index = index
        self._version = version
        self._trust_urls = trust_urls
        self._capacity = capacity
        self._lock = threading.Lock()
        self._recent: OrderedDict[tuple[str, str], KnownScore] = OrderedDict()

    def may_read(self) -> bool:
        """Whether the index may be asked. Without that, only what this process has seen is known."""
        if self._es is not None:
            try:
                self._es.mget(index=self._index, ids=["-"], source=False)
            except AuthorizationException:
                self._es = None
            except (ApiError, TransportError):
                pass  # gone for the moment
        return self._es is not None

    def of_items(self, item_ids: Sequence[str]) -> dict[str, KnownScore]:
        """What the index knows of these items' photos, as far as the live weights made it.

        Where the index cannot be asked, nothing is known, and the photos are scored again.
        """
        version = self._version()
        if self._es is None or not item_ids or version is None:
            return {}
        try:
            answer = self._es.mget(index=self._index, ids=list(item_ids), source_includes=list(_HELD))
        except (ApiError, TransportError):
            return {}
        held = {doc["_id"]: _known(doc["_source"]) for doc in answer["docs"] if doc.get("found")}
        return {i: known for i, known in held.items() if known is not None and known.version == version}

    def same_address(self, held: KnownScore | None, url: str | None) -> bool:
        """Whether an item's photo is the one that it had, by its address alone."""
        return self._trust_urls and held is not None and url is not None and held.url == url

    def of_photo(self, digest: str, held: KnownScore | None) -> KnownScore | None:
        """The score of a photo that was read."""
        version = self._version()
        if held is not None and held.digest == digest and held.version == version:
            return held
        with self._lock:
            known = self._recent.get((digest, version or ""))
            if known is not None:
                self._recent.move_to_end((digest, known.version))
            return known

    def remember(self, known: KnownScore) -> None:
        """Keep what was scored just now."""
        self._version.seen(known.version)
        if known.digest is None:
            return
        with self._lock:
            self._recent[known.digest, known.version] = known
            while len(self._recent) > self._capacity:
                self._recent.popitem(last=False)


def _known(source: Mapping[str, Any]) -> KnownScore | None:
    score, version, at = (
        source.get(name) for name in (fields.IMAGE_SCORE, fields.IMAGE_SCORE_VERSION, fields.IMAGE_SCORED_AT)
    )
    if not isinstance(score, int | float) or not isinstance(version, str) or not isinstance(at, str | int):
        return None
    ai = source.get(fields.AI_GENERATED)
    try:
        flag = AiGenerated.model_validate(ai) if ai is not None else None
    except ValidationError:
        flag = None
    return KnownScore(
        source.get(fields.IMAGE_HASH), float(score), version, at, flag, source.get(fields.IMAGE_URL)
    )


__all__ = ["KnownScore", "LiveVersion", "PhotoMemory"]
