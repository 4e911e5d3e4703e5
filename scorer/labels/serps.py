"""Pages for labelling, out of captured searches and clicks, by the rules of the Image Score paper.

Two items that are similarly relevant and similarly priced differ by their photo. So of each served page stays
what is priced like the first clicked item, then the clicked item with at most five items before it (seen for
sure) and two after it. Positions count after the price filter, as in the paper's figure 2. Rules are applied
in the order of `RULES`; a page leaves at the first that it fails, so the counts are a funnel.

Source: "Image Score: Learning and Evaluating Human Preferences for Mercari Search", section 3.1.1. The paper
does not say how far prices may differ: `price_within` is ours.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from ranking.capture import EVENT_SCHEMA, CapturedItem, CaptureRecord, read_captures, read_table

EXTRA_IMAGE: Final = "image_url"  # an extra field of captured items that names their photo
RULES: Final = {
    "in time": "the search lies in the period asked for",
    "clicked": "somebody clicked",
    "click on the page": "a click is on an item that was served, with its place and price known",
    "priced alike": "enough items are priced like the first clicked one",
    "one click": "exactly one item of the window was clicked",
    "has photos": "the clicked item has a photo, and so have enough others",
    "not seen before": "no other search gave the same window with the same click",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Every rule of the extraction; defaults are the paper's where it gives a value."""

    price_within: float = 0.3  # largest |price - clicked| / clicked; ours: the paper gives none
    before: int = 5  # items kept before the clicked one, at most
    after: int = 2  # items kept after it, at most
    clicks: int = 1  # clicked items in the window, exactly
    clicks_in: Literal["window", "page"] = "window"  # where clicked items are counted
    min_items: int = 2  # a page of fewer photos orders nothing
    action: str = "click"
    since_ms: int | None = None  # epoch ms, inclusive
    until_ms: int | None = None  # epoch ms, exclusive

    def __post_init__(self) -> None:
        if not self.price_within >= 0:
            raise ValueError(f"price_within must be >= 0, got {self.price_within}")
        if self.before < 0 or self.after < 0:
            raise ValueError(f"before and after must be >= 0, got {self.before} and {self.after}")
        if self.clicks < 1:
            raise ValueError(f"clicks must be >= 1, got {self.clicks}")
        if not 2 <= self.min_items <= self.before + self.after + 1:
            most = self.before + self.after + 1
            raise ValueError(f"min_items must be between 2 and before + after + 1 = {most}")


