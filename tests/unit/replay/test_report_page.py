"""The file itself: one piece, under its policy, and inert whatever the data says."""

import base64
import hashlib
import json
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from ranking.capture import CapturedItem, CaptureRecord, write_captures
from ranking.cli import full_app
from ranking.errors import InputError
from ranking.profile import Profile
from replay.compare import compare_rankings
from replay.engine import rank
from replay.log import read_log
from replay.parity import verify
from replay.report import ItemCard, build_report
from replay.report.cards import local_photo
from replay.report.page import _fill
from replay.report.thumbnails import thumbnail

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{ data }}"
CONTROL = Profile.model_validate({"name": "control", "k": 2, "window": 2})
ADDITIVE = CONTROL.model_copy(
    update={"name": "additive", "image": CONTROL.image.model_copy(update={"mode": "additive"})}
)


def write(tmp_path, *, query="dress", title="Replay report", card="a dress"):
    items = tuple(
        CapturedItem(name, rel, rank=place, score=rel, image_score=0.5)
        for place, (name, rel) in enumerate([("a", 2.0), ("b", 1.0)], start=1)
    )
    one = CaptureRecord("s", query, 0, "items", "control", CONTROL.hash, 2, 2, 2, None, items, "web")
    write_captures(tmp_path / "log", [one], [CONTROL])
    log = read_log(tmp_path / "log")
    return build_report(
        log,
        [compare_rankings(log, rank(log, CONTROL), rank(log, ADDITIVE), None)],
        verify(log),
        live=None,
        judgments=None,
        items={"a": ItemCard(card)},
        out=tmp_path / "deep" / "report.html",
        simulated_clicks=False,
        title=title,
    )


def test_the_file_is_written_whole_and_leaves_nothing_beside_it(tmp_path):
    path = write(tmp_path)
    assert path == tmp_path / "deep" / "report.html"
    assert [one.name for one in path.parent.iterdir()] == ["report.html"]
    assert path.stat().st_size < 110_000


def test_a_failed_write_leaves_the_earlier_report(tmp_path, monkeypatch):
    path = write(tmp_path)
    earlier = path.read_bytes()
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    monkeypatch.setattr("ranking.capture._write_part", lambda *_: None)
    monkeypatch.setattr("ranking.capture._write_atomically", lambda *_: None)
    with pytest.raises(InputError, match="disk full"):
        write(tmp_path)
    assert path.read_bytes() == earlier
    assert len(list(path.parent.iterdir())) == 1


def test_the_policy_allows_our_script_and_nothing_else(tmp_path):
    page = write(tmp_path).read_text(encoding="utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)[1]
    script = page.rsplit("<script>", 1)[1].rsplit("</script>", 1)[0]
    style = page.split("<style>", 1)[1].split("</style>", 1)[0]
    hashes = [
        "'sha256-" + base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() + "'"
        for one in (style, script)
    ]
    assert policy.startswith(
        f"default-src 'none'; img-src data:; style-src {hashes[0]}; script-src {hashes[1]};"
    )
    assert "unsafe" not in policy
    assert not re.findall(r"\son[a-z]+=|\sstyle=", page.replace(script, ""))


def test_no_address_leads_out_of_the_file(tmp_path):
    page = write(tmp_path).read_text(encoding="utf-8")
    assert not re.findall(r"https?:|//[a-z]+\.|@import|url\(", page)


@pytest.mark.parametrize("where", ["query", "title", "card"])
def test_hostile_text_is_inert(tmp_path, where):
    page = write(tmp_path, **{where: EVIL}).read_text(encoding="utf-8")
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert "<img" not in page
    assert "onerror=alert(2)>" not in page
    assert page.count('"schema":2') == 1


def test_slots_inside_values_stay_text():
    assert _fill("{{ a }}-{{ b }}", {"a": "{{ b }}", "b": "2"}) == "{{ b }}-2"


def test_a_report_needs_a_comparison(tmp_path):
    write(tmp_path)
    log = read_log(tmp_path / "log")
    with pytest.raises(InputError, match="one comparison"):
        build_report(
            log,
            [],
            verify(log),
            live=None,
            judgments=None,
            items={},
            out=tmp_path / "x.html",
            simulated_clicks=False,
        )


def test_a_thumbnail_is_small_square_and_upright(tmp_path):
    path = tmp_path / "photo.jpg"
    photo = Image.effect_noise((900, 1200), 60).convert("RGB")
    exif = photo.getexif()
    exif[0x0112] = 6  # the camera lay on its side
    photo.save(path, exif=exif)
    uri = thumbnail(path)
    raw = base64.b64decode(uri.removeprefix("data:image/webp;base64,"))
    (tmp_path / "small.webp").write_bytes(raw)
    with Image.open(tmp_path / "small.webp") as small:
        assert small.size == (160, 160)
        assert not small.getexif()
    assert len(raw) < 12_000


def test_only_files_below_the_root_are_photos(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    inside, outside = root / "a b.jpg", tmp_path / "secret.jpg"
    inside.touch()
    outside.touch()
    (root / "link.jpg").symlink_to(outside)
    assert local_photo(inside.as_uri(), root) == inside.resolve()
    assert local_photo(str(inside), root) == inside.resolve()
    assert local_photo("a b.jpg", root) == inside.resolve()
    for url in (
        outside.as_uri(),
        "../secret.jpg",
        "file:///etc/passwd",
        str(root / "link.jpg"),
        "https://example.org/a.jpg",
        f"file://elsewhere{inside}",
        "nul\0byte",
        "",
        None,
    ):
        assert local_photo(url, root) is None, url
    assert local_photo(inside.as_uri(), None) is None


def test_the_command_in_the_docs_writes_page_and_summary(tmp_path, monkeypatch):
    write(tmp_path)
    (tmp_path / "log").rename(tmp_path / "captures")
    monkeypatch.chdir(tmp_path)
    docs = (Path(__file__).parents[3] / "docs" / "report.md").read_text(encoding="utf-8")
    command = re.search(r"```bash\n(.*?)```", docs, re.DOTALL)[1].replace("\\\n", " ")
    done = CliRunner().invoke(full_app(), [*shlex.split(command)[1:], "--format", "json"])
    assert done.exit_code == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["report"], said["markdown"]) == ("report.html", "summary.md")
    assert "wrote summary.md" in done.stderr
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("### Replay: 1 search, 1 Jan 1970")
    assert "[The report](report.html)" in summary
    assert "2 of 2 scores equal to the log" in summary
    assert (tmp_path / "report.html").is_file()


def test_a_summary_that_cannot_be_written_leaves_none(tmp_path, monkeypatch):
    write(tmp_path)
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    done = CliRunner().invoke(
        full_app(), ["replay", "run", str(tmp_path / "log"), "--markdown", str(tmp_path / "taken" / "s.md")]
    )
    assert done.exit_code != 0
    assert isinstance(done.exception, InputError)
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "a file"
