"""Every parser of what strangers may write, with a few good inputs to start from.

A target reads bytes. `FILES` are read from a path, as a command reads them: they may only raise `RankError`.
`VALUES` are parsers inside: their callers turn a `ValueError` into a sentence, so that is allowed too.
"""

from __future__ import annotations

import io
import json
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

Read = Callable[[Path], Any]


@dataclass(frozen=True, slots=True)
class Target:
    """One parser."""

    name: str
    read: Callable[[bytes], Any]
    seeds: list[bytes]
    only_rank_errors: bool


def of_file(name: str, suffix: str, read: Read, *seeds: str | bytes, place: str = "") -> Target:
    """A parser of a path; `place` is where below a folder the file lies, `read` is then given the folder."""

    def call(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / (place or f"input{suffix}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            read(Path(folder) if place else path)

    return Target(name, call, [s.encode() if isinstance(s, str) else s for s in seeds], True)


def of_value(name: str, read: Callable[[Any], Any], *seeds: str | bytes, text: bool = True) -> Target:
    """A parser of bytes, or of text."""

    def call(data: bytes) -> None:
        read(data.decode(errors="replace") if text else data)

    return Target(name, call, [s.encode() if isinstance(s, str) else s for s in seeds], False)


def parquet(columns: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def photo(kind: str, **more: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.arange(48 * 40 * 3, dtype=np.uint8).reshape(40, 48, 3)).save(out, kind, **more)
    return out.getvalue()


def heif(*boxes: bytes) -> bytes:
    def box(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(body), kind) + body

    item = struct.pack(">HH4s", 1, 0, b"Exif") + b"\0"
    iinf = box(b"iinf", b"\0\0\0\0" + struct.pack(">H", 1) + box(b"infe", b"\2\0\0\0" + item))
    iloc = box(b"iloc", b"\0\0\0\0\x44\0" + struct.pack(">HHHHII", 1, 1, 0, 1, 60, 20))
    meta = box(b"meta", b"\0\0\0\0" + iinf + iloc)
    return (
        box(b"ftyp", b"heic\0\0\0\0mif1heic") + meta + b"".join(boxes) + b"\0\0\0\6Exif\0\0II*\0" + b"\0" * 40
    )


def captured() -> bytes:
    from ranking.capture import CapturedItem, CaptureRecord, write_captures
    from ranking.profile import builtin_profiles

    profile = builtin_profiles()["additive"]
    items = tuple(
        CapturedItem(item_id=f"i{n}", rank=n or None, score=1.0, rel=2.0, image_score=0.5, created_ms=10**12)
        for n in range(3)
    )
    record = CaptureRecord(
        search_id="s", query="q", now_ms=10**12 + 5, index="items", profile=profile.name, window=3, took_ms=1,
        profile_hash=profile.hash, k=2, total_hits=3, rel_floor=None, items=items, n_shards=1, filters={"a": "b"},
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        write_captures(Path(folder), [record], [profile])
        (path,) = Path(folder).glob("searches/day=*/*.parquet")
        return path.read_bytes()


def captured_otherwise() -> list[bytes]:
    """Capture files with one column of another type, or with nulls, each."""
    table = pq.read_table(io.BytesIO(captured()))
    lists = {name for name in table.column_names if pa.types.is_list(table.schema.field(name).type)}
    found = []
    for i, name in enumerate(table.column_names):
        others: list[pa.Array] = [pa.nulls(1), pa.array([None], table.schema.field(name).type)]
        if name in lists:
            others += [
                pa.array([["x", None, "y"]]),
                pa.array([[[1], [2], [3]]]),
                pa.array([[1.5]]),
                pa.array(["x"]),
            ]
        else:
            others += [
                pa.array(["x"]),
                pa.array([[1, 2]]),
                pa.array([{"a": 1}]),
                pa.array([True]),
                pa.array([1e300]),
            ]
        for other in others:
            out = io.BytesIO()
            pq.write_table(table.set_column(i, name, other), out)
            found.append(out.getvalue())
    return found


def histories() -> list[bytes]:
    """A history as it is written, and with one column of another type, each."""
    from replay.history import parse_change
    from replay.history.fold import fold

    changes = parse_change({"item_id": "a", "at": 10**12, "item": {"title": "x", "price": 3}})
    table = fold([*changes, *parse_change({"item_id": "b", "at": 10**12 + 1, "item": {"title": "y"}})])
    found = []
    for i in range(-1, table.num_columns):
        for other in [None] if i < 0 else [["x"], [1], [[1]], [None], [{"a": 1}]]:
            one = (
                table
                if other is None
                else table.set_column(i, table.column_names[i], pa.array(other * len(table)))
            )
            out = io.BytesIO()
            pq.write_table(one, out)
            found.append(out.getvalue())
    return found


def importing(name: str) -> Read:
    def read(path: Path) -> None:
        from replay.importing import ImportOptions, import_log

        import_log(name, [path], path.parent / "out", options=ImportOptions(at_ms=10**12, index="items"))

    return read


def targets() -> list[Target]:
    """All of them."""
    from loadtest.results import read_result
    from loadtest.slo import read_slo
    from monitoring.rollout import read_rules as read_guardrails
    from monitoring.rules import read_rules as read_alert_rules
    from ranking.capture import read_captures
    from ranking.clock import parse_duration, parse_time
    from ranking.item_message import parse_message
    from ranking.lint import lint_body
    from ranking.profile import load_profile
    from ranking.query_log import read_query_log
    from ranking.rows import parse_object
    from replay import rank, read_history, read_log, verify
    from replay.ab.reading import read_users
    from replay.clicks.exam_file import read_exam_probs
    from replay.clicks.ratings import read_ratings
    from replay.history import parse_change
    from replay.history.sources import read_source
    from replay.importing import FORMATS, read_topics
    from replay.judgments import read_judgments
    from replay.sweep.space import parse_numbers, parse_transform, read_space
    from scorer.calibration.reference import read_reference
    from scorer.ingest.dlq import readable
    from scorer.labelling.answer import parse_page
    from scorer.labels.importing import KINDS, import_labels
    from scorer.labels.reading import read_pages
    from scorer.model.photo import read_photo
    from scorer.provenance.detect import ai_generated
    from scorer.serving.addresses import servers
    from scorer.similar.pairs import read_pairs
    from scorer.training.config import TrainConfig
    from scorer.training.grid import read_grid

    def replayed(folder: Path) -> None:
        from ranking.profile import builtin_profiles

        log = read_log(folder)
        verify(log)
        rank(log, builtin_profiles()["additive"])
        list(read_captures(folder))

    def linted(path: Path) -> None:
        from ranking.cli.lint import _read

        body = _read(str(path))
        if isinstance(body, dict):
            lint_body(body)

    def with_its_note(folder: Path) -> None:
        (folder / "history.json").write_text('{"schema_version": 1}')
        read_history(folder)

    log_lines = {
        "ubi": '{"query_id":"a","user_query":"dress","timestamp":"2026-11-20T09:00:00Z","query_response_hit_ids":'
        '["i1","i2"]}\n{"action_name":"click","query_id":"a","timestamp":"2026-11-20T09:00:01Z",'
        '"event_attributes":{"object":{"object_id":"i1"},"position":{"ordinal":1}}}\n',
        "shown": '{"id":"a","query":"dress","at":"2026-11-20T09:00:00Z","shown":["i1"],"clicks":["i1"]}\n',
        "slow-log": '{"@timestamp":"2026-11-20T09:00:00Z","elasticsearch.slowlog.source":"{\\"query\\":{\\"match\\":'
        '{\\"title\\":\\"dress\\"}},\\"size\\":10}","elasticsearch.slowlog.took_millis":3}\n',
        "metarank": '{"event":"ranking","id":"r","timestamp":"1700000000000","user":"u","session":"s","fields":'
        '[{"name":"query","value":"dress"}],"items":[{"id":"i1"}]}\n{"event":"interaction","id":"x","ranking":"r",'
        '"timestamp":"1700000001000","item":"i1","type":"click"}\n',
        "trec-run": "q1 Q0 i1 1 12.5 run\nq1 Q0 i2 2 11 run\n",
        "trec-qrels": "q1 0 i1 3\nq1 0 i2 0\n",
        "quepid": "query,docid,rating\ndress,i1,3\n",
    }
    message = {
        "item_id": "m1", "title": "Red dress", "description": "worn once", "category": "dress", "price": 1200,
        "status": "on_sale", "created_at": "2026-11-20T09:00:00Z", "updated_at": 1_795_165_200_000,
        "image_url": "https://photos.example/a.jpg", "ai_generated": {"probability": 0.4, "source": "sent"},
    }  # fmt: skip
    labels = {
        "serp_id": "s1", "class": "dress", "judge": "a", "images": ["a.jpg", "b.jpg"], "scores": [3, 8],
        "justifications": ["dark", "light"], "adjectives": [["dark"], ["bright"]], "clicked": [0, 1],
    }  # fmt: skip
    exif = b"Exif\0\0II*\0\x08\0\0\0\1\0\x31\1\2\0\x10\0\0\0\x1a\0\0\0\0\0\0\0Midjourney v6.1\0"
    captures = [captured(), *captured_otherwise()]
    search = "searches/day=2001-09-09/part.parquet"
    rows: dict[str, Any] = {
        "query": ["a", "b"],
        "item_id": ["i", "j"],
        "grade": [1.0, 2.0],
        "source": ["x", "x"],
    }
    return [
        of_file("profile", ".yaml", load_profile, "name: mine\nextends: additive\nimage: {weight: 2, mode: additive}\n"
                "freshness: {scale: 14d, curve: gauss}\nfactors:\n  - {type: numeric, field: price, missing: 1, max: 2}\n",
                "a: &a [1]\nb: [*a, *a]\nc: 2026-11-20\nname: !!str x\n<<: {k: 3}\n"),
        of_file("sweep space", ".yaml", read_space, "image.weight: {low: 0, high: 4, step: 1}\nimage.mode: [additive]\n"),
        of_file("SLO", ".yaml", read_slo, "latency_ms: {p95: 80}\nmax_error_rate: 0.001\nmax_ratio: {p95: 1.1}\n"),
        of_file("alert rules", ".yaml", read_alert_rules,
                "rules:\n- {name: a, metric: ctr, below: 0.1, for: 2, severity: critical}\n"),
        of_file("guardrails", ".yaml", read_guardrails, "min_users: 60\nsettle: 1m\n"),
        of_file("queries", ".jsonl", lambda p: list(read_query_log(p)), 'red dress\n{"query": "hat", "platform": "web"}\n'),
        of_file("topics", ".tsv", read_topics, "q1\tred dress\nq2\that\n"),
        of_file("captures", ".parquet", replayed, *captures, place=search),
        of_file("judgments", ".parquet", read_judgments, parquet(rows), *(parquet(rows | {name: other})
                for name in rows for other in ([None, None], [1, 2], [[1], [2]], ["x", "y"], [{"a": 1}, None]))),
        of_file("item history", ".parquet", with_its_note, *histories(), place="intervals.parquet"),
        of_file("change log, Parquet", ".parquet", lambda p: list(read_source(str(p))), parquet({"item_id": ["a"],
                "at": [1], "status": ["sold"]}), parquet({"item_id": [1], "at": ["x"], "item": [{"price": [1]}]})),
        of_file("change log", ".jsonl", lambda p: list(read_source(str(p))),
                '{"item_id":"a","at":1700000000000,"status":"sold"}\n{"item_id":"a","at":"2026-11-20T09:00:00Z",'
                '"item":{"title":"x","price":3}}\n'),
        of_file("A/B users, Parquet", ".parquet", read_users,
                parquet({"user_id": ["u"], "variant": ["control"], "platform": ["web"], "purchases": [1], "clicks": [2]}),
                parquet({"user_id": [1], "variant": [2], "platform": [None], "purchases": ["x"], "clicks": [[1]]}),
                parquet({"user_id": ["u"], "variant": [["c"]], "purchases": [{"a": 1}]})),
        of_file("A/B users, CSV", ".csv", read_users, "user_id,variant,platform,purchases\nu,control,web,1\n",
                b"\xffuser_id,variant\nu,control\n"),
        of_file("A/B events, UBI", ".jsonl", read_users, log_lines["ubi"]),
        of_file("exam_prob", ".json", read_exam_probs,
                '{"kind":"exam_prob","rows":[{"platform":"web","rank":1,"exam_prob":0.9}]}'),
        of_file("ratings", ".csv", read_ratings, "query,item_id,grade\ndress,i1,3\n", "dress 0 i1 3\n"),
        of_file("label pages", ".jsonl", read_pages, json.dumps(labels) + "\n"),
        of_file("image-title pairs", ".jsonl", read_pairs, '{"image":"a.jpg","title":"Red","labels":{"category":"x"}}\n'),
        of_file("training grid", ".json", lambda p: read_grid(p, TrainConfig()), '{"focal_gamma":[0,2],"hidden":[[64],[8,4]]}'),
        of_file("reference", ".npz", read_reference, _npz()),
        of_file("load result", ".json", read_result, '{"sides":{},"rounds":[]}'),
        *(of_file(f"import {name}", ".csv" if name == "quepid" else ".jsonl", importing(name), log_lines[name])
          for name in FORMATS),
        *(of_file(f"import-labels {kind}", ".json", lambda p, kind=kind: import_labels(p, kind), *seeds)
          for kind, seeds in zip(KINDS, _labels_of_others(KINDS), strict=True)),
        of_value("item message", parse_message, json.dumps(message), text=False),
        of_value("dead letter", readable, '{"reason":"x","stage":"parse","original":"{}","headers":{}}', text=False),
        of_value("change", lambda t: parse_change(parse_object(t)), '{"item_id":"a","at":1,"item":{"price":1}}'),
        of_value("answer of a judge", lambda t: parse_page(t, 2),
                 '{"photos":[{"photo":1,"score":3,"justification":"x","adjectives":["a"]},{"photo":2,"score":5,'
                 '"justification":"y","adjectives":[]}]}'),
        of_file("search body", ".json", linted, '{"query":{"function_score":{"query":{"match":{"title":"x"}},"functions":[{"gauss":'
                 '{"created_at":{"origin":"now","scale":"10d"}}},{"script_score":{"script":{"source":"_score*2"}}}]}},'
                 '"rescore":{"window_size":5,"query":{}},"sort":["_score"]}'),
        of_value("duration", parse_duration, "14d", "36h", "0", "90 ms"),
        of_value("time", parse_time, "2026-11-20T09:30:00+09:00", "1795165200000", "2026-11-20"),
        of_value("numbers", lambda t: parse_numbers(t, "--weights"), "0:4:1", "0.5,1,2", "0:1:0.1"),
        of_value("transform", parse_transform, "sigmoid:0.5:10", "power:2", "identity", "piecewise:0,0:1,1"),
        of_value("Triton addresses", servers, "a:8001,b:8001", "[::1]:8001", "localhost:1"),
        of_value("photo", lambda b: read_photo(b, 32), photo("JPEG", exif=exif), photo("PNG"), photo("WEBP"),
                 photo("GIF"), photo("TIFF"), photo("AVIF"), heif(), text=False),
        of_value("EXIF, XMP, C2PA, HEIC boxes", ai_generated, photo("JPEG", exif=exif), photo("PNG"), photo("WEBP"),
                 photo("AVIF"), heif(), heif(_c2pa()), text=False),
    ]  # fmt: skip


def _c2pa() -> bytes:
    def box(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(body), kind) + body

    label = b"\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\3c2pa.actions\0"
    content = box(b"json", b'{"actions":[{"digitalSourceType":"http://x/trainedAlgorithmicMedia"}]}')
    store = box(b"jumb", box(b"jumd", b"json" + label) + content)
    return box(
        b"uuid", bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + b"\0\0\0\0manifest\0" + b"\0" * 8 + store
    )


def _npz() -> bytes:
    out = io.BytesIO()
    np.savez(out, scores=np.ones(3, np.float32), categories=np.array(["a", "b", "a"]), version=np.array("x"))
    return out.getvalue()


def _labels_of_others(kinds: Any) -> list[list[str]]:
    seeds = {
        "ratings": ['{"serp_id":"s","image":"a.jpg","score":3,"judge":"x","category":"d"}\n'],
        "votes": ['{"better":"a.jpg","worse":"b.jpg","query":"q","weight":2}\n'],
        "histograms": ['[{"image_id":"1","label":[1,2,3,4,5,4,3,2,1,0]}]'],
    }
    return [seeds[kind] for kind in kinds]
