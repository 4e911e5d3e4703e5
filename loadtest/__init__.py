"""Load tests: searches, item messages and photos as load, baseline and contender in turns, against an SLO.

Locust runs in processes of its own (`loadtest.worker`); nothing here imports it.
"""

from loadtest.counters import watched_model, watched_nodes
from loadtest.histogram import Counts, record
from loadtest.messages import Messages, read_messages
from loadtest.page import write_page
from loadtest.photos import Photos, model_server
from loadtest.plan import Plan
from loadtest.results import SIDES, Result, RoundResult, Side, read_result, write_result
from loadtest.run import Source, expected, run_rounds
from loadtest.searches import Search, Searches, platforms, read_workload
from loadtest.sender import KINDS, Kind, Load, LoadError, Sample, Work, sender
from loadtest.shapes import SHAPES, Shape
from loadtest.slo import Check, Slo, Step, judge, read_slo, read_steps, throughput_at_slo
from loadtest.summary import Summary, summarise
from loadtest.targets import Broker, ModelServer, Target, broker_address, cluster_target, triton_addresses

__all__ = [
    "KINDS",
    "SHAPES",
    "SIDES",
    "Broker",
    "Check",
    "Counts",
    "Kind",
    "Load",
    "LoadError",
    "Messages",
    "ModelServer",
    "Photos",
    "Plan",
    "Result",
    "RoundResult",
    "Sample",
    "Search",
    "Searches",
    "Shape",
    "Side",
    "Slo",
    "Source",
    "Step",
    "Summary",
    "Target",
    "Work",
    "broker_address",
    "cluster_target",
    "expected",
    "judge",
    "model_server",
    "platforms",
    "read_messages",
    "read_result",
    "read_slo",
    "read_steps",
    "read_workload",
    "record",
    "run_rounds",
    "sender",
    "summarise",
    "throughput_at_slo",
    "triton_addresses",
    "watched_model",
    "watched_nodes",
    "write_page",
    "write_result",
]
