"""What `replay run` does to a log before it ranks: reconstruct it, ask again; and its words on clocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ranking.cli import _output as out
from ranking.cli._options import duration

if TYPE_CHECKING:
    from ranking.profile import Profile
    from replay.exact import Requeried
    from replay.history.asof import AsOfSummary
    from replay.log import CaptureLog
    from replay.moments import Moment


def moved_clocks(shifts: Sequence[str] | None) -> list[int]:
    """Milliseconds of each `--shift`; a minus sign is an earlier clock."""
    given = shifts or ["0"]
    return [
        -duration(text[1:], "--shift") if text.startswith("-") else duration(text, "--shift")
        for text in dict.fromkeys(given)
    ]


@contextmanager
def prepared(
    folder: Path,
    profiles: Sequence[Profile],
    shifts_ms: Sequence[int],
    *,
    baseline: str,
    history: Path | None,
    reconstruct: bool,
    require_exact: int | None,
    keep: Path | None,
    index: str | None,
) -> Iterator[tuple[Path, Requeried | None]]:
    """The folder to rank: the given one, or a copy whose searches were reconstructed or asked again."""
    from tempfile import TemporaryDirectory

    from ranking.cli.replay.reconstruct import rebuilt
    from ranking.errors import InputError
    from replay.exact import merge

    if keep is not None and not (reconstruct or require_exact):
        raise InputError("--keep goes with --reconstruct or --require-exact")
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise InputError(f"{keep} is not empty", hint="name a folder that is not there yet")
    asked = None
    with TemporaryDirectory(prefix="rank-replay-") as scratch:
        if reconstruct:
            target = keep if keep and not require_exact else Path(scratch) / "reconstructed"
            rebuilt(folder, target, baseline, history=history, index=index)
            folder = target
        if require_exact is not None:
            asked = _ask_again(folder, profiles, shifts_ms, require_exact, index)
            if asked.records or keep:
                folder = merge(folder, asked, keep or Path(scratch) / "requeried")
        yield folder, asked


def _ask_again(
    folder: Path, profiles: Sequence[Profile], shifts_ms: Sequence[int], k: int, index: str | None
) -> Requeried:
    from ranking.clock import format_time
    from ranking.es import connect
    from replay import read_log
    from replay.exact import MOST, requery

    log = read_log(folder)
    with out.progress("asking again what is not proven") as advance:
        asked = requery(connect(), log, profiles, k=k, shifts_ms=shifts_ms, index=index, advance=advance)
    out.note(
        f"{asked.unproven} of {asked.searches} searches were not proven down to {k}: {asked.requeried} asked "
        f"again"
        + (f", with the relevance of {format_time(asked.at_ms)} on both sides" if asked.requeried else "")
    )
    if asked.too_many:
        out.note(f"{len(asked.too_many)} of them would need more than {MOST} candidates: still not proven")
    if asked.unknown_profile:
        out.note(f"{asked.unknown_profile} cannot be asked: the log lacks the profile that served them")
    return asked


def base_query_note(log: CaptureLog, profiles: Sequence[Profile]) -> None:
    """Says where a profile would find by another base query than the one whose relevance was captured."""
    served = log.profiles.values()
    for profile in profiles:
        if any(one.base_query != profile.base_query for one in served):
            out.note(
                f"{profile.name} has another base query than a profile that served these searches: "
                "it is ranked with the captured relevance, so only its boosts are compared"
            )


def as_of_notes(moments: Sequence[Moment]) -> None:
    """How far a history agrees with the captures, and what it changed at each clock."""
    for n, at in enumerate(moments):
        if at.as_of is not None:
            _as_of_note(at.as_of, first=n == 0)


def _as_of_note(found: AsOfSummary, *, first: bool) -> None:
    differing = "".join(f"; {name} differs in {n - e}" for name, (e, n) in found.agreement.items() if e < n)
    compared = sum(n for _, n in found.agreement.values())
    if first:
        out.note(
            f"history: {found.known} of {found.candidates} candidates known; at the logged clock "
            f"{compared - found.disagreeing} of {compared} captured values agree with it{differing}"
        )
    if found.clock_shift_ms:
        by_field = ", ".join(f"{name} {n}" for name, n in found.changed.items() if n) or "none"
        out.note(
            f"clock {found.clock_shift_ms / 3_600_000:+g} h: {found.candidates_changed} candidates changed "
            f"({by_field}), {found.gone} sold or removed by then, {found.before_history} before their history"
        )
