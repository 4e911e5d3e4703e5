"""Writes what was found out about photos, each only while its item is as it was read.

A bulk of updates through the stored script `rank-score-write-v1`: an item that got another photo, or a score
from somebody else, after it was read keeps what it has. Nothing else of the item is touched, `updated_at`
least of all. A write that was made already is none, so a page may be written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from elasticsearch import ApiError, Elasticsearch, TransportError

from ranking import fields
from ranking.errors import ServerError
from ranking.es import reason as reason_of
from ranking.es import server_errors
from ranking.item_message import iso_ms
from ranking.score_fields import SCORE_WRITE, ScoreFields
from scorer.backfill.pace import Pace
from scorer.backfill.scoring import Finding
from scorer.bulk import ENGINE, FATAL_TYPES, PASSING_STATUS, PASSING_TYPES, send_until_taken

NO_SCRIPT: Final = "unable to find script"
APPLY: Final = "run `rank-cli templates apply`: it stores the script"
_RACES: Final = 3  # writes of others between the server's own read and write of one update
_MOST_REASON: Final = 500  # characters; the mapping keeps 512


@dataclass(slots=True)
class WriteResult:
    """What became of the findings of one page."""

    written: list[Finding] = field(default_factory=list)
    changed_meanwhile: list[Finding] = field(default_factory=list)  # another photo, or another's score
    gone: list[Finding] = field(default_factory=list)
    refused: list[tuple[Finding, str]] = field(default_factory=list)  # for good, with the server's reason


class ScoreWriter:
    """Bulk writer of scores and of marks on items that have none.

    Args:
        es: a client.
        index: index or alias.
        version: of the weights that scored.
        target: where scores go.
        now_ms: the clock, epoch ms.
        pace: told how the server takes it.
        wait_s: how long to try again what may pass.
    """

    def __init__(
        self,
        es: Elasticsearch,
        index: str,
        *,
        version: str,
        target: ScoreFields,
        now_ms: Callable[[], int],
        pace: Pace | None = None,
        wait_s: float = 120.0,
    ) -> None:
        # Retries are made here, where only what failed is sent again.
        self._es = es.options(max_retries=0, retry_on_timeout=False)
        self._index, self._version, self._target = index, version, target
        self._now_ms, self._wait_s = now_ms, wait_s
        self._pace = pace or Pace()

    def write(self, findings: Sequence[Finding]) -> WriteResult:
        """Write every finding, or say why not.

        Raises:
            ServerError: the server is still gone after `wait_s`, or refuses the request as such.
        """
        result = WriteResult()
        send_until_taken(
            findings, lambda pending: self._send(pending, result), what="scores", wait_s=self._wait_s
        )
        return result

    def _send(self, findings: Sequence[Finding], result: WriteResult) -> tuple[list[Finding], str]:
        """One bulk request; the findings to send again, and why."""
        if not findings:
            return [], ""
        operations: list[Mapping[str, Any]] = []
        for finding in findings:
            operations += [{"update": {"_id": finding.item.id, "retry_on_conflict": _RACES}}]
            operations += [{"script": self._script(finding)}]
        try:
            answer = self._es.bulk(index=self._index, operations=operations)
        except ApiError as e:
            if e.status_code in PASSING_STATUS:
                self._pace.slower()
                return list(findings), f"HTTP {e.status_code}"
            with server_errors(f"writing to {self._index}"):
                raise
        except TransportError as e:
            return list(findings), str(e.message).splitlines()[0]
        return self._sort(findings, answer["items"], result)

    def _script(self, finding: Finding) -> dict[str, Any]:
        params = {
            "photo": finding.item.url,
            "seen": finding.item.version,
            "doc": self.document(finding),
            "now_ms": self._now_ms(),
        }
        return {"id": SCORE_WRITE, "params": params}

    def document(self, finding: Finding) -> dict[str, Any]:
        """What a finding changes in its item; null removes."""
        at = iso_ms(self._now_ms())
        if finding.score is None:
            why = (finding.reason or "")[:_MOST_REASON]
            return {fields.IMAGE_SCORE_FAILED: {"reason": why, "version": self._version, "at": at}}
        names = self._target
        document: dict[str, Any] = {
            names.score: finding.score,
            names.version: self._version,
            names.at: at,
            fields.IMAGE_SCORE_FAILED: None,
        }
        if names.url is not None:
            document[names.url] = finding.item.url
        if finding.ai is not None:
            document[fields.AI_GENERATED] = finding.ai.model_dump(exclude_none=True)
        return document

    def _sort(
        self, findings: Sequence[Finding], items: Sequence[Mapping[str, Any]], result: WriteResult
    ) -> tuple[list[Finding], str]:
        again: list[Finding] = []
        why = ""
        for finding, item in zip(findings, items, strict=True):
            outcome = item["update"]
            status, error = int(outcome["status"]), outcome.get("error") or {}
            kind = error.get("type", "")
            if status < 300 and outcome["result"] == "noop":
                result.changed_meanwhile.append(finding)
            elif status < 300:
                result.written.append(finding)
            elif status == 409:  # more races than `retry_on_conflict`
                result.changed_meanwhile.append(finding)
            elif kind == "document_missing_exception":
                result.gone.append(finding)
            elif kind in FATAL_TYPES or NO_SCRIPT in str(reason_of({"error": error})):
                raise _refusal(self._index, str(reason_of({"error": error})))
            elif status in PASSING_STATUS or kind in PASSING_TYPES:
                again.append(finding)
                why = f"{kind}: {error.get('reason')}"
            else:
                result.refused.append((finding, str(reason_of({"error": error}) or "no reason given")))
        if again:
            self._pace.slower()
        else:
            self._pace.faster()
        return again, why


def _refusal(index: str, why: str) -> ServerError:
    return ServerError(ENGINE, f"writing to {index}: {why}", hint=APPLY if NO_SCRIPT in why else None)


__all__ = ["APPLY", "NO_SCRIPT", "ScoreWriter", "WriteResult"]
