"""Grades that people or language models gave: rows of query, item and rating, or pages of photos with scores.

Ratings are CSV with a header, or JSON lines, with the columns query, item_id (or docid, doc_id), rating (or
grade, score) and, where several rated, rater (or judge): Quepid's export is one such file. Several raters of
a pair count with their mean.

Labels are JSON lines of pages of photos, `{"judge", "images": [...], "scores": [...]}` with scores 1 to 10.
They grade the photo, not its relevance: a photo has the same grade for every query.
"""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from statistics import fmean
from typing import Any
from urllib.parse import unquote, urlsplit

from ranking.errors import InputError
from replay.clicks.grades import MAX_GRADE
from replay.log import CaptureLog

_NAMES = {
    "query": ("query", "query_text"),
    "item_id": ("item_id", "docid", "doc_id"),
    "rating": ("rating", "grade", "score"),
    "rater": ("rater", "judge"),
}


@dataclass(frozen=True, slots=True)
class Rated:
    """Grades and how well those who gave them agree."""

    rows: list[tuple[str, str, float]]  # query, item_id, grade
    n_ratings: int  # before several of one pair became one
    n_raters: int
    disagreement: (
        float | None
    )  # mean absolute difference of two raters of one pair; None where none share one


def read_ratings(path: Path, *, scale: float | None = None) -> Rated:
    """Read a file of ratings.

    Args:
        path: CSV or JSON lines, by its suffix.
        scale: the best rating there is, which becomes grade 4; None keeps ratings as they are.

    Raises:
        InputError: a column is missing; a rating is not a number >= 0, is above the scale, or is empty; or a
            rater rated a pair twice. Names the line.
    """
    given: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for line, row in _rows(path):
        query, item_id, rater = str(row["query"]), str(row["item_id"]), str(row.get("rater") or "")
        rating = _number(row["rating"], path, line)
        if scale is not None and rating > scale:
            raise InputError(f"{path}:{line}: rating {rating:g} is above the scale, {scale:g}")
        if rater in given[query, item_id]:
            raise InputError(f"{path}:{line}: {item_id} for {query!r} is rated twice by the same rater")
        given[query, item_id][rater] = rating if scale is None else rating / scale * MAX_GRADE
    if not given:
        raise InputError(f"{path} has no ratings")
    return _averaged(given)


def read_photo_labels(
    paths: Iterable[Path], log: CaptureLog, photo_of: Mapping[str, str]
) -> tuple[Rated, int]:
    """Grades of the photos of captured items, for every query that they are a candidate of.

    Args:
        paths: files of labels.
        log: whose queries and candidates are graded.
        photo_of: path or URL of the photo by item_id; a label's path is its end.

    Returns:
        The grades, 0 for score 1 to 4 for score 10, and how many labelled photos belong to no captured item.

    Raises:
        InputError: a label is malformed (names the line), or none belongs to a captured item.
    """
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    for path in paths:
        for line, page in _json_lines(path):
            judge, images, values = str(page.get("judge", "")), page.get("images"), page.get("scores")
            if not isinstance(images, list) or not isinstance(values, list) or len(images) != len(values):
                raise InputError(f"{path}:{line}: images and scores are not lists of one length")
            for image, value in zip(images, values, strict=True):
                score = _number(value, path, line)
                if not 1 <= score <= 10:
                    raise InputError(f"{path}:{line}: score {score:g} of {image} is not in 1..10")
                scores[str(image)][f"{judge} {path.name}:{line}"] = (score - 1) / 9 * MAX_GRADE
    by_name: dict[str, list[str]] = defaultdict(list)
    for image in scores:
        by_name[PurePosixPath(image).name].append(image)
    label_of: dict[str, str] = {}
    for item_id, photo in photo_of.items():
        photo_path = unquote(urlsplit(photo).path)
        for image in by_name.get(PurePosixPath(photo_path).name, ()):
            if f"/{photo_path}".endswith(f"/{image}"):
                label_of[item_id] = image
    given: dict[tuple[str, str], dict[str, float]] = {}
    for i, query in enumerate(log.searches["query"]):
        for item_id in log.item_id[log.span(i)]:
            if item_id in label_of:
                given[str(query), str(item_id)] = scores[label_of[item_id]]
    if not given:
        raise InputError(
            "no label belongs to a photo of a captured item",
            hint="labels name photos by the end of their path",
        )
    return _averaged(given), len(scores.keys() - set(label_of.values()))


def _averaged(given: Mapping[tuple[str, str], Mapping[str, float]]) -> Rated:
    gaps = [
        fmean(abs(a - b) for i, a in enumerate(values) for b in values[:i])
        for values in (list(by_rater.values()) for by_rater in given.values())
        if len(values) > 1
    ]
    raters = {rater.partition(" ")[0] for by_rater in given.values() for rater in by_rater}
    return Rated(
        rows=[(query, item_id, fmean(by_rater.values())) for (query, item_id), by_rater in given.items()],
        n_ratings=sum(map(len, given.values())),
        n_raters=len(raters),
        disagreement=fmean(gaps) if gaps else None,
    )


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    source = _json_lines(path) if path.suffix in (".jsonl", ".ndjson", ".json") else _csv_rows(path)
    for line, raw in source:
        row = {}
        for name, aliases in _NAMES.items():
            value = next((raw[alias] for alias in aliases if raw.get(alias) not in (None, "")), None)
            if value is None and name != "rater":
                raise InputError(f"{path}:{line}: no {name}", hint="columns: query, item_id, rating, rater")
            row[name] = value
        yield line, row


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            for row in reader:
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise InputError(f"{path} is not a readable CSV file: {e}") from e


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"{path} is not a readable text file: {e}") from e
    for line, content in enumerate(text.splitlines(), start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except (ValueError, RecursionError) as e:
            raise InputError(f"{path}:{line}: not JSON: {e}") from e
        if not isinstance(row, dict):
            raise InputError(f"{path}:{line}: not a JSON object")
        yield line, row


def _number(value: Any, path: Path, line: int) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not (math.isfinite(number) and number >= 0):
        raise InputError(f"{path}:{line}: {value!r} is not a number >= 0")
    return number
