"""Label files out of labels that others made.

    ratings     CSV or JSON lines, one score a row: serp_id, image, score, and judge, category where known
    histograms  idealo's form of AVA: a JSON list of {"image_id": "953958", "label": [ten counts]}
    votes       CSV or JSON lines, one vote a row: better, worse, and query, weight where known

Ratings become pages as they were shown. A histogram is a score without a page (its mean, 1 to 10), so pages
of photos of one folder are drawn, the same every time. Each voted pair becomes a page of two photos whose
scores are their shares of the votes' weight: nothing is assumed about photos that nobody compared.
"""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np

from ranking.errors import InputError
from ranking.rows import RowError, listing, number, parse_object, required_text, text
from ranking.sampling import place
from scorer.labels.reading import Skip, lines_of

KINDS: Final = ("ratings", "histograms", "votes")
MAX_JSON_BYTES: Final = 1_000_000_000


@dataclass(slots=True)
class Imported:
    """Lines of a label file, and what was left out of the source."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    n_read: int = 0  # ratings, histograms or votes

    def skip(self, line: int, kind: str, reason: str) -> None:
        """Leave something out."""
        self.skips.append(Skip(line, kind, reason))


def import_labels(
    path: Path, kind: str, *, judge: str = "", suffix: str = "", page_size: int = 8, salt: str = ""
) -> Imported:
    """Read labels that others made.

    Args:
        path: the file.
        kind: one of `KINDS`.
        judge: name of the judge where the file names none.
        suffix: added to each image name, such as ".jpg" for idealo's ids.
        page_size: photos on a drawn page (histograms).
        salt: another salt draws other pages (histograms).

    Raises:
        InputError: it cannot be read, or nothing in it can be used (the first reason is named).
    """
    if kind not in KINDS:
        raise InputError(f"{kind!r} is no kind of labels", hint=f"one of {', '.join(KINDS)}")
    if page_size < 2:
        raise InputError(f"a page of {page_size} photos orders nothing", hint="--page-size 2 or more")
    found = Imported()
    match kind:
        case "ratings":
            _ratings(_rows(path, found), found, judge, suffix)
        case "votes":
            _votes(_rows(path, found), found, judge, suffix)
        case _:
            _histograms(
                _json_list(path),
                found,
                judge=judge or "histogram",
                suffix=suffix,
                page_size=page_size,
                salt=salt,
            )
    if not found.rows:
        first = f": {found.skips[0]}" if found.skips else ""
        raise InputError(f"{path} has no {kind} that can be used{first}")
    return found


def _ratings(rows: Iterable[tuple[int, Mapping[str, Any]]], found: Imported, judge: str, suffix: str) -> None:
    pages: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    category: dict[str, str] = {}
    first_line: dict[tuple[str, str], int] = {}
    for line, row in rows:
        try:
            serp_id, image = required_text(row, "serp_id", "page", "query_id"), required_text(row, "image")
            score = _required_number(row, "score", "rating")
            by = text(row, "judge", "rater") or judge
            of = text(row, "category") or ""
        except RowError as e:
            found.skip(line, "broken", str(e))
            continue
        page = pages[serp_id, by]
        if image + suffix in page:
            found.skip(line, "duplicate", f"{by or 'the judge'} rated {image} of {serp_id} before")
            continue
        page[image + suffix] = score
        category.setdefault(serp_id, of)
        first_line.setdefault((serp_id, by), line)
        found.n_read += 1
    shown: dict[str, list[str]] = defaultdict(list)  # photos of a page, by whoever rated them
    for (serp_id, _), page in pages.items():
        shown[serp_id] += [image for image in page if image not in shown[serp_id]]
    for (serp_id, by), page in pages.items():
        if len(page) < 2:
            found.skip(
                first_line[serp_id, by], "one photo", f"{serp_id} has one photo rated by {by or 'its judge'}"
            )
            continue
        images = shown[serp_id]
        scores = [page.get(image) for image in images]
        found.rows.append(_line(serp_id, category[serp_id], by, images, scores))


def _votes(rows: Iterable[tuple[int, Mapping[str, Any]]], found: Imported, judge: str, suffix: str) -> None:
    weights: dict[tuple[str, str, str], list[float]] = {}
    for line, row in rows:
        try:
            better, worse, query, weight = _vote(row)
        except RowError as e:
            found.skip(line, "broken", str(e))
            continue
        one, two = sorted((better, worse))
        weights.setdefault((query, one, two), [0.0, 0.0])[better == two] += weight
        found.n_read += 1
    for number_, ((query, one, two), votes) in enumerate(weights.items(), start=1):
        shares = [round(vote / sum(votes), 6) for vote in votes]
        line_of = _line(f"vote-{number_:06d}", "", judge, [one + suffix, two + suffix], shares)
        found.rows.append(line_of | {"query": query, "weight": sum(votes)})


def _vote(row: Mapping[str, Any]) -> tuple[str, str, str, float]:
    better, worse = required_text(row, "better"), required_text(row, "worse")
    weight = number(_numeric(row, "weight"), "weight")
    weight = 1.0 if weight is None else weight
    if not weight > 0:
        raise RowError(f"weight must be greater than 0, got {weight:g}")
    if better == worse:
        raise RowError(f"{better} is voted better than itself")
    return better, worse, text(row, "query") or "", weight


def _required_number(row: Mapping[str, Any], *names: str) -> float:
    found = number(_numeric(row, *names), *names)
    if found is None:
        raise RowError(f"{names[0]} is missing")
    return found


def _histograms(
    entries: Sequence[Any], found: Imported, *, judge: str, suffix: str, page_size: int, salt: str
) -> None:
    means: dict[str, float] = {}
    for position, entry in enumerate(entries, start=1):
        try:
            image, mean = _histogram(entry)
        except RowError as e:
            found.skip(position, "broken", f"entry {position}: {e}")
            continue
        if image in means:
            found.skip(position, "duplicate", f"entry {position}: {image} is there twice")
            continue
        means[image] = mean
        found.n_read += 1
    folders: dict[str, list[str]] = defaultdict(list)
    for image in sorted(means, key=lambda name: (place(name, f"pages:{salt}"), name)):
        parent = str(PurePosixPath(image).parent)
        folders["" if parent == "." else parent].append(image)
    for folder, images in sorted(folders.items()):
        for start in range(0, len(images), page_size):
            some = images[start : start + page_size]
            serp_id = f"{folder or 'page'}-{start // page_size:06d}"
            if len(some) < 2:
                found.skip(1, "one photo", f"{some[0]} is left over: no page for it")
                continue
            scores = [round(means[image], 6) for image in some]
            found.rows.append(_line(serp_id, folder, judge, [image + suffix for image in some], scores))


def _histogram(entry: Any) -> tuple[str, float]:
    if not isinstance(entry, dict):
        raise RowError("not a JSON object")
    return required_text(entry, "image_id", "image"), _mean(listing(entry, "label", "counts"))


def _mean(counts: Sequence[Any]) -> float:
    """Mean score, 1 to 10, of ten counts, or shares, of votes."""
    if len(counts) != 10:
        raise RowError(f"label must have ten counts, got {len(counts)}")
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and 0 <= n < math.inf for n in counts):
        raise RowError("label holds something that is no count")
    votes = np.array(counts, dtype=np.float64)
    if not votes.sum() > 0:
        raise RowError("label has no votes")
    return float(votes @ np.arange(1, 11) / votes.sum())


def _line(
    serp_id: str, category: str, judge: str, images: Sequence[str], scores: Sequence[float | None]
) -> dict[str, Any]:
    whole = {"serp_id": serp_id, "category": category, "judge": judge}
    return whole | {"images": list(images), "scores": list(scores)}


def _numeric(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The row with the empty text of a CSV cell as no value."""
    return {name: None if row.get(name) == "" else row.get(name) for name in names}


def _rows(path: Path, found: Imported) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if path.suffix in (".jsonl", ".ndjson", ".json"):
        for line, content in lines_of(path):
            try:
                yield line, parse_object(content)
            except RowError as e:
                found.skip(line, "broken", str(e))
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            for row in reader:
                yield reader.line_num, {str(name): value for name, value in row.items()}
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise InputError(f"{path} is not a readable CSV file: {e}") from e


def _json_list(path: Path) -> list[Any]:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise InputError(f"{path} is larger than {MAX_JSON_BYTES} bytes", hint="divide it")
        entries = json.loads(path.read_bytes())
    except OSError as e:
        raise InputError(f"{path} cannot be read: {e.strerror}") from e
    except (ValueError, RecursionError) as e:
        raise InputError(f"{path} is not JSON: {e}") from None
    if not isinstance(entries, list):
        raise InputError(f"{path} is not a JSON list", hint='[{"image_id": "1", "label": [0, 0, 1, ...]}]')
    return entries


__all__ = ["KINDS", "Imported", "import_labels"]
