"""An index as the templates make it, under a random name, and how many writes it took."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from elasticsearch import Elasticsearch

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live, removal_steps


@contextmanager
def index_family(es: Elasticsearch, name: str | None = None) -> Iterator[str]:
    """Its alias; nothing is left of it afterwards."""
    name = name or f"faults-{secrets.token_hex(4)}"
    wanted = desired_state(name)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, name)
    try:
        yield name
    finally:
        for index in es.indices.get(index=f"{name}-*"):
            es.indices.delete(index=index)
        apply_steps(es, removal_steps(wanted, read_live(es, wanted)))


def n_writes(es: Elasticsearch, name: str) -> int:
    """Operations that the index took, by its own sequence numbers."""
    shards = es.indices.stats(index=name, level="shards", metric="docs")["indices"]
    return sum(
        1 + copy["seq_no"]["max_seq_no"]
        for index in shards.values()
        for copies in index["shards"].values()
        for copy in copies
        if copy["routing"]["primary"]
    )


__all__ = ["index_family", "n_writes"]
