"""The adjectives of clicked and of not clicked photos: which are one side's own, and how they sound.

share       of a side's photos that the word was said of (a photo judged twice counts each judge)
log_odds    log of the ratio of the odds on the two sides, half a photo added everywhere; > 0: clicked
unique      among the `top` most common words of one side and not of the other, as in the paper's figure 5
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from scorer.labels.analysis.sentiment import Side, sentiment, side
from scorer.labels.page import JudgedPage

SIDES: tuple[Side, ...] = ("positive", "neutral", "negative")


@dataclass(frozen=True, slots=True)
class Word:
    """One adjective."""

    word: str
    n_clicked: int
    n_not_clicked: int
    share_clicked: float
    share_not_clicked: float
    log_odds: float
    polarity: float
    sentiment: Side


@dataclass(frozen=True, slots=True)
class WordAnalysis:
    """Adjectives of both sides."""

    words: list[Word]  # most often said first
    unique_clicked: list[Word]
    unique_not_clicked: list[Word]
    sentiment_clicked: dict[Side, float]  # shares of what was said
    sentiment_not_clicked: dict[Side, float]
    chi2_p: float | None  # of sentiment against side; None where it cannot be tested
    known: float  # share of what was said that the lexicons have a polarity for

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def analyze_words(pages: Sequence[JudgedPage], *, top: int = 30) -> WordAnalysis | None:
    """Adjectives of pages with a clicked photo; None where no page has adjectives."""
    counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())  # not clicked, clicked
    photos = [0, 0]
    for page in pages:
        if page.clicked is None:
            continue
        for judged in page.adjectives:
            for i, said_of_it in enumerate(judged):
                is_clicked = int(i == page.clicked)
                photos[is_clicked] += 1
                counts[is_clicked].update({word.strip().lower() for word in said_of_it if word.strip()})
    if not min(photos) or not any(counts):
        return None
    polarity = {word: sentiment(word) for word in counts[0].keys() | counts[1].keys()}
    total = counts[0] + counts[1]
    order = sorted(total, key=lambda word: (-total[word], word))
    words = [_word(word, counts, photos, polarity[word]) for word in order]
    tops = [
        {word for word, _ in sorted(count.items(), key=lambda item: (-item[1], item[0]))[:top]}
        for count in counts
    ]
    said = [_said(count, polarity) for count in counts]
    return WordAnalysis(
        words=words,
        unique_clicked=[word for word in words if word.word in tops[1] - tops[0]],
        unique_not_clicked=[word for word in words if word.word in tops[0] - tops[1]],
        sentiment_clicked=_shares(said[1]),
        sentiment_not_clicked=_shares(said[0]),
        chi2_p=_chi2_p(said),
        known=sum(n for word, n in total.items() if polarity[word] != 0) / total.total(),
    )


def _word(
    word: str, counts: tuple[Counter[str], Counter[str]], photos: Sequence[int], polarity: float
) -> Word:
    clicked, rest = counts[1][word], counts[0][word]
    odds = [(n + 0.5) / (of - n + 0.5) for n, of in ((clicked, photos[1]), (rest, photos[0]))]
    return Word(
        word, clicked, rest, clicked / photos[1], rest / photos[0], math.log(odds[0] / odds[1]), polarity,
        side(polarity),
    )  # fmt: skip


def _said(count: Counter[str], polarity: dict[str, float]) -> dict[Side, int]:
    found: dict[Side, int] = dict.fromkeys(SIDES, 0)
    for word, n in count.items():
        found[side(polarity[word])] += n
    return found


def _shares(said: dict[Side, int]) -> dict[Side, float]:
    total = sum(said.values())
    return {name: n / total if total else 0.0 for name, n in said.items()}


def _chi2_p(said: Sequence[dict[Side, int]]) -> float | None:
    table = np.array([list(one.values()) for one in said])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return None
    return float(stats.chi2_contingency(table).pvalue)


__all__ = ["Word", "WordAnalysis", "analyze_words"]
