"""The real Triton over a repository that we wrote."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tritonclient import grpc

from ranking.errors import ServerError
from scorer.serving import BACKFILL, ONLINE, ScoreClient, ServingOptions, write_repository
from scorer.serving.names import IMAGE_INPUT, MODEL_NAME
from scorer.serving.patience import Patience
from scorer.serving.weights import load_weights
from tests.integration.triton_server import own_triton

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def triton(tmp_path_factory):
    with own_triton(tmp_path_factory.mktemp("triton")) as server:
        yield server


@pytest.fixture(scope="module")
def client(triton):
    return triton.load()


def noise(n, size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def statistics(url):
    server = grpc.InferenceServerClient(url)
    try:
        (model,) = server.get_inference_statistics(MODEL_NAME).model_stats
        return int(model.inference_count), int(model.execution_count)
    finally:
        server.close()


def test_triton_scores_as_torch_does_in_this_process(triton, client):
    weights = triton.exported.folder / str(triton.exported.number) / "weights"
    local = load_weights(weights)
    images = np.concatenate([noise(37, client.image_size), np.zeros_like(noise(1, client.image_size))])
    served = client.score(images)
    assert served.model_version == local.version == triton.exported.model_version
    np.testing.assert_allclose(served.scores, local.score(images), atol=1e-5, rtol=0)
    assert len(np.unique(served.scores)) > 30  # scores vary


def test_requests_of_many_clients_share_batches(triton, client):
    images = noise(1, client.image_size)
    client.score(images)
    inferences, executions = statistics(triton.url)
    with ThreadPoolExecutor(16) as pool:
        scores = list(pool.map(lambda _: client.score(images).scores[0], range(128)))
    more_inferences, more_executions = statistics(triton.url)
    n, batches = more_inferences - inferences, more_executions - executions
    assert n == 128
    assert n / batches > 2, f"{n} photos took {batches} executions"
    np.testing.assert_allclose(scores, scores[0], atol=1e-5)


def test_online_requests_overtake_a_backfill(triton, client):
    """Sent behind twelve backfill batches, an online request is answered before most of them."""
    images = noise(client.max_batch_size, client.image_size)
    done = []

    def score(priority, name):
        ScoreClient(triton.url, priority=priority, deadline_s=120).score(images)
        done.append(name)

    backfill = [threading.Thread(target=score, args=(BACKFILL, "backfill")) for _ in range(12)]
    online = threading.Thread(target=score, args=(ONLINE, "online"))
    for thread in backfill:
        thread.start()
    while not done:  # by now the others wait in the server's queue
        time.sleep(0.001)
    online.start()
    for thread in [*backfill, online]:
        thread.join()
    assert done.index("online") < 8, done


def test_a_deadline_is_kept_and_named(triton, client):
    images = noise(client.max_batch_size, client.image_size)
    hasty = ScoreClient(triton.url, deadline_s=10, wait_s=0)
    hasty.config()
    hasty.patience = Patience(deadline_s=0.001, wait_s=0)
    began = time.monotonic()
    with pytest.raises(ServerError, match=r"within 0\.001 s"):
        hasty.score(images)
    assert time.monotonic() - began < 5


def test_a_wrong_shape_is_refused_by_the_server_too(triton):
    server = grpc.InferenceServerClient(triton.url)
    try:
        wrong = grpc.InferInput(IMAGE_INPUT, [1, 7, 7, 3], "UINT8")
        wrong.set_data_from_numpy(np.zeros((1, 7, 7, 3), dtype=np.uint8))
        with pytest.raises(Exception, match="unexpected shape"):
            server.infer(MODEL_NAME, [wrong])
    finally:
        server.close()


def test_new_weights_are_taken_up_without_a_gap(triton, client):
    """While a thread scores all the time, other weights are loaded, and no request fails."""
    images = noise(2, client.image_size)
    stop, seen, failed = threading.Event(), [], []

    def keep_asking():
        busy = ScoreClient(triton.url, wait_s=0)
        while not stop.is_set():
            try:
                seen.append(busy.score(images).model_version)
            except ServerError as e:
                failed.append(str(e))

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        exported = write_repository(
            triton.repository,
            str(triton.exported.folder / str(triton.exported.number) / "weights"),
            options=ServingOptions(precision="bfloat16"),
        )
        triton.load(exported)
        time.sleep(0.5)
    finally:
        stop.set()
        asking.join()
    assert failed == []
    assert (seen[0], seen[-1]) == (triton.exported.model_version, exported.model_version)


def test_a_server_that_is_not_there_is_named():
    with pytest.raises(ServerError, match=r"nothing answers at 127\.0\.0\.1:9"):
        ScoreClient("127.0.0.1:9", wait_s=0).check()


def test_a_model_that_is_not_there_is_named(triton):
    with pytest.raises(ServerError, match="no model 'absent'"):
        ScoreClient(triton.url, model_name="absent", wait_s=0).check()
