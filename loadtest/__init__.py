"""Load tests: captured searches sent again, baseline and contender in turns, against an SLO.

Locust runs in a process of its own (`loadtest.worker`); nothing here imports it.
"""

from loadtest.histogram import Counts, record
from loadtest.page import write_page
from loadtest.results import SIDES, Result, RoundResult, Side, read_result, write_result
from loadtest.run import Plan, cluster_target, expected, run_load
from loadtest.sender import LoadError, Round, Sample, Target, sender
from loadtest.shapes import SHAPES, Shape
from loadtest.slo import Check, Slo, judge, read_slo, throughput_at_slo
from loadtest.summary import Summary, summarise
from loadtest.workload import Search, read_workload

__all__ = [
    "SHAPES",
    "SIDES",
    "Check",
    "Counts",
    "LoadError",
    "Plan",
    "Result",
    "Round",
    "RoundResult",
    "Sample",
    "Search",
    "Shape",
    "Side",
    "Slo",
    "Summary",
    "Target",
    "cluster_target",
    "expected",
    "judge",
    "read_result",
    "read_slo",
    "read_workload",
    "record",
    "run_load",
    "sender",
    "summarise",
    "throughput_at_slo",
    "write_page",
    "write_result",
]
