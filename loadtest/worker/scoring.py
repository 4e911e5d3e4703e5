"""Photos to Triton over gRPC, under gevent."""

from __future__ import annotations

import base64
import time
from typing import Any

import numpy as np
from locust import User

from loadtest.worker.play import Play


class ScoreUser(User):
    """Asks for scores of photos; never tries again."""

    abstract = True
    play: Play
    target: dict[str, Any]

    @staticmethod
    def get_ready(target: dict[str, Any]) -> None:
        """Once, before the first round: channels, and each request's photos."""
        from grpc.experimental.gevent import init_gevent

        init_gevent()  # before the first channel, else a call blocks every user
        from tritonclient import grpc

        target["clients"] = [grpc.InferenceServerClient(one) for one in target["addresses"]]
        shape = (-1, *target["dims"])
        target["inputs"] = []
        for one in target["requests"]:
            if target["datatype"] == "BYTES":
                photos = np.array([base64.b64decode(photo) for photo in one], dtype=np.object_)
            else:
                photos = np.frombuffer(b"".join(map(base64.b64decode, one)), dtype=np.uint8)
            photos = photos.reshape(shape)
            asked = grpc.InferInput(target["input"], list(photos.shape), target["datatype"])
            asked.set_data_from_numpy(photos)
            target["inputs"].append((asked, len(photos)))
        target["outputs"] = [grpc.InferRequestedOutput(target["output"])]

    def send(self, i: int, intended: float) -> None:
        """Send request `i`, due at `intended` seconds of the round."""
        from tritonclient.utils import InferenceServerException

        target = self.target
        asked, n = target["inputs"][self.play.item(i)]
        client = target["clients"][i % len(target["clients"])]
        error = ""
        started = time.perf_counter()
        try:
            answer = client.infer(
                target["model"],
                [asked],
                outputs=target["outputs"],
                priority=target["priority"],
                timeout=int(target["timeout"] * 1e6),  # µs: the server drops what nobody waits for
                client_timeout=target["timeout"],
            )
        except InferenceServerException as e:
            ended = time.perf_counter()
            error = str(e.status() or e).rpartition(".")[2].lower()
        else:
            ended = time.perf_counter()
            scores = answer.as_numpy(target["output"])
            if scores is None or scores.size != n or not ((scores >= 0) & (scores <= 1)).all():
                error = "no score in [0, 1]"
        self.play.add(intended, started, ended, error)

    def finish(self) -> None:
        """Nothing is left to wait for."""
