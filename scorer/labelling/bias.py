"""Position bias of a judge: does it score what it is shown first higher?

Photos are shown in a drawn order: the place says nothing about the photo, and scores must not depend on it.

    slope    of a page's scores on the place (0 first, 1 last), least squares; the mean over pages is tested
             against 0 (one-sample t). In points from the first place to the last.
    second   where a page was judged twice, the second time backwards: how often two photos change order
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from scorer.labelling.page_labels import PageLabels


@dataclass(frozen=True, slots=True)
class PositionBias:
    """What the order did to the scores. Undefined figures are None."""

    n_pages: int
    slope: float | None  # points of score from the first place to the last
    low: float | None  # 95 % interval of the slope
    high: float | None
    p: float | None
    by_place: dict[int, float]  # 1-based place -> mean score there, less the page's mean
    pages_judged_twice: int
    flipped_pairs: float | None  # of pairs that both passes put in some order: share put in opposite orders

    @property
    def biased(self) -> bool:
        """Whether the slope differs from 0 at the 1 % level."""
        return self.p is not None and self.p < 0.01

    @property
    def verdict(self) -> str:
        """In one sentence."""
        if self.slope is None or self.p is None:
            return "position bias: too few pages to tell"
        says = "scores depend on the place" if self.biased else "no sign of position bias"
        return (
            f"{says}: {self.slope:+.2f} points from first to last place (95 % {self.low:+.2f} to "
            f"{self.high:+.2f}, p {self.p:.2g}, {self.n_pages} pages)"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "biased": self.biased, "verdict": self.verdict}


def position_bias(labels: Sequence[PageLabels]) -> PositionBias:
    """The test over labelled pages; a page that was judged twice counts once, with the mean of its slopes."""
    slopes: dict[str, list[float]] = defaultdict(list)
    at_place: dict[int, list[float]] = defaultdict(list)
    passes: dict[str, list[PageLabels]] = defaultdict(list)
    for one in labels:
        passes[one.page.serp_id].append(one)
        shown = np.array(one.scores, dtype=np.float64)[one.order]
        places = np.linspace(0.0, 1.0, len(shown))
        centred = places - places.mean()
        slopes[one.page.serp_id].append(float(centred @ shown / (centred @ centred)))
        for place, score in enumerate(shown - shown.mean(), start=1):
            at_place[place].append(float(score))
    of_page = np.array([np.mean(values) for values in slopes.values()])
    slope = low = high = p = None
    if len(of_page) > 1:
        slope = float(of_page.mean())
        low, high, p = _against_zero(of_page)
    flips = [_flips(both[0], both[1]) for both in passes.values() if len(both) > 1]
    flipped, pairs = (sum(values) for values in zip(*flips, strict=True)) if flips else (0, 0)
    return PositionBias(
        n_pages=len(of_page),
        slope=slope,
        low=low,
        high=high,
        p=p,
        by_place={place: float(np.mean(values)) for place, values in sorted(at_place.items())},
        pages_judged_twice=len(flips),
        flipped_pairs=flipped / pairs if pairs else None,
    )


def _against_zero(slopes: NDArray[np.float64]) -> tuple[float, float, float]:
    """95 % interval of the mean, and p against 0."""
    mean = float(slopes.mean())
    if np.ptp(slopes) < 1e-9:  # no spread: it is what it is
        return mean, mean, 1.0 if abs(mean) < 1e-9 else 0.0
    test = stats.ttest_1samp(slopes, 0.0)
    interval = test.confidence_interval(0.95)
    return float(interval.low), float(interval.high), float(test.pvalue)


def _flips(one: PageLabels, two: PageLabels) -> tuple[int, int]:
    """Pairs that the two passes order oppositely, and pairs that both order."""
    a, b = (np.array(x.scores)[:, None] - np.array(x.scores)[None, :] for x in (one, two))
    both = np.triu((a != 0) & (b != 0))
    return int((both & (np.sign(a) != np.sign(b))).sum()), int(both.sum())


__all__ = ["PositionBias", "position_bias"]
