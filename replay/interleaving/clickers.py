"""Click models for simulated experiments: fitted to logged clicks, or made from judgments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError
from replay.clicks.examination import by_pair, fit_examination
from replay.clicks.pages import read_pages
from replay.clicks.position_based import Impressions
from replay.interleaving.power import ClickModel
from replay.judgments import read_judgments
from replay.log import CaptureLog

F64 = NDArray[np.float64]
PRIOR = 5.0  # examinations that the mean attraction counts for
ASSUMED_DECAY = 0.7  # exam_prob = rank ** -0.7 where nothing was learned
MAX_GRADE = 4.0


def from_clicks(log: CaptureLog, folder: Path, depth: int) -> ClickModel:
    """A position-based model of the folder's clicks, by platform.

    A candidate that was never shown attracts as the mean one does.

    Raises:
        InputError: no clicks, or ranks whose examination the log does not identify.
    """
    pages = read_pages(log, folder, depth=depth)
    attract = np.zeros(log.n_candidates)
    exam = np.zeros((len(log), depth))
    code = {pair: j for j, pair in enumerate(pages.pairs)}
    queries = log.searches["query"]
    pair = np.array(
        [code.get((str(queries[i]), str(item)), -1) for i, item in zip(log.owner, log.item_id, strict=True)]
    )
    for platform in pages.platforms():
        there = pages.platform == platform
        cells = Impressions(pages.where(there)).count()
        known = fit_examination(cells)[:depth]
        if len(known) < depth or np.isnan(known).any():
            n = int(np.isnan(known).argmax()) if np.isnan(known).any() else len(known)
            raise InputError(
                f"{platform}: examination below rank {n} cannot be told from the clicks",
                hint=f"use --k {n}, or --clicks judgments",
            )
        clicks, examined = by_pair(cells, known)
        total = float(examined.sum())
        mean = float(clicks.sum()) / total if total else 0.0
        attraction = np.append((clicks + PRIOR * mean) / (examined + PRIOR), mean)
        mine = there[log.owner]
        attract[mine] = np.minimum(attraction[pair[mine]], 1.0)
        exam[there] = known
    said = "simulated from a position-based model of the log's clicks"
    return ClickModel(attract, exam, f"{said}, themselves simulated" if pages.simulated else said)


def from_judgments(log: CaptureLog, folder: Path, depth: int) -> ClickModel:
    """Attraction (2^grade - 1) / 2^4, as ERR has it (Chapelle et al. 2009); exam_prob = rank^-0.7, assumed.

    An unjudged candidate attracts as grade 0: nobody.

    Raises:
        InputError: the folder has no judgments.
    """
    judgments = read_judgments(folder)
    if judgments is None:
        raise InputError(f"{folder} has no judgments", hint="write some with `rank-cli replay judge`")
    grades = np.clip(np.nan_to_num(judgments.grades(log)), 0.0, MAX_GRADE)
    exam = np.broadcast_to(np.arange(1, depth + 1) ** -ASSUMED_DECAY, (len(log), depth))
    return ClickModel(
        (2**grades - 1) / 2**MAX_GRADE,
        np.asarray(exam),
        f"simulated from judgments ({', '.join(judgments.sources)})",
    )
