"""`rank-cli boost`: what is published, how versions differ, and going back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli import _output as out
from ranking.cli._options import clock, profile_named
from ranking.cli.lint import lint_boost
from ranking.cli.plan import plan_execution

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from ranking.profile import Profile
    from ranking.published import Published, Version

app = typer.Typer(no_args_is_help=True, help="Published profiles.")
app.command("lint")(lint_boost)
app.command("plan-execution")(plan_execution)

Name = Annotated[str, typer.Argument(help="The name of a published profile.")]
Side = Annotated[str, typer.Argument(help="File, shipped or published name, NAME@VERSION or NAME@live.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]


@app.command("list")
def list_boosts(fmt: out.FormatOption = out.Format.table) -> None:
    """The live profiles.

    Example: rank-cli boost list --format json
    """
    from ranking.es import connect
    from ranking.published import list_published

    rows = [
        {
            "name": found.profile.name,
            "version": found.version,
            "hash": found.profile.hash,
            "formula": found.profile.summary,
            "execution": found.execution or found.profile.execution,
            "published_at": found.published_at,
            "canary": f"@{found.canary.version}, {found.canary.percent:g} %" if found.canary else None,
        }
        for found in list_published(connect())
    ]
    if fmt is out.Format.json:
        out.as_json({"profiles": rows})
    else:
        out.table(rows)


@app.command("show")
def show_boost(
    name: Annotated[str, typer.Argument(help="NAME for what is live, or NAME@VERSION.")],
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """One published profile: its file, scripts and templates, and the versions of its name.

    Example: rank-cli boost show additive@1
    """
    import yaml

    from ranking.es import connect
    from ranking.published import Published, find_published, read_history

    es = connect()
    found = find_published(es, name)
    versions = [_version_row(one) for one in read_history(es, found.profile.name)]
    live = found if isinstance(found, Published) else None
    content = found.profile.model_dump(mode="json", exclude_defaults=True)
    if fmt is out.Format.json:
        shown: dict[str, Any] = {
            "name": found.profile.name,
            "version": found.version,
            "hash": found.profile.hash,
            "published_at": found.published_at,
            "published_by": found.published_by,
            "profile": found.profile.model_dump(mode="json"),
            "scripts": {platform: script.as_dict() for platform, script in found.scripts.items()},
            "templates": dict(found.templates),
            "execution": found.execution or found.profile.execution,
            "live": live is not None,
            "changed_at": live.changed_at if live else None,
            "previous": live.previous if live else None,
            "canary": live.canary.as_dict() if live and live.canary else None,
            "versions": versions,
        }
        out.as_json(shown)
        return
    out.raw(yaml.safe_dump(content, sort_keys=False, allow_unicode=True).rstrip())
    for platform, script in found.scripts.items():
        out.note(f"script {script.id} ({platform})")
    for platform, template in found.templates.items():
        out.note(f"search template {template} ({platform})")
    if live is not None:
        canary = f"; canary: version {live.canary.version}, {live.canary.percent:g} %" if live.canary else ""
        out.note(f"live: version {live.version}, since {live.changed_at}{canary}")
    out.table(versions, title=f"\nversions of {found.profile.name}")


@app.command("diff")
def diff_boosts(before: Side, after: Side, fmt: out.FormatOption = out.Format.table) -> None:
    """The keys in which two profiles differ: files, shipped or published, any versions.

    Example: rank-cli boost diff control additive
    """
    from ranking.diff import diff_profiles

    old, new = _any_profile(before), _any_profile(after)
    rows = [row.as_dict() for row in diff_profiles(old, new)]
    if fmt is out.Format.json:
        out.as_json(
            {"before": before, "after": after, "same_formula": old.hash == new.hash, "differences": rows}
        )
        return
    if rows:
        out.table([{"key": row["key"], before: row["before"], f"{after} ": row["after"]} for row in rows])
    out.note(
        f"{before} ({old.hash}) and {after} ({new.hash}): "
        + ("the same formula" if old.hash == new.hash else f"{len(rows)} keys differ")
    )


@app.command("rollback")
def rollback_boost(
    name: Name,
    to: Annotated[int | None, typer.Option("--to", min=1, help="The version to make live.")] = None,
    yes: Yes = False,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Go back: end a running canary, else make live what was live before, or any version.

    Example: rank-cli boost rollback additive --to 1 --yes
    """
    from ranking.es import connect
    from ranking.publish import rollback
    from ranking.settings import get_settings

    es = connect()
    live = _live(es, name)
    what = (
        f"version {to} live"
        if to
        else f"version {live.version} live for all"
        if live.canary
        else f"version {live.previous} live"
    )
    if (to or live.canary or live.previous) and not yes and not typer.confirm(f"{name}: {what}?", err=True):
        out.note("nothing was changed")
        raise typer.Exit(1)
    done = rollback(es, live, now_ms=clock(None), to=to, publisher=get_settings().publisher)
    _say(done, live, fmt)


