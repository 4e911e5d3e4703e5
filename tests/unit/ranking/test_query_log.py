"""A list of searches: plain text, JSON lines, and what is wrong in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ranking.errors import InputError
from ranking.query_log import QueryLine, count_queries, read_query_log


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "queries.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_plain_lines_are_queries_and_blank_ones_are_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "red dress\n\n  blue {hat} \n")
    assert list(read_query_log(path)) == [QueryLine("red dress"), QueryLine("blue {hat}")]


def test_json_lines_say_who_and_when(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '{"query": "red", "platform": "ios", "user_id": "u", "session_id": "s", "search_id": "x",'
        ' "at": "2026-11-20T09:00:00Z", "filters": {"category": ["hat"]}}\n'
        '{"query": "blue", "at": 1795165200001}\n',
    )
    assert list(read_query_log(path)) == [
        QueryLine("red", "ios", "u", "s", "x", 1795165200000, {"category": ["hat"]}),
        QueryLine("blue", at_ms=1795165200001),
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("red dress", "line 2: not JSON"),
        ("[1]", "line 2: not a JSON object"),
        ('{"query": ""}', "line 2: query is missing"),
        ('{"q": "red"}', "line 2: unknown key 'q'; known are query, platform"),
        ('{"query": "red", "platform": "fridge"}', "'fridge' is not one of web, ios, android"),
        ('{"query": "red", "at": "yesterday"}', "at is not a time"),
        ('{"query": "red", "at": true}', "at is not a time"),
        ('{"query": "red", "user_id": ["u"]}', "user_id must be a text"),
        ('{"query": "red", "filters": "hat"}', "filters must be an object"),
    ],
)
def test_a_wrong_line_is_named_before_anything_runs(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        count_queries(write(tmp_path, f'{{"query": "fine"}}\n{line}\n'))


def test_an_empty_file_and_a_missing_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no queries"):
        count_queries(write(tmp_path, "\n\n"))
    with pytest.raises(InputError, match="No such file"):
        count_queries(tmp_path / "nothing.txt")
