"""Users out of events: UBI 1.3.0 JSON lines, or a capture folder.

Such logs know a user from the first search on, so every figure is per searcher: users who were assigned but
never searched are not in them. Assignment does not depend on what is measured, but the effect is diluted less
than over all assigned users; say so beside the figures.

Variant: `variant`, `arm` or `ab_variant` in `query_attributes` (UBI); the canary's side, or else the profile
that served (captures). A user who was served by two variants is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from ranking.capture import EVENT_SCHEMA, SEARCH_SCHEMA, read_table
from ranking.errors import InputError
from replay.ab.users import Reject, Users, users_of

NOTE: Final = "made of events: per user who searched, not per user who was assigned"
VARIANT_KEYS: Final = ("variant", "arm", "ab_variant")
PURCHASES: Final = ("purchase", "buy", "order", "transaction")
CLICKS: Final = ("click", "item_click", "product_click")
_NUMBERS: Final = ("searches", "clicks", "purchases", "purchases_via_search")


class _Tally:
    """Counts per user and variant."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}
        self.last: dict[str, dict[str, Any]] = {}  # the row of each user that counts what comes next
        self.seen_actions: set[str] = set()
        self.simulated = False

    def search(self, user: str, variant: str, platform: str | None, at_ms: float | None) -> None:
        row = self.rows.setdefault(
            (user, variant),
            {"user_id": user, "variant": variant, "platform": platform, "first_ms": at_ms}
            | dict.fromkeys(_NUMBERS, 0),
        )
        row["searches"] += 1
        if at_ms is not None and (row["first_ms"] is None or at_ms < row["first_ms"]):
            row["first_ms"] = at_ms
        self.last[user] = row

    def event(self, user: str, action: str, *, via_search: bool) -> bool:
        """Count an event; False where its user never searched."""
        row = self.last.get(user)
        if row is None:
            return False
        if action in CLICKS:
            row["clicks"] += 1
            self.seen_actions.add("clicks")
        elif action in PURCHASES:
            row["purchases"] += 1
            row["purchases_via_search"] += via_search
            self.seen_actions |= {"purchases", "purchases_via_search"}
        return True

    def users(self, source: str, rejects: list[Reject], needed: Sequence[str], *, only_search: bool) -> Users:
        if not self.rows:
            why = f", such as: line {rejects[0].row}: {rejects[0].reason}" if rejects else ""
            raise InputError(f"{source} holds no search of a user in a variant{why}")
        names = [name for name in _NUMBERS if name == "searches" or name in self.seen_actions]
        if only_search and "purchases" in names:
            names.remove("purchases")  # the log holds no other purchases: they are those via search
        rows = list(self.rows.values())
        table = pa.table(
            {
                name: pa.array([row[name] for row in rows], pa.string())
                for name in ("user_id", "variant", "platform")
            }
            | {name: pa.array([row[name] for row in rows], pa.int64()) for name in names}
            | {
                "first_seen": pa.array(
                    [None if row["first_ms"] is None else int(row["first_ms"]) for row in rows],
                    pa.timestamp("ms"),
                ),
                "simulated": pa.array([self.simulated] * len(rows)),
            }
        )
        if not any(row["platform"] for row in rows):
            table = table.drop_columns(["platform"])
        return users_of(table, source, needed=needed, rejects=rejects, note=NOTE)


