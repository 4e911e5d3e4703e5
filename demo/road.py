"""The main job, end to end, on real engines: ingest, score, search, capture, replay, report.

Items go through Kafka, are scored on Triton and land in Elasticsearch under deployed templates; visits are
served by the control, additive and multiplicative formulas, a user always by the same one; each search is
captured; the replay recomputes them bit for bit and shows what the other formulas would have served. Buyers,
their clicks and their grades are simulated.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from demo.ingest import FAMILY, count, fresh_index, ingest
from demo.progress import Bar, Note, Stage, no_bar
from demo.visits import BASELINE, CONTENDERS, serve, simulate_buyers
from marketplace import Marketplace, from_photos, generate
from ranking.clock import DAY_MS, now_ms
from ranking.es import connect
from ranking.profile import builtin_profiles
from ranking.settings import get_settings
from replay import compare_rankings, rank, read_log, verify, verify_live
from replay.judgments import read_judgments
from replay.significance import DIMENSIONS

LATER_MS = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the demo runs on."""

    photos: Path | None = None  # real photos; None makes up a marketplace
    labels: tuple[Path, ...] = ()
    queries: Path | None = None  # real queries, whose lengths are followed
    n_items: int | None = None  # 1,500 made up, or every photo
    n_searches: int = 900
    seed: int = 7
    report: Path | None = None  # STATE/demo/report.html by default


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo did; `parity` is that of `replay verify` on its captures."""

    items_published: int
    items_indexed: int
    items_scored: int
    searches_captured: int
    parity: dict[str, int]
    live: dict[str, int]
    clicks_simulated: int
    captures: str
    report: str
    elapsed_s: float

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)


def run_demo(
    options: DemoOptions | None = None, *, note: Note = lambda _message: None, bar: Bar | None = None
) -> DemoResult:
    """Run the whole road once.

    Args:
        options: what to run it on.
        note: told what is being done, a sentence at a time.
        bar: makes a progress bar for a label and a total.

    Raises:
        RankError: an engine cannot be started or refuses, or the photos cannot be used.
    """
    from stack import up

    options = options or DemoOptions()
    bar = bar or no_bar
    say = Stage(note)
    up()
    get_settings.cache_clear()
    settings = get_settings()
    folder = settings.state_dir / "demo"
    say("engines are up")

    clock = now_ms()
    market = _marketplace(options, folder, clock, bar)
    for problem in market.problems[:5]:
        say(problem)
    say(f"{market.name}: {len(market.items)} items, {len(market.queries)} queries")

    es = connect(settings)
    fresh_index(es)
    say(f"templates applied, index {FAMILY} is fresh")
    published, scored_by = ingest(market, photo_root=_photo_root(options, folder), say=say, bar=bar)
    indexed, scored = count(es)
    say(f"published {published}, indexed {indexed}, scored {scored} by {scored_by}")

    captures = folder / "captures"
    shutil.rmtree(captures, ignore_errors=True)
    visits = market.searches(options.n_searches, np.random.default_rng([options.seed, 2]))
    records = serve(es, visits, captures, bar)
    clicks = simulate_buyers(market, visits, records, captures, options.seed)
    say(f"captured {len(records)} searches under {len(CONTENDERS) + 1} profiles, {clicks} simulated clicks")

    log = read_log(captures)
    parity = verify(log)
    live = verify_live(es, log, limit=100)
    say(
        f"replay: {parity.bit_equal} of {parity.scores} scores bit-equal, "
        f"{parity.identical_topk} of {parity.searches} pages identical"
    )
    judgments = read_judgments(captures)
    profiles = builtin_profiles()
    before = rank(log, profiles[BASELINE])
    sides = [(before, rank(log, profiles[name])) for name in CONTENDERS]
    before, after = (rank(log, profiles[name], clock_shift_ms=LATER_MS) for name in (BASELINE, CONTENDERS[0]))
    comparisons = [
        compare_rankings(log, one, two, judgments, dimensions=DIMENSIONS)
        for one, two in (*sides, (before, after))
    ]

    from replay.reporting import write_report

    report = write_report(
        log,
        captures,
        comparisons,
        parity,
        live=live,
        judgments=judgments,
        out=options.report or folder / "report.html",
        es=es,
        photo_root=_photo_root(options, folder),
        currency="¥",
    )
    say(f"report: {report}")
    return DemoResult(
        items_published=published,
        items_indexed=indexed,
        items_scored=scored,
        searches_captured=len(records),
        parity={
            "scores": parity.scores,
            "bit_equal": parity.bit_equal,
            "searches": parity.searches,
            "identical_topk": parity.identical_topk,
        },
        live={"scores": live.scores, "bit_equal": live.bit_equal, "searches": live.searches},
        clicks_simulated=clicks,
        captures=str(captures),
        report=str(report),
        elapsed_s=round(say.elapsed_s, 1),
    )


def _photo_root(options: DemoOptions, folder: Path) -> Path:
    return (options.photos or folder / "photos").resolve()


def _marketplace(options: DemoOptions, folder: Path, clock: int, bar: Bar) -> Marketplace:
    done = 0
    n_items = options.n_items or (1_500 if options.photos is None else None)
    with bar("photos", n_items) as advance:

        def progress(n: int, _total: int) -> None:
            nonlocal done
            advance(n - done)
            done = n

        if options.photos is None:
            return generate(
                n_items or 0,
                seed=options.seed,
                now_ms=clock,
                photo_dir=(folder / "photos").resolve(),
                queries_file=options.queries,
                progress=progress,
            )
        return from_photos(
            options.photos,
            list(options.labels) or None,
            n_items=n_items,
            seed=options.seed,
            now_ms=clock,
            queries_file=options.queries,
            progress=progress,
        )
