"""One evaluation of a capture folder, in pieces: a table of values per search, then figures over all of it.

Each piece (a row group) is read, verified, ranked and measured by itself, here on threads or on the workers
of a Beam pipeline (`replay.pipeline`). What comes back is a few numbers per search. They are put together in
the order of the parts before anything is averaged, so figures do not depend on who computed which piece.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, local
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ranking.capture import read_profiles
from ranking.errors import InputError
from ranking.formula import Candidates
from ranking.profile import Profile
from replay import measures as known_measures
from replay.batches import BATCH, Part, list_parts, read_part
from replay.compare import Comparison, Measure, agreement, compare_values, measure_all
from replay.engine import Ranking
from replay.heads import first_places, pages
from replay.judgments import Judgments, read_judgments
from replay.lazy import Columns
from replay.log import CaptureLog
from replay.order import n_threads
from replay.parity import Parity, merge, verify
from replay.significance.segments import search_categories

_ABOUT = b"measures"  # key of the table's metadata: name, unit and direction of each measure
_TEXTS = ("query", "platform", "user_id")
_TEXT = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of a log: some profiles against one."""

    baseline: Profile
    contenders: tuple[Profile, ...]
    k: int = 10
    measures: tuple[str, ...] | None = None  # None: the usual ones
    clock_shift_ms: int = 0
    judged_by: str | None = None  # source of the judgments
    categories: bool = False  # the category of each search is wanted, for segments
    verify: bool = True  # recompute what was served, too

    def __post_init__(self) -> None:
        for one in self.chosen or ():
            if one.cutoff is None:
                raise InputError(
                    f"{one.name} has no cutoff, and pages are all that is kept of a search here",
                    hint=f"ask for {one.name}@50, say",
                )

    @property
    def chosen(self) -> list[known_measures.Measure] | None:
        """The measures by name."""
        return None if self.measures is None else _parsed(self.measures)

    @property
    def depth(self) -> int:
        """The last place that anything looks at."""
        return max([self.k, *(one.cutoff or 0 for one in self.chosen or ())])


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The values of every search, and what the verification found."""

    question: Question
    table: Any  # pyarrow table, one row per search, in the order of the log
    parity: Parity | None
    simulated_judgments: bool

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def values(self, contender: int, measure: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A measure of every search, under the baseline and under one contender.

        Of a question without contenders, contender 0 is the baseline itself.
        """
        before, after = (self.table[f"{side}/{contender}/{measure}"].to_numpy() for side in _SIDES)
        return before, after

    def compare(
        self,
        *,
        dimensions: Sequence[str] = ("platform",),
        test: str = "clustered",
        adjustment: str = "bh",
        clusters: str = "query",
        seed: int = 20240927,
    ) -> list[Comparison]:
        """Each contender against the baseline, figure by figure what `compare_rankings` gives.

        Args:
            dimensions: as there; category needs a question with `categories`.
            test: as there.
            adjustment: as there.
            clusters: as there.
            seed: as there.
        """
        question, table = self.question, self.table
        log = _thin_log(table)
        need = np.minimum(question.k, table["n_candidates"].to_numpy())
        about = json.loads(table.schema.metadata[_ABOUT])
        baseline = _ranking(question, question.baseline, table["exact_k/baseline"].to_numpy())
        found = []
        for i, profile in enumerate(question.contenders):
            contender = _ranking(question, profile, table[f"exact_k/{i}"].to_numpy())
            found.append(
                compare_values(
                    log,
                    baseline,
                    contender,
                    found=[_measure(self, i, *each) for each in about[i]],
                    agreed={name: table[f"{name}/{i}"].to_numpy() for name in _agreements(question.k)},
                    entered=table[f"entered/{i}"].to_numpy(),
                    proven=(baseline.exact_k >= need) & (contender.exact_k >= need),
                    k=question.k,
                    dimensions=dimensions,
                    test=test,
                    adjustment=adjustment,
                    clusters=clusters,
                    seed=seed,
                    simulated_judgments=self.simulated_judgments,
                )
            )
        return found


_SIDES = ("before", "after")
_PARSING = Lock()


def _parsed(names: tuple[str, ...]) -> list[known_measures.Measure]:
    with _PARSING:  # `ast.parse` of Python 3.11 fails now and then when two threads call it at once
        return [known_measures.measure(name) for name in names]


def evaluate(
    folder: Path,
    question: Question,
    *,
    threads: int = 0,
    batch: int = BATCH,
    advance: Callable[[int], object] = lambda _n: None,
) -> Evaluation:
    """Evaluate a capture folder of any size on this machine; memory does not grow with candidates.

    Args:
        folder: captures, and judgments where there are any.
        question: what is asked.
        threads: 0 for one per core.
        batch: searches in memory at a time, per thread.
        advance: told how many searches are done, after each part.

    Raises:
        InputError: the folder cannot be replayed, or the question asks for what it does not hold.
    """
    parts, profiles, judgments = (
        list_parts(folder),
        read_profiles(folder),
        read_judgments(folder, question.judged_by),
    )

    own = local()  # judgments keep their join with the last log: each thread has its own

    def work(part: Part) -> tuple[Any, Parity | None]:
        if not hasattr(own, "judgments"):
            own.judgments = copy.copy(judgments)
        found = evaluate_part(part, question, profiles, own.judgments, batch=batch)
        advance(part.n_searches)
        return found

    with warnings.catch_warnings(), ThreadPoolExecutor(threads or n_threads()) as pool:
        # numpy 1 may forget an `errstate` of one thread while another enters its own
        warnings.simplefilter("ignore", RuntimeWarning)
        results = list(pool.map(work, parts))
    return assemble(question, results, judgments)


