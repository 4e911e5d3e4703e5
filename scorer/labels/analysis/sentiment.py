"""Sentiment of an adjective said about a photo: -1 (puts off) to 1 (invites).

General lexicons misjudge photos ("dim" and "busy background" are positive in TextBlob, "sharp" negative, and
"cluttered" unknown), so a list of our own, `photo_words.csv`, goes first; TextBlob's lexicon knows the rest.
In a phrase, a bad word outweighs good ones; "not" turns, "slightly" halves what follows.
"""

from __future__ import annotations

import csv
import re
from functools import cache
from importlib import resources
from typing import Final, Literal

from ranking.errors import InputError

Side = Literal["positive", "neutral", "negative"]
NEUTRAL_WITHIN: Final = 0.05
_TURNS: Final = ("not", "no", "non", "un", "poorly", "badly")
_SOFTENS: Final = ("slightly", "bit", "somewhat", "little")
_PARTS = re.compile(r"[\s\-_/]+")


def sentiment(phrase: str) -> float:
    """Polarity of a word or phrase, -1 to 1; 0 where unknown.

    Raises:
        InputError: TextBlob is not installed.
    """
    whole = "-".join(part for part in _PARTS.split(phrase.strip().lower()) if part)
    known = _words().get(whole)
    if known is not None:
        return known
    factor, found = 1.0, []
    for part in whole.split("-"):
        if part in _TURNS:
            factor *= -1.0
        elif part in _SOFTENS:
            factor *= 0.5
        else:
            value = _words().get(part)
            found.append(factor * (_general(part) if value is None else value))
    bad = [value for value in found if value < 0]
    good = [value for value in found if value > 0]
    return min(bad) if bad else max(good, default=0.0)


def side(polarity: float) -> Side:
    """Positive, neutral or negative."""
    if abs(polarity) <= NEUTRAL_WITHIN:
        return "neutral"
    return "positive" if polarity > 0 else "negative"


@cache
def _words() -> dict[str, float]:
    text = (resources.files("scorer.labels.analysis") / "photo_words.csv").read_text(encoding="utf-8")
    return {row["word"]: float(row["polarity"]) for row in csv.DictReader(text.splitlines())}


@cache
def _general(word: str) -> float:
    try:
        from textblob import TextBlob
    except ImportError as e:
        raise InputError("sentiment needs TextBlob", hint="pip install 'rank-toolkit[label]'") from e
    return float(TextBlob(word).sentiment.polarity)


__all__ = ["NEUTRAL_WITHIN", "Side", "sentiment", "side"]
