"""Significance: tests of paired differences, adjustment over many, segments, power."""

from __future__ import annotations

from replay.significance.adjust import METHODS, adjust
from replay.significance.clustered import Clusters, cluster, clustered_interval
from replay.significance.paired import TESTS, Outcome, assess, unit_of
from replay.significance.power import days_needed, minimum_effect
from replay.significance.segments import (
    ALL,
    DIMENSIONS,
    Segment,
    frequency_bands,
    search_categories,
    segments,
)

__all__ = [
    "ALL",
    "DIMENSIONS",
    "METHODS",
    "TESTS",
    "Clusters",
    "Outcome",
    "Segment",
    "adjust",
    "assess",
    "cluster",
    "clustered_interval",
    "days_needed",
    "frequency_bands",
    "minimum_effect",
    "search_categories",
    "segments",
    "unit_of",
]
