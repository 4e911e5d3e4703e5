"""Runs the checks: each in a thread of its own with a time limit, those of an engine after it has answered.

A check that raises, hangs or may not look becomes a row like any other, so that one broken thing hides no
other. A thread that hangs is left behind; it is a daemon and ends with the process.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from doctor import captures, cluster, family, installation, kafka, login, nodes, profiles, triton
from doctor.finding import Area, Finding, Result, not_checked, problem
from doctor.options import Context, Options
from ranking.errors import InputError, RankError, ServerError

Look = Callable[[Context], "Result | list[Result]"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at."""

    name: str
    area: Area
    look: Look
    needs: tuple[str, ...] = ()  # checks that must have answered before


ES: Final = ("elasticsearch",)
CHECKS: Final[tuple[Check, ...]] = (
    Check("python", "installation", installation.python),
    Check("packages", "installation", installation.packages),
    Check("extra", "installation", installation.extras),
    Check("java", "installation", installation.java),
    Check("maven", "installation", installation.maven),
    Check("elasticsearch", "elasticsearch", cluster.reach),
    Check("login", "elasticsearch", login.login, ES),
    Check("privileges", "elasticsearch", login.privileges, ES),
    Check("modules", "elasticsearch", cluster.modules, ES),
    Check("plugin", "elasticsearch", cluster.plugin, ES),
    Check("health", "elasticsearch", cluster.health, ES),
    Check("clock", "elasticsearch", nodes.clock, ES),
    Check("scripts", "elasticsearch", nodes.scripts, ES),
    Check("disk", "elasticsearch", nodes.disk, ES),
    Check("shards", "elasticsearch", nodes.shards, ES),
    Check("templates", "index", family.templates, ES),
    Check("aliases", "index", family.aliases, ES),
    Check("mapping", "index", family.mapping, ES),
    Check("documents", "index", family.documents, ES),
    Check("rejected", "index", family.rejected, ES),
    Check("profile", "profiles", profiles.published, ES),
    Check("triton", "triton", triton.reach),
    Check("photo", "triton", triton.photo, ("triton",)),
    Check("model", "triton", triton.model, ("triton", "elasticsearch")),
    Check("kafka", "kafka", kafka.reach),
    Check("lag", "kafka", kafka.lag, ("kafka",)),
    Check("dead letters", "kafka", kafka.dead_letters, ("kafka",)),
    Check("captures", "captures", captures.age),
    Check("replay", "captures", captures.sample),
)


def examine(
    options: Options | None = None,
    *,
    only: Collection[str] = (),
    on_done: Callable[[int], object] = lambda _n: None,
) -> list[Finding]:
    """Look at everything, or at the named areas and checks and what they need; rows in the order of CHECKS.

    Args:
        options: what to look at.
        only: areas or names of checks.
        on_done: told 1 after each check.

    Raises:
        InputError: `only` names nothing that there is.
        ConfigError: the environment's settings cannot be read.
    """
    options = options or Options()
    chosen = chosen_checks(only)
    found: dict[str, list[Result]] = {}
    for name, results in _run(chosen, Context(options), options.timeout_s):
        found[name] = results
        on_done(1)
    return [
        Finding(f"{check.name} {result.about}".strip(), result.state, result.says, result.fix)
        for check in chosen
        for result in found[check.name]
    ]


def chosen_checks(only: Collection[str]) -> list[Check]:
    """The checks that `only` names, and those that they need.

    Raises:
        InputError: a name is neither an area's nor a check's.
    """
    known = {check.name for check in CHECKS} | {check.area for check in CHECKS}
    if unknown := sorted(set(only) - known):
        areas = ", ".join(dict.fromkeys(check.area for check in CHECKS))
        names = ", ".join(check.name for check in CHECKS)
        raise InputError(
            f"--only: there is no check {unknown[0]!r}", hint=f"areas are {areas}; checks are {names}"
        )
    wanted = {check.name for check in CHECKS if not only or check.name in only or check.area in only}
    wanted |= {need for check in CHECKS if check.name in wanted for need in check.needs}
    return [check for check in CHECKS if check.name in wanted]


def _run(
    checks: Sequence[Check], context: Context, timeout_s: float
) -> list[tuple[str, list[Result]]]:  # in the order in which they ended
    waiting = list(checks)
    deadlines: dict[str, float] = {}
    done: dict[str, list[Result]] = {}
    answers: queue.Queue[tuple[str, list[Result]]] = queue.Queue()
    while waiting or deadlines:
        for check in [one for one in waiting if all(need in done for need in one.needs)]:
            waiting.remove(check)
            failed = [need for need in check.needs if not _answered(done[need])]
            if failed:
                done[check.name] = [not_checked(f"needs {' and '.join(failed)}")]
                continue
            deadlines[check.name] = time.monotonic() + timeout_s
            threading.Thread(target=_look, args=(check, context, answers), daemon=True).start()
        if not deadlines:
            continue
        try:
            name, results = answers.get(timeout=max(0.0, min(deadlines.values()) - time.monotonic()))
        except queue.Empty:
            name = min(deadlines, key=lambda one: deadlines[one])
            results = [_too_late(name, checks, timeout_s)]
        if name in deadlines:  # not one that was given up before
            del deadlines[name]
            done[name] = results
    return list(done.items())


def _answered(results: list[Result]) -> bool:
    return all(result.state in ("ok", "warning") for result in results)


def _look(check: Check, context: Context, answers: queue.Queue[tuple[str, list[Result]]]) -> None:
    try:
        found = check.look(context)
        results = found if isinstance(found, list) else [found]
    except ImportError as e:
        results = [not_checked(f"the package {e.name} is not installed", installation.how_to_get(e.name))]
    except RankError as e:
        results = [_refused(e)]
    except Exception as e:  # a check that breaks is a row: the others are still of use
        results = [not_checked(f"the check itself failed: {type(e).__name__}: {e}")]
    answers.put((check.name, results))


def _refused(error: RankError) -> Result:
    says, fix = str(error), error.hint or ""
    if isinstance(error, ServerError):
        says = says.removeprefix(f"{error.engine}: ")
        if "(HTTP 403)" in says:
            return not_checked(f"this login may not look: {says}", fix)
        if "no address is known" in says:
            return not_checked(says, fix)
    return problem(says, fix)


def _too_late(name: str, checks: Sequence[Check], timeout_s: float) -> Result:
    says, fix = f"no answer in {timeout_s:g} s", "give it longer with --timeout-s"
    is_gate = any(name in check.needs for check in checks)
    return problem(says, fix) if is_gate else not_checked(says, fix)
