"""The index behind the alias: `items` points at `items-000001`, which takes its shape from the template."""

from __future__ import annotations

from elasticsearch import BadRequestError, Elasticsearch

from ranking.es import server_errors


def ensure_index(es: Elasticsearch, alias: str = "items") -> bool:
    """Make the first index of a family and its alias, unless the alias is there already.

    Returns:
        True where it was made now.

    Raises:
        ServerError: the cluster refused, or an index has the alias's name.
    """
    with server_errors(f"make index {alias}-000001"):
        if es.indices.exists_alias(name=alias):
            return False
        try:
            es.indices.create(index=f"{alias}-000001", aliases={alias: {"is_write_index": True}})
        except BadRequestError as e:
            if e.error == "resource_already_exists_exception":
                es.indices.put_alias(index=f"{alias}-000001", name=alias, is_write_index=True)
            else:
                raise
    return True
