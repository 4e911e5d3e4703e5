"""The last step of `apply-boost`: what publishing would do, the question, and the deed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from ranking.cli import _output as out

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from ranking.profile import Profile
    from ranking.published import Published


def publish_asking(
    es: Elasticsearch,
    contender: Profile,
    live: Published | None,
    *,
    now_ms: int,
    canary: float | None,
    dry_run: bool,
    yes: bool,
) -> dict[str, Any]:
    """Ask, and publish; what happened, for the JSON."""
    from ranking.publish import change_percent, promote, publish
    from ranking.settings import get_settings

    done: dict[str, Any] = {"action": "nothing", "published_version": None, "canary": None}
    action, words = _plan(es, contender, live, canary)
    if action == "nothing" or dry_run:
        out.note(words if action == "nothing" else f"dry run: nothing was published; without it: {words}")
        return done
    if not yes and not typer.confirm(f"{words[0].upper()}{words[1:]}?", err=True):
        out.note("nothing was published")
        raise typer.Exit(1)
    done["action"], who = action, get_settings().publisher
    if action == "share" and live is not None and canary is not None:
        changed = change_percent(es, live, canary, now_ms=now_ms, publisher=who)
        done["canary"] = changed.as_dict()
        out.note(f"the canary {contender.name}@{changed.version} serves {changed.percent:g} % of users now")
    elif action == "promote" and live is not None:
        out.note(f"{promote(es, live, now_ms=now_ms, publisher=who).label} is live for everybody")
    else:
        version = publish(es, contender, now_ms=now_ms, replaces=live, canary_percent=canary, publisher=who)
        label = f"{contender.name}@{version}"
        done["published_version"] = version
        if canary is not None:
            done["canary"] = {"version": version, "percent": canary, "salt": label}
        out.note(f"published {label}" + (f" to {canary:g} % of users" if canary is not None else ""))
        _say_execution(es, contender)
        _say_templates(es)
    return done


def _plan(
    es: Elasticsearch, contender: Profile, live: Published | None, canary: float | None
) -> tuple[str, str]:
    """What publishing would do (`nothing`, `share`, `promote`, `publish`), and in words."""
    from ranking.published import read_version

    name = contender.name
    running = live.canary if live else None
    if live is not None and live.profile == contender and _served_as_now(es, live):
        if running is None:
            return "nothing", f"{name} is live already, version {live.version}: nothing to publish"
        return "nothing", (
            f"{name} is the baseline beside canary version {running.version}: nothing to publish; "
            f"`rank-cli boost rollback {name}` ends the canary"
        )
    if running is not None and read_version(es, name, running.version).profile == contender:
        if canary is None:
            return "promote", f"serve the canary {name}@{running.version} to everybody"
        if canary == running.percent:
            return "nothing", f"the canary {name}@{running.version} serves {canary:g} % already"
        return (
            "share",
            f"serve {canary:g} % of users with {name}@{running.version}, now {running.percent:g} %",
        )
    share = "" if canary is None else f" to {canary:g} % of users"
    ends = f", in place of canary version {running.version}" if running else ""
    return "publish", f"publish {name} ({contender.hash}){share}{ends}"


def _served_as_now(es: Elasticsearch, live: Published) -> bool:
    """Whether publishing it again would serve it as it is served: the plugin may have come or gone."""
    from ranking.publish import serving

    return serving(es, live.profile).execution == (live.execution or live.profile.execution)


def _say_execution(es: Elasticsearch, profile: Profile) -> None:
    from ranking.publish import serving

    if profile.execution == "plugin" and serving(es, profile).execution != "plugin":
        out.note(
            "served by its script, with the same scores: not every node runs rank_boost in one version; "
            "publish again once `rank-cli plugin status` says it is"
        )
    elif profile.execution == "plugin":
        out.note("served natively by rank_boost; the document keeps the bodies without it as fallback_bodies")


def _say_templates(es: Elasticsearch) -> None:
    from ranking.features import find_features

    if not find_features(es).mustache:
        out.note("no search template: this cluster has no lang-mustache; --print-query --stored gives a body")
