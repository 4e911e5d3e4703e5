"""The nodes: their clocks beside ours, refused script compilations, disks and watermarks, shards."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Final

from doctor.finding import Result, ok, problem, warning
from doctor.options import Context
from ranking.es import server_errors

SKEW_WARNING_MS: Final = 2_000
SKEW_PROBLEM_MS: Final = 60_000
FULL_SHARE: Final = 0.9  # of the shards that a node may hold
LARGE_SHARD_GB: Final = 50
_UNITS: Final = {"b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40, "pb": 1 << 50}
_WATERMARK: Final = "cluster.routing.allocation.disk.watermark."


def clock(context: Context) -> Result:
    """Each node's clock less ours. A capture's clock is ours, and items' dates may be the nodes'."""
    began = time.monotonic()
    before = context.options.clock()
    with server_errors("read the nodes' clocks"):
        found = context.es.nodes.stats(metric="os")["nodes"].values()
    took_ms = (time.monotonic() - began) * 1000
    middle = before + took_ms / 2
    skews = {node["name"]: node["timestamp"] - middle for node in found}
    name = max(skews, key=lambda one: abs(skews[one]))
    sure = abs(skews[name]) - took_ms / 2
    word = "ahead of" if skews[name] > 0 else "behind"
    says = f"{name} is {abs(skews[name]) / 1000:.2f} s {word} this machine, ± {took_ms / 2000:.2f} s"
    fix = "synchronize both with NTP: freshness is computed from this machine's clock"
    if sure > SKEW_PROBLEM_MS:
        return problem(says, fix)
    return warning(says, fix) if sure > SKEW_WARNING_MS else ok(says)


def scripts(context: Context) -> Result:
    """The limit on script compilations, and whether it refused any."""
    with server_errors("read script statistics"):
        stats = context.es.nodes.stats(metric="script")["nodes"].values()
        rate = _settings(context).get("script.max_compilations_rate")
    limit = f", at most {rate}" if rate else ""
    compiled = sum(node["script"]["compilations"] for node in stats)
    refused = sum(node["script"].get("compilation_limit_triggered", 0) for node in stats)
    says = f"{compiled} compilations{limit}"
    if refused:
        return warning(
            f"{says}; {refused} were refused since the nodes started, and their searches failed",
            "publish the profile (`rank-cli apply-boost`): a stored script is compiled once; "
            "or raise script.max_compilations_rate",
        )
    return ok(f"{says}, none refused")


def disk(context: Context) -> Result:
    """Free space of each node against the watermarks, past the last of which indices are read-only."""
    with server_errors("read disks and watermarks"):
        found = context.es.nodes.stats(metric="fs")["nodes"].values()
        settings = _settings(context)
    worst, name = min(
        (
            node["fs"]["total"]["available_in_bytes"] / max(1, node["fs"]["total"]["total_in_bytes"]),
            node["name"],
        )
        for node in found
    )
    total = next(node["fs"]["total"] for node in found if node["name"] == name)
    free, size = total["available_in_bytes"], total["total_in_bytes"]
    says = f"{name}: {free / 1e9:.1f} of {size / 1e9:.0f} GB free ({worst:.0%})"
    if settings.get("cluster.routing.allocation.disk.threshold_enabled") == "false":
        return ok(f"{says}; watermarks are switched off") if worst > 0.02 else warning(says, "free some disk")
    past = [
        stage
        for stage in ("flood_stage", "high", "low")
        if is_past(
            settings.get(_WATERMARK + stage), settings.get(f"{_WATERMARK}{stage}.max_headroom"), free, size
        )
    ]
    if "flood_stage" in past:
        return problem(f"{says}: past the flood stage, indices are read-only", "free disk or add a node")
    if past:
        return warning(f"{says}: past the {past[0]} watermark", "free disk or add a node, before writes stop")
    return ok(says)


def shards(context: Context) -> Result:
    """How many the nodes hold, and how large the family's are."""
    family = context.family
    with server_errors("read shards"):
        health = context.es.cluster.health()
        found = _settings(context)
        rows: Any = context.es.cat.shards(
            index=f"{family}-*", format="json", bytes="b", h="index,prirep,store,docs"
        ).body
    limit = int(found.get("cluster.max_shards_per_node", "1000")) * max(1, health["number_of_data_nodes"])
    largest = max((int(row["store"] or 0) for row in rows), default=0)
    says = f"{health['active_shards']} of {limit} shards; the largest of {family} has {largest / 1e9:.2g} GB"
    if health["active_shards"] > FULL_SHARE * limit:
        return warning(says, "delete indices, or add nodes: past the limit no index can be made")
    if largest > LARGE_SHARD_GB * 1e9:
        return warning(
            says, f"more primary shards in the template, then `rank-cli index migrate --index {family}`"
        )
    return ok(says)


def is_past(mark: str | None, headroom: str | None, free: float, size: float) -> bool:
    """Whether a disk is past a watermark.

    Args:
        mark: as the server has it: a used share ("85%", "0.85") or free bytes ("10gb").
        headroom: free bytes that are enough whatever the share, "-1" for none.
        free: bytes.
        size: bytes of the whole disk.
    """
    if mark is None:
        return False
    if (share := _share(mark)) is None:
        return free < _bytes(mark)
    enough = size * (1 - share)
    if headroom is not None and (most := _bytes(headroom)) >= 0:
        enough = min(enough, most)
    return free < enough


def _share(text: str) -> float | None:
    if text.endswith("%"):
        return float(text[:-1]) / 100
    return float(text) if re.fullmatch(r"0?\.\d+|1(\.0+)?|0", text) else None


def _bytes(text: str) -> float:
    found = re.fullmatch(r"(-?[\d.]+)\s*([a-z]*)", text.strip().lower())
    return 0.0 if found is None else float(found[1]) * _UNITS.get(found[2] or "b", 1)


def _settings(context: Context) -> Mapping[str, str]:
    """Settings of the cluster: the default, what was set for good over it, and what is set for now."""
    found = context.es.cluster.get_settings(include_defaults=True, flat_settings=True).body
    flat: dict[str, str] = {}
    for kind in ("defaults", "persistent", "transient"):
        flat |= {key: value for key, value in found.get(kind, {}).items() if isinstance(value, str)}
    return flat
