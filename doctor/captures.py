"""The capture folder: how old its last file is, and whether a sample of it replays bit for bit."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

import numpy as np

from doctor.finding import Result, not_checked, ok, problem, warning
from doctor.options import Context
from ranking.capture import part_files
from ranking.clock import DAY_MS

OLD_DAYS: Final = 1.0
SAMPLE: Final = 200  # searches
_ASK: Final = "name the folder with --captures"


def age(context: Context) -> Result:
    """Files, days, and the age of the newest."""
    if (folder := context.options.captures) is None:
        return not_checked("no capture folder is named", _ASK)
    if not folder.is_dir():
        return problem(f"{folder} is no folder", "rank-cli replay record, or ranking.recorder in the service")
    files = _files(folder)
    if not files:
        return problem(f"{folder} holds no captured search", "rank-cli replay record, or ranking.recorder")
    days = (context.options.clock() - files[-1].stat().st_mtime * 1000) / DAY_MS
    partial = list((folder / "searches").glob("day=*/.*.partial"))
    says = f"{len(files)} files in {folder}, the last written {days:.1f} days ago"
    if partial:
        return warning(f"{says}; {len(partial)} half-written ones", f"rm {partial[0]} once no writer runs")
    if days > OLD_DAYS:
        return warning(says, "see that the service still captures: Recorder.stats counts what it drops")
    return ok(says)


def sample(context: Context) -> Result:
    """The searches of the newest file, recomputed."""
    from replay.log import read_log
    from replay.parity import verify

    folder = context.options.captures
    files = [] if folder is None else _files(folder)
    if folder is None or not files:
        return not_checked("there are no captures", _ASK)
    with tempfile.TemporaryDirectory() as scratch:
        part = Path(scratch)
        day = part / "searches" / files[-1].parent.name
        day.mkdir(parents=True)
        shutil.copyfile(files[-1], day / files[-1].name)
        if (folder / "profiles").is_dir():
            shutil.copytree(folder / "profiles", part / "profiles")
        log = read_log(part)
        n = min(SAMPLE, len(log))
        parity = verify(log.pick(np.arange(len(log) - n, len(log))), threads=1)
    says = f"{parity.bit_equal} of {parity.scores} scores of the last {n} searches are bit-equal"
    fix = f"rank-cli replay verify {folder}"
    if parity.imported == n:
        return ok(f"the last {n} searches were imported: their log does not say which formula served")
    if not parity.holds:
        unknown = f"; {parity.unknown_profile} have an unknown profile" if parity.unknown_profile else ""
        return problem(f"{says}{unknown}", fix)
    return ok(says)


def _files(folder: Path) -> list[Path]:
    """Capture files, the one written last at the end."""
    return sorted(part_files(folder), key=lambda path: path.stat().st_mtime)
