"""Moves a family to a new index, shaped by the current template, while it is searched and written to.

1. The next index is made, and the documents are copied along their sequence numbers (`copying`), first in
   ranges, then the tail until it is short. Searches and writes go on at the old index; searches stay fresh.
2. Writes to the old index are blocked. The last tail is copied, deletes are followed, counts and sampled
   documents are compared, and both aliases move in one request. Writers see `cluster_block_exception` (HTTP
   403) for that moment and try again, as the toolkit's own feeder does; nothing is lost.
3. The old index stays, blocked for writes, until it is deleted on request.

A migration that is cut off is carried on by the next call, from what `migration.Migration` recorded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from elasticsearch import Elasticsearch

from index_templates import copying
from index_templates.deletes import Ledger
from index_templates.index import (
    family_indices,
    number_of,
    numbered,
    shape_of,
    template_shape,
    write_alias,
    write_index,
)
from index_templates.migration import Migration, open_migration, read_migrations
from ranking.clock import format_time
from ranking.errors import ConfigError, InputError, RankError, ServerError, StalePlan
from ranking.es import server_errors

RANGE: Final = 100_000  # sequence numbers copied by one task
SAMPLE: Final = 500  # documents compared
_SHORT_TAIL: Final = 500  # documents; copied in well under a second
_MOST_TAILS: Final = 20
_WHILE_COPYING: Final = {"index.refresh_interval": "-1", "index.gc_deletes": "0s"}

OnProgress = Callable[[Migration, int], None]  # the record so far, and documents copied since the last call


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a migration would do, before it does anything."""

    family: str
    old: str
    new: str
    docs: int
    made_with: str | None
    current: str
    resumes: bool

    @property
    def is_needed(self) -> bool:
        """Whether the old index has another shape than the template gives, or one was begun."""
        return self.resumes or self.made_with != self.current


def look_ahead(es: Elasticsearch, family: str) -> Outlook:
    """What `migrate` would do.

    Raises:
        ServerError: there is no such family, or its alias points at several indices.
        ConfigError: the template is not in the cluster.
    """
    under_way = open_migration(es, family)
    old = under_way.old if under_way else write_index(es, family)
    current = template_shape(es, family)
    if current is None:
        raise ConfigError(
            f"index_template/rank-{family}",
            ["not in the cluster, or from before shapes were recorded"],
            hint=f"run `rank-cli templates apply --index {family}`",
        )
    with server_errors(f"read {old}"):
        mappings = es.indices.get_mapping(index=old)[old]["mappings"]
        docs = int(es.count(index=old)["count"])
    return Outlook(
        family=family,
        old=old,
        new=under_way.new if under_way else _next_name(es, family),
        docs=docs,
        made_with=shape_of(mappings),
        current=current,
        resumes=under_way is not None,
    )


def migrate(
    es: Elasticsearch,
    family: str,
    *,
    now_ms: int,
    range_size: int = RANGE,
    sample: int = SAMPLE,
    on_progress: OnProgress = lambda _migration, _docs: None,
) -> Migration:
    """Move a family to a new index, or carry on with a migration that was cut off.

    Args:
        es: a client.
        family: the read alias.
        now_ms: when it begins, epoch ms.
        range_size: sequence numbers copied by one task; what is copied again after a kill is at most that.
        sample: documents compared before the aliases move.
        on_progress: told as documents are copied.

    Raises:
        ServerError: the cluster refused, or the copy is not equal; the aliases are as before, and writes
            are let through again.
        StalePlan: another process carries on with this migration.
    """
    state = open_migration(es, family) or _begin(es, family, now_ms)
    state = state.save(es)  # whoever worked on it before learns that it is taken over
    copying.stop_copies(es, _tag(state))
    if state.phase != "swapped" and write_index(es, family) == state.new:
        state = state.save(es, phase="swapped")  # it was killed between the swap and its record
    if state.phase != "swapped":
        state = _make_new(es, state)
        ledger = Ledger(state.old, state.new)
        state = _copy(es, state, ledger, range_size, on_progress)
        state = _block_and_swap(es, state, ledger, sample, on_progress)
    return _finish(es, state)