@dataclass(frozen=True, slots=True)
class SerpPage:
    """One page to be labelled. Its line in a file has the same keys, and more once it is labelled."""

    serp_id: str
    category: str
    query: str
    images: tuple[str, ...]  # path or URL of each photo, in the order served
    item_ids: tuple[str, ...]
    prices: tuple[float, ...]
    ranks: tuple[int, ...]  # 1-based, on the page as served
    clicked: int  # 0-based place among `images` of the first clicked item
    user: str  # user, else session, else search: what a split keeps together
    at_ms: int  # epoch ms of the search
    platform: str | None = None
    simulated: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As a line of JSON holds it."""
        return asdict(self)


@dataclass(slots=True)
class Funnel:
    """How many searches each rule leaves, in the order of `RULES`."""

    searches: int = 0
    left: Counter[str] = field(default_factory=Counter)

    def rows(self) -> list[dict[str, Any]]:
        """One row per rule: what it asks, what stays, and the share of what came to it."""
        rows, before = [{"rule": "captured", "left": self.searches, "share": 1.0}], self.searches
        for rule in RULES:
            n = self.left[rule]
            rows.append({"rule": rule, "left": n, "share": n / before if before else 0.0})
            before = n
        return rows


@dataclass(frozen=True, slots=True)
class Click:
    """One item clicked in one search."""

    item_id: str
    at_ms: int
    simulated: bool


def read_clicks(folder: Path, action: str = "click") -> dict[str, list[Click]]:
    """Clicks by search, the first first.

    Raises:
        InputError: a file of events is broken.
    """
    table = read_table(folder, "events", EVENT_SCHEMA)
    found: dict[str, list[Click]] = defaultdict(list)
    for batch in table.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            if row["action"] == action:
                found[row["search_id"]].append(Click(row["item_id"], row["at_ms"], bool(row["simulated"])))
    for clicks in found.values():
        clicks.sort(key=lambda click: click.at_ms)
    return dict(found)


def extract(
    records: Iterable[CaptureRecord],
    clicks: Mapping[str, Sequence[Click]],
    photos: Mapping[str, str],
    rules: Rules,
    funnel: Funnel,
) -> Iterator[SerpPage]:
    """Pages of the searches that pass every rule, one at a time.

    Args:
        records: captured searches.
        clicks: by search_id, in the order of time, as `read_clicks` gives them.
        photos: path or URL of the photo by item_id; an item's own extra field `image_url` goes first.
        rules: what a page must fulfil.
        funnel: counts here.
    """
    seen: set[tuple[str, ...]] = set()
    for record in records:
        funnel.searches += 1
        page = _page(record, clicks.get(record.search_id, ()), photos, rules, funnel.left)
        if page is None:
            continue
        key = (page.query, page.item_ids[page.clicked], *page.item_ids)
        if key in seen:
            continue
        seen.add(key)
        funnel.left["not seen before"] += 1
        yield page


def _page(
    record: CaptureRecord,
    clicks: Sequence[Click],
    photos: Mapping[str, str],
    rules: Rules,
    left: Counter[str],
) -> SerpPage | None:
    if (rules.since_ms is not None and record.now_ms < rules.since_ms) or (
        rules.until_ms is not None and record.now_ms >= rules.until_ms
    ):
        return None
    left["in time"] += 1
    if not clicks:
        return None
    left["clicked"] += 1
    served = sorted((item for item in record.items if item.rank is not None), key=_rank)
    first = _first_clicked(served, clicks)
    if first is None:
        return None
    left["click on the page"] += 1
    alike = [item for item in served if _priced_alike(item, first, rules.price_within)]
    if len(alike) < rules.min_items:
        return None
    left["priced alike"] += 1
    place = alike.index(first)
    window = alike[max(0, place - rules.before) : place + rules.after + 1]
    clicked_ids = {click.item_id for click in clicks}
    among = served if rules.clicks_in == "page" else window
    if sum(item.item_id in clicked_ids for item in among) != rules.clicks:
        return None
    left["one click"] += 1
    shown = [(item, photo) for item in window if (photo := _photo(item, photos))]
    kept = [item for item, _ in shown]
    if first not in kept or len(kept) < rules.min_items:
        return None
    left["has photos"] += 1
    return SerpPage(
        serp_id=record.search_id,
        category=_category(kept, first),
        query=record.query,
        images=tuple(photo for _, photo in shown),
        item_ids=tuple(item.item_id for item in kept),
        prices=tuple(float(item.price or 0.0) for item in kept),
        ranks=tuple(map(_rank, kept)),
        clicked=kept.index(first),
        user=record.user_id or record.session_id or record.search_id,
        at_ms=record.now_ms,
        platform=record.platform,
        simulated=any(click.simulated for click in clicks),
    )


def _rank(item: CapturedItem) -> int:
    return item.rank or 0


def _first_clicked(served: Sequence[CapturedItem], clicks: Sequence[Click]) -> CapturedItem | None:
    """The item clicked first; None where it has no price, which leaves nothing to compare."""
    by_id = {item.item_id: item for item in served}
    on_page = (by_id[click.item_id] for click in clicks if click.item_id in by_id)
    first = next(on_page, None)
    return first if first is not None and _price(first) is not None else None


def _price(item: CapturedItem) -> float | None:
    return item.price if item.price is not None and np.isfinite(item.price) and item.price >= 0 else None


def _priced_alike(item: CapturedItem, first: CapturedItem, within: float) -> bool:
    price, reference = _price(item), _price(first)
    if price is None or reference is None:
        return False
    return abs(price - reference) <= within * reference


def _photo(item: CapturedItem, photos: Mapping[str, str]) -> str | None:
    own = item.extras.get(EXTRA_IMAGE)
    return own if isinstance(own, str) and own else photos.get(item.item_id)


def _category(kept: Sequence[CapturedItem], first: CapturedItem) -> str:
    """The category that most of the page has; of several, the clicked item's."""
    counts = Counter(item.category for item in kept if item.category)
    return max(counts, key=lambda name: (counts[name], name == first.category, name), default="")


def extract_from(
    folder: Path,
    photos: Mapping[str, str],
    rules: Rules | None = None,
    *,
    advance: Callable[[int], object] = lambda _: None,
) -> tuple[list[SerpPage], Funnel]:
    """Pages of a capture folder, and the funnel. `advance` is told for each search read.

    Raises:
        InputError: no searches, or a broken file.
    """
    rules, funnel = rules or Rules(), Funnel()
    clicks = read_clicks(folder, rules.action)

    def records() -> Iterator[CaptureRecord]:
        for record in read_captures(folder):
            yield record
            advance(1)

    return list(extract(records(), clicks, photos, rules, funnel)), funnel


__all__ = [
    "EXTRA_IMAGE",
    "RULES",
    "Click",
    "Funnel",
    "Rules",
    "SerpPage",
    "extract",
    "extract_from",
    "read_clicks",
]
