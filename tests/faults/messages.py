"""A stream of item messages with known faults in it, and what the index must hold in the end.

The items are the generated marketplace's. Each has a chain of changes (price, photo, sold, deleted); the
chains are interleaved, then made as bad as a real topic: duplicates, older changes after newer ones, and
messages that nobody can use. One seed gives one stream.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageEnhance

from marketplace import generate
from ranking import fields

T0: Final = 1_795_000_000_000  # epoch ms: the marketplace's present
SKEW_MS: Final = 50 * 60_000  # a broker refuses what is stamped more than an hour ahead of it
N_DRAWN: Final = 40  # photos that are rendered; every item's own is one of these, cropped and lit its own way
DUPLICATES: Final = 0.05
OUT_OF_ORDER: Final = 0.05
POISON: Final = 0.01

# Stage and a part of the reason that its dead letter must give, by kind.
POISONS: Final = {
    "not JSON": ("parse", "not JSON"),
    "not UTF-8": ("parse", "not JSON"),
    "no date": ("parse", "created_at missing"),
    "negative price": ("parse", "price"),
    "seconds": ("parse", "epoch seconds"),
    "broken photo": ("photo", "broken"),
    "path outside": ("photo", "outside the photos root"),
}


@dataclass(frozen=True, slots=True)
class Message:
    """One message as the harness sends it."""

    key: str
    value: bytes
    skew_ms: int = 0  # of its producer's clock
    version: int | None = None  # updated_at; None for poison


@dataclass(frozen=True, slots=True)
class Expected:
    """What the index must hold of one item."""

    version: int  # updated_at, epoch ms
    status: str
    price: float | None
    photo: str | None  # file below the root; None where there is none to score


@dataclass(slots=True)
class Workload:
    """Messages in the order they are sent, and the truth."""

    root: Path
    messages: list[Message] = field(default_factory=list)
    items: dict[str, Expected] = field(default_factory=dict)
    poison: dict[str, tuple[str, str]] = field(default_factory=dict)  # key -> stage, part of the reason
    n_duplicates: int = 0
    n_out_of_order: int = 0

    @property
    def n_newer(self) -> int:
        """Messages newer than everything of their item before them: no consumer needs more writes."""
        newest: dict[str, int] = {}
        n = len([key for key, (stage, _) in self.poison.items() if stage == "photo"])
        for message in self.messages:
            if message.version is not None and message.version > newest.get(message.key, -1):
                newest[message.key] = message.version
                n += 1
        return n


def make_workload(folder: Path, n_messages: int = 600, *, seed: int = 8, skew: bool = False) -> Workload:
    """Draw a stream of about `n_messages` messages.

    Args:
        folder: photos are drawn below it, once.
        n_messages: valid messages, duplicates included; poison comes on top.
        seed: equal seeds give equal streams.
        skew: two in three changes come from a producer whose clock is 50 minutes ahead or behind.
    """
    rng = np.random.default_rng([seed, n_messages, skew])
    n_changes = round(n_messages / (1 + DUPLICATES))
    market = generate(n_changes // 2, seed=seed, now_ms=T0, photo_dir=None)
    root = folder / f"photos-{seed}"
    photographer = _Photographer(root, seed)
    chains = [_chain(item.message(), photographer, rng, skew=skew) for item in market.items]
    changes = _interleave(chains, n_changes, rng)
    work = Workload(root=root)
    for message in changes:
        body = json.loads(message.value)
        known = work.items.get(message.key)
        if known is None or body[fields.UPDATED_AT] > known.version:
            work.items[message.key] = _expected(body)
    work.n_out_of_order = _swap_some(changes, round(OUT_OF_ORDER * n_changes), rng)
    work.n_duplicates = _repeat_some(changes, n_messages - len(changes), rng)
    _add_poison(work, changes, market.items[0].message(), max(len(POISONS), round(POISON * n_messages)), rng)
    work.messages = changes
    return work


class _Photographer:
    """Every photo another one, from few that are drawn: what is scored once is not scored for another."""

    def __init__(self, root: Path, seed: int) -> None:
        self._root = root
        drawn = generate(
            N_DRAWN, seed=seed, now_ms=T0, photo_dir=root / "drawn", processes=1
        )  # no fork beside gRPC
        self._drawn = [item.image_path for item in drawn.items if item.image_path is not None]
        self._n = 0

    def take(self) -> str:
        """The name of a new photo below the root."""
        n = self._n
        self._n += 1
        path = self._root / f"{n:06d}.jpg"
        if not path.exists():
            rng = np.random.default_rng(n)
            with Image.open(self._drawn[n % len(self._drawn)]) as photo:
                width, height = photo.size
                left, top = (int(rng.integers(0, side // 4)) for side in (width, height))
                cropped = photo.convert("RGB").crop((left, top, left + width * 3 // 4, top + height * 3 // 4))
            ImageEnhance.Brightness(cropped).enhance(float(rng.uniform(0.6, 1.3))).save(path, quality=85)
        return path.name


def _chain(
    first: dict[str, Any], photographer: _Photographer, rng: np.random.Generator, *, skew: bool
) -> list[Message]:
    """An item's listing and its changes, oldest first; under `skew` by their producers' clocks."""
    body = {**first, fields.STATUS: "on_sale", fields.IMAGE_URL: photographer.take()}
    body.pop(fields.AI_GENERATED, None)
    at = T0 + int(rng.integers(0, 1000)) * 1000
    chain = [_message(body, at, rng, skew=skew)]
    for _ in range(int(rng.poisson(1.6))):
        match rng.choice(["price", "photo", "sold", "deleted"], p=[0.55, 0.25, 0.12, 0.08]):
            case "price":
                body[fields.PRICE] = round(body[fields.PRICE] * 0.9)
            case "photo":
                body[fields.IMAGE_URL] = photographer.take()
            case status:
                body[fields.STATUS] = str(status)
        at += 1 + int(rng.integers(1, 5000))
        chain.append(_message(body, at, rng, skew=skew))
        if body[fields.STATUS] != "on_sale":
            break
    return chain


def _message(body: dict[str, Any], at: int, rng: np.random.Generator, *, skew: bool) -> Message:
    # By odd amounts, so that no two changes of an item get the same version.
    skew_ms = int(rng.integers(-1, 2)) * (SKEW_MS + 7) if skew else 0
    version = at + skew_ms
    value = json.dumps({**body, fields.UPDATED_AT: version}, ensure_ascii=False).encode()
    return Message(body[fields.ITEM_ID], value, skew_ms, version)


def _interleave(chains: Sequence[Sequence[Message]], n: int, rng: np.random.Generator) -> list[Message]:
    """The first `n` of all, each item's own in their order."""
    placed = [
        (start + step * gap, message)
        for chain in chains
        for start, gap in [(rng.random(), rng.uniform(0.01, 0.2))]
        for step, message in enumerate(chain)
    ]
    placed.sort(key=lambda pair: pair[0])
    return [message for _, message in placed[:n]]