def abort(es: Elasticsearch, family: str) -> Migration:
    """Give up a migration that has not moved the aliases: the new index is deleted, writes are let through.

    Raises:
        InputError: none is under way, or the aliases have moved.
    """
    state = open_migration(es, family)
    if state is None:
        raise InputError(f"no migration of {family} is under way")
    if state.phase == "swapped" or write_index(es, family) == state.new:
        raise InputError(
            f"the aliases of {family} point at {state.new} already", hint="run `rank-cli index migrate`"
        )
    state = state.save(es, phase="aborted")
    copying.stop_copies(es, _tag(state))
    with server_errors(f"give up {state.new}"):
        es.options(ignore_status=404).indices.delete(index=state.new)
    _let_writes_through(es, state.old)
    return state


def old_indices(es: Elasticsearch, family: str) -> list[str]:
    """Indices that a finished migration left behind and that no alias points at."""
    left = {migration.old for migration in read_migrations(es, family) if migration.phase == "done"}
    with server_errors(f"read aliases of {family}"):
        found = es.indices.get_alias(index=f"{family}-*", expand_wildcards="all")
    return sorted(name for name, body in found.items() if name in left and not body["aliases"])


def delete_old(es: Elasticsearch, family: str) -> list[str]:
    """Delete what `old_indices` names; the names."""
    names = old_indices(es, family)
    for name in names:
        with server_errors(f"delete {name}"):
            es.indices.delete(index=name)
    return names


def _begin(es: Elasticsearch, family: str, now_ms: int) -> Migration:
    ahead = look_ahead(es, family)
    state = Migration(
        family=family,
        old=ahead.old,
        new=ahead.new,
        began_at=format_time(now_ms),
        template_hash=ahead.current,
    )
    earlier = [record for record in read_migrations(es, family) if record.new == ahead.new]
    if not earlier:
        return state
    return replace(state, seq_no=earlier[-1].seq_no, primary_term=earlier[-1].primary_term)  # given up


def _next_name(es: Elasticsearch, family: str) -> str:
    numbers = [number_of(family, name) or 0 for name in family_indices(es, family)]
    return numbered(family, max(numbers, default=0) + 1)


def _tag(state: Migration) -> str:
    return f"rank-migrate-{state.new}"


def _make_new(es: Elasticsearch, state: Migration) -> Migration:
    """The new index, told to refresh seldom and to forget deletes at once while it is filled."""
    with server_errors(f"make index {state.new}"):
        if not es.indices.exists(index=state.new):
            es.indices.create(index=state.new)
        mappings = es.indices.get_mapping(index=state.new)[state.new]["mappings"]
        if shape_of(mappings) != state.template_hash:
            es.indices.delete(index=state.new)
            state.save(es, phase="aborted")
            raise ConfigError(
                state.new,
                ["it did not take its shape from our template"],
                hint="`rank-cli templates plan` names the template of higher priority, or what changed",
            )
        if state.settings is None:
            found = es.indices.get_settings(index=state.new, flat_settings=True)[state.new]["settings"]
            state = state.save(es, settings={name: found.get(name) for name in _WHILE_COPYING})
        es.indices.put_settings(index=state.new, settings=_WHILE_COPYING)
    return state


def _copy(
    es: Elasticsearch, state: Migration, ledger: Ledger, range_size: int, on_progress: OnProgress
) -> Migration:
    """All that can be done before writes are blocked, so that the block is short."""
    state = _follow(es, state, range_size, on_progress)
    state = state.save(es, removed=state.removed + ledger.drop_deleted(es))
    with server_errors(f"set {state.new}"):
        interval = (state.settings or {}).get("index.refresh_interval")
        es.indices.put_settings(index=state.new, settings={"index.refresh_interval": interval})
    return _follow(es, state, range_size, on_progress)


def _follow(es: Elasticsearch, state: Migration, range_size: int, on_progress: OnProgress) -> Migration:
    """Ranges while the old index is ahead by more than one, then tails until one is short."""
    for _ in range(_MOST_TAILS):
        seen, _ = copying.horizon(es, state.old)
        while state.next_seq_no + range_size < seen:
            state, _ = _step(es, state, on_progress, high=state.next_seq_no + range_size)
        state, copied = _step(es, state, on_progress)
        if copied <= _SHORT_TAIL:
            break
    return state


