"""The asyncio client over a channel that plays a server, and what both clients do beyond one request."""

import asyncio
import io
import threading
import time

import numpy as np
import pytest
import stamina
from PIL import Image

from ranking.errors import InputError, ServerError
from scorer.serving import AsyncScoreClient, BadScoresError, CircuitBreaker, ScoreClient, ScoringUnavailable
from tests.unit.scorer.test_serving_client import LARGEST, SIZE, Channel, failure, photos


class AsyncChannel(Channel):
    """The same, awaited; it counts how many requests are under way at once."""

    def __init__(self):
        super().__init__()
        self.under_way = self.most = 0
        self.pause_s = 0.0

    async def infer(self, model, inputs, **options):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(self.pause_s)
            return super().infer(model, inputs, **options)
        finally:
            self.under_way -= 1

    async def get_model_config(self, *_, **__):
        return super().get_model_config()


@pytest.fixture
def channel(monkeypatch):
    fake, other = AsyncChannel(), Channel()

    async def of(self):
        return fake

    monkeypatch.setattr(AsyncScoreClient, "_channel", of)
    monkeypatch.setattr(ScoreClient, "_channel", lambda self: other)
    fake.sync = other
    with stamina.set_testing(True, attempts=6, cap=True):
        yield fake


def jpeg(grey, size=SIZE):
    file = io.BytesIO()
    Image.new("RGB", (size, size), (grey, grey, grey)).save(file, "JPEG", quality=100)
    return file.getvalue()


def test_parts_of_a_batch_are_under_way_together_and_come_back_in_order(channel):
    channel.pause_s = 0.01
    client = AsyncScoreClient("x:1", concurrency=3)
    scored = asyncio.run(client.score(photos(*range(0, 160, 10))))
    np.testing.assert_allclose(scored.scores, np.arange(0, 160, 10) / 255, rtol=1e-6)
    assert [r["n"] for r in channel.requests] == [LARGEST] * 4
    assert channel.most == 3


def test_many_tasks_share_the_bound(channel):
    channel.pause_s = 0.005

    async def crowd():
        client = AsyncScoreClient("x:1", concurrency=2)
        return await asyncio.gather(*(client.score(photos(grey)) for grey in range(10)))

    scores = [scored.scores[0] for scored in asyncio.run(crowd())]
    np.testing.assert_allclose(scores, np.arange(10) / 255, rtol=1e-6)
    assert channel.most == 2


def test_it_tries_again_as_the_sync_client_does(channel):
    async def ask():
        told = []
        client = AsyncScoreClient("x:1", on_wait=told.append)
        await client.check()
        channel.script = [failure("UNAVAILABLE"), failure("INTERNAL"), failure("DEADLINE_EXCEEDED")]
        scored = await client.score(photos(255))
        channel.script = [failure("INVALID_ARGUMENT")] * 3
        with pytest.raises(ServerError, match="INVALID_ARGUMENT"):
            await client.score(photos(1))
        assert len(channel.script) == 2
        channel.script = ["w1", "w2"] * 3
        with pytest.raises(ServerError, match="changed its version"):
            await client.score(photos(1, 2, 3, 4, 5))
        channel.script = []
        with pytest.raises(BadScoresError, match="1 of 2"):
            await client.score(photos(13, 1))
        return scored, told

    scored, told = asyncio.run(ask())
    assert scored.scores.tolist() == [1.0]
    assert len(told) == 1


def test_a_cancelled_call_is_not_tried_again(channel):
    channel.pause_s = 30

    async def ask():
        client = AsyncScoreClient("x:1")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.score(photos(1)), 0.05)
        return client.breaker.state

    assert asyncio.run(ask()) == "closed"
    assert channel.requests == []


def both(channel, photos_, **options):
    """The outcome of `score_each` of the sync client, seen to be the async one's too."""
    sync = ScoreClient("x:1", **options).score_each(photos_)
    other = asyncio.run(AsyncScoreClient("x:1", **options).score_each(photos_))
    np.testing.assert_array_equal(sync.scores, other.scores)
    assert sync.errors == other.errors
    assert sync.model_version == other.model_version
    return sync


def test_a_broken_photo_and_a_nan_do_not_spoil_their_neighbours(channel):
    scored = both(channel, [jpeg(255), b"no photo", photos(13)[0], b"", jpeg(255, 40), photos(51)[0]])
    np.testing.assert_allclose(scored.scores, [1, np.nan, np.nan, np.nan, 1, 0.2], rtol=1e-6)
    assert scored.errors == {
        1: "the photo is not an image that Pillow can read",
        2: "the model answered nan, which is no score in [0, 1]",
        3: "the photo is empty",
    }
    assert scored.model_version == "w1"


