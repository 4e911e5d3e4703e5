"""The client over a channel that plays a failing server; the real server is in tests/integration."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
import stamina
from tritonclient.utils import InferenceServerException

from ranking.errors import InputError, ServerError
from scorer.serving.client import BACKFILL, BadScoresError, ScoreClient

SIZE, LARGEST = 8, 4


def failure(status, message="said the server"):
    return InferenceServerException(message, status=f"StatusCode.{status}")


class Answer:
    def __init__(self, scores, version):
        self.arrays = {
            "score": np.asarray(scores, dtype=np.float32).reshape(-1, 1),
            "model_version": np.full((len(scores), 1), version.encode(), dtype=np.object_),
        }

    def as_numpy(self, name):
        return self.arrays[name]


class Channel:
    """Scores a photo with its first value / 255; `script` holds failures and versions to play first."""

    def __init__(self):
        self.script = []
        self.requests = []

    def infer(self, model, inputs, **options):
        play = self.script.pop(0) if self.script else "w1"
        if isinstance(play, Exception):
            raise play
        (image,) = inputs
        n = image.shape()[0]
        pixels = np.frombuffer(image._get_content(), dtype=np.uint8).reshape(n, SIZE, SIZE, 3)
        self.requests.append({"n": n, **options})
        scores = pixels[:, 0, 0, 0] / 255
        scores = np.where(pixels[:, 0, 0, 0] == 13, np.nan, scores)
        scores = np.where(pixels[:, 0, 0, 0] == 14, 1.5, scores)
        return Answer(scores, play)

    def get_model_config(self, *_, **__):
        if self.script and isinstance(self.script[0], Exception):
            raise self.script.pop(0)
        return {
            "config": {
                "input": [{"dims": [str(SIZE), str(SIZE), "3"]}],
                "max_batch_size": LARGEST,
                "parameters": {"model_version": {"string_value": "w1"}},
            }
        }


@pytest.fixture
def channel(monkeypatch):
    fake = Channel()
    monkeypatch.setattr(ScoreClient, "_channel", lambda self: fake)
    with stamina.set_testing(True, attempts=6, cap=True):
        yield fake


def photos(*greys):
    return np.stack([np.full((SIZE, SIZE, 3), grey, dtype=np.uint8) for grey in greys])


def test_a_large_batch_is_sent_in_parts_and_comes_back_in_order(channel):
    scored = ScoreClient("x:1", priority=BACKFILL, deadline_s=2).score(photos(*range(0, 100, 10)))
    np.testing.assert_allclose(scored.scores, np.arange(0, 100, 10) / 255, rtol=1e-6)
    assert scored.scores.dtype == np.float32
    assert scored.model_version == "w1"
    assert [r["n"] for r in channel.requests] == [4, 4, 2]
    first = channel.requests[0]
    assert (first["priority"], first["client_timeout"], first["timeout"]) == (2, 2, 2_000_000)


@pytest.mark.parametrize("status", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "NOT_FOUND"])
def test_what_may_pass_is_tried_again(channel, status):
    channel.script = [failure(status), failure(status)]
    told = []
    client = ScoreClient("x:1", on_wait=told.append)
    client.config()
    channel.script = [failure(status), failure(status)]
    told.clear()
    assert client.score(photos(255)).scores == [1.0]
    assert len(told) == 1


@pytest.mark.parametrize("status", ["INVALID_ARGUMENT", "UNAUTHENTICATED", "UNIMPLEMENTED"])
def test_what_will_not_pass_is_raised_at_once(channel, status):
    client = ScoreClient("x:1")
    client.config()
    channel.script = [failure(status)] * 9
    with pytest.raises(ServerError, match=f"said the server .{status}"):
        client.score(photos(1))
    assert len(channel.script) == 8


def test_a_broken_model_process_is_tried_again_only_a_little(channel):
    client = ScoreClient("x:1")
    client.config()
    channel.script = [failure("INTERNAL")] * 2
    assert client.score(photos(255)).scores == [1.0]
    channel.script = [failure("INTERNAL")] * 9
    with pytest.raises(ServerError):
        client.score(photos(255))
    assert len(channel.script) == 6


def test_who_waits_for_ever_waits_until_a_model_process_that_died_is_replaced(channel):
    told = []
    client = ScoreClient("x:1", wait_s=None, on_wait=told.append)
    client.config()
    channel.script = [failure("INTERNAL", "Stub process 'image_score_0_0' is not healthy.")] * 4
    assert client.score(photos(255)).scores == [1.0]
    assert len(told) == 1
    assert "the process of model 'image_score' at x:1 died" in told[0]


def test_a_server_that_is_gone_is_named_with_what_to_type(channel):
    channel.script = [failure("UNAVAILABLE", "failed to connect")] * 9
    with pytest.raises(ServerError, match="nothing answers at x:1") as e:
        ScoreClient("x:1", wait_s=0).score(photos(1))
    assert "rank-cli stack up triton" in e.value.hint
    assert len(channel.script) == 8  # it was not waited for


def test_told_to_stop_it_waits_no_longer(channel):
    stop = threading.Event()
    client = ScoreClient("x:1", wait_s=None, stop=stop)
    client.config()
    stop.set()
    channel.script = [failure("UNAVAILABLE")] * 9
    with pytest.raises(ServerError):
        client.score(photos(1))
    assert len(channel.script) == 8


def test_a_number_that_is_no_score_is_an_error_and_the_others_are_kept(channel):
    with pytest.raises(BadScoresError, match="2 of 3 scores") as e:
        ScoreClient("x:1").score(photos(13, 255, 14))
    assert e.value.bad.tolist() == [True, False, True]
    assert e.value.scores[1] == 1.0


def test_a_batch_is_never_scored_by_two_versions(channel):
    client = ScoreClient("x:1")
    channel.script = ["w1", "w2"]  # reloaded in between; then both parts by w1
    assert client.score(photos(1, 2, 3, 4, 5)).model_version == "w1"
    assert [r["n"] for r in channel.requests] == [4, 1, 4, 1]
    channel.script = ["w1", "w2"] * 3
    with pytest.raises(ServerError, match="changed its version"):
        client.score(photos(1, 2, 3, 4, 5))


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, SIZE, SIZE, 3), dtype=np.float32),
        np.zeros((SIZE, SIZE, 3), dtype=np.uint8),
        np.zeros((1, SIZE, SIZE + 1, 3), dtype=np.uint8),
        np.zeros((1, 3, SIZE, SIZE), dtype=np.uint8),
        np.zeros((0, SIZE, SIZE, 3), dtype=np.uint8),
    ],
)
def test_another_shape_or_type_is_refused_before_it_is_sent(channel, images):
    with pytest.raises(InputError, match=r"uint8 \[n, 8, 8, 3\]"):
        ScoreClient("x:1").score(images)
    assert channel.requests == []


class Silent(Channel):
    """As TensorRT: answers without a version; `number` is Triton's version of the model."""

    def __init__(self):
        super().__init__()
        self.number, self.weights = 1, "w1"

    def infer(self, model, inputs, *, outputs, **options):
        assert [output.name() for output in outputs] == ["score"]
        answer = super().infer(model, inputs, **options)
        answer.get_response = lambda: SimpleNamespace(model_version=str(self.number))
        return answer

    def get_model_config(self, *_, **__):
        config = super().get_model_config()["config"] | {"output": [{"name": "score"}]}
        config["parameters"] = {"model_version": {"string_value": self.weights}}
        return {"config": config}


def test_a_model_that_does_not_name_its_weights_has_those_of_its_configuration(monkeypatch):
    silent = Silent()
    monkeypatch.setattr(ScoreClient, "_channel", lambda self: silent)
    client = ScoreClient("x:1")
    assert client.score(photos(255)).model_version == "w1"
    silent.number, silent.weights = 2, "w2"  # reloaded
    assert client.score(photos(255)).model_version == "w2"
