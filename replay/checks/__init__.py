"""Checks of a log, with verdicts, before any figure is taken from it."""

from replay.checks.check import Check, Verdict
from replay.checks.run import check_folder, check_log

__all__ = ["Check", "Verdict", "check_folder", "check_log"]
