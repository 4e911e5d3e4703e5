"""Judgments of several sources in one folder: beside each other, never against each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from ranking.errors import InputError
from replay.judgments import read_judgments, write_judgments


def test_sources_that_grade_other_items_are_taken_together(tmp_path: Path) -> None:
    write_judgments(tmp_path, [("dress", "a", 1.0)], "labels")
    write_judgments(tmp_path, [("dress", "b", 3.0), ("dress", "a", 1.0)], "ratings")
    found = read_judgments(tmp_path)
    assert found is not None
    assert found.by_query == {"dress": {"a": 1.0, "b": 3.0}}


def test_sources_that_differ_must_be_chosen_from(tmp_path: Path) -> None:
    write_judgments(tmp_path, [("dress", "a", 1.0), ("dress", "b", 2.0)], "labels")
    write_judgments(tmp_path, [("dress", "a", 3.0)], "simulated-clicks")
    with pytest.raises(InputError, match="grade 1 of 2 items differently"):
        read_judgments(tmp_path)
    found = read_judgments(tmp_path, "simulated-clicks")
    assert found is not None
    assert (found.by_query, found.simulated) == ({"dress": {"a": 3.0}}, True)
    with pytest.raises(InputError, match="no judgments of clicks"):
        read_judgments(tmp_path, "clicks")
