"""Every parser, on bytes that are broken in every way: a sentence, never a crash.

`make fuzz` runs many more (`FUZZ_EXAMPLES`, per parser); docs/security.md says how many were run, and what
they found.
"""

from __future__ import annotations

import json
import os
import warnings
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from ranking.errors import RankError
from tests.fuzz.targets import Target, targets

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "5"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
TARGETS = targets()

scalars = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, -1, 2**31, 2**63, -(2**63), 2**64, 10**30, 1e308, -0.0, float("nan"), float("inf")])
    | st.integers()
    | st.floats()
    | st.sampled_from(
        ["", "\0", "\ud800", "../../etc/passwd", "2026-13-45", "NaN", "1e999", "💥", "x" * 3000]
    )
    | st.text(max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
TOKENS = [
    *(
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\n",
        b"\r",
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b",",
        b":",
        b"- ",
        b"~",
        b"=",
    ),
    *(
        b"*a",
        b"&a ",
        b"<<: *a",
        b"!!python/object:os.system ",
        b"!!timestamp 2026-99-99",
        b"2026-13-45",
        b"1:2:3",
    ),
    *(
        b"nan",
        b"1e999",
        b"-1",
        b"0x",
        b"null",
        b"true",
        b"9" * 400,
        b"9" * 5000,
        b"[" * 2000,
        b'{"a":' * 1500,
    ),
    *(
        b"\x00\x00\x00\x00",
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff",
        b"PAR1",
        b"../",
        b"\\ud800",
        b"\xed\xa0\x80",
    ),
]
edits = st.lists(
    st.tuples(
        st.sampled_from(["cut", "drop", "put", "set", "twice", "head"]),
        st.floats(0, 1),
        st.integers(0, 64),
        st.sampled_from(TOKENS) | st.binary(min_size=1, max_size=8),
    ),
    max_size=5,
)


def edited(data: bytes, changes: list[tuple[str, float, int, bytes]]) -> bytes:
    """The input after a few edits, each at a share of its length."""
    for kind, share, length, new in changes:
        at = int(share * len(data))
        match kind:
            case "cut":
                data = data[:at]
            case "head":
                data = data[at:]
            case "drop":
                data = data[:at] + data[at + length :]
            case "put":
                data = data[:at] + new + data[at:]
            case "set":
                data = data[:at] + new + data[at + len(new) :]
            case "twice":
                data = data[:at] + data[at : at + 200] * 2 + data[at + 200 :]
    return data


def with_value(data: bytes, share: float, value: Any) -> bytes:
    """JSON (of the first line) with one of its values replaced; other input as it is."""
    line, newline, rest = data.partition(b"\n")
    try:
        document = json.loads(line)
    except ValueError:
        return data
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            places.append((node, key))
            walk(node[key])

    walk(document)
    if places:
        node, key = places[int(share * (len(places) - 1))]
        node[key] = value
    return json.dumps(document).encode(errors="surrogatepass") + newline + rest


def refused(target: Target, data: bytes) -> None:
    """Read it; a refusal has words, anything else is a crash."""
    allowed = (RankError, *(() if target.only_rank_errors else (ValueError,)))
    said = "read"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.read(data)
    except allowed as e:
        said = str(e).strip()
    assert said, "refused without a word"


@pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
def test_a_parser_refuses_with_a_sentence(target: Target) -> None:
    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(st.sampled_from(target.seeds), edits, st.floats(0, 1), st.none() | values, st.booleans())
    def run(start: bytes, changes: Any, share: float, value: Any, typed: bool) -> None:
        data = with_value(start, share, value) if typed else start
        refused(target, edited(data, [] if typed and share < 0.8 else changes))

    run()


@pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
def test_a_parser_reads_or_refuses_its_own_seeds_and_nothing(target: Target) -> None:
    step = 1 if EXAMPLES >= 50 else 4  # `make fuzz` reads all
    for data in [target.seeds[0], *target.seeds[1::step], b"", b"\n", *TOKENS[::step]]:
        refused(target, data)
