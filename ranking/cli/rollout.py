"""`rank-cli rollout`: a canary that grows while guardrails hold, and goes back where one is breached."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._options import IndexOption, clock, duration, index_name

if TYPE_CHECKING:
    from monitoring.rollout import Checked, Cluster, Evidence, Rules, State

app = typer.Typer(
    no_args_is_help=True, help="Guarded roll-out: a canary in steps, watched by guardrails, with an audit."
)

Name = Annotated[str, typer.Argument(help="The name of a published profile.")]
Captures = Annotated[Path, typer.Option("--captures", help="The folder that the service captures into.")]
Reason = Annotated[str, typer.Option("--reason", help="Kept in the audit.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")]
Moment = Annotated[
    str | None,
    typer.Option("--at", help="The moment to decide at, for simulated captures; this one by default."),
]


@app.command("start")
def start(
    profile: Annotated[
        str, typer.Argument(help="The new version: a file, or the name of a shipped profile.")
    ],
    steps: Annotated[str, typer.Option("--steps", help="Percent of users, rising to 100.")] = "1,5,20,50,100",
    min_hours: Annotated[
        float, typer.Option("--min-hours", min=0, help="That each step lasts at least.")
    ] = 24.0,
    guardrails: Annotated[
        Path | None, typer.Option("--guardrails", help="YAML; see docs/rollout.md. Usual ones by default.")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    index: IndexOption = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Publish a profile as a canary at the first step, under guardrails.

    Example: rank-cli rollout start sharper.yaml --steps 1,5,20,50,100 --guardrails rules.yaml
    """
    from monitoring.rollout import Plan, parse_steps, read_rules
    from monitoring.rollout import Rules as Guardrails
    from monitoring.rollout import start as begin
    from monitoring.rollout.run import describe
    from ranking.cli.apply_boost import check_rules
    from ranking.cli.lint import show_findings
    from ranking.lint import lint_before_publish, refuse
    from ranking.profile import find_profile

    plan = Plan(parse_steps(steps), min_hours, read_rules(guardrails) if guardrails else Guardrails())
    contender, now_ms = find_profile(profile), clock(None)
    check_rules(contender, now_ms)
    at = _cluster()
    refuse(show_findings(lint_before_publish(contender, at.es, index_name(index))))
    what = f"{contender.name} ({contender.hash}) to {plan.steps[0]:g} % of users, then {steps}"
    _note_rules(plan.rules, plan.compared)
    if dry_run:
        out.note(f"dry run: nothing was published; without it: publish {what}")
        if fmt is out.Format.json:
            out.as_json({"rollout": None, "plan": plan.as_dict()})
        return
    _ask(f"Publish {what}?", yes)
    state = begin(at, contender, plan, now_ms=now_ms)
    if fmt is out.Format.json:
        out.as_json(describe(state))
    out.note(f"started {state.label} at {state.percent:g} %: {state.last.reason}")
    out.note(f"next: rank-cli rollout check {state.name} --captures DIR, every hour or so")


