"""Asks Triton for image scores, with a deadline on every request and patience where it is wanted.

`tritonclient` retries nothing by itself. Here what is worth trying again (the server is gone, loading,
full, or late) is tried again with jittered backoff up to `wait_s`, or for ever; anything else is raised at
once. Every answer carries the version of the weights that made it, so a score is never stored under the
version of its neighbour.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import numpy as np
import stamina
from numpy.typing import NDArray

from ranking.errors import InputError, ServerError
from ranking.settings import Settings, get_settings
from scorer.serving.names import IMAGE_INPUT, MODEL_NAME, SCORE_OUTPUT, VERSION_OUTPUT, VERSION_PARAMETER

if TYPE_CHECKING:
    from tritonclient.grpc import InferenceServerClient

T = TypeVar("T")
ENGINE: Final = "Triton"
ONLINE: Final = 1
BACKFILL: Final = 2
Priority = Literal[1, 2]

# NOT_FOUND is in the list because a server that restarts is up before its models are.
_RETRYABLE: Final = frozenset(
    f"StatusCode.{name}" for name in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "NOT_FOUND")
)
# A model process that died answers so once or twice, until the server has replaced it.
_BROKEN: Final = frozenset(f"StatusCode.{name}" for name in ("INTERNAL", "UNKNOWN", "CANCELLED"))
_BROKEN_ATTEMPTS: Final = 3
_CHANNEL_ARGS: Final = [  # tritonclient's own defaults do not apply once these are given
    ("grpc.lb_policy_name", "round_robin"),  # one name, many servers
    ("grpc.use_local_subchannel_pool", 1),  # a channel of this client alone
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.keepalive_time_ms", 10_000),  # a server that vanished without a word is noticed
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 2),  # more, and the server hangs up
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of one batch and the weights that made them."""

    scores: NDArray[np.float32]  # [n], each in [0, 1]
    model_version: str


class BadScoresError(ServerError):
    """The model answered with something that is no score; `bad` says for which images."""

    def __init__(self, scores: NDArray[np.float32], bad: NDArray[np.bool_], model_version: str) -> None:
        first = int(np.flatnonzero(bad)[0])
        super().__init__(
            ENGINE,
            f"{int(bad.sum())} of {bad.size} scores are not numbers in [0, 1], the first is {scores[first]}",
            hint="the exported weights are broken: run `rank-cli scorer export` again",
        )
        self.scores = scores
        self.bad = bad
        self.model_version = model_version


