"""The index family: its templates and scripts, its aliases, its mapping, and what its documents lack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from elasticsearch import NotFoundError

from doctor.finding import Result, not_checked, ok, problem, warning
from doctor.options import Context
from index_templates import desired_state, index_status, plan_steps, read_live
from index_templates.index import failure_alias, write_alias
from ranking import fields
from ranking.errors import ServerError
from ranking.es import server_errors

COVERED: Final = 0.9  # share of items on sale with a score, below which a warning is due
NEEDED: Final = (fields.ITEM_ID, fields.TITLE, fields.CREATED_AT, fields.IMAGE_SCORE, fields.STATUS)


def templates(context: Context) -> Result:
    """Templates, pipeline and stored scripts against the files."""
    family = context.family
    wanted = desired_state(family)
    live = read_live(context.es, wanted)
    apply, plan = (f"rank-cli templates {verb} --index {family}" for verb in ("apply", "plan"))
    if all(live[one.key] is None for one in wanted if one.kind != "script"):
        return problem(f"nothing of the family {family!r} is in the cluster", f"{apply}; or set RANK_INDEX")
    steps = plan_steps(wanted, live)
    if lacking := [step.name for step in steps if step.action == "create"]:
        return problem(f"missing: {', '.join(lacking)}", apply)
    if steps:
        names = ", ".join(step.name for step in steps)
        return warning(f"not as the files say: {names}", f"{plan} shows the difference, {apply} writes it")
    return ok(f"{len(wanted)} resources are as the files say")


def aliases(context: Context) -> Result:
    """One index behind both aliases, writable, of the template's shape."""
    family, es = context.family, context.es
    create = f"rank-cli index create --index {family}"
    with server_errors(f"read the aliases of {family}"):
        if not es.indices.exists(index=family):
            return problem(f"there is no index or alias {family!r}", create)
        try:
            found = dict(es.indices.get_alias(name=[family, write_alias(family)]).body)
        except NotFoundError as e:  # one of the two is missing; the answer has the other beside the error
            found = {name: one for name, one in dict(e.body).items() if isinstance(one, dict)}
    behind = {
        alias: sorted(name for name, held in found.items() if alias in held.get("aliases", ()))
        for alias in (family, write_alias(family))
    }
    reads, writes = behind.values()
    if not reads:
        return problem(
            f"{family!r} is an index, not an alias: it cannot be migrated", "reindex into the family"
        )
    if len(reads) > 1:
        return problem(f"{family} points at {', '.join(reads)}", "take all but one out of the alias")
    if not writes:
        return problem(f"the alias {write_alias(family)} is missing", create)
    if writes != reads:
        says = f"{family} points at {reads[0]}, {write_alias(family)} at {', '.join(writes)}"
        return problem(says, "point both at one index: POST _aliases")
    return _index_behind(context, reads[0])


def _index_behind(context: Context, name: str) -> Result:
    family, es = context.family, context.es
    with server_errors(f"read the settings of {name}"):
        settings = es.indices.get_settings(index=name, flat_settings=True)[name]["settings"]
    for block in ("read_only_allow_delete", "read_only", "write"):
        if settings.get(f"index.blocks.{block}") == "true":
            cleared = f'PUT {name}/_settings {{"index.blocks.{block}": null}}'
            return problem(f"{name} takes no writes (index.blocks.{block})", cleared)
    try:
        status = next((one for one in index_status(es, family) if one.index == name), None)
    except ServerError as e:
        if "(HTTP 403)" not in str(e):
            raise
        return ok(f"{family} and {write_alias(family)} point at {name}")
    if status is None:
        numbers = f"{family}-000001, {family}-000002, ..."
        return warning(
            f"{name} is none of {numbers}: `index migrate` cannot move it", "reindex into the family"
        )
    says = f"{family} and {write_alias(family)} point at {name}, {status.docs} documents, {status.health}"
    if status.current is None or status.is_current:
        return ok(says)
    return warning(
        f"{says}; made with another template", f"rank-cli index migrate --index {family} --dry-run"
    )


