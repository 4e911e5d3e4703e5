"""The segments a difference is looked at in: platform, category, and how frequent the query is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ranking import fields
from ranking.errors import InputError
from replay.log import CaptureLog

I64 = NDArray[np.int64]
ALL: Final = "all"
DIMENSIONS: Final = ("platform", "category", "frequency")
HEAD, TORSO = 0.5, 0.8  # cumulative share of the searches at which head and torso end
CATEGORIES = 12  # the largest; smaller ones stand together
OTHER: Final = "other categories"


class Segment(NamedTuple):
    """Some of a log's searches."""

    dimension: str  # all, platform, category, frequency
    name: str  # such as web
    searches: I64


def segments(log: CaptureLog, dimensions: Sequence[str]) -> Iterator[Segment]:
    """Each dimension, segment and its searches, `all` first.

    Raises:
        InputError: no such dimension.
    """
    unknown = [name for name in dimensions if name not in DIMENSIONS]
    if unknown:
        raise InputError(f"there is no dimension {unknown[0]!r}", hint=f"there are {', '.join(DIMENSIONS)}")
    yield Segment(ALL, ALL, np.arange(len(log)))
    for dimension in dimensions:
        match dimension:
            case "platform":
                for platform, searches in log.groups("platform"):
                    if platform is not None:
                        yield Segment(dimension, platform, searches)
            case "category":
                for name, searches in _categories(log):
                    yield Segment(dimension, name, searches)
            case _:
                bands = frequency_bands(log.searches["query"])
                for band in ("head", "torso", "tail"):
                    searches = np.flatnonzero(bands == band)
                    if len(searches):
                        yield Segment(dimension, band, searches)


def frequency_bands(queries: NDArray[np.object_]) -> NDArray[np.str_]:
    """Head, torso or tail for each search, by how often its query text is in the log.

    Queries go from the most to the least frequent. Those that begin within the first 50 % of the searches are
    head, within 80 % torso, the rest tail; queries equally frequent are in one band, and a query that was
    searched once is tail.
    """
    codes, counts = np.unique(queries.astype(str), return_inverse=True, return_counts=True)[1:]
    order = np.argsort(-counts, kind="stable")
    before = np.concatenate([[0], counts[order].cumsum()[:-1]]) / counts.sum()
    first = np.searchsorted(-counts[order], -counts)  # where queries as frequent as this begin
    begins = before[first]
    bands = np.where(begins < HEAD, "head", np.where(begins < TORSO, "torso", "tail"))
    bands[counts == 1] = "tail"
    return np.asarray(bands[codes])


def search_categories(log: CaptureLog) -> NDArray[np.object_]:
    """The category of each search, None where unknown.

    What its filter names; without one, the category most frequent on the served page (of the captured items
    where none was served), the first by name among equals.
    """
    import pyarrow as pa

    encoded = pa.array(log.docs.columns[fields.CATEGORY], pa.string()).dictionary_encode()
    names = np.array(encoded.dictionary.to_pylist(), dtype=object)
    by_name = np.argsort(names, kind="stable")
    place = np.empty(len(names), dtype=np.int64)
    place[by_name] = np.arange(len(names))
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    counted = codes >= 0
    served = np.bincount(log.owner[log.rank > 0], minlength=len(log)) > 0
    counted &= (log.rank > 0) | ~served[log.owner]
    found = np.full(len(log), None, dtype=object)
    pairs, counts = np.unique(
        log.owner[counted] * max(len(names), 1) + place[codes[counted]], return_counts=True
    )
    owner, category = np.divmod(pairs, max(len(names), 1))
    order = np.lexsort((category, -counts, owner))
    firsts = order[np.unique(owner[order], return_index=True)[1]]
    found[owner[firsts]] = names[by_name][category[firsts]]
    for i, text in enumerate(log.searches.get("filters", ())):
        if text and f'"{fields.CATEGORY}"' in text:
            wanted = log.filters(i).get(fields.CATEGORY)
            if isinstance(wanted, str):
                found[i] = wanted
    return found


def _categories(log: CaptureLog) -> Iterator[tuple[str, I64]]:
    categories = search_categories(log)
    known = np.array([name for name in categories if name is not None], dtype=object).astype(str)
    names, counts = np.unique(known, return_counts=True)
    largest = [str(name) for name in names[np.argsort(-counts, kind="stable")][:CATEGORIES]]
    for name in largest:
        yield name, np.flatnonzero(categories == name)
    rest = np.flatnonzero([name is not None and name not in largest for name in categories])
    if len(rest):
        yield OTHER, rest