def _step(
    es: Elasticsearch, state: Migration, on_progress: OnProgress, high: int | None = None
) -> tuple[Migration, int]:
    seen, _ = copying.horizon(es, state.old)
    with server_errors(f"refresh {state.old}"):
        es.indices.refresh(index=state.old)  # so that all below `seen` can be searched
    copied = copying.copy_range(
        es,
        state.old,
        state.new,
        low=state.next_seq_no,
        high=high,
        tag=_tag(state),
        on_docs=lambda docs: on_progress(state, docs),
    )
    state = state.save(
        es,
        next_seq_no=max(state.next_seq_no, seen if high is None else high),
        copied=state.copied + copied,
        passes=state.passes + 1,
    )
    return state, copied


def _block_and_swap(
    es: Elasticsearch, state: Migration, ledger: Ledger, sample: int, on_progress: OnProgress
) -> Migration:
    state = state.save(es, phase="blocked")
    began = time.monotonic()
    try:
        with server_errors(f"block writes to {state.old}"):
            es.indices.add_block(index=state.old, block="write")  # waits for writes under way
        _, frozen_at = copying.horizon(es, state.old)
        state, _ = _step(es, state, on_progress)
        docs, copies = copying.count(es, state.old), copying.count(es, state.new)
        if copies > docs:
            state = state.save(es, removed=state.removed + ledger.drop_deleted(es))
            copies = copying.count(es, state.new)
        compared = _compare(es, state, docs, copies, sample)
        _check_frozen(es, state.old, frozen_at)
        state = state.save(es, docs=docs, compared=compared)
        swap(es, state)
    except StalePlan:
        raise  # another process has the block now
    except BaseException:
        with suppress(RankError):  # where the server is gone, the first error is the one to show
            if write_index(es, state.family) == state.old:
                _let_writes_through(es, state.old)
        raise
    paused_ms = round((time.monotonic() - began) * 1000)
    return state.save(es, phase="swapped", paused_ms=paused_ms)


def swap(es: Elasticsearch, state: Migration) -> None:
    """Move both aliases in one request, if they are still where they were."""
    actions: list[dict[str, Any]] = []
    for alias in (state.family, write_alias(state.family)):
        actions += [
            {"remove": {"index": state.old, "alias": alias, "must_exist": alias == state.family}},
            {"add": {"index": state.new, "alias": alias, "is_write_index": True}},
        ]
    with server_errors(f"move the aliases of {state.family}"):
        es.indices.update_aliases(actions=actions)


def _compare(es: Elasticsearch, state: Migration, docs: int, copies: int, sample: int) -> int:
    if docs != copies:
        raise ServerError(
            "Elasticsearch",
            f"{state.new} holds {copies} documents and {state.old} {docs}; the aliases were not moved",
            hint=f"run `rank-cli index migrate --index {state.family}` again, or with --abort",
        )
    compared, differing = copying.differing_sample(es, state.old, state.new, size=sample, seed=state.passes)
    if differing:
        raise ServerError(
            "Elasticsearch",
            f"{len(differing)} of {compared} documents differ in {state.new}, {differing[0]!r} first; "
            "the aliases were not moved",
            hint=f"run `rank-cli index migrate --index {state.family} --abort`, then again",
        )
    return compared


def _check_frozen(es: Elasticsearch, index: str, frozen_at: int) -> None:
    if copying.horizon(es, index)[1] != frozen_at:
        raise ServerError("Elasticsearch", f"{index} was written to in spite of its write block")


def _finish(es: Elasticsearch, state: Migration) -> Migration:
    with server_errors(f"set {state.new}"):
        if state.settings is not None:
            es.indices.put_settings(index=state.new, settings=state.settings)
        es.indices.refresh(index=state.new)
    return state.save(es, phase="done")


def _let_writes_through(es: Elasticsearch, index: str) -> None:
    with server_errors(f"let writes to {index} through"):
        es.indices.put_settings(index=index, settings={"index.blocks.write": None})
