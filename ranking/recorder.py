"""Capture as a service serves: the user waits for the page alone, everything else happens behind it.

    with Recorder(Searcher(es, "items", profile), Path("captures"), sample=0.1) as recorder:
        served = recorder.search("red dress", now_ms=now_ms(), platform="web", user_id="u1")
        show(served.page.items, served.search_id)

A sampled search runs in a point in time that is at most `max_age_s` old. The window, which the proof needs
and the user does not, is asked for afterwards by a thread, in the same point in time: page and window are of
one moment by construction. Searches outside the sample are plain searches.

Nothing here may harm the service: where the disk is full, the cluster refuses a window or the queue
overflows, the search is served, the failure is counted in `stats` and logged once until it is over.
A record whose window could not be read keeps its page, with nothing proven outside it.
"""

from __future__ import annotations

import atexit
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from elasticsearch import ApiError

from ranking.capture import NOTHING_PROVEN, CaptureRecord, new_search_id
from ranking.capture_buffer import CaptureBuffer, CaptureStats, Tally
from ranking.errors import ServerError
from ranking.es import server_errors
from ranking.profile import Profile
from ranking.query import search_body, window_body
from ranking.sampling import check_rate, is_sampled
from ranking.search import Page, Searcher, read_page, same_moment
from ranking.topk import PointInTime

_KEEP_ALIVE = "30s"  # of a point in time: longer than a window waits in the queue


class About(TypedDict, total=False):
    """What may be known of a search beside its text and clock."""

    platform: str | None
    user_id: str | None
    session_id: str | None
    search_id: str | None  # a fresh one by default
    arm: str | None  # side of a running canary
    size: int | None  # the profile's k by default
    filters: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Served:
    """A page and the id under which it was captured, for the events that follow."""

    search_id: str
    page: Page
    sampled: bool


@dataclass(frozen=True, slots=True)
class _Job:
    """A record that still lacks its window."""

    record: CaptureRecord
    profile: Profile
    point_in_time: str | None


