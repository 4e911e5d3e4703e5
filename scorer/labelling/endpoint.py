"""One OpenAI-compatible endpoint: a request, its retries, and which failures end a page or the run.

The SDK's own retries are off: stamina's have jitter, honour Retry-After and can be counted. What may pass is
tried again (no connection, a timeout, 408, 409, 429, 5xx, a body that is no JSON); what is about the request
(400, 413, 422) sets the page aside; what is about the account or the address (401, 403, 404, an empty purse)
ends the run. The API key comes from the environment and is cut out of whatever is kept or shown.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

import stamina

from ranking.errors import InputError, RankError, ServerError
from ranking.secret import secret
from scorer.labelling.journal import Answer

if TYPE_CHECKING:
    from openai import OpenAI

ENGINE: Final = "the labelling endpoint"
MAX_RETRY_AFTER_S: Final = 120.0  # a longer Retry-After is cut to this
_LOCAL: Final = ("localhost", "127.0.0.1", "::1", "")
_PURSE: Final = ("insufficient_quota", "billing_hard_limit_reached")


class PageRefusedError(InputError):
    """The endpoint will not take this request, whoever sends it how often; others may go through."""


class NoAnswerError(ServerError):
    """Every try of a request failed in a way that may pass; another request may fare better."""


class StoppedError(RankError):
    """Told to stop before this request went out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """Where to ask, and how patiently."""

    base_url: str
    model: str
    key_env: str = "OPENAI_API_KEY"  # environment variable that holds the key
    timeout_s: float = 120.0  # of one try
    attempts: int = 6  # tries of one request
    max_tokens: int = 4_000  # of one answer
    response_format: str = "json_schema"  # or "json_object", or "none", for endpoints that lack it
    old_limit: bool = False  # send `max_tokens`, for endpoints that lack `max_completion_tokens`
    temperature: float | None = None  # None: the endpoint's own
    first_wait_s: float = 1.0  # before the second try; then doubled, plus up to `first_wait_s` of jitter

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError(f"base_url must be an http(s) address, got {self.public_url!r}")
        if self.response_format not in ("json_schema", "json_object", "none"):
            raise ValueError(
                f"response_format must be json_schema, json_object or none: {self.response_format}"
            )
        if self.attempts < 1 or self.max_tokens < 1 or not self.timeout_s > 0:
            raise ValueError("attempts, max_tokens and timeout_s must be positive")

    @property
    def public_url(self) -> str:
        """The address without a login in it."""
        parts = urlsplit(self.base_url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")).rstrip("/")


class Endpoint:
    """Asks one endpoint; safe to use from several threads.

    Raises:
        InputError: the openai package, or the key, is missing.
    """

    def __init__(
        self,
        config: EndpointConfig,
        *,
        stop: threading.Event | None = None,
    ) -> None:
        self.config = config
        self.retries = 0
        self._stop = stop or threading.Event()
        found = secret(config.key_env)
        self._key = found.get_secret_value().strip() if found else ""
        self._client = self._open()

    def _open(self) -> OpenAI:
        try:
            from openai import OpenAI
        except ImportError as e:
            raise InputError(
                "labelling needs the openai package", hint="pip install 'rank-toolkit[label]'"
            ) from e
        host = urlsplit(self.config.base_url).hostname or ""
        if not self._key and host not in _LOCAL:
            raise InputError(
                f"no API key for {host}",
                hint=f"put it into the environment as {self.config.key_env}, "
                f"or into a file that {self.config.key_env}_FILE names",
            )
        return OpenAI(
            api_key=self._key or "none",
            base_url=self.config.base_url,
            timeout=self.config.timeout_s,
            max_retries=0,
        )

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def ask(
        self,
        key: str,
        kind: str,
        serp_id: str,
        messages: Sequence[Any],
        schema: Mapping[str, Any],
        **more: Any,
    ) -> Answer:
        """Send one request, trying again where that may help.

        Args:
            key: idempotency key: an endpoint that knows it answers a repeated request without billing twice.
            kind: written into the answer.
            serp_id: written into the answer.
            messages: of the chat.
            schema: JSON Schema of the answer.
            more: `max_tokens`, where this request needs another limit.

        Raises:
            PageRefusedError: this request is not taken.
            NoAnswerError: every try failed in a way that may pass.
            ServerError: the endpoint refuses the account, or is no such endpoint.
            StoppedError: told to stop.
        """
        body = self._body(messages, schema, kind, more.get("max_tokens", self.config.max_tokens))
        try:
            for attempt in stamina.retry_context(
                on=self._may_pass,
                attempts=self.config.attempts,
                timeout=None,
                wait_initial=self.config.first_wait_s,
                wait_jitter=self.config.first_wait_s,
                wait_max=60.0,
            ):
                with attempt:
                    self.retries += attempt.num > 1
                    return self._once(key, kind, serp_id, body)
        except RankError:
            raise
        except Exception as e:
            raise self._explained(e) from None
        raise AssertionError("unreachable")

    def _once(self, key: str, kind: str, serp_id: str, body: Mapping[str, Any]) -> Answer:
        if self._stop.is_set():
            raise StoppedError("told to stop")
        response = self._client.chat.completions.with_raw_response.create(
            **body, extra_headers={"Idempotency-Key": key}
        )
        raw = json.loads(self._without_key(response.text))
        return _answer(raw, key, kind, serp_id)

    def _body(
        self, messages: Sequence[Any], schema: Mapping[str, Any], name: str, max_tokens: int
    ) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.config.model, "messages": list(messages)}
        body["max_tokens" if self.config.old_limit else "max_completion_tokens"] = max_tokens
        if self.config.temperature is not None:
            body["temperature"] = self.config.temperature
        match self.config.response_format:
            case "json_schema":
                body["response_format"] = {
                    "type": "json_schema",
                    "json_schema": {"name": name.replace("-", "_"), "strict": True, "schema": dict(schema)},
                }
            case "json_object":
                body["response_format"] = {"type": "json_object"}
        return body

    def _may_pass(self, error: Exception) -> bool | float:
        """Whether another try may help, or after how many seconds the endpoint wants it."""
        import openai

        if self._stop.is_set():
            return False
        match error:
            case _MalformedBodyError() | openai.APIConnectionError() | openai.APIResponseValidationError():
                return True  # a timeout is a connection error too
            case json.JSONDecodeError():
                return True
            case openai.APIStatusError(status_code=status) if status in (408, 409, 429) or status >= 500:
                if _empty_purse(error):
                    return False
                wait = _retry_after(error.response.headers.get("retry-after"))
                return True if wait is None else wait + random.uniform(0, self.config.first_wait_s)
        return False

    def _explained(self, error: Exception) -> Exception:
        """The failure in one sentence of ours, without the key."""
        import openai

        words = _short(self._without_key(str(error)))
        match error:
            case openai.APITimeoutError():
                return NoAnswerError(ENGINE, f"no answer within {self.config.timeout_s:g} s, {self._tried}")
            case openai.APIConnectionError():
                cause = _short(self._without_key(str(error.__cause__ or error)))
                return NoAnswerError(
                    ENGINE, f"cannot be reached at {self.config.public_url}, {self._tried}: {cause}"
                )
            case openai.APIStatusError(status_code=status) if status in (400, 413, 422):
                return PageRefusedError(f"HTTP {status}: {words}")
            case openai.APIStatusError() if _empty_purse(error):
                return ServerError(ENGINE, f"the account has no credit left: {words}")
            case openai.APIStatusError(status_code=status) if status in (401, 403):
                hint = f"check the key in {self.config.key_env}"
                return ServerError(ENGINE, f"HTTP {status}: {words}", hint=hint)
            case openai.APIStatusError(status_code=404):
                hint = f"check --base-url {self.config.public_url} and --model {self.config.model}"
                return ServerError(ENGINE, f"HTTP 404: {words}", hint=hint)
            case openai.APIStatusError(status_code=status):
                return NoAnswerError(ENGINE, f"HTTP {status}, {self._tried}: {words}")
            case json.JSONDecodeError() | _MalformedBodyError() | openai.APIResponseValidationError():
                return ServerError(
                    ENGINE, f"the body of its answer is no chat completion, {self._tried}: {words}"
                )
        return error  # not the endpoint's doing: ours

    @property
    def _tried(self) -> str:
        return f"tried {self.config.attempts} times"

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "[key]") if len(self._key) >= 4 else text


