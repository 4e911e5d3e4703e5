"""Holds the index and the dead letters to the truth, and says what is not as it must be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ranking import fields
from ranking.item_message import epoch_ms
from tests.faults.messages import Workload

RSS_LIMIT_MB = 350.0  # of one consumer; 165 where nothing breaks
SCORE_TOLERANCE = 1e-4  # a photo's score moves in the last digits with the batch that it was in


@dataclass(slots=True)
class Figures:
    """What one run under one fault came to."""

    published: int = 0  # messages that the brokers confirmed, poison included
    duplicates: int = 0  # of these, sent twice
    out_of_order: int = 0  # of these, older than one of their item before them
    items: int = 0  # that the index must hold
    indexed: int = 0  # that it holds
    scored: int = 0  # that it holds with an image score
    writes: int = 0  # operations that the index took, by its own sequence numbers
    duplicated_writes: int = 0  # of these, versions written before
    lost: int = 0  # items that are missing, or older than their newest message
    stale: int = 0  # of these, written over by an older version
    unscored: int = 0  # items with a good photo and no score
    wrong: int = 0  # items with another content, or another photo's score, than their version's
    poison: int = 0  # messages that nobody can use, or not wholly
    dead_letters: int = 0  # of these, in the dead letter topic with stage and reason
    repeated_letters: int = 0  # dead letters of a message that has one
    wrong_letters: int = 0  # dead letters of a good message, or with another reason
    uncommitted: int = 0  # messages that the group would read again
    restarts: int = 0  # of consumers that ended by themselves, where a supervisor is part of the fault
    rss_peak_mb: float = 0.0  # of the largest consumer
    stall_s: float = 0.0  # the longest time in which nothing was committed
    seconds: float = 0.0  # from the first message to the last commit

    def problems(self) -> list[str]:
        """What must not be, in words; empty where all is well."""
        must_be_zero = ("lost", "stale", "unscored", "wrong", "wrong_letters", "uncommitted")
        found = [f"{name} is {value}" for name in must_be_zero if (value := getattr(self, name))]
        if self.indexed != self.items:
            found.append(f"{self.indexed} items are indexed, not {self.items}")
        if self.dead_letters != self.poison:
            found.append(f"{self.dead_letters} of {self.poison} poison messages are dead letters")
        if self.rss_peak_mb > RSS_LIMIT_MB:
            found.append(f"a consumer took {self.rss_peak_mb:.0f} MB, more than {RSS_LIMIT_MB:.0f}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            name: round(value, 1) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def compare_items(
    work: Workload, hits: Sequence[Mapping[str, Any]], written: Counter[tuple[str, int]], figures: Figures
) -> None:
    """Count what the index holds against what it must hold.

    Args:
        work: the truth.
        hits: every document, as a search gives them.
        written: (item, version) -> how often the server said that it had written it.
        figures: counted into.
    """
    found = {hit["_id"]: hit["_source"] for hit in hits}
    figures.items, figures.indexed = len(work.items), len(found)
    figures.scored = sum(fields.IMAGE_SCORE in source for source in found.values())
    for item_id, wanted in work.items.items():
        source = found.get(item_id)
        if source is None:
            figures.lost += 1
            continue
        version = epoch_ms(source[fields.UPDATED_AT])
        if version != wanted.version:
            figures.lost += 1
            figures.stale += written[item_id, wanted.version] > 0
            continue
        figures.unscored += wanted.photo is not None and fields.IMAGE_SCORE not in source
        figures.wrong += source[fields.STATUS] != wanted.status or (
            wanted.status != fields.DELETED
            and (
                source.get(fields.PRICE) != wanted.price
                or (wanted.photo is not None and source[fields.IMAGE_URL] != wanted.photo)
            )
        )


def compare_scores(
    work: Workload,
    hits: Sequence[Mapping[str, Any]],
    score: Callable[[Sequence[str]], Sequence[float]],
    figures: Figures,
) -> None:
    """Count items whose score is not their photo's own."""
    scores = {hit["_id"]: hit["_source"].get(fields.IMAGE_SCORE) for hit in hits}
    known = [
        (scores[item_id], wanted.photo)
        for item_id, wanted in work.items.items()
        if wanted.photo is not None and scores.get(item_id) is not None
    ]
    right = score([photo for _, photo in known])
    figures.wrong += sum(
        abs(got - wanted) > SCORE_TOLERANCE for (got, _), wanted in zip(known, right, strict=True)
    )


def compare_letters(work: Workload, letters: Sequence[Mapping[str, Any]], figures: Figures) -> None:
    """Count the dead letters against the poison that was sent."""
    figures.poison = len(work.poison)
    seen: Counter[tuple[Any, ...]] = Counter()
    right: set[str] = set()
    for letter in letters:
        place = (letter["partition"], letter["offset"], letter["stage"])
        seen[place] += 1
        key = str(letter["item_id"])
        stage, reason = work.poison.get(key, ("none", ""))
        if letter["stage"] == stage and reason in letter["reason"]:
            right.add(key)
        else:
            figures.wrong_letters += 1
    figures.dead_letters = len(right)
    figures.repeated_letters = sum(seen.values()) - len(seen)


__all__ = ["Figures", "compare_items", "compare_letters", "compare_scores"]