def assemble(
    question: Question, results: Sequence[tuple[Any, Parity | None]], judgments: Judgments | None
) -> Evaluation:
    """One evaluation of the results of its parts, in the order of the parts."""
    parities = [parity for _, parity in results if parity is not None]
    return Evaluation(
        question=question,
        table=pa.concat_tables([table for table, _ in results]).unify_dictionaries().combine_chunks(),
        parity=merge(parities) if question.verify else None,
        simulated_judgments=judgments is not None and judgments.simulated,
    )


def evaluate_part(
    part: Part,
    question: Question,
    profiles: dict[str, Profile],
    judgments: Judgments | None,
    *,
    batch: int = BATCH,
) -> tuple[Any, Parity | None]:
    """The table of one part, and its verification where the question wants one."""
    tables, parities = [], []
    for log in read_part(part, profiles, served=question.verify, batch=batch):
        tables.append(evaluate_log(log, question, judgments, threads=1))
        if question.verify:
            parities.append(verify(log, threads=1))
    return pa.concat_tables(tables), merge(parities) if question.verify else None


def verify_folder(
    folder: Path, *, threads: int = 0, advance: Callable[[int], object] = lambda _n: None
) -> Parity:
    """`replay.parity.verify` for a capture folder of any size.

    Raises:
        InputError: the folder cannot be replayed.
    """
    parts, profiles = list_parts(folder), read_profiles(folder)

    def work(part: Part) -> Parity:
        found = merge(verify(log, threads=1) for log in read_part(part, profiles, served=True))
        advance(part.n_searches)
        return found

    with ThreadPoolExecutor(threads or n_threads()) as pool:
        return merge(pool.map(work, parts))


def evaluate_log(
    log: CaptureLog, question: Question, judgments: Judgments | None, *, threads: int = 0
) -> Any:
    """The table of a log: a row per search, with the values of every measure under both sides."""
    everyone = [question.baseline, *question.contenders]
    heads = first_places(
        log, everyone, question.depth, clock_shift_ms=question.clock_shift_ms, threads=threads
    )
    small, (baseline, *contenders) = pages(log, heads)
    text = {name: log.searches[name] for name in _TEXTS}
    text["category"] = search_categories(log) if question.categories else np.full(len(log), None)
    columns: dict[str, Any] = {
        **{
            name: pa.array(values, pa.string(), from_pandas=True).cast(_TEXT) for name, values in text.items()
        },
        "now_ms": log.searches["now_ms"],
        "n_candidates": np.diff(log.offsets),
        "exact_k/baseline": baseline.exact_k,
    }
    about = []
    for i, contender in enumerate(
        contenders or [baseline]
    ):  # without a contender: the baseline's own figures
        found = measure_all(small, baseline, contender, judgments, k=question.k, chosen=question.chosen)
        about.append([(one.name, one.unit, one.better) for one in found])
        for one in found:
            columns[f"before/{i}/{one.name}"], columns[f"after/{i}/{one.name}"] = one.baseline, one.contender
        for name, values in agreement(small, baseline, contender, question.k).items():
            columns[f"{name}/{i}"] = values
        columns[f"entered/{i}"] = known_measures.entered(small, baseline, contender, question.k)
        columns[f"exact_k/{i}"] = contender.exact_k
    return pa.table(columns).replace_schema_metadata({_ABOUT: json.dumps(about)})


def _measure(found: Evaluation, contender: int, name: str, unit: str, better: Any) -> Measure:
    before, after = found.values(contender, name)
    return Measure(name, unit, better, before, after)


def _agreements(k: int) -> Iterator[str]:
    yield from (f"overlap@{k}", f"RBO@{k}")


def _ranking(question: Question, profile: Profile, exact_k: NDArray[np.int64]) -> Ranking:
    """A ranking of which only the proof is kept."""
    none = np.empty(0, dtype=np.int64)
    return Ranking(
        profile=profile,
        clock_shift_ms=question.clock_shift_ms,
        scores=none.astype(np.float32),
        eligible=none.astype(bool),
        order=none,
        ranks=none.astype(np.int32),
        exact_k=exact_k,
    )


def _thin_log(table: Any) -> CaptureLog:
    """A log for segments alone: each search has one served candidate, of the search's category."""
    n = table.num_rows

    def text(name: str) -> NDArray[Any]:
        return np.asarray(table[name].combine_chunks().cast(pa.string()).to_numpy(zero_copy_only=False))

    nothing = np.full(n, np.nan)
    return CaptureLog(
        searches={**{name: text(name) for name in _TEXTS}, "now_ms": table["now_ms"].to_numpy()},
        offsets=np.arange(n + 1),
        owner=lambda: np.arange(n),
        item_id=lambda: np.full(n, "", dtype=object),
        item_code=lambda: np.zeros(n, dtype=np.int64),
        docs=Candidates(
            nothing.astype(np.float32),
            nothing.astype(np.float32),
            nothing,
            columns=Columns({"category": lambda: text("category")}),
        ),
        rank=lambda: np.ones(n, dtype=np.int32),
        score=lambda: nothing.astype(np.float32),
        price=lambda: nothing,
        ai_prob=lambda: nothing.astype(np.float32),
        profiles={},
    )
