"""docs/labelling.md, run as a reader would: simulated clicks, and a vision model that is a test's server."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from PIL import Image
from typer.testing import CliRunner

from ranking.capture import CapturedItem, CaptureRecord, Event, write_captures, write_events
from ranking.cli import full_app
from ranking.profile import Profile
from scorer.provenance import SOURCE_TYPES
from tests.unit.scorer.vision_server import VisionServer

DOCS = Path(__file__).parents[3] / "docs"
NOW = 1_795_000_000_000


def fill(folder: Path) -> None:
    """What a reader has: captures, photos, and labels of others."""
    profile = Profile(name="plain")
    (folder / "photos").mkdir()
    names = []
    for i in range(6):
        Image.new("RGB", (40, 40), (40 + 35 * i,) * 3).save(folder / "photos" / f"{i}.jpg")
        names.append(f"item-{i},{i}.jpg")
    (folder / "photos.csv").write_text("item_id,image\n" + "\n".join(names) + "\n")
    records, events = [], []
    for n in range(40):
        order = [(n + i * (1 + n % 5)) % 6 for i in range(6)]
        items = tuple(
            CapturedItem(f"item-{item}", 1.0, rank=rank, price=100.0, category="hat")
            for rank, item in enumerate(dict.fromkeys(order), start=1)
        )
        records.append(
            CaptureRecord(
                search_id=f"s{n}", query=f"hat {n}", now_ms=NOW + n * 1000, index="items", profile="plain",
                profile_hash=profile.hash, k=6, total_hits=6, window=6, rel_floor=None, items=items,
                user_id=f"u{n}",
            )
        )  # fmt: skip
        best = max(items, key=lambda item: item.item_id)
        events.append(Event(f"s{n}", best.item_id, "click", best.rank, NOW + n * 1000 + 5, simulated=True))
    write_captures(folder / "captures", records, [profile])
    write_events(folder / "captures", events)
    rows = [
        f"p{n},{i}.jpg,{i + j + n},{judge}"
        for n in range(4)
        for j, judge in enumerate("ab")
        for i in range(5)
    ]
    (folder / "ratings.csv").write_text("serp_id,image,score,judge\n" + "\n".join(rows) + "\n")
    (folder / "votes.csv").write_text("better,worse,query,weight\n1.jpg,0.jpg,hat,2\n")
    histograms = [{"image_id": str(i), "label": [1] * (10 - i) + [2] * i} for i in range(4)]
    (folder / "ava.json").write_text(json.dumps(histograms))


def test_every_snippet_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path)
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", (DOCS / "labelling.md").read_text(), flags=re.M | re.S)
    kinds = [kind for kind, _ in blocks]
    assert kinds.count("bash") == 2
    imports = [text for kind, text in blocks if "import-labels" in text]
    others = [text for kind, text in blocks if kind == "bash" and "import-labels" not in text]
    with VisionServer() as server:
        for line in "".join([*imports, *others]).splitlines():
            program, *words = shlex.split(line.replace("http://localhost:8000/v1", server.url))
            assert program == "rank-cli"
            done = CliRunner().invoke(full_app(), words)
            assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception}"
    assert (tmp_path / "analysis.html").is_file()
    (python,) = [text for kind, text in blocks if kind == "python"]
    exec(compile(python, "labelling.md", "exec"), {})
    assert capsys.readouterr().out.startswith("None\n")


def test_the_page_on_generated_photos_names_terms_that_exist():
    text = (DOCS / "ai_generated.md").read_text()
    for term in re.findall(r"`(\w*(?:Media|Synthetic))`", text):
        assert term in SOURCE_TYPES
    assert f"`trainedAlgorithmicMedia` {SOURCE_TYPES['trainedAlgorithmicMedia']}" in text