class _MalformedBodyError(Exception):
    """JSON, but no chat completion."""


def _answer(raw: Any, key: str, kind: str, serp_id: str) -> Answer:
    try:
        choice = raw["choices"][0]
        message, usage = choice["message"], raw.get("usage") or {}
        content, refusal = message.get("content"), message.get("refusal")
        return Answer(
            key=key,
            kind=kind,
            serp_id=serp_id,
            text=content if isinstance(content, str) else None,
            refusal=refusal if isinstance(refusal, str) else None,
            finish=str(choice.get("finish_reason") or "stop"),
            tokens_in=int(usage.get("prompt_tokens") or 0),
            tokens_out=int(usage.get("completion_tokens") or 0),
            at_ms=time.time_ns() // 1_000_000,
            raw=raw,
        )
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as e:
        raise _MalformedBodyError(f"{type(e).__name__}: {e}") from None


def _retry_after(text: str | None) -> float | None:
    """Seconds of a Retry-After header: a number, or a date."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (TypeError, ValueError):
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S) if seconds == seconds else None  # noqa: PLR0124


def _empty_purse(error: Exception) -> bool:
    return getattr(error, "code", None) in _PURSE


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:297]}..."


__all__ = ["ENGINE", "Endpoint", "EndpointConfig", "NoAnswerError", "PageRefusedError", "StoppedError"]