def test_where_no_photo_can_be_sent_nothing_is(channel):
    scored = both(channel, [b"x", b"y"])
    assert np.isnan(scored.scores).all()
    assert list(scored.errors) == [0, 1]
    assert channel.requests == channel.sync.requests == []
    with pytest.raises(InputError, match="at least one photo"):
        ScoreClient("x:1").score_each([])
    with pytest.raises(InputError, match=r"uint8 \[n, 8, 8, 3\]"):
        ScoreClient("x:1").score_each([photos(1)])


def test_an_open_breaker_tells_a_caller_at_once_and_names_the_reason(channel):
    breaker = CircuitBreaker(failures=2, open_s=60, open_max_s=60)
    client = ScoreClient("x:1", breaker=breaker)
    client.config()
    channel.sync.script = [failure("UNAVAILABLE", "connection refused")] * 99
    with pytest.raises(ScoringUnavailable, match=r"after several failures.*connection refused"):
        client.score(photos(1))
    asked = len(channel.sync.script)
    assert asked == 97  # two attempts, and then nobody asked
    began = time.monotonic()
    with pytest.raises(ScoringUnavailable) as e:
        client.score(photos(1))
    assert time.monotonic() - began < 0.5
    assert 0 < e.value.retry_after_s <= 60
    assert e.value.busy is False
    with pytest.raises(ScoringUnavailable):  # shared with another client of these servers
        asyncio.run(AsyncScoreClient("x:1", breaker=breaker).score(photos(1)))
    assert len(channel.sync.script) == asked


def test_a_caller_that_waits_for_ever_waits_for_the_breaker_too(channel):
    breaker = CircuitBreaker(failures=1, open_s=0.05)
    client = ScoreClient("x:1", wait_s=None, breaker=breaker)
    client.config()
    channel.sync.script = [failure("UNAVAILABLE")]
    with stamina.set_testing(False):
        began = time.monotonic()
        assert client.score(photos(255)).scores == [1.0]
    assert time.monotonic() - began >= 0.05
    assert breaker.state == "closed"


def test_a_full_queue_is_no_failure_of_the_server(channel):
    client = ScoreClient("x:1", breaker=CircuitBreaker(failures=1))
    client.config()
    channel.sync.script = [failure("UNAVAILABLE", "[request id: x] Exceeds maximum queue size")] * 9
    with pytest.raises(ScoringUnavailable, match="queue at x:1 is full") as e:
        client.score(photos(1))
    assert e.value.busy is True
    assert client.breaker.state == "closed"


class Slow(Channel):
    """Takes as long as it is given, and fails."""

    def __init__(self):
        super().__init__()
        self.given = []

    def infer(self, model, inputs, *, client_timeout, timeout, **options):
        self.given.append((client_timeout, timeout))
        time.sleep(client_timeout)
        raise failure("DEADLINE_EXCEEDED")


def test_no_attempt_runs_past_the_budget(monkeypatch):
    slow = Slow()
    monkeypatch.setattr(ScoreClient, "_channel", lambda self: slow)
    monkeypatch.setattr(ScoreClient, "_hang_up", lambda self: None)
    client = ScoreClient("x:1", deadline_s=0.3, wait_s=None, budget_s=0.7)
    client.config()
    began = time.monotonic()
    with pytest.raises(ScoringUnavailable, match="within"):
        client.score(photos(1))
    assert time.monotonic() - began < 1.2
    first, *others = [seconds for seconds, _ in slow.given]
    assert first == pytest.approx(0.3, abs=0.01)
    assert all(seconds < 0.3 for seconds in others)
    assert all(micro == int(seconds * 1e6) for seconds, micro in slow.given)  # the server's queue is told


def test_a_call_gives_up_that_waits_for_the_clients_own_requests_past_its_budget(monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    class Held(Channel):
        def infer(self, model, inputs, **options):
            begun.set()
            go_on.wait(10)
            return super().infer(model, inputs, **options)

    held = Held()
    monkeypatch.setattr(ScoreClient, "_channel", lambda self: held)
    client = ScoreClient("x:1", concurrency=1, budget_s=5)
    client.config()
    first = threading.Thread(target=client.score, args=(photos(1),))
    first.start()
    begun.wait(10)
    client.patience = type(client.patience)(budget_s=0.05)
    try:
        with pytest.raises(ScoringUnavailable, match="own earlier requests") as e:
            client.score(photos(2))
    finally:
        go_on.set()
        first.join()
    assert e.value.busy is True
