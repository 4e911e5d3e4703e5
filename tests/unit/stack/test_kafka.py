"""Kafka's storage is formatted with an id that its own parser takes."""

import base64
import uuid

from stack.kafka import cluster_id


def test_a_cluster_id_never_begins_like_an_option(monkeypatch):
    # 0xfb..: 62 in the first six bits is "-" in base64url
    drawn = iter(
        [uuid.UUID(bytes=b"\xf8" + bytes(15)), uuid.UUID(bytes=b"\xfb" + bytes(15)), uuid.UUID(int=1)]
    )
    monkeypatch.setattr(uuid, "uuid4", lambda: next(drawn))
    assert cluster_id() == "AAAAAAAAAAAAAAAAAAAAAQ"


def test_a_cluster_id_is_sixteen_bytes_as_kafka_writes_them():
    assert len(base64.urlsafe_b64decode(cluster_id() + "==")) == 16