@app.command("promote")
def promote_boost(name: Name, yes: Yes = False, fmt: out.FormatOption = out.Format.table) -> None:
    """The canary serves everybody.

    Example: rank-cli boost promote additive --yes
    """
    from ranking.es import connect
    from ranking.publish import promote
    from ranking.settings import get_settings

    es = connect()
    live = _live(es, name)
    if live.canary and not yes:
        question = f"{name}: version {live.canary.version} for everybody, now {live.canary.percent:g} %?"
        if not typer.confirm(question, err=True):
            out.note("nothing was changed")
            raise typer.Exit(1)
    _say(promote(es, live, now_ms=clock(None), publisher=get_settings().publisher), live, fmt)


@app.command("prune")
def prune_boosts(
    name: Annotated[str | None, typer.Argument(help="Only this name; all names by default.")] = None,
    keep: Annotated[int, typer.Option("--keep", min=1, help="Versions whose scripts stay, per name.")] = 3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")] = False,
    yes: Yes = False,
    fmt: out.FormatOption = out.Format.table,
) -> None:
    """Remove stored scripts and templates that only old versions use; their documents stay.

    Example: rank-cli boost prune --keep 5 --dry-run
    """
    from ranking.es import connect
    from ranking.prune import remove_scripts, unused_scripts

    es = connect()
    ids = unused_scripts(es, name=name, keep=keep)
    done = bool(ids) and not dry_run
    if fmt is out.Format.table:
        for one in ids:
            out.raw(one)
    if done and not yes and not typer.confirm(f"Remove {len(ids)} scripts?", err=True):
        out.note("nothing was removed")
        raise typer.Exit(1)
    if done:
        remove_scripts(es, ids)
    if fmt is out.Format.json:
        out.as_json({"scripts": ids, "removed": done})
    out.note(f"{len(ids)} scripts {'removed' if done else 'that no kept version needs'}")


def _live(es: Elasticsearch, name: str) -> Published:
    from ranking.errors import ConfigError
    from ranking.published import read_published

    found = read_published(es, name)
    if found is None:
        raise ConfigError(
            name, ["no profile of that name is published"], hint="list them: rank-cli boost list"
        )
    return found


def _any_profile(text: str) -> Profile:
    """A file or shipped profile without asking a server; else a published one."""
    from ranking.es import connect
    from ranking.profile import find_profile

    own = text.endswith((".yaml", ".yml", ".json")) or "/" in text
    if own or "@" not in text:
        from ranking.errors import ConfigError

        try:
            return find_profile(text)
        except ConfigError:
            if own:
                raise
    return profile_named(connect(), text)


def _version_row(one: Version) -> dict[str, Any]:
    return {
        "version": one.version,
        "hash": one.profile.hash,
        "formula": one.profile.summary,
        "published_at": one.published_at,
        "published_by": one.published_by,
    }


def _say(done: Version, live: Published, fmt: out.Format) -> None:
    if fmt is out.Format.json:
        out.as_json({"name": done.profile.name, "live_version": done.version, "was": live.version})
    out.note(f"{done.label} is live for everybody (was {live.label}): {done.profile.summary}")
