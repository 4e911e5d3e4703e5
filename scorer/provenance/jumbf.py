"""C2PA manifests as far as they say how a picture was made: JUMBF boxes, and the assertions in them.

    superbox (jumb)     a description (jumd: type, label), then boxes or contents
    c2pa                the store
      a manifest        the last is the active one; the others belong to ingredients
        c2pa.assertions
          c2pa.actions  CBOR: what was done, by which software, with which digitalSourceType
          stds.iptc, c2pa.metadata ...  JSON-LD: IPTC fields
        c2pa.claim      CBOR: claim_generator

Signatures are not checked: a stranger who wants to be taken for a generator may be. Depth and number of boxes
are bounded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from scorer.provenance.boxes import box_at

MAX_DEPTH: Final = 12
MAX_BOXES: Final = 5_000
MAX_CONTENT: Final = 500_000  # bytes of one assertion that is looked into; thumbnails are larger, and are not
_READ: Final = ("c2pa.actions", "stds.iptc", "c2pa.metadata", "cawg.metadata", "stds.exif", "c2pa.claim")


@dataclass(frozen=True, slots=True)
class Assertion:
    """One assertion, decoded."""

    label: str  # such as c2pa.actions.v2
    value: Any


def assertions(store: bytes) -> Iterator[Assertion]:
    """The assertions and claims of all manifests of a store that may say how the picture was made."""
    budget = [MAX_BOXES]
    for label, kind, content in _contents(store, "", 0, budget):
        if label.startswith(_READ) and len(content) <= MAX_CONTENT:
            value = _decode(kind, content)
            if value is not None:
                yield Assertion(label, value)


def _contents(data: bytes, label: str, depth: int, budget: list[int]) -> Iterator[tuple[str, bytes, bytes]]:
    """Contents below some boxes, with the label of the superbox they are in."""
    if depth > MAX_DEPTH:
        return
    at = 0
    while budget[0] > 0 and (box := box_at(data, at)) is not None:
        budget[0] -= 1
        kind, start, at = box
        body = data[start:at]
        if kind == b"jumd":
            label = _label(body)
        elif kind == b"jumb":
            yield from _contents(body, "", depth + 1, budget)
        else:
            yield label, kind, body


def _label(body: bytes) -> str:
    """The label of a description box: 16 bytes of type, one of toggles, then text that ends with a zero."""
    if len(body) < 18 or not body[16] & 0x02:
        return ""
    return body[17:].partition(b"\0")[0][:200].decode("utf-8", "replace")


def _decode(kind: bytes, content: bytes) -> Any:
    if kind == b"json":
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            return None
    if kind == b"cbor":
        import cbor2

        try:
            return cbor2.loads(content)
        except Exception:  # whatever a decoder of a stranger's bytes may raise
            return None
    return None


__all__ = ["Assertion", "assertions"]
