"""The backfill under `kill -9`, alone and with an engine: `python -m tests.faults.backfill [VICTIMS...]`.

An index of items without a score, `rank-cli ingest backfill` as a process that a supervisor starts again
until it says that it is done, a kill once a quarter is scored, and then each item held to its photo's own
score. The backfill does not use Kafka. A whole run goes into benchmarks/results/faults_backfill.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from elasticsearch import ApiError, Elasticsearch, TransportError, helpers

from ranking import fields
from tests.faults.audit import SCORE_TOLERANCE
from tests.faults.family import index_family, n_writes
from tests.faults.messages import T0, make_workload
from tests.faults.processes import Backfill, wait_until
from tests.faults.run import Ground

VICTIMS: Final = ("backfill", "triton", "elasticsearch")
CASES: Final = {"_".join(names): names for k in (1, 2) for names in combinations(VICTIMS, k)}
TARGET: Final = Path(__file__).parents[2] / "benchmarks" / "results" / "faults_backfill.json"
DOWN_S: Final = 3.0
N_MESSAGES: Final = 900  # some 400 items
PER_S: Final = 40  # slow enough that a kill meets a backfill at work
MAX_STARTS: Final = 30


@dataclass(slots=True)
class Figures:
    """What one run came to."""

    items: int
    scored: int = 0
    wrong: int = 0  # items with another score than their photo's own
    writes: int = 0  # operations that the index took after the items were put there
    written_twice: int = 0
    starts: int = 0  # of the backfill
    at_kill: int = 0  # items that were scored when it was killed
    seconds: float = 0.0

    def problems(self) -> list[str]:
        """What must not be, in words."""
        found = [f"{self.items - self.scored} items have no score"] if self.scored != self.items else []
        if self.wrong:
            found.append(f"{self.wrong} scores are not their photo's")
        if self.written_twice:
            found.append(f"{self.written_twice} items were written twice")
        return found


def run_backfill(ground: Ground, victims: Sequence[str]) -> Figures:
    """One backfill that is killed, with engines or without, and started again until it is done."""
    work = make_workload(ground.folder, N_MESSAGES)
    photos = {item: wanted.photo for item, wanted in work.items.items() if wanted.photo is not None}
    with index_family(ground.es) as name:
        _put(ground.es, name, photos)
        figures = Figures(items=len(photos))
        began = time.monotonic()
        logs = ground.folder / "logs" / "backfill"
        logs.mkdir(parents=True, exist_ok=True)
        words = ["--index", name, "--photos-root", str(work.root), "--at", str(T0 + 1), "--page", "16"]
        words += ["--max-per-second", str(PER_S)]

        def start() -> Backfill:
            figures.starts += 1
            return Backfill(words, logs, f"{'_'.join(victims)}-{figures.starts}")

        process = start()
        wait_until(
            lambda: _n_scored(ground.es, name) >= len(photos) // 4,
            120,
            lambda: f"{_n_scored(ground.es, name)} of {len(photos)} scored: {process.last_words()}",
        )
        figures.at_kill = _n_scored(ground.es, name)
        for victim in victims:
            if victim == "backfill":
                process.kill()
            else:
                ground.engines.kill(victim)
        if engines := [victim for victim in victims if victim != "backfill"]:
            time.sleep(DOWN_S)
            ground.engines.start(engines)
        while (status := process.wait(240)) != 0:
            if figures.starts == MAX_STARTS:
                raise RuntimeError(
                    f"the backfill ended {MAX_STARTS} times, with {status}: {process.last_words()}"
                )
            time.sleep(0.5)
            process = start()
        figures.seconds = round(time.monotonic() - began, 1)
        _audit(ground, name, work.root, photos, figures)
    return figures


def _audit(ground: Ground, name: str, root: Path, photos: dict[str, str], figures: Figures) -> None:
    ground.es.indices.refresh(index=name)
    got = {
        hit["_id"]: hit["_source"][fields.IMAGE_SCORE]
        for hit in helpers.scan(
            ground.es, index=name, query={"query": {"exists": {"field": fields.IMAGE_SCORE}}}
        )
    }
    figures.scored = len(got)
    right = dict(zip(photos, ground.scores(root, list(photos.values())), strict=True))
    figures.wrong = sum(abs(score - right[item]) > SCORE_TOLERANCE for item, score in got.items())
    figures.writes = n_writes(ground.es, name) - len(photos)
    figures.written_twice = max(0, figures.writes - figures.scored)


def _put(es: Elasticsearch, name: str, photos: dict[str, str]) -> None:
    actions = [
        {
            "_index": name,
            "_id": item,
            "version": T0 - n,
            "version_type": "external_gte",
            "_source": {
                fields.ITEM_ID: item,
                fields.TITLE: f"dress {n}",
                fields.STATUS: "on_sale",
                fields.CATEGORY: "dress",
                fields.CREATED_AT: T0 - n,
                fields.UPDATED_AT: T0 - n,
                fields.IMAGE_URL: photo,
            },
        }
        for n, (item, photo) in enumerate(photos.items())
    ]
    helpers.bulk(es, actions, refresh=True)


def _n_scored(es: Elasticsearch, name: str) -> int:
    try:
        es.indices.refresh(index=name)
        return int(es.count(index=name, query={"exists": {"field": fields.IMAGE_SCORE}})["count"])
    except (ApiError, TransportError):
        return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run them; 0 where all is well."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.backfill", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *CASES], metavar="VICTIMS", help=", ".join(CASES))
    asked = parser.parse_args(argv)
    ground = Ground()
    rows: list[dict[str, Any]] = []
    for name in asked.names or CASES:
        print(name, file=sys.stderr)
        try:
            figures = run_backfill(ground, CASES[name])
        except (RuntimeError, TimeoutError) as e:
            rows.append({"killed": name, "problems": [str(e)]})
        else:
            rows.append({"killed": name, **asdict(figures), "problems": figures.problems()})
        print(f"  {', '.join(rows[-1]['problems']) or 'all well'}", file=sys.stderr)
    result = {"what": "items without a score, and a backfill that is killed at a quarter", "runs": rows}
    print(json.dumps(result, indent=2))
    if not asked.names:
        TARGET.write_text(json.dumps(result, indent=2) + "\n")
    return 1 if any(row["problems"] for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