def users_of_captures(folder: Path, needed: Sequence[str] = ()) -> Users:
    """The users of a capture folder: searches and clicks, and purchases where events name any.

    Args:
        folder: of captured searches and events.
        needed: columns that metrics read.

    Raises:
        InputError: no searches, or none with a user.
    """
    searches = read_table(folder, "searches", SEARCH_SCHEMA)
    if searches.num_rows == 0:
        raise InputError(
            f"no captured searches in {folder}", hint="capture some with `rank-cli replay record`"
        )
    tally, owner, anonymous = _Tally(), {}, []
    wanted = searches.select(["search_id", "user_id", "arm", "profile", "platform", "now_ms"])
    for i, row in enumerate(wanted.to_pylist()):
        if not row["user_id"]:
            anonymous.append(Reject(i + 1, "a search without a user"))
            continue
        variant = row["arm"].rpartition("/")[2] if row["arm"] else row["profile"]
        tally.search(row["user_id"], variant or "", row["platform"], row["now_ms"])
        owner[row["search_id"]] = row["user_id"]
    for row in read_table(folder, "events", EVENT_SCHEMA).to_pylist():
        user = owner.get(row["search_id"])
        if user is not None:
            tally.event(user, row["action"], via_search=True)
            tally.simulated |= bool(row["simulated"])
    return tally.users(str(folder), anonymous, needed, only_search=True)


def users_of_ubi(path: Path, needed: Sequence[str] = ()) -> Users:
    """The users of UBI queries and events, mixed in one file or apart in a folder.

    Args:
        path: JSON lines; a folder is read whole, every `.jsonl` and `.ndjson` of it.
        needed: columns that metrics read.

    Raises:
        InputError: no such file, or no search of a user in a variant.
    """
    paths = (
        sorted(p for p in path.iterdir() if p.suffix in (".jsonl", ".ndjson")) if path.is_dir() else [path]
    )
    if not paths:
        raise InputError(f"{path} holds no .jsonl file and no captured searches")
    rejects: list[Reject] = []
    later: list[tuple[int, str | None, str, str | None]] = []  # events: line, user, action, query_id
    tally, owner = _Tally(), {}
    for line, row in _rows(paths, rejects):
        if "action_name" in row:  # its search may stand further down
            attributes = _mapping(row, "event_attributes")
            later.append((line, _user(row, attributes), str(row["action_name"]), _text(row.get("query_id"))))
            tally.simulated |= attributes.get("simulated") is True
        elif "user_query" in row or "query_response_hit_ids" in row:
            attributes = _mapping(row, "query_attributes")
            user, variant = _user(row, attributes), _first(attributes, VARIANT_KEYS)
            if not user:
                rejects.append(Reject(line, "a search without client_id or user_id"))
            elif not variant:
                rejects.append(Reject(line, f"a search without {' or '.join(VARIANT_KEYS)}"))
            else:
                variant = variant.rpartition("/")[2]  # our canary writes SALT/SIDE
                tally.search(user, variant, _text(attributes.get("platform")), _moment(row.get("timestamp")))
                if row.get("query_id"):
                    owner[str(row["query_id"])] = user
        else:
            rejects.append(Reject(line, "neither a query (user_query) nor an event (action_name)"))
    for line, known, action, query_id in later:
        user = owner.get(query_id or "") or known
        if not user or not tally.event(user, action, via_search=query_id is not None):
            rejects.append(Reject(line, "an event of nobody who searched in a variant"))
    return tally.users(path.name, sorted(rejects, key=lambda one: one.row), needed, only_search=False)


def _rows(paths: list[Path], rejects: list[Reject]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every JSON object with its line, counted over all files; what is none goes to `rejects`."""
    line = 0
    for path in paths:
        with path.open("rb") as file:
            for raw in file:
                line += 1
                if not raw.strip():
                    continue
                try:
                    row = json.loads(raw)
                except (ValueError, RecursionError):
                    row = None
                if isinstance(row, dict):
                    yield line, row["_source"] if isinstance(row.get("_source"), dict) else row
                else:
                    rejects.append(Reject(line, "not a JSON object"))


def _user(row: Mapping[str, Any], attributes: Mapping[str, Any]) -> str | None:
    return _text(attributes.get("user_id")) or _text(row.get("user_id")) or _text(row.get("client_id"))


def _first(data: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((text for key in keys if (text := _text(data.get(key)))), None)


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and str(value) else None


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _moment(value: Any) -> float | None:
    from ranking.clock import parse_time

    try:
        return float(parse_time(str(value)))
    except ValueError:
        return None
