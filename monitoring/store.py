"""The index that keeps the figures, `rank-monitor`: one small document per day and slice, for years.

    DAY|traffic|PLATFORM|PROFILE   what users met on that day; written again when the day is computed again
    DAY|cluster                    what the cluster was like when a run looked, on the day on which it looked
    annotation|PROFILE|TIME|TEXT   something that was done to a profile
    alert|ALERT_ID                 that a rule did not hold, and whether a webhook was told

Ids say what a document is of, so a run that is repeated, or that late events make necessary, changes
documents and adds none. Slices of a day that the run no longer finds (a formula has since got a version
number) go.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from elasticsearch import Elasticsearch, NotFoundError, helpers

from monitoring.alerts import Alert
from monitoring.metrics import COUNTS, METRICS
from ranking.errors import BulkError, InputError, ServerError
from ranking.es import server_errors
from ranking.paging import pages

INDEX: Final = "rank-monitor"
_PAGE: Final = 5_000
_KEYWORDS: Final = (
    *("kind", "platform", "profile", "reference", "index", "alert_id", "rule", "severity", "metric"),
)
_DATES: Final = ("day", "at", "computed_at", "since")


def template(index: str = INDEX) -> dict[str, Any]:
    """The index template: every field has a type, and a document with another field is refused."""
    properties: dict[str, Any] = {
        **{name: {"type": "keyword", "ignore_above": 512} for name in _KEYWORDS},
        **{name: {"type": "date"} for name in _DATES},
        **{name: {"type": "double"} for name in (*(one.name for one in METRICS), "value", "limit")},
        **{name: {"type": "long"} for name in (*COUNTS, "items_with_score")},
        "k": {"type": "integer"},
        "simulated": {"type": "boolean"},
        "notified": {"type": "boolean"},
        "text": {"type": "keyword", "ignore_above": 2048},
        "sentence": {"type": "keyword", "ignore_above": 2048},
    }
    mappings: dict[str, Any] = {"dynamic": "strict", "properties": dict(sorted(properties.items()))}
    digest = hashlib.sha256(json.dumps(mappings, sort_keys=True).encode()).hexdigest()[:12]
    mappings["_meta"] = {"managed_by": "rank-toolkit", "content_hash": digest}
    return {
        "index_patterns": [index],
        "priority": 200,
        "template": {
            "settings": {"number_of_shards": 1, "auto_expand_replicas": "0-1"},
            "mappings": mappings,
        },
        "_meta": mappings["_meta"],
    }


class Store:
    """The figures of a cluster."""

    def __init__(self, es: Elasticsearch, index: str = INDEX) -> None:
        """A store.

        Args:
            es: the cluster.
            index: name of one index; no wildcards.

        Raises:
            InputError: the name is none.
        """
        if (
            not index
            or index != index.lower()
            or any(c in index for c in '*?,"\\/<>| #:')
            or index[0] in "-_+."
        ):
            raise InputError(f"{index!r} is not the name of an index", hint=f"for example {INDEX}")
        self.es, self.index = es, index

    def prepare(self) -> None:
        """Make template and index where they are missing, or bring them to this version's fields.

        Raises:
            ServerError: the cluster refused, or the name is an alias or another kind of index.
        """
        wanted = template(self.index)
        with server_errors(f"look at {self.index}"):
            found = self.es.options(ignore_status=404).indices.get_mapping(index=self.index).body
        held = found.get(self.index, {}).get("mappings") if "error" not in found else None
        if held is not None and held.get("_meta") == wanted["_meta"]:
            return
        if held is not None and held.get("_meta", {}).get("managed_by") != "rank-toolkit":
            raise ServerError(
                "Elasticsearch",
                f"{self.index} is there and not a store of monitor's",
                hint="name another with --store",
            )
        with server_errors(f"prepare {self.index}"):
            self.es.indices.put_index_template(name=self.index, **_words(wanted))
            if held is None:
                self.es.options(ignore_status=400).indices.create(index=self.index)  # a colleague was faster
            else:
                self.es.indices.put_mapping(index=self.index, **wanted["template"]["mappings"])

    def write(self, documents: Sequence[Mapping[str, Any]]) -> int:
        """Write documents under their ids, and take away what earlier runs found on the same days alone.

        Returns:
            How many documents were taken away.

        Raises:
            BulkError: some were refused.
        """
        ids = {document_id(one): one for one in documents}
        days = sorted({one["day"] for one in documents if one["kind"] == "traffic"})
        old = [] if not days else self._ids({"terms": {"day": days}}, "traffic")
        gone = [one for one in old if one not in ids]
        actions = [self._action(key, one) for key, one in ids.items()]
        actions += [{"_op_type": "delete", "_index": self.index, "_id": key} for key in gone]
        with server_errors(f"write to {self.index}"):
            _, found = helpers.bulk(self.es, actions, raise_on_error=False, refresh=True)
        failures = {
            one["_id"]: str(one.get("error", {}).get("reason") or one.get("error") or one["status"])
            for error in (found if isinstance(found, list) else [])
            if isinstance(error, dict)
            for one in error.values()
            if one["status"] != 404  # somebody else took it away
        }
        if failures:
            raise BulkError(failures)
        return len(gone)

    def read(self, first: str | None = None, last: str | None = None) -> list[dict[str, Any]]:
        """All documents of some days, both included; none where there is no store yet."""
        span = {key: day for key, day in (("gte", first), ("lte", last)) if day}
        return [hit["_source"] for hit in self._hits({"range": {"day": span}} if span else {"match_all": {}})]

    def new_alerts(self, alerts: Iterable[Alert]) -> list[Alert]:
        """Those that no webhook was told of yet."""
        wanted = {f"alert|{alert.alert_id}": alert for alert in alerts}
        if not wanted:
            return []
        query = {"bool": {"filter": [{"ids": {"values": list(wanted)}}, {"term": {"notified": True}}]}}
        told = {hit["_id"] for hit in self._hits(query)}
        return [alert for key, alert in wanted.items() if key not in told]

    def _action(self, key: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """What the cluster was like is added to: a run that looks at less keeps what an earlier one saw."""
        where = {"_index": self.index, "_id": key}
        if document["kind"] == "cluster":
            return {"_op_type": "update", **where, "doc": dict(document), "doc_as_upsert": True}
        return {"_op_type": "index", **where, **document}

    def _ids(self, query: dict[str, Any], kind: str) -> list[str]:
        only = {"bool": {"filter": [query, {"term": {"kind": kind}}]}}
        return [hit["_id"] for hit in self._hits(only, source=False)]

    def _hits(self, query: dict[str, Any], *, source: bool = True) -> Iterator[dict[str, Any]]:
        """Every hit; none where there is no store yet."""
        try:
            for page in pages(self.es, self.index, query, size=_PAGE, keep_alive="1m", source=source):
                yield from page
        except ServerError as e:
            if not isinstance(e.__cause__, NotFoundError):
                raise


def document_id(document: Mapping[str, Any]) -> str:
    """The id of a document: what it is of, and nothing of when it was computed."""
    match document["kind"]:
        case "traffic":
            return f"{document['day']}|traffic|{document['platform']}|{document['profile']}"
        case "annotation":
            return f"annotation|{document['profile']}|{document['at']}|{document['text']}"[:512]
        case "alert":
            return f"alert|{document['alert_id']}"
        case kind:
            return f"{document['day']}|{kind}"


def alert_document(alert: Alert, *, notified: bool) -> dict[str, Any]:
    """An alert as it is kept."""
    return {"kind": "alert", **alert.as_dict(), "notified": notified}


def _words(body: Mapping[str, Any]) -> dict[str, Any]:
    """The client's own words for keys that begin with an underscore."""
    return {key.removeprefix("_"): value for key, value in body.items()}


__all__ = ["INDEX", "Store", "alert_document", "document_id", "template"]