class ScoreClient:
    """A client of the image score model. Threads may share it; each has its own channel.

    Args:
        url: host:port of gRPC; the settings' by default.
        model_name: name of the model in the repository.
        deadline_s: limit of one attempt, waiting in the server's queue included.
        wait_s: how long to try again while the server is gone; None waits for ever, 0 does not wait.
        priority: 1 (online) is taken from the queue before 2 (backfill).
        stop: once set, waiting ends at the next failed attempt.
        on_wait: told why, when it begins to wait.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        model_name: str = MODEL_NAME,
        deadline_s: float = 30.0,
        wait_s: float | None = 10.0,
        priority: Priority = ONLINE,
        stop: threading.Event | None = None,
        on_wait: Callable[[str], None] | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.url = url or (settings or get_settings()).endpoint(ENGINE)
        self.model_name = model_name
        self._deadline_s = deadline_s
        self._wait_s = wait_s
        self._priority = priority
        self._stop = stop or threading.Event()
        self._on_wait = on_wait
        self._local = threading.local()
        self._config: dict[str, Any] | None = None
        self._number: str | None = None  # Triton's version of a model whose answers do not name the weights

    def _channel(self) -> InferenceServerClient:
        channel: InferenceServerClient | None = getattr(self._local, "channel", None)
        if channel is None:
            from tritonclient import grpc

            channel = grpc.InferenceServerClient(self.url, channel_args=_CHANNEL_ARGS)
            self._local.channel = channel
        return channel

    def _hang_up(self) -> None:
        channel = getattr(self._local, "channel", None)
        if channel is not None:
            self._local.channel = None
            channel.close()

    def score(self, images: NDArray[np.uint8]) -> Scored:
        """Score a batch; larger ones than the model takes are sent in parts.

        Args:
            images: RGB pixels as the model's preprocessing leaves them, uint8 [n, height, width, 3].

        Raises:
            BadScoresError: the model answered NaN, or a number outside [0, 1].
            ServerError: the server refused, or did not answer within the time this client waits.
            InputError: the batch has another shape or type than the model takes.
        """
        self._check_shape(images)
        for _ in range(3):  # a model that is reloaded between two parts answers under two versions
            parts = [
                self._patiently(partial(self._infer, part))
                for part in np.split(images, range(self.max_batch_size, len(images), self.max_batch_size))
            ]
            if len({part.model_version for part in parts}) == 1:
                break
        else:
            raise ServerError(ENGINE, "the model changed its version in the middle of a batch, three times")
        if parts[0].model_version != self.model_version:
            self._config = None  # reloaded with other weights, maybe with other options
        scored = Scored(np.concatenate([part.scores for part in parts]), parts[0].model_version)
        bad = ~((scored.scores >= 0) & (scored.scores <= 1))  # NaN compares false
        if bad.any():
            raise BadScoresError(scored.scores, bad, scored.model_version)
        return scored

    def _check_shape(self, images: NDArray[np.uint8]) -> None:
        wanted = (self.image_size, self.image_size, 3)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != wanted or not len(images):
            got = f"{images.dtype} {list(images.shape)}"
            raise InputError(f"a batch must be uint8 [n, {wanted[0]}, {wanted[1]}, 3], got {got}")

    def _infer(self, images: NDArray[np.uint8]) -> Scored:
        from tritonclient import grpc

        image = grpc.InferInput(IMAGE_INPUT, list(images.shape), "UINT8")
        image.set_data_from_numpy(np.ascontiguousarray(images))
        wanted = [SCORE_OUTPUT, VERSION_OUTPUT] if self._answers_with_version else [SCORE_OUTPUT]
        result = self._channel().infer(
            self.model_name,
            [image],
            outputs=[grpc.InferRequestedOutput(name) for name in wanted],
            priority=self._priority,
            timeout=int(self._deadline_s * 1e6),  # the server drops what nobody waits for, in µs
            client_timeout=self._deadline_s,
        )
        scores = np.asarray(result.as_numpy(SCORE_OUTPUT), dtype=np.float32).reshape(-1)
        versions = (
            {bytes(v).decode() for v in result.as_numpy(VERSION_OUTPUT).reshape(-1)}
            if self._answers_with_version
            else {self._configured_version(str(result.get_response().model_version))}
        )
        if len(scores) != len(images) or len(versions) != 1:
            raise ServerError(ENGINE, f"{len(images)} images were sent and {len(scores)} scores came back")
        return Scored(scores, versions.pop())

    def _patiently(self, call: Callable[[], T]) -> T:
        """Run `call`, again and again while the server is gone, as long as this client waits."""
        from tritonclient.utils import InferenceServerException

        failed = broken = 0

        def again(error: Exception) -> bool:
            nonlocal failed, broken
            if self._stop.is_set() or not isinstance(error, InferenceServerException):
                return False
            broken += error.status() in _BROKEN
            if error.status() not in _RETRYABLE and not 0 < broken < _BROKEN_ATTEMPTS:
                return False
            failed += 1
            if "DEADLINE" in error.status():
                self._hang_up()  # what is late may be a connection to nobody
            if self._on_wait and failed == 1:
                self._on_wait(str(self._explain(error)))
            return True

        attempts = 1 if self._wait_s == 0 else None
        try:
            for attempt in stamina.retry_context(
                on=again,
                attempts=attempts,
                timeout=self._wait_s or None,
                wait_initial=0.2,
                wait_max=5.0,
                wait_jitter=0.5,
            ):
                with attempt:
                    return call()
        except InferenceServerException as e:
            raise self._explain(e) from e
        raise AssertionError("unreachable")

    def _explain(self, error: Exception) -> ServerError:
        status, message = str(error.status()), str(error.message())  # type: ignore[attr-defined]
        match status:
            case "StatusCode.UNAVAILABLE":
                what = f"nothing answers at {self.url}, or it is not ready: {message.splitlines()[0]}"
                return ServerError(ENGINE, what, hint="run `rank-cli stack up triton`, or check TRITON_URL")
            case "StatusCode.DEADLINE_EXCEEDED":
                what = f"no answer from {self.url} within {self._deadline_s:g} s"
                return ServerError(ENGINE, what, hint="look at `rank-cli stack status`, or send less at once")
            case "StatusCode.NOT_FOUND":
                what = f"{self.url} has no model {self.model_name!r}"
                return ServerError(ENGINE, what, hint="run `rank-cli scorer export`")
            case _:
                return ServerError(ENGINE, f"{message} ({status.removeprefix('StatusCode.')})")

    def check(self) -> None:
        """See, without waiting, that the server has the model.

        Raises:
            ServerError: the server is not there, or it has no such model.
        """
        patience, self._wait_s = self._wait_s, 0
        try:
            self.config()
        finally:
            self._wait_s = patience

    def probe(self) -> str:
        """Score one black photo; the version of the weights that answered."""
        return self.score(np.zeros((1, self.image_size, self.image_size, 3), dtype=np.uint8)).model_version

    def config(self) -> dict[str, Any]:
        """The model's configuration as the server has it, read once."""
        if self._config is None:
            answer = self._patiently(
                lambda: self._channel().get_model_config(
                    self.model_name, as_json=True, client_timeout=self._deadline_s
                )
            )
            self._config = dict(answer["config"])
        return self._config

    @property
    def _answers_with_version(self) -> bool:
        """Not so for TensorRT, which has no strings."""
        outputs = self.config().get("output")
        return outputs is None or any(output["name"] == VERSION_OUTPUT for output in outputs)

    def _configured_version(self, number: str) -> str:
        """The weights that the configuration names, read again once another number of the model answers."""
        if number != self._number:
            if self._number is not None:
                self._config = None
            self._number = number
        return self.model_version

    @property
    def image_size(self) -> int:
        """Height and width of the images that the model takes, in pixels."""
        return int(self.config()["input"][0]["dims"][0])

    @property
    def max_batch_size(self) -> int:
        """Images in one request at most."""
        return int(self.config()["max_batch_size"])

    def parameter(self, name: str) -> str | None:
        """A parameter that the export wrote into the model's configuration."""
        value = self.config().get("parameters", {}).get(name, {}).get("string_value")
        return None if value is None else str(value)

    @property
    def model_version(self) -> str:
        """Version of the weights, as the configuration named it when this client first asked."""
        return self.parameter(VERSION_PARAMETER) or "unknown"


__all__ = ["BACKFILL", "ONLINE", "BadScoresError", "Priority", "ScoreClient", "Scored"]