class Recorder:
    """Captures a sample of the searches of one `Searcher`. Thread-safe; a context manager."""

    def __init__(
        self,
        searcher: Searcher,
        folder: Path,
        *,
        sample: float = 1.0,
        salt: str = "",
        flush_count: int = 500,
        flush_s: float = 30.0,
        max_pending: int = 2_000,
        max_age_s: float = 1.0,
        threads: int = 2,
    ) -> None:
        """A recorder that has not started a thread yet.

        Args:
            searcher: serves the pages.
            folder: the capture folder, made where missing.
            sample: share of users that are captured, in [0, 1].
            salt: another salt picks other users.
            flush_count: records that are written together.
            flush_s: seconds after which fewer are written too.
            max_pending: records that may wait for a window, and records that may wait for the disk.
            max_age_s: how old a served page's moment may be; 0 opens a point in time for each search.
            threads: threads that ask for windows.

        Raises:
            InputError: `sample` is not a share.
        """
        self.searcher, self.sample, self.salt = searcher, check_rate(sample), salt
        self._tally = Tally()
        self._buffer = CaptureBuffer(
            folder, self._tally, flush_count=flush_count, flush_s=flush_s, max_pending=max_pending
        )
        self._tick_s = min(1.0, flush_s)
        self._point_in_time = PointInTime(searcher.es, searcher.index, max_age_s, _KEEP_ALIVE)
        self._points_refused = False
        self._jobs: queue.Queue[_Job | None] = queue.Queue(max_pending)
        self._lock = threading.Lock()  # guards the threads
        self._threads: list[threading.Thread] = []
        self._n_threads = threads
        self._closed = False

    @property
    def stats(self) -> CaptureStats:
        """Counts up to this moment."""
        return self._tally.stats

    def search(self, text: str, *, now_ms: int, **about: Unpack[About]) -> Served:
        """Serve the page, as `Searcher.search`; capture it where it belongs to the sample.

        Raises:
            ServerError: the page itself could not be served.
        """
        search_id = about.get("search_id") or new_search_id()
        platform, size, filters = about.get("platform"), about.get("size"), about.get("filters")
        if not self._is_sampled(search_id, about):
            page = self.searcher.search(text, now_ms=now_ms, platform=platform, size=size, filters=filters)
            return Served(search_id, page, False)
        response, page, point = self.searcher.native.run(
            self.searcher.profile.for_platform(platform),
            lambda served: self._page(served, text, now_ms=now_ms, size=size, filters=filters),
        )
        self._enqueue(
            response, page, about, point_in_time=point, search_id=search_id, text=text, now_ms=now_ms
        )
        return Served(search_id, page, True)

    def observe(self, response: Mapping[str, Any], text: str, *, now_ms: int, **about: Unpack[About]) -> str:
        """Capture a page that the service asked for itself, with a body of this profile; its search id.

        The window then comes from a later moment: where it shows that the index has changed in between, the
        record keeps the page alone. Nothing that the response or the cluster does raises an error.
        """
        search_id = about.get("search_id") or new_search_id()
        if self._is_sampled(search_id, about):
            try:
                page = read_page(response, self.searcher.profile.for_platform(about.get("platform")))
                self._enqueue(
                    response, page, about, point_in_time=None, search_id=search_id, text=text, now_ms=now_ms
                )
            except Exception as e:  # a page that is not ours must not break the service that served it
                self._tally.failed("a served page cannot be read", e, dropped=1)
        return search_id

    def flush(self) -> None:
        """Write what is complete so far. A failure is counted and logged; the records stay."""
        self._buffer.flush()

    def close(self, timeout_s: float = 30.0) -> CaptureStats:
        """Wait for windows under way, write the rest, give back the point in time. Never raises."""
        with self._lock:
            if self._closed:
                return self.stats
            self._closed = True
            threads = list(self._threads)
        atexit.unregister(self.close)
        deadline = time.monotonic() + timeout_s
        try:
            for _ in threads:
                self._jobs.put(None, timeout=max(0.0, deadline - time.monotonic()))
        except queue.Full as e:
            self._tally.failed("windows are still waiting", e, dropped=self._jobs.qsize())
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.flush()
        self._buffer.abandon()
        try:
            self._point_in_time.close()
        except Exception as e:  # it expires by itself
            self._tally.failed("a point in time cannot be closed", e)
        return self.stats

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _is_sampled(self, search_id: str, about: About) -> bool:
        if unknown := about.keys() - About.__annotations__.keys():
            raise TypeError(f"unexpected keyword argument {min(unknown)!r}")
        sampled = not self._closed and is_sampled(
            self.sample,
            user_id=about.get("user_id"),
            session_id=about.get("session_id"),
            search_id=search_id,
            salt=self.salt,
        )
        self._tally.add(served=1, sampled=int(sampled))
        return sampled

    def _page(
        self,
        served: Profile,
        text: str,
        *,
        now_ms: int,
        size: int | None,
        filters: Mapping[str, Any] | None,
    ) -> tuple[Mapping[str, Any], Page, str | None]:
        """The page's response, the page, and the point in time it comes from."""
        body = search_body(
            served, text, now_ms=now_ms, size=size, filters=filters, scripts=self.searcher.scripts
        )
        response, point = self._ask(body)
        return response, read_page(response, served, size=body["size"]), point

    def _ask(self, body: dict[str, Any]) -> tuple[Mapping[str, Any], str | None]:
        """The page's response, and the point in time it comes from; None where the cluster gives none."""
        es, index = self.searcher.es, self.searcher.index
        if not self._points_refused:
            try:
                point = self._point_in_time.get()
                found = es.search(include_named_queries_score=True, pit={"id": point}, **body)
                return found.body, point
            except (ApiError, ServerError) as e:
                cause = e if isinstance(e, ApiError) else e.__cause__
                if not isinstance(cause, ApiError):
                    raise  # the cluster does not answer: asking again would make the user wait twice
                self._points_refused = cause.status_code in (401, 403, 405)
                self._point_in_time.forget()
                self._tally.failed("no page from a point in time", e)
        with server_errors(f"search in {index}"):
            return es.search(index=index, include_named_queries_score=True, **body).body, None

    def _enqueue(
        self,
        response: Mapping[str, Any],
        page: Page,
        about: About,
        *,
        point_in_time: str | None,
        search_id: str,
        text: str,
        now_ms: int,
    ) -> None:
        """Hand over the record of a page; nothing outside the page is proven before its window is there."""
        profile = self.searcher.profile.for_platform(about.get("platform"))
        record = CaptureRecord(
            search_id=search_id,
            query=text,
            now_ms=now_ms,
            index=self.searcher.index,
            profile=profile.name,
            profile_hash=profile.hash,
            k=about.get("size") or profile.k,
            total_hits=page.total_hits,
            window=0,
            rel_floor=NOTHING_PROVEN,
            items=page.items,
            platform=about.get("platform"),
            user_id=about.get("user_id"),
            session_id=about.get("session_id"),
            arm=about.get("arm"),
            filters=dict(about.get("filters") or {}),
            n_shards=int(response["_shards"]["total"]),
            took_ms=page.took_ms,
            execution=page.execution,
        )
        try:
            self._start()
            self._jobs.put_nowait(_Job(record, profile, point_in_time))
        except (queue.Full, RuntimeError) as e:  # RuntimeError: the process cannot start a thread
            self._tally.failed("the queue of windows is full", e, dropped=1)

    def _start(self) -> None:
        if self._threads:
            return
        with self._lock:
            if self._threads or self._closed:
                return
            for i in range(self._n_threads):
                thread = threading.Thread(target=self._work, name=f"rank-recorder-{i}", daemon=True)
                thread.start()
                self._threads.append(thread)
        atexit.register(self.close)

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=self._tick_s)
            except queue.Empty:
                pass
            else:
                if job is None:
                    return
                self._buffer.add(self._complete(job), job.profile)
            if self._buffer.due:
                self.flush()

    def _complete(self, job: _Job) -> CaptureRecord:
        """The record with its window, or with the page alone where that cannot be had."""
        try:
            return with_window(self.searcher, job.record, job.profile, job.point_in_time)
        except Exception as e:  # whatever happens to a window, the page is kept
            self._tally.failed("a window cannot be read", e, page_only=1)
            return job.record


def with_window(
    searcher: Searcher, record: CaptureRecord, profile: Profile, point_in_time: str | None
) -> CaptureRecord:
    """A record of a page, with the most relevant documents and the relevance floor added.

    Raises:
        ServerError: the window could not be read, or is of another moment than the page.
    """
    body = window_body(
        profile, record.query, now_ms=record.now_ms, size=profile.window, filters=record.filters
    )
    where: dict[str, Any] = (
        {"index": searcher.index} if point_in_time is None else {"pit": {"id": point_in_time}}
    )
    with server_errors(f"window in {searcher.index}"):
        response = searcher.es.search(include_named_queries_score=True, **where, **body).body
    most_relevant = read_page(response, profile).items
    if not same_moment(record.items, most_relevant):
        raise ServerError("Elasticsearch", f"{searcher.index} changed between page and window")
    served = {item.item_id for item in record.items}
    rest = (replace(item, rank=None, score=None) for item in most_relevant if item.item_id not in served)
    return replace(
        record,
        window=profile.window,
        rel_floor=most_relevant[-1].rel if len(most_relevant) >= profile.window else None,
        items=(*record.items, *rest),
    )
