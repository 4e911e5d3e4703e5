"""A million users from file to every table of `ab analyze`; t values beside scipy on the same arrays."""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from scipy import stats

from replay import ab

N_USERS = 1_000_000


def run() -> dict[str, Any]:
    table = ab.simulate_users(N_USERS, seed=1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = {}
    with tempfile.TemporaryDirectory() as temporary:
        for kind in ("parquet", "csv"):
            path = Path(temporary) / f"users.{kind}"
            ab.write_users(path, table)
            began = time.perf_counter()
            users = ab.read_users(path)
            read = time.perf_counter()
            found = ab.analyze(users)
            seconds[kind] = {
                "read_s": round(read - began, 2),
                "analyze_s": round(time.perf_counter() - read, 2),
            }
    one = found.find("ATPU", "additive", "web")
    arms = [users.columns["purchases"][users.span(name, "web")] for name in ("additive", "control")]
    theirs = stats.ttest_ind(*arms, equal_var=False)
    assert one.t is not None
    return {
        "what": "simulated users from file to every result of ab analyze",
        "users": N_USERS,
        "results": len(found.results),
        "seconds": seconds,
        "memory_above_the_made_table_mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        // 1024,
        "t": one.t,
        "t_minus_scipys": one.t - float(theirs.statistic),
    }