@app.command("check")
def check(
    name: Name,
    captures: Captures,
    auto_rollback: Annotated[
        bool, typer.Option("--auto-rollback", help="End the canary where a guardrail is breached.")
    ] = False,
    dry_run: DryRun = False,
    watch: Annotated[bool, typer.Option("--watch", help="Check again and again, until it ends.")] = False,
    every: Annotated[str, typer.Option("--every", help="Between checks of --watch, such as 10m.")] = "10m",
    at: Moment = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Compare canary and control, and hold, advance or roll back. Meant for cron: twice is as once.

    Exit 0 where it holds or advances, 2 where a guardrail is breached or has ended it.

    Example: rank-cli rollout check additive --captures captures --auto-rollback
    """
    from monitoring.rollout import check as look
    from ranking.errors import InputError

    pause_s = duration(every, "--every") / 1000
    if watch and (at is not None or dry_run or pause_s < 1):
        raise InputError("--watch goes with --every 1s or more, and without --at and --dry-run")
    where = _cluster()

    def once() -> Checked:
        return look(where, name, captures, now_ms=clock(at), auto_rollback=auto_rollback, dry_run=dry_run)

    found = _watch(once, pause_s) if watch else once()
    if found is None:
        raise typer.Exit(0)
    if fmt is out.Format.json:
        out.as_json(found.as_dict())
    else:
        _show(found.evidence)
    _note(found)
    if found.bad:
        raise typer.Exit(2)


@app.command("status")
def status(
    name: Name,
    captures: Annotated[
        Path | None, typer.Option("--captures", help="Figures of this moment, rather than of the last check.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write one self-contained page here.")] = None,
    at: Moment = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Where the roll-out of a profile stands. Changes nothing.

    Example: rank-cli rollout status additive --captures captures --html rollout.html
    """
    from monitoring.rollout import find, look
    from monitoring.rollout.evidence import read_evidence
    from monitoring.rollout.run import describe
    from monitoring.rollout.state import found_done
    from monitoring.rollout.words import standing
    from ranking.clock import format_time
    from ranking.published import read_published

    where = _cluster()
    state = find(where, name)
    seen, when = None, ""
    if captures is not None and state.ended is None:
        seen = look(state, captures, now_ms=clock(at))
    elif kept := [one.figures for one in state.entries if one.figures]:
        seen = read_evidence(kept[-1])
        when = f"figures as of {format_time(seen.until_ms)}; --captures DIR gives those of this moment"
    lacking = found_done(state, read_published(where.es, name))
    if html is not None:
        from monitoring.rollout.page import write_page

        out.note(f"wrote {write_page(state, seen, html)}")
    if fmt is out.Format.json:
        out.as_json(
            {
                **describe(state),
                "evidence": None if seen is None else seen.as_dict(),
                "not_in_the_audit": None if lacking is None else lacking.as_dict(),
            }
        )
    else:
        _show(seen)
    if when:
        out.note(when)
    out.note(standing(state))
    if lacking is not None:
        out.note(f"not in the audit yet ({lacking.reason}): the next check writes it down")


@app.command("pause")
def pause_rollout(
    name: Name, reason: Reason = "paused by hand", fmt: out.FormatOption = out.Format.table
) -> None:
    """Stop advancing. Guardrails are watched all the same.

    Example: rank-cli rollout pause additive --reason "a sale begins"
    """
    from monitoring.rollout import pause

    _say(pause(_cluster(), name, now_ms=clock(None), reason=reason), fmt)


@app.command("resume")
def resume_rollout(
    name: Name, reason: Reason = "resumed by hand", fmt: out.FormatOption = out.Format.table
) -> None:
    """Go on after a pause, or after a breach that was looked into.

    Example: rank-cli rollout resume additive --reason "the sale is over"
    """
    from monitoring.rollout import pause

    _say(pause(_cluster(), name, now_ms=clock(None), reason=reason, resume=True), fmt)


@app.command("abort")
def abort_rollout(
    name: Name, reason: Reason = "aborted by hand", yes: Yes = False, fmt: out.FormatOption = out.Format.table
) -> None:
    """End the canary: the version that was live before serves everybody.

    Example: rank-cli rollout abort additive --reason "photos of the new camera look wrong" --yes
    """
    from monitoring.rollout import abort

    _ask(f"End the canary of {name}?", yes)
    _say(abort(_cluster(), name, now_ms=clock(None), reason=reason), fmt)


@app.command("history")
def history(
    name: Annotated[str | None, typer.Argument(help="A profile, or one roll-out such as NAME@3.")] = None,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """The audit: every entry of a profile's roll-outs, or a line for each roll-out there was.

    Example: rank-cli rollout history additive --format json
    """
    from monitoring.rollout.audit import read_entries, rollouts
    from monitoring.rollout.run import describe
    from monitoring.rollout.state import fold
    from monitoring.rollout.words import entry_rows, standing
    from ranking.errors import InputError

    es = _cluster().es
    chosen = [one for one in rollouts(es) if name is None or name in (one, one.rpartition("@")[0])]
    if name is not None and not chosen:
        raise InputError(f"there is no roll-out of {name}", hint="list them: rank-cli rollout history")
    found = [state for one in chosen if (state := fold(read_entries(es, one))) is not None]
    if fmt is out.Format.json:
        entries = [[one.as_dict() for one in state.entries] for state in found]
        listed = [
            describe(state) | ({} if name is None else {"audit": rows})
            for state, rows in zip(found, entries, strict=True)
        ]
        out.as_json({"rollouts": listed})
    elif name is None:
        keys = ("rollout", "state", "percent", "step_began", "entries")
        out.table([{key: row[key] for key in keys} for row in map(describe, found)])
    else:
        for state in found:
            out.table(entry_rows(state.entries), title=f"\n{state.label}")
            out.note(standing(state))


@app.command("simulate")
def simulate(
    name: Name,
    captures: Annotated[Path, typer.Argument(help="The capture folder to append to.")],
    users: Annotated[int, typer.Option("--users", min=2, help="Of both arms.")] = 20_000,
    hours: Annotated[float, typer.Option("--hours", min=0.1, help="Since the step began.")] = 24.0,
    clicks: Annotated[float, typer.Option("--clicks", min=0, help="Multiplies the canary's clicks.")] = 1.0,
    purchases: Annotated[
        float, typer.Option("--purchases", min=0, help="Multiplies the canary's purchases.")
    ] = 1.0,
    took: Annotated[float, typer.Option("--took", min=0, help="Multiplies the canary's server time.")] = 1.0,
    failed: Annotated[
        float, typer.Option("--failed", min=0, max=1, help="Added to the canary's share of failed searches.")
    ] = 0.0,
    seed: Annotated[int, typer.Option("--seed", help="Of the draw.")] = 1,
) -> None:
    """Write captures of simulated users of the step that runs, to try guardrails on.

    Example: rank-cli rollout simulate additive simulated-captures --hours 24 --clicks 0.8
    """
    from monitoring.rollout import find
    from monitoring.rollout.simulate import Effect, write_simulated
    from ranking.canary import Canary
    from ranking.clock import format_time
    from ranking.errors import InputError

    state = find(_cluster(), name)
    if state.ended is not None:
        raise InputError(f"the roll-out {state.label} has ended: {state.ended}")
    began_ms = state.step_began_ms + state.plan.rules.settle_ms
    with out.progress("simulated searches") as advance:
        n = write_simulated(
            captures,
            Canary(state.version, state.percent, state.label),
            users=users,
            began_ms=began_ms,
            hours=hours,
            effect=Effect(clicks=clicks, purchases=purchases, took=took, failed=failed),
            seed=seed,
            advance=advance,
        )
    until = format_time(began_ms + round(hours * 3_600_000))
    out.note(f"wrote {n} searches of {users} simulated users to {captures}, until {until}")
    out.note(f"next: rank-cli rollout check {name} --captures {captures} --at {until}")


def _cluster() -> Cluster:
    from getpass import getuser

    from monitoring.rollout import Cluster
    from ranking.es import connect
    from ranking.settings import get_settings

    try:
        who = get_settings().publisher or getuser()
    except (KeyError, OSError):  # a container's user without a name
        who = None
    return Cluster(connect(), by=who)


def _watch(once: Any, pause_s: float) -> Checked | None:
    """Check until it ends or is breached; what fails in between is tried again. None: interrupted."""
    import time

    from ranking.clock import format_time, now_ms
    from ranking.errors import ServerError, StalePlan

    try:
        while True:
            try:
                found: Checked = once()
            except (ServerError, StalePlan) as e:
                out.note(f"{format_time(now_ms())} {e}; tried again in {pause_s:g} s")
            else:
                if found.bad or found.state.ended is not None:
                    return found
                out.note(format_time(now_ms()))
                _note(found)
            time.sleep(pause_s)
    except KeyboardInterrupt:
        out.note("stopped; the canary stays as it is")
        return None


def _show(seen: Evidence | None) -> None:
    from monitoring.rollout.words import finding_rows

    if seen is None:
        return
    rows = finding_rows(seen)
    out.table(rows, title="(simulated users)" if seen.simulated else None, right=list(rows[0])[2:])


def _note(found: Checked) -> None:
    from monitoring.rollout.words import outcome, people

    if found.repaired is not None:
        out.note(f"the audit lacked: {found.repaired.reason}")
    if found.evidence is not None:
        out.note(people(found.evidence))
    out.note(outcome(found))


def _note_rules(rules: Rules, n_steps: int) -> None:
    out.note(
        f"{len(rules.guardrails)} guardrails, each at {rules.level(n_steps):.3g} in each of {n_steps} steps: "
        f"a canary at its margins is rolled back with probability {rules.alpha:g} at most"
    )


def _ask(question: str, yes: bool) -> None:
    if not yes and not typer.confirm(question, err=True):
        out.note("nothing was changed")
        raise typer.Exit(1)


def _say(state: State, fmt: out.Format) -> None:
    from monitoring.rollout.run import describe
    from monitoring.rollout.words import standing

    if fmt is out.Format.json:
        out.as_json(describe(state))
    out.note(standing(state))
