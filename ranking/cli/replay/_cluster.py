"""What the cluster of today says of a log, and how parity is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ranking.cli import _output as out

if TYPE_CHECKING:
    from replay.live import LiveParity
    from replay.parity import Parity


def ask_cluster(log: Any, index: str | None, limit: int | None, *, fixed: bool = False) -> LiveParity:
    """Ask the cluster for logged searches at their clocks."""
    from ranking.es import connect
    from replay import verify_live

    with out.progress("asking the cluster", min(limit or len(log), len(log))) as advance:
        return verify_live(connect(), log, index=index, limit=limit, fixed=fixed, advance=advance)


def parity_rows(parity: Parity, today: LiveParity | None) -> list[dict[str, Any]]:
    """The table of a verification."""
    rows = [
        {
            "against": "the log",
            "scores": parity.scores,
            "bit-equal": parity.bit_equal,
            "worst ulp": parity.worst_ulp,
            "searches": parity.searches,
            "identical pages": parity.identical_topk,
            "index drift": "",
        }
    ]
    if today is not None:
        drift = today.drift
        where = "one point in time" if today.fixed else "parts of today"
        rows.append(
            {
                "against": f"the cluster, {where}",
                "scores": today.scores,
                "bit-equal": today.bit_equal,
                "worst ulp": today.worst_ulp,
                "searches": today.searches,
                "identical pages": today.same_order,
                "index drift": (
                    f"rel equal {drift.rel_equal}/{drift.common_items}, rescored {drift.rescored}, "
                    f"left {drift.left}, entered {drift.entered}, pages as logged {drift.identical_pages}"
                ),
            }
        )
        claims = today.counterfactuals
        if claims is not None:
            rows.append(
                {
                    "against": "the cluster, proven places of other profiles",
                    "scores": claims.proven_places,
                    "bit-equal": claims.equal_places,
                    "worst ulp": None,
                    "searches": claims.rankings,
                    "identical pages": None,
                    "index drift": "",
                }
            )
    if parity.unknown_profile:
        out.note(f"{parity.unknown_profile} searches were served by a profile that the log does not hold")
    if parity.imported:
        out.note(
            f"{parity.imported} searches were imported from a log that does not say which formula served: "
            "there is nothing to recompute"
        )
    return rows
