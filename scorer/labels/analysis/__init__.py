"""What labels say about clicks: scores and adjectives of clicked photos against those beside them."""

from __future__ import annotations

from scorer.labels.analysis.page import write_page
from scorer.labels.analysis.scores import Range, ScoreAnalysis, analyze_scores
from scorer.labels.analysis.sentiment import sentiment
from scorer.labels.analysis.words import Word, WordAnalysis, analyze_words

__all__ = [
    "Range",
    "ScoreAnalysis",
    "Word",
    "WordAnalysis",
    "analyze_scores",
    "analyze_words",
    "sentiment",
    "write_page",
]
