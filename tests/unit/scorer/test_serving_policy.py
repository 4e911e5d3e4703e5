"""Breaker, addresses, trace headers and the choice by CPU: what both clients and the export share."""

import re
import shlex
import socket
from pathlib import Path

import pytest
from typer.main import get_command

from ranking.cli import full_app
from ranking.errors import InputError, ServerError
from scorer.serving.addresses import grpc_target, servers
from scorer.serving.breaker import CircuitBreaker
from scorer.serving.cpu import best_precision, cpu_features, instances_for
from scorer.serving.patience import Budget, BudgetSpent, Patience
from scorer.serving.tracing import trace_headers


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_the_breaker_opens_after_failures_in_a_row_and_then_lets_one_ask_for_all(clock):
    breaker = CircuitBreaker(failures=3, open_s=2, open_max_s=6, clock=clock)
    for _ in range(2):
        breaker.failed("gone")
    breaker.succeeded()  # forgets them
    for _ in range(2):
        breaker.failed("gone")
    assert (breaker.state, breaker.admit()) == ("closed", 0.0)
    breaker.failed("gone again")
    assert (breaker.state, breaker.admit(), breaker.reason) == ("open", 2.0, "gone again")
    clock.now += 1.5
    assert breaker.admit() == 0.5
    clock.now += 0.5
    assert breaker.state == "half-open"
    assert breaker.admit() == 0.0  # this one asks
    assert breaker.admit() == 2.0  # the others wait for its outcome
    breaker.failed("still gone")
    assert breaker.admit() == 4.0  # twice as long
    clock.now += 4
    breaker.admit()
    breaker.failed("still gone")
    assert breaker.admit() == 6.0  # and no longer than this
    clock.now += 6
    assert breaker.admit() == 0.0
    breaker.succeeded()
    assert (breaker.state, breaker.admit(), breaker.admit()) == ("closed", 0.0, 0.0)
    for _ in range(3):
        breaker.failed("gone")
    assert breaker.admit() == 2.0  # from the start again


def test_one_that_asks_and_never_reports_holds_nobody_up_for_ever(clock):
    breaker = CircuitBreaker(failures=1, open_s=1, clock=clock)
    breaker.failed("gone")
    clock.now += 1
    assert breaker.admit() == 0.0  # and it is cancelled
    assert breaker.admit() > 0
    clock.now += 2
    assert breaker.admit() == 0.0


@pytest.mark.parametrize("wrong", [{"failures": 0}, {"open_s": 0}, {"open_s": 9, "open_max_s": 3}])
def test_a_breaker_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        CircuitBreaker(**wrong)


def test_an_attempt_gets_what_is_left_of_the_budget(clock):
    budget = Budget(10, clock=clock)
    assert budget.attempt_s(3) == 3
    clock.now += 8
    assert budget.attempt_s(3) == 2
    clock.now += 2
    with pytest.raises(BudgetSpent):
        budget.attempt_s(3)
    assert Budget(None, clock=clock).attempt_s(3) == 3


@pytest.mark.parametrize("wrong", [{"deadline_s": 0}, {"wait_s": -1}, {"budget_s": -1}])
def test_impossible_patience_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Patience(**wrong)


def test_several_servers_become_one_list_of_numeric_addresses(monkeypatch):
    known = {"a": ["10.0.0.1"], "b": ["10.0.0.2", "fd00::2"], "c": []}

    def look_up(host, port, **_):
        if not known.get(host, [host]):
            raise socket.gaierror("unknown")
        return [(0, 0, 0, "", (address, port)) for address in known.get(host, [host])]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert grpc_target("a:8001") == "a:8001"  # gRPC looks one name up itself, again and again
    assert grpc_target("a:8001, b:8002") == "ipv4:10.0.0.1:8001,10.0.0.2:8002"
    assert grpc_target("a:8001,c:8001") == "ipv4:10.0.0.1:8001"  # one unknown name spoils nothing
    assert grpc_target("[fd00::1]:8001,[fd00::2]:8001") == "ipv6:[fd00::1]:8001,[fd00::2]:8001"
    with pytest.raises(ServerError, match="no address is known of c:1, c:2"):
        grpc_target("c:1,c:2")


@pytest.mark.parametrize("wrong", ["host", "host:", ":8001", "host:grpc", "a:8001,b"])
def test_what_is_no_address_is_refused(wrong):
    with pytest.raises(InputError, match="is no host:port"):
        servers(wrong)
    with pytest.raises(InputError, match="names no server"):
        servers(" , ")


def test_a_request_inside_a_span_carries_its_trace():
    trace = pytest.importorskip("opentelemetry.trace")
    assert trace_headers() == {}
    context = trace.SpanContext(
        trace_id=0x0AF7651916CD43DD8448EB211C80319C,
        span_id=0xB7AD6B7169203331,
        is_remote=False,
        trace_flags=trace.TraceFlags(1),
    )
    with trace.use_span(trace.NonRecordingSpan(context)):
        # the example of the W3C recommendation
        assert trace_headers() == {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


INTEL = "vendor_id : GenuineIntel\nflags : fpu avx2 avx512f avx512_vnni avx512_bf16\n"
AMD = "vendor_id : AuthenticAMD\nflags : fpu avx2 avx512f avx512_vnni avx512_bf16\n"
OLD = "vendor_id : GenuineIntel\nflags : fpu avx2\n"
ARM = "Features : fp asimd asimddp bf16 i8mm\n"


@pytest.mark.parametrize(
    ("cpuinfo", "python", "onnx"),
    [
        (INTEL, "float32", "int8"),
        (INTEL.replace("avx512_bf16", "amx_bf16 amx_int8"), "bfloat16", "int8"),
        (AMD, "bfloat16", "int8"),
        (OLD, "float32", "float32"),
        (ARM, "bfloat16", "int8"),
        ("", "float32", "float32"),
    ],
)
def test_the_precision_is_what_the_cpu_is_fast_at(cpuinfo, python, onnx):
    features = cpu_features(cpuinfo)
    assert best_precision("python", features=features) == python
    assert best_precision("python-onnx", features=features) == onnx
    assert best_precision("onnx", features=features) == "float32"
    assert best_precision("python", features=features, photos=True) == onnx


def test_a_gpu_gets_bfloat16_where_the_backend_has_it():
    assert best_precision("tensorrt", "gpu", features=()) == "bfloat16"
    assert best_precision("python", "gpu", features=()) == "bfloat16"
    assert best_precision("onnx", "gpu", features=()) == "float32"


def test_an_instance_a_core_up_to_a_limit():
    assert [instances_for(n) for n in (1, 2, 8, 64)] == [1, 2, 8, 8]


def test_the_commands_on_the_page_are_ours():
    page = (Path(__file__).parents[3] / "docs" / "serving.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```sh\n(.*?)^```", page, flags=re.M | re.S)
    for line in block.splitlines():
        program, *words = shlex.split(line, comments=True)
        assert program == "rank-cli"
        command = get_command(full_app())
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        command.make_parser(command.make_context("x", list(words), resilient_parsing=True)).parse_args(words)
