"""Liveness of a Triton: exits 1 where a model process died, which Triton 2.51 neither mends nor tells.

Server and model say "ready" all the same; each request that meets the dead process gets "Stub process ...
is not healthy". So this sends requests of zeros, more than there are instances. Standard library only.

    python3 triton_alive.py [HTTP_PORT]
"""

import json
import math
import sys
import urllib.error
import urllib.request

TIMEOUT_S = 3.0  # a request that waits longer waits behind others: alive
DEAD = "is not healthy"  # the Python backend's words


def main(port: str = "8000") -> int:
    """0 alive, 1 to be started again."""
    base = f"http://127.0.0.1:{port}/v2"
    try:
        loaded = json.loads(ask(f"{base}/repository/index", {"ready": True}))
        for name in sorted({row["name"] for row in loaded if row.get("state") == "READY"}):
            config = json.loads(ask(f"{base}/models/{name}/config"))
            if config.get("backend") == "python" and died(base, name, config):
                print(f"a process of model {name!r} died", file=sys.stderr)
                return 1
    except OSError as e:
        print(e, file=sys.stderr)
        return 1
    return 0


def died(base: str, name: str, config: dict) -> bool:  # type: ignore[type-arg]
    """Whether one of the model's processes is gone."""
    inputs = json.loads(ask(f"{base}/models/{name}"))["inputs"]
    body = {"inputs": [zeros(one) for one in inputs]}
    for _ in range(4 * sum(group["count"] for group in config["instance_group"])):
        try:
            ask(f"{base}/models/{name}/infer", body)
        except urllib.error.HTTPError as e:
            if DEAD in e.read().decode(errors="replace"):
                return True
        except OSError:
            return False
    return False


def zeros(one: dict) -> dict:  # type: ignore[type-arg]
    """An input of zeros, or empty strings, of the smallest shape."""
    shape = [max(1, side) for side in one["shape"]]
    value = "" if one["datatype"] == "BYTES" else 0
    return {
        "name": one["name"],
        "shape": shape,
        "datatype": one["datatype"],
        "data": [value] * math.prod(shape),
    }


def ask(url: str, body: object = None) -> bytes:
    """The server's answer."""
    data = None if body is None else json.dumps(body).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, data=data), timeout=TIMEOUT_S) as response:
        return response.read()  # type: ignore[no-any-return]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
