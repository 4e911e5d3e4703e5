"""A labelling run: pages in, labels out, stopped and resumed at any point.

    FOLDER/labels.jsonl      the labels, one line per page and pass: a label file
    FOLDER/failures.jsonl    pages without labels, and why
    FOLDER/summary.json      counts, tokens, cost, position bias
    FOLDER/answers.jsonl     every answer, raw (`scorer.labelling.journal`)

`labels.jsonl` is made of the answers, whole, at the end of every run however it ends; after a kill, the next
run makes it. Requests run in threads; a page's own requests follow each other.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from ranking.errors import InputError, RankError
from ranking.whole_file import write_json_lines, write_text
from scorer.ingest.photos import PhotoError, PhotoSource
from scorer.labelling.bias import PositionBias, position_bias
from scorer.labelling.budget import Budget, Prices
from scorer.labelling.endpoint import (
    Endpoint,
    EndpointConfig,
    NoAnswerError,
    PageRefusedError,
    StoppedError,
)
from scorer.labelling.journal import Answer, Journal
from scorer.labelling.pace import Pace
from scorer.labelling.page_file import Page
from scorer.labelling.page_labels import NoLabelError, PageLabels, label_page, translate
from scorer.labelling.picture import DEFAULT_SIDE, data_address
from scorer.labelling.prompt import find_prompt

GIVE_UP_AFTER: Final = 5  # requests in a row without an answer: the endpoint is gone


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelConfig:
    """What a run does besides where it asks."""

    prompt: str = "guided"
    translate: bool = True
    passes: int = 1  # how often each page is judged, each time in another order
    seed: int = 0  # of the orders
    side: int = DEFAULT_SIDE  # pixels of a picture's longer side
    workers: int = 4  # requests at a time
    rpm: int | None = None
    tpm: int | None = None
    budget: float | None = None
    prices: Prices = field(default_factory=Prices)
    judge: str | None = None  # name in the label file; MODEL/PROMPT by default


@dataclass(slots=True)
class LabelSummary:
    """What a run did, and what its folder holds now."""

    pages: int
    labelled: int = 0  # pages and passes with labels
    failed: dict[str, int] = field(default_factory=dict)  # by kind
    waiting: int = 0  # pages and passes not asked: the budget, or a stop
    repaired: int = 0
    requests: int = 0  # answered, in this and earlier runs
    from_journal: int = 0  # of these, answered in earlier runs
    retries: int = 0  # in this run
    maybe_billed: int = 0  # sent by a run that was killed before the answer came
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None  # None where prices are unknown
    budget: float | None = None
    stopped: str | None = None  # why the run ended early
    untranslated: int = 0  # queries that no usable translation came for
    bias: PositionBias | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "bias": None if self.bias is None else self.bias.to_dict()}


class _Run:
    def __init__(
        self,
        folder: Path,
        source: PhotoSource,
        endpoint: EndpointConfig,
        config: LabelConfig,
        stop: threading.Event,
    ) -> None:
        self.config, self.model, self.source, self.stop = config, endpoint.model, source, stop
        self.prompt, self.translate_prompt = find_prompt(config.prompt), find_prompt("translate")
        self.budget = Budget(config.prices, config.budget)
        self.max_tokens = endpoint.max_tokens
        self.pace = Pace(config.rpm, config.tpm, stop=stop)
        self.judge = config.judge or f"{endpoint.model}/{self.prompt.name}"
        self.halted = False  # the budget is used up: ask no more, but use the journal
        self.fatal: RankError | None = None
        self.lost = 0  # requests in a row that no try of brought an answer
        self.english: dict[str, str] = {}
        self.untranslated: set[str] = set()
        self._english_locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self.endpoint = Endpoint(endpoint, stop=stop)
        self.journal = Journal(folder, self._about(endpoint))
        self.n_before = len(self.journal)
        self.budget.start_from(self.journal.answers)

    def _about(self, endpoint: EndpointConfig) -> dict[str, Any]:
        return {
            "endpoint": endpoint.public_url,
            "model": endpoint.model,
            "prompt": f"{self.prompt.name} {self.prompt.hash}",
            "seed": self.config.seed,
            "side": self.config.side,
            "judge": self.judge,
        }

    def ask(
        self,
        key: str,
        kind: str,
        serp_id: str,
        messages: Callable[[], list[Any]],
        schema: Mapping[str, Any],
        *,
        longer: bool = False,
    ) -> Answer:
        """From the journal, or from the endpoint and into the journal."""
        known = self.journal.get(key)
        if known is not None:
            return known
        if self.halted or self.fatal is not None or self.stop.is_set():
            raise StoppedError("stopped")
        body = messages()
        if not self.pace.wait():
            raise StoppedError("stopped")
        reserved = self.budget.reserve(kind)
        if reserved is None:
            self.halted = True
            raise StoppedError("the budget is used up")
        answer: Answer | None = None
        try:
            self.journal.asking(key)
            limit = self.max_tokens * (2 if longer else 1)
            answer = self.endpoint.ask(key, kind, serp_id, body, schema, max_tokens=limit)
            self.journal.put(answer)
            self.pace.used(answer.tokens_in + answer.tokens_out)
            self.lost = 0
            return answer
        except RankError:
            self.journal.given_up(key)
            raise
        finally:
            self.budget.settle(reserved, answer)

    def label(self, page: Page, passed: int) -> PageLabels:
        """Labels of one page in one pass."""
        return label_page(
            page,
            self._pictures,
            self.ask,
            prompt=self.prompt,
            model=self.model,
            seed=self.config.seed,
            passed=passed,
            query_english=self._in_english(page.query),
            about_pictures=f"jpeg {self.config.side}",
        )

    def _pictures(self, images: Sequence[str]) -> list[str]:
        return [data_address(self.source, image, side=self.config.side) for image in images]

    def _in_english(self, query: str) -> str:
        if not self.config.translate or not query:
            return query
        with self._lock:
            lock = self._english_locks.setdefault(query, threading.Lock())
        with lock:  # pages of one query wait for one translation
            if query not in self.english:
                found = translate(query, self.translate_prompt, self.ask, self.model)
                if found is None:
                    self.untranslated.add(query)
                self.english[query] = found or query
            return self.english[query]


def label_pages(
    pages: Sequence[Page],
    folder: Path,
    source: PhotoSource,
    endpoint: EndpointConfig,
    config: LabelConfig,
    *,
    stop: threading.Event | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> LabelSummary:
    """Label pages into a folder; what is there already is not asked for again.

    Args:
        pages: from `read_pages_to_label`.
        folder: made where missing; holds one kind of run (model, prompt, seed).
        source: where photos may be read from.
        endpoint: where to ask.
        config: the rest.
        stop: set it to end after the requests that are under way.
        advance: told for each page and pass.

    Raises:
        InputError: settings that make no sense, no key, or a folder of another run.
        ServerError: the endpoint refuses the account or is gone; what was answered is kept.
    """
    if config.passes < 1 or config.workers < 1 or config.side < 32:
        raise InputError("passes and workers must be at least 1, and pictures 32 pixels wide")
    stop = stop or threading.Event()
    try:
        run = _Run(folder, source, endpoint, config, stop)
    except ValueError as e:
        raise InputError(str(e)) from None
    found = _Found(LabelSummary(pages=len(pages), maybe_billed=run.journal.in_flight))
    try:
        _work_through(run, pages, found, advance)
    except KeyboardInterrupt:
        found.summary.stopped = "interrupted"
    finally:
        stop.set()
        _write(run, folder, found)
        run.endpoint.close()
        run.journal.close()
    if run.fatal is not None:
        raise run.fatal
    return found.summary


@dataclass(slots=True)
class _Found:
    summary: LabelSummary
    labels: dict[tuple[int, int], PageLabels] = field(default_factory=dict)  # by pass and place
    failures: list[dict[str, Any]] = field(default_factory=list)

    def take(self, run: _Run, future: Future[PageLabels], page: Page, job: tuple[int, int]) -> None:
        """File one page under what became of it."""
        try:
            self.labels[job] = future.result()
        except StoppedError:
            self.summary.waiting += 1
        except PhotoError as e:
            self._fail(page, job, "photo", str(e))
        except NoLabelError as e:
            self._fail(page, job, e.kind, str(e))
        except PageRefusedError as e:
            self._fail(page, job, "request refused", str(e))
        except NoAnswerError as e:
            self._fail(page, job, "no answer", str(e))
            run.lost += 1
            if run.lost >= GIVE_UP_AFTER:
                run.fatal = run.fatal or e
        except RankError as e:  # the account, or the disk: no use in going on
            run.fatal = run.fatal or e
            self.summary.waiting += 1

    def _fail(self, page: Page, job: tuple[int, int], kind: str, reason: str) -> None:
        self.failures.append({"serp_id": page.serp_id, "pass": job[0] + 1, "kind": kind, "reason": reason})


def _work_through(run: _Run, pages: Sequence[Page], found: _Found, advance: Callable[[int], object]) -> None:
    todo = ((passed, place) for passed in range(run.config.passes) for place in range(len(pages)))
    under_way: dict[Future[PageLabels], tuple[int, int]] = {}
    pool = ThreadPoolExecutor(run.config.workers, thread_name_prefix="label")
    try:
        for job in todo:
            under_way[pool.submit(run.label, pages[job[1]], job[0])] = job
            while len(under_way) >= 2 * run.config.workers:
                _take_done(run, pages, under_way, found, advance)
        while under_way:
            _take_done(run, pages, under_way, found, advance)
    finally:
        if under_way:  # on the way out of an error or an interrupt
            run.stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _take_done(
    run: _Run,
    pages: Sequence[Page],
    under_way: dict[Future[PageLabels], tuple[int, int]],
    found: _Found,
    advance: Callable[[int], object],
) -> None:
    for future in wait(under_way, return_when=FIRST_COMPLETED).done:
        job = under_way.pop(future)
        found.take(run, future, pages[job[1]], job)
        advance(1)


def _write(run: _Run, folder: Path, found: _Found) -> None:
    summary, done = found.summary, [found.labels[job] for job in sorted(found.labels)]
    write_json_lines(folder / "labels.jsonl", (one.to_dict(run.judge) for one in done))
    write_json_lines(folder / "failures.jsonl", found.failures)
    budget = run.budget
    summary.labelled = len(done)
    summary.repaired = sum(one.repaired for one in done)
    summary.failed = dict(Counter(str(row["kind"]) for row in found.failures).most_common())
    summary.requests = budget.requests
    summary.from_journal = run.n_before
    summary.retries = run.endpoint.retries
    summary.tokens_in, summary.tokens_out = budget.tokens_in, budget.tokens_out
    summary.cost = budget.spent if budget.prices.known else None
    summary.budget = budget.limit
    summary.untranslated = len(run.untranslated)
    summary.bias = position_bias(done) if done else None
    if budget.exhausted:
        summary.stopped = "the budget is used up"
    elif run.fatal is not None:
        summary.stopped = str(run.fatal)
    write_text(folder / "summary.json", [json.dumps(summary.to_dict(), indent=2) + "\n"])


__all__ = ["LabelConfig", "LabelSummary", "label_pages"]
