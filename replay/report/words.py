"""Figures and findings in words: labels, signed numbers, and the verdict that the figures support."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ranking import fields
from ranking.clock import format_duration
from ranking.profile import Profile
from replay.compare import ALL, Comparison, Difference
from replay.engine import Ranking

_PLATFORMS = (ALL, *fields.PLATFORMS)
MINUS = "\N{MINUS SIGN}"


def side_label(ranking: Ranking) -> str:
    """One side in a few words, such as `additive w 3, clock +7d`."""
    return profile_label(ranking.profile) + clock_suffix(ranking.clock_shift_ms)


def profile_label(profile: Profile) -> str:
    """Name and weight of a profile, such as `additive w 3`."""
    image = profile.image
    if image.mode == "none":
        return profile.name
    if image.mode in profile.name:
        return f"{profile.name} w {image.weight:g}"
    return f"{profile.name} ({image.mode} w {image.weight:g})"


def clock_suffix(shift_ms: int) -> str:
    """`, clock +7d` for a moved clock, nothing for the logged one."""
    if not shift_ms:
        return ""
    return f", clock {'+' if shift_ms > 0 else MINUS}{format_duration(abs(shift_ms))}"


def signed(value: float, digits: int) -> str:
    """`+0.021` or `−0.400`; a value that rounds to zero has no sign."""
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0.0:
        return text
    return ("+" if value > 0 else MINUS) + text


def date_range(first_ms: int, last_ms: int) -> str:
    """`1–14 Nov 2026`, in UTC."""
    first, last = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (first_ms, last_ms))
    end = f"{last.day} {last:%b %Y}"
    if first.date() == last.date():
        return end
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{end}"
    if first.year == last.year:
        return f"{first.day} {first:%b} – {end}"
    return f"{first.day} {first:%b %Y} – {end}"


def verdict(comparison: Comparison) -> str:
    """What the comparison shows, in a sentence; only what is significant is called a change."""
    k = comparison.k
    if not comparison.entered.any() and not any(row.delta for row in comparison.differences):
        return f"The first {k} items are the same in every search; at most their order changes."
    photos = _change(find(comparison, f"image_score@{k}"), "better-scored photos", "worse-scored photos")
    age = _change(find(comparison, f"age@{k}"), "older items", "fresher items")
    changes = [words for words in (photos, age) if words] or ["no clear change in photos or age"]
    page = f"{' and '.join(changes)} on the first page"
    return f"{page[0].upper()}{page[1:]}; {_relevance(comparison)}."


def _change(row: Difference | None, up: str, down: str) -> str:
    if row is None or not row.significant:
        return ""
    return up if row.delta > 0 else down


def _relevance(comparison: Comparison) -> str:
    measure = f"nDCG@{comparison.k}"
    overall = find(comparison, measure)
    if overall is None or overall.n == 0:
        return "nothing is judged, so whether buyers gain is open"
    if overall.p is None:
        return f"too few queries to tell whether {measure} changes"
    rows = [row for row in comparison.differences if row.measure == measure and row.dimension == "platform"]
    rows.sort(key=lambda row: platform_order(row.segment))
    up = [row.segment for row in rows if row.significant and row.delta > 0]
    down = [row.segment for row in rows if row.significant and row.delta < 0]
    open_ = [row.segment for row in rows if not row.significant]
    if len(rows) < 2 or not (up or down):
        return f"{measure} {_verb(overall)}" if overall.significant else f"no clear change in {measure}"
    parts = []
    if up:
        parts.append(f"{measure} rises on {listed(up)}")
    if down:
        parts.append(f"{'' if up else measure + ' '}falls on {listed(down)}")
    if open_:
        parts.append(f"no clear change on {listed(open_)}")
    return ", ".join(parts)


def _verb(row: Difference) -> str:
    return "rises" if row.delta > 0 else "falls"


def find(comparison: Comparison, measure: str, segment: str = ALL) -> Difference | None:
    """One row of the differences; None where the measure was not taken."""
    try:
        return comparison.difference(measure, segment)
    except KeyError:
        return None


def platform_order(platform: str | None) -> tuple[int, str]:
    """A sort key: `all` first, then web, ios and android, then any other, then none."""
    if platform is None:
        return len(_PLATFORMS) + 1, ""
    return _PLATFORMS.index(platform) if platform in _PLATFORMS else len(_PLATFORMS), platform


def listed(words: Sequence[str]) -> str:
    """`web`, `web and ios`, `web, ios and android`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