def _expected(body: dict[str, Any]) -> Expected:
    deleted = body[fields.STATUS] == fields.DELETED
    photo = None if deleted else body[fields.IMAGE_URL]
    return Expected(body[fields.UPDATED_AT], body[fields.STATUS], body.get(fields.PRICE), photo)


def _swap_some(messages: list[Message], n: int, rng: np.random.Generator) -> int:
    """Let `n` changes arrive after the next one of their item."""
    last: dict[str, int] = {}
    pairs = []
    for place, message in enumerate(messages):
        if message.key in last:
            pairs.append((last[message.key], place))
        last[message.key] = place
    rng.shuffle(pairs)
    used: set[int] = set()
    swapped = 0
    for a, b in pairs:
        if swapped < n and not used & {a, b}:
            messages[a], messages[b] = messages[b], messages[a]
            used |= {a, b}
            swapped += 1
    return swapped


def _repeat_some(messages: list[Message], n: int, rng: np.random.Generator) -> int:
    """Send `n` messages once more, up to 200 messages later."""
    for place in sorted(rng.choice(len(messages), size=n, replace=False), reverse=True):
        messages.insert(int(place) + 1 + int(rng.integers(0, 200)), messages[place])
    return n


def _add_poison(
    work: Workload, messages: list[Message], sample: dict[str, Any], n: int, rng: np.random.Generator
) -> None:
    (work.root / "broken.jpg").write_bytes((work.root / "000000.jpg").read_bytes()[:400])
    kinds = list(POISONS)
    for i in range(n):
        kind = kinds[i % len(kinds)]
        key = f"poison-{i:03d}"
        good = {**sample, fields.ITEM_ID: key, fields.UPDATED_AT: T0, fields.IMAGE_URL: "000000.jpg"}
        good.pop(fields.AI_GENERATED, None)
        make: dict[str, Callable[[], bytes]] = {
            "not JSON": lambda good=good: json.dumps(good).encode()[:-9],
            "not UTF-8": lambda: b"\xff\xfe\x00 poison",
            "no date": lambda good=good: _json(good, drop=fields.CREATED_AT),
            "negative price": lambda good=good: _json(good, price=-1),
            "seconds": lambda good=good: _json(good, updated_at=T0 // 1000),
            "broken photo": lambda good=good: _json(good, image_url="broken.jpg"),
            "path outside": lambda good=good: _json(good, image_url="../../etc/passwd"),
        }
        work.poison[key] = POISONS[kind]
        if POISONS[kind][0] == "photo":
            work.items[key] = Expected(T0, good[fields.STATUS], good.get(fields.PRICE), None)
        messages.insert(int(rng.integers(0, len(messages))), Message(key, make[kind]()))


def _json(body: dict[str, Any], drop: str | None = None, **changed: Any) -> bytes:
    return json.dumps({name: value for name, value in {**body, **changed}.items() if name != drop}).encode()