def mapping(context: Context) -> Result:
    """The types of the family's fields against the template's."""
    family = context.family
    with server_errors(f"read the mapping of {family}"):
        try:
            found = context.es.indices.get_mapping(index=family).body
        except NotFoundError:
            return not_checked(f"there is no index {family!r}")
    wanted: dict[str, str] = {}
    for resource in desired_state(family):
        if resource.kind == "component_template":
            properties = resource.body["template"].get("mappings", {}).get("properties", {})
            wanted |= dict(_types(properties))
    wrong, lacking = [], []
    for index, body in found.items():
        held = dict(_types(body["mappings"].get("properties", {})))
        for name, kind in wanted.items():
            if name not in held:
                lacking.append(name)
            elif held[name] != kind:
                wrong.append(f"{name} is {held[name]}, not {kind}, in {index}")
    fix = f"rank-cli templates apply --index {family}, then rank-cli index migrate --index {family}"
    if wrong:
        return problem("; ".join(wrong), fix)
    if needed := [name for name in lacking if name in NEEDED]:
        return problem(f"not mapped: {', '.join(needed)}", fix)
    if lacking:
        return warning(f"not mapped: {', '.join(lacking)}", fix)
    return ok(f"{len(wanted)} fields have the template's types")


def documents(context: Context) -> Result:
    """How many items on sale have a score, of which model, and how many have no date."""
    family = context.family
    on_sale = {"term": {fields.STATUS: fields.ON_SALE}}
    with server_errors(f"count in {family}"):
        try:
            found = context.es.search(
                index=family,
                size=0,
                track_total_hits=True,
                query=on_sale,
                aggs={
                    "scored": {"filter": {"exists": {"field": fields.IMAGE_SCORE}}},
                    "dated": {"filter": {"exists": {"field": fields.CREATED_AT}}},
                    "versions": {"terms": {"field": fields.IMAGE_SCORE_VERSION, "size": 5}},
                },
            ).body
        except NotFoundError:
            return not_checked(f"there is no index {family!r}")
    total, parts = found["hits"]["total"]["value"], found["aggregations"]
    if not total:
        return warning(f"{family} holds no item on sale", "rank-cli ingest stream, or rank-cli demo")
    scored, undated = parts["scored"]["doc_count"], total - parts["dated"]["doc_count"]
    versions = {one["key"]: one["doc_count"] for one in parts["versions"]["buckets"]}
    shown = ", ".join(f"{name} {count}" for name, count in versions.items())
    says = f"{scored} of {total} items on sale have an image score ({scored / total:.1%}): {shown or 'none'}"
    backfill = f"rank-cli ingest backfill --index {family} --dry-run"
    if undated:
        says = f"{says}; {undated} have no {fields.CREATED_AT}, and so count as fresh"
        return warning(says, "send created_at with every item")
    if scored < COVERED * total:
        return warning(says, backfill)
    if len(versions) > 1:
        return warning(f"{says}: scores of several models do not compare", backfill)
    return ok(says)


def rejected(context: Context) -> Result:
    """What the ingest pipeline put aside."""
    alias = failure_alias(context.family)
    with server_errors(f"count in {alias}"):
        try:
            n = context.es.count(index=alias)["count"]
        except NotFoundError:
            create = f"rank-cli index create --index {context.family}"
            return warning(f"there is no {alias}: what the pipeline rejects is refused", create)
    if n:
        return warning(f"the pipeline rejected {n} items", f"GET {alias}/_search shows them, with the reason")
    return ok("the pipeline rejected none")


def _types(properties: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Full name and type of each field, those below it included."""
    for name, field in properties.items():
        full = f"{prefix}{name}"
        if "type" in field:
            yield full, field["type"]
        yield from _types(field.get("properties", {}), f"{full}.")
        yield from _types(field.get("fields", {}), f"{full}.")
