"""Interleaving, the analysis: credit, preference, and how many searches an experiment needs.

Pages are drafted in `ranking.interleaving` and served by `ranking.interleaver`.
"""

from __future__ import annotations

from replay.interleaving.analysis import Interleaving, Preference, analyse, preference, sign_test
from replay.interleaving.clickers import from_clicks, from_judgments
from replay.interleaving.credit import Credits, balanced_credit, read_credits
from replay.interleaving.power import ClickModel, Power, simulate_power

__all__ = [
    "ClickModel",
    "Credits",
    "Interleaving",
    "Power",
    "Preference",
    "analyse",
    "balanced_credit",
    "from_clicks",
    "from_judgments",
    "preference",
    "read_credits",
    "sign_test",
    "simulate_power",
]
