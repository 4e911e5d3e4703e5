"""Examination probabilities as a file, DIR/propensities/SOURCE.json: `replay judge` writes it.

{"kind": "exam_prob", "source": "clicks-pbm", "simulated": false, "rows": [{"platform": "web", "rank": 1,
 "exam_prob": 1.0, "low": 1.0, "high": 1.0, "impressions": 900, "clicks": 80}, ...]}
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ranking.errors import InputError
from replay.clicks.exam_probs import ExamProb

KIND = "exam_prob"
MOST_RANK: Final = 10_000  # a page that long is a mistake


@dataclass(frozen=True, slots=True)
class ExamProbs:
    """P(examined) by platform and rank."""

    by_platform: dict[str, NDArray[np.float64]]  # (depth,); NaN where unknown
    source: str
    simulated: bool

    def table(self, platform: NDArray[np.object_], depth: int) -> NDArray[np.float64]:
        """P(examined) of each rank of each search, (n_searches, depth); NaN where unknown."""
        table = np.full((len(platform), depth), np.nan)
        for name, probs in self.by_platform.items():
            n = min(depth, len(probs))
            table[platform == name, :n] = probs[:n]
        return table


def write_exam_probs(folder: Path, rows: Sequence[ExamProb], source: str, *, simulated: bool) -> Path:
    """Write one source's file, replacing its earlier one."""
    path = folder / "propensities" / f"{source}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {"kind": KIND, "source": source, "simulated": simulated, "rows": [asdict(row) for row in rows]}
    hidden = path.with_name(f".{path.name}")
    hidden.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    hidden.replace(path)
    return path


def read_exam_probs(path: Path) -> ExamProbs:
    """Read such a file; rows need platform, rank and exam_prob.

    Raises:
        InputError: not such a file, or an exam_prob is not above 0; noise can take a rank above 1.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        rows: list[dict[str, Any]] = data["rows"]
        kind = data["kind"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as e:
        raise InputError(
            f"{path} is not a file of exam_prob: {e!r}", hint="write one with `rank-cli replay judge`"
        ) from e
    if kind != KIND:
        raise InputError(f"{path} holds {kind!r}, not {KIND!r}")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: rows must be a list of objects")
    found: dict[str, dict[int, float]] = {}
    for i, row in enumerate(rows):
        rank, prob = row.get("rank"), row.get("exam_prob")
        if (
            not isinstance(rank, int)
            or not 1 <= rank <= MOST_RANK
            or not isinstance(row.get("platform"), str)
        ):
            raise InputError(f"{path}: row {i} has no platform, or no rank from 1 to {MOST_RANK}")
        if prob is None:
            continue
        if not isinstance(prob, int | float) or not 0 < prob < 1e300:
            raise InputError(f"{path}: row {i}: exam_prob {prob!r} is not a number above 0")
        if rank in found.setdefault(row["platform"], {}):
            raise InputError(f"{path}: rank {rank} of {row['platform']} stands there twice")
        found[row["platform"]][rank] = float(prob)
    tables = {}
    for platform, by_rank in found.items():
        table = np.full(max(by_rank), np.nan)
        table[np.array(list(by_rank)) - 1] = list(by_rank.values())
        tables[platform] = table
    return ExamProbs(tables, str(data.get("source", path.stem)), bool(data.get("simulated", False)))
