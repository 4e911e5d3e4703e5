"""Measures of what a page shows, each a value per search: photos, freshness, age, price, AI, exposure.

Items that lack the value in question do not count; a search none of whose first k has it is NaN.

Exposure of a rank is 1 / log2(rank + 1), as a share of the page's (Singh and Joachims, "Fairness of exposure
in rankings", 2018). Entropy is Shannon's, in bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ranking.clock import DAY_MS
from ranking.errors import InputError
from ranking.freshness import Freshness
from replay.engine import Ranking
from replay.log import CaptureLog
from replay.measures.page import F64, Page, page, ratio


def image_score(log: CaptureLog, ranking: Ranking, k: int | None) -> F64:
    """Mean image score of the scored items among the first k of each search."""
    first = page(log, ranking, k)
    return first.mean_of(first.of(log.docs.image_score).astype(np.float64))


def age_days(log: CaptureLog, ranking: Ranking, k: int | None) -> F64:
    """Mean age in days, at the ranking's clock, of the dated items among the first k of each search."""
    first = page(log, ranking, k)
    return first.mean_of((_clock(log, ranking)[:, None] - first.of(log.docs.created_ms)) / DAY_MS)


def freshness(log: CaptureLog, ranking: Ranking, curve: Freshness, k: int | None) -> F64:
    """Mean freshness factor of the first k of each search, under one curve for both sides."""
    first = page(log, ranking, k)
    return first.mean_of(curve.score(first.of(log.docs.created_ms), _clock(log, ranking)[:, None]))


def freshness_as_served(log: CaptureLog, ranking: Ranking, k: int | None) -> F64:
    """Mean freshness factor of the first k under the curve of the profile that served each search.

    The same curve whatever profile is measured, so that a profile cannot win by bending the ruler. NaN where
    a search was served without freshness.
    """
    first = page(log, ranking, k)
    created, now_ms = first.of(log.docs.created_ms), _clock(log, ranking)
    values = np.full(created.shape, np.nan)
    for profile_hash, searches in log.groups("profile_hash"):
        profile = log.profiles.get(profile_hash)
        if profile is not None and profile.freshness is not None:
            values[searches] = profile.freshness.score(created[searches], now_ms[searches, None])
    return first.mean_of(values)


def price(log: CaptureLog, ranking: Ranking, k: int | None) -> F64:
    """Mean price of the priced items among the first k of each search."""
    return page(log, ranking, k).mean(log.price)


def ai_share(log: CaptureLog, ranking: Ranking, k: int | None, *, threshold: float = 0.5) -> F64:
    """Share of items whose photo is generated with probability `threshold` or more, among those checked."""
    first = page(log, ranking, k)
    prob = first.of(log.ai_prob)
    return first.mean_of(np.where(np.isnan(prob), np.nan, prob >= threshold))


def exposure(log: CaptureLog, ranking: Ranking, k: int | None, *, field: str, value: str) -> F64:
    """Share of the page's exposure that goes to items whose `field` is `value`."""
    first = page(log, ranking, k)
    codes, names = _field(log, field, first)
    shares = _exposures(first, codes)
    wanted = names.index(value) if value in names else -2
    mine = np.where(codes == wanted, shares, 0.0).sum(axis=1)
    return np.where(np.isnan(shares).any(axis=1), np.nan, mine)


def top_share(log: CaptureLog, ranking: Ranking, k: int | None, *, field: str = "category") -> F64:
    """Share of the page's exposure that goes to the value of `field` which has most of it."""
    return np.asarray(_by_value(log, ranking, k, field).max(axis=1))


def entropy(log: CaptureLog, ranking: Ranking, k: int | None, *, field: str = "category") -> F64:
    """Entropy in bits of the exposure shares of the values of `field`; 0 where one value has it all."""
    shares = _by_value(log, ranking, k, field)
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = np.where(shares == 0, 0.0, -shares * np.log2(shares))
    return np.asarray(bits.sum(axis=1)) + 0.0  # no negative zero


def _by_value(log: CaptureLog, ranking: Ranking, k: int | None, field: str) -> F64:
    """Exposure shares by value: row by row the sum over equal values stands at one of them, 0 elsewhere.

    Shape (n_searches, k); a row without a value is NaN.
    """
    first = page(log, ranking, k)
    values = _field(log, field, first)[0]
    shares = _exposures(first, values)
    order = np.argsort(values, axis=1, kind="stable")
    values = np.take_along_axis(values, order, axis=1)
    shares = np.take_along_axis(shares, order, axis=1)
    new = np.ones(values.shape, dtype=bool)
    new[:, 1:] = values[:, 1:] != values[:, :-1]
    group = np.cumsum(new.ravel()) - 1  # the first column always begins a group
    sums = np.bincount(group, weights=shares.ravel())
    return np.where(new, sums[group].reshape(values.shape), 0.0)


def _exposures(first: Page, codes: NDArray[np.int64]) -> F64:
    """The exposure share of every place, 0 where it shows nothing or no value; a page of none is NaN."""
    weights = np.where(codes >= 0, first.discount, 0.0)
    scale: F64 = ratio(np.ones(len(weights)), weights.sum(axis=1))[:, None]
    return np.asarray(weights * scale)


def _field(log: CaptureLog, field: str, first: Page) -> tuple[NDArray[np.int64], list[str]]:
    """A field's values on the page as codes, (n_searches, k), -1 for none, and the values by code."""
    import pyarrow as pa

    column = log.docs.columns.get(field)
    if column is None:
        known = ", ".join(sorted(log.docs.columns))
        raise InputError(
            f"the log does not hold the field {field!r}, only {known}",
            hint="capture with a profile that reads the field: a factor of weight 1 changes no score",
        )
    encoded = pa.array(first.of(column).ravel(), from_pandas=True).dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    # Codes in the order of the values, so that sums over values round alike on any part of a log.
    values = encoded.dictionary.to_numpy(zero_copy_only=False)
    order = np.argsort(values)
    place = np.append(np.argsort(order), -1)
    codes = np.where(first.shown, place[codes].reshape(first.shown.shape), -1)
    return codes, [str(value) for value in values[order].tolist()]


def _clock(log: CaptureLog, ranking: Ranking) -> NDArray[np.int64]:
    """The clock of each search, (n_searches,)."""
    return np.asarray(log.searches["now_ms"].astype(np.int64) + ranking.clock_shift_ms)
