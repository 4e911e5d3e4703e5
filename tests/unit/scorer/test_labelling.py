"""Labelling over real HTTP, against a server that answers, bills and fails as told."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ranking.cli import full_app
from ranking.errors import InputError, ServerError
from scorer.ingest.photos import PhotoSource
from scorer.labelling import (
    EndpointConfig,
    LabelConfig,
    Prices,
    find_prompt,
    label_pages,
    position_bias,
    read_pages_to_label,
)
from scorer.labelling.page_labels import shown_order
from scorer.labels import read_pages
from tests.unit.scorer.vision_server import VisionServer, pictures_of

SECRET = "sk-secret-of-this-test"
PRICES = Prices(per_million_in=1000.0, per_million_out=10_000.0)  # an answer of 1000 and 100 tokens costs 2
N_PHOTOS = 4


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with VisionServer() as server:
        yield server


def shop(folder: Path, n: int = 6, query: str = "robe rouge") -> Path:
    """n pages of four photos each, from dark to bright, and the file of pages."""
    rows = []
    for page in range(n):
        images = []
        for i in range(N_PHOTOS):
            name = f"{page}-{i}.png"
            Image.new("RGB", (60, 40), (40 + 60 * i,) * 3).save(folder / name)
            images.append(name)
        rows.append({"serp_id": f"s{page}", "category": "dress", "query": f"{query} {page % 2}",
                     "images": images, "clicked": 3, "prices": [1, 2, 3, 4]})  # fmt: skip
    path = folder / "serps.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(server, folder, n=6, *, out="out", endpoint=None, **config):
    pages, _ = read_pages_to_label(shop(folder, n))
    settings = {"base_url": server.url, "model": "m", "first_wait_s": 0.01, "timeout_s": 30.0}
    return label_pages(
        pages, folder / out, PhotoSource(root=folder), EndpointConfig(**settings | (endpoint or {})),
        LabelConfig(**{"workers": 2, "prices": PRICES} | config),
    )  # fmt: skip


def lines(folder: Path, name: str = "labels.jsonl", out: str = "out") -> list[dict]:
    return [json.loads(line) for line in (folder / out / name).read_text().splitlines()]


def test_one_request_per_page_with_all_photos_and_the_query_in_english(server, tmp_path):
    told = run(server, tmp_path)
    assert server.kinds() == {"label": 6, "translate": 2}  # two distinct queries
    assert (told.labelled, told.failed, told.waiting, told.repaired) == (6, {}, 0, 0)
    assert (told.requests, told.tokens_in, told.tokens_out) == (8, 8000, 800)
    assert told.cost == pytest.approx(16)
    labels = [body for body in server.bodies if isinstance(body["messages"][0]["content"], list)]
    for body in labels:
        assert len(pictures_of(body)) == N_PHOTOS
        words = body["messages"][0]["content"][0]["text"]
        assert '"dress rouge' in words
        assert "4 photos" in words
        assert body["response_format"]["json_schema"]["strict"] is True
        assert body["model"] == "m"
    row = lines(tmp_path)[0]
    assert row["scores"] == sorted(row["scores"])  # brighter is better, whatever order they were shown in
    assert (row["serp_id"], row["judge"], row["clicked"]) == ("s0", "m/guided-v1", 3)
    assert row["query_english"] == "dress rouge 0"
    assert row["adjectives"][0] == ["dark"]
    assert row["justifications"][3] == f"light {row['scores'][3]}"
    assert [page.serp_id for page in read_pages(tmp_path / "out" / "labels.jsonl").pages] == [
        f"s{i}" for i in range(6)
    ]
    assert {header["Authorization"] for header in server.headers} == {f"Bearer {SECRET}"}


def test_the_shown_order_is_drawn_for_each_page_and_scores_come_back_to_their_photo(server, tmp_path):
    run(server, tmp_path, 12)
    orders = {tuple(row["shown_order"]) for row in lines(tmp_path)}
    assert len(orders) > 4
    assert all(row["scores"] == lines(tmp_path)[0]["scores"] for row in lines(tmp_path))


def test_a_second_pass_shows_the_page_backwards():
    first, second, third = (shown_order(8, "s", 0, passed) for passed in range(3))
    assert first.tolist() == second[::-1].tolist()
    assert third.tolist() not in (first.tolist(), second.tolist())
    assert sorted(first) == list(range(8))


PASSING = [
    *(f"status {status}" for status in (408, 429, 500, 503)),
    *("retry-after 0", "reset", "html", "no-choices", "cut-body"),
]


@pytest.mark.parametrize("fault", PASSING)
def test_a_failure_that_passes_is_tried_again(server, tmp_path, fault):
    server.faults = [fault, fault]
    told = run(server, tmp_path, 2, translate=False, workers=1)
    assert (told.labelled, told.failed, told.retries) == (2, {}, 2)
    assert told.requests == 2


def test_a_timeout_is_tried_again(server, tmp_path):
    server.faults = ["sleep 1.5"]
    told = run(server, tmp_path, 1, translate=False, endpoint={"timeout_s": 0.5})
    assert (told.labelled, told.retries) == (1, 1)


def test_retry_after_is_waited_for(server, tmp_path):
    server.faults = ["retry-after 0.6"]
    began = time.monotonic()
    assert run(server, tmp_path, 1, translate=False).labelled == 1
    assert time.monotonic() - began >= 0.6


@pytest.mark.parametrize("fault", ["broken-json", "too-few", "score-11", "same-number", "length"])
def test_an_unusable_answer_is_repaired_once(server, tmp_path, fault):
    server.faults = [fault]
    told = run(server, tmp_path, 1, translate=False)
    assert (told.labelled, told.repaired, told.requests) == (1, 1, 2)
    repair = server.bodies[1]
    if fault == "length":
        assert repair["max_completion_tokens"] == 2 * server.bodies[0]["max_completion_tokens"]
    else:
        assert repair["messages"][1]["role"] == "assistant"
        assert "cannot be used" in repair["messages"][2]["content"]
    assert lines(tmp_path)[0]["repaired"] is True


def test_a_fenced_answer_is_no_fault(server, tmp_path):
    server.faults = ["fenced"]
    assert run(server, tmp_path, 1, translate=False).repaired == 0


def test_a_page_that_stays_unusable_is_set_aside_and_the_others_go_on(server, tmp_path):
    server.faults = ["too-few", "broken-json"]
    told = run(server, tmp_path, 3, translate=False, workers=1)
    assert (told.labelled, told.failed, told.requests) == (2, {"bad answer": 1}, 4)
    (failure,) = lines(tmp_path, "failures.jsonl")
    assert failure["serp_id"] == "s0"
    assert "each once; got [1, 2, 3]; and after a second try" in failure["reason"]


@pytest.mark.parametrize("fault", ["refuse", "filter"])
def test_a_refusal_is_not_asked_again(server, tmp_path, fault):
    server.faults = [fault]
    told = run(server, tmp_path, 2, translate=False, workers=1)
    assert (told.labelled, told.failed, told.requests) == (1, {"refused": 1}, 2)


def test_a_request_that_is_refused_sets_its_page_aside(server, tmp_path):
    server.faults = ["status 400"]
    told = run(server, tmp_path, 2, translate=False, workers=1)
    assert (told.labelled, told.failed) == (1, {"request refused": 1})


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("status 401", "HTTP 401"),
        ("status 404", "HTTP 404"),
        ("status 429 insufficient_quota", "no credit left"),
    ],
)
def test_a_refused_account_ends_the_run_at_once_and_never_shows_the_key(server, tmp_path, fault, words):
    server.always = fault
    with pytest.raises(ServerError, match=words) as caught:
        run(server, tmp_path, 6, translate=False, workers=1)
    assert len(server.bodies) <= 2
    assert SECRET not in str(caught.value)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert SECRET.encode() not in kept


def test_a_key_that_a_model_repeats_is_not_kept(server, tmp_path):
    server.always = "leak"
    run(server, tmp_path, 1, translate=False)
    assert "[key]" in lines(tmp_path)[0]["comparison"]
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


def test_an_endpoint_that_is_gone_ends_the_run_and_what_was_answered_stays(server, tmp_path):
    assert run(server, tmp_path, 2, translate=False).labelled == 2
    server.always = "status 500"
    with pytest.raises(ServerError, match="HTTP 500, tried 2 times"):
        run(server, tmp_path, 20, translate=False, workers=1, endpoint={"attempts": 2})
    assert [row["serp_id"] for row in lines(tmp_path)] == ["s0", "s1"]
    assert len(server.bodies) < 2 + 2 * 8  # five pages without an answer, and what was under way
    server.always = None
    assert run(server, tmp_path, 20, translate=False).labelled == 20


def test_one_page_without_an_answer_does_not_end_the_run(server, tmp_path):
    server.faults = ["status 500"] * 2
    told = run(server, tmp_path, 4, translate=False, workers=1, endpoint={"attempts": 2})
    assert (told.labelled, told.failed) == (3, {"no answer": 1})


def test_nobody_listening_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with VisionServer() as gone:
        pass
    with pytest.raises(ServerError, match=r"cannot be reached at http://127\.0\.0\.1"):
        run(gone, tmp_path, 6, endpoint={"attempts": 2})


def test_a_finished_run_asks_nothing_again(server, tmp_path):
    first = run(server, tmp_path)
    before = lines(tmp_path)
    n = len(server.bodies)
    again = run(server, tmp_path)
    assert len(server.bodies) == n
    assert (again.labelled, again.requests, again.from_journal, again.cost) == (6, 8, 8, first.cost)
    assert lines(tmp_path) == before
    assert run(server, tmp_path, 8).labelled == 8  # more pages: only they are asked
    assert len(server.bodies) == n + 2


def test_a_folder_of_another_run_is_refused(server, tmp_path):
    run(server, tmp_path, 1)
    with pytest.raises(InputError, match="was begun with prompt 'guided-v1"):
        run(server, tmp_path, 1, prompt="zero_shot")
    with pytest.raises(InputError, match="was begun with model 'm', not 'other'"):
        run(server, tmp_path, 1, endpoint={"model": "other"})


def test_two_runs_do_not_share_a_folder(server, tmp_path):
    server.delay_s = 0.2
    other = threading.Thread(target=run, args=(server, tmp_path, 2))
    other.start()
    while not server.bodies:
        time.sleep(0.01)
    with pytest.raises(InputError, match="another run is labelling"):
        run(server, tmp_path, 2)
    other.join()


def test_the_budget_stops_the_run_before_it_is_overspent_and_more_money_goes_on(server, tmp_path):
    told = run(server, tmp_path, 10, translate=False, workers=4, budget=7.0)  # each answer costs 2
    assert (told.labelled, told.cost, told.waiting) == (3, pytest.approx(6), 7)
    assert told.stopped == "the budget is used up"
    assert run(server, tmp_path, 10, translate=False, budget=7.0).requests == 3
    told = run(server, tmp_path, 10, translate=False, budget=100.0)
    assert (told.labelled, told.stopped) == (10, None)
    assert len(server.bodies) == 10


def test_a_budget_needs_prices(server, tmp_path):
    with pytest.raises(InputError, match="needs the prices"):
        run(server, tmp_path, 1, budget=1.0, prices=Prices())
    assert not server.bodies


def test_workers_ask_at_once_and_no_more_of_them_than_told(server, tmp_path):
    server.delay_s = 0.1
    run(server, tmp_path, 9, translate=False, workers=3)
    assert server.most_at_once == 3


def test_a_rate_limit_spreads_requests(server, tmp_path, monkeypatch):
    monkeypatch.setattr("scorer.labelling.pace.WINDOW_S", 0.2)
    began = time.monotonic()
    run(server, tmp_path, 6, translate=False, rpm=2)
    assert time.monotonic() - began >= 0.4  # 2 at once, 2 after one window, 2 after two
    monkeypatch.setattr("scorer.labelling.pace.WINDOW_S", 0.1)
    began = time.monotonic()
    run(server, tmp_path, 4, out="tokens", translate=False, tpm=1100, workers=1)
    assert time.monotonic() - began >= 0.3  # one answer of 1100 tokens per window


def test_a_position_bias_is_found_and_its_absence_too(server, tmp_path):
    fair = run(server, tmp_path, 30, translate=False, workers=4, passes=2)
    assert not fair.bias.biased
    assert (fair.bias.slope, fair.bias.p) == (pytest.approx(0, abs=1e-9), 1.0)
    assert fair.bias.flipped_pairs == 0
    assert (fair.bias.n_pages, fair.bias.pages_judged_twice, fair.labelled) == (30, 30, 60)
    assert {row["judge"] for row in lines(tmp_path)} == {"m/guided-v1", "m/guided-v1/pass2"}
    server.by_place = -4.0
    server.answers.clear()
    swayed = run(server, tmp_path, 30, out="biased", translate=False, workers=4, passes=2)
    assert swayed.bias.biased
    assert swayed.bias.slope == pytest.approx(-4.0, abs=0.8)
    assert "scores depend on the place" in swayed.bias.verdict


def test_too_few_pages_have_no_verdict():
    assert "too few" in position_bias([]).verdict


def test_a_missing_or_forbidden_photo_sets_its_page_aside_and_costs_nothing(server, tmp_path):
    pages, _ = read_pages_to_label(shop(tmp_path, 3))
    (tmp_path / "0-1.png").unlink()
    (tmp_path / "1-1.png").write_bytes(b"no picture")
    secret = tmp_path.parent / "secret.png"
    Image.new("RGB", (9, 9)).save(secret)
    path = tmp_path / "more.jsonl"
    path.write_text(json.dumps({"serp_id": "x", "images": ["2-0.png", "../secret.png"]}))
    pages += read_pages_to_label(path)[0]
    told = label_pages(
        pages, tmp_path / "out", PhotoSource(root=tmp_path), EndpointConfig(base_url=server.url, model="m"),
        LabelConfig(translate=False),
    )  # fmt: skip
    assert (told.labelled, told.failed, told.requests) == (1, {"photo": 3}, 1)


def test_what_a_photo_says_about_itself_is_not_sent(server, tmp_path):
    shop(tmp_path, 1)
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    exif[0x0112] = 6  # turned: what is sent is upright
    Image.new("RGB", (900, 600), "white").save(tmp_path / "0-0.png", exif=exif)
    pages, _ = read_pages_to_label(tmp_path / "serps.jsonl")
    label_pages(
        pages, tmp_path / "out", PhotoSource(root=tmp_path), EndpointConfig(base_url=server.url, model="m"),
        LabelConfig(translate=False, side=300),
    )  # fmt: skip
    sent = max(pictures_of(server.bodies[0]), key=lambda photo: photo.size[1])
    assert sent.size == (200, 300)
    assert not dict(sent.getexif())


def test_pages_that_cannot_be_labelled_are_left_out_and_counted(tmp_path):
    path = tmp_path / "serps.jsonl"
    rows = [
        {"serp_id": "ok", "images": ["a", "b"]}, {"serp_id": "ok", "images": ["a", "b"]},
        {"serp_id": "one", "images": ["a"]}, {"serp_id": "many", "images": list("abcdefghi")},
        {"serp_id": "twice", "images": ["a", "a"]}, {"images": ["a", "b"]},
        {"serp_id": "n", "images": [1, 2]},
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)) + "\n{")
    pages, skips = read_pages_to_label(path)
    assert [page.serp_id for page in pages] == ["ok"]
    assert [skip.kind for skip in skips] == [
        "duplicate", "one photo", "too many photos", "broken", "broken", "broken", "broken",
    ]  # fmt: skip
    path.write_text('{"serp_id": "one", "images": ["a"]}')
    with pytest.raises(InputError, match="no page to label: line 1: one has 1 photos"):
        read_pages_to_label(path)


def test_no_key_for_an_endpoint_elsewhere_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    pages, _ = read_pages_to_label(shop(tmp_path, 1))
    with pytest.raises(InputError, match=r"no API key for api\.example\.com"):
        label_pages(
            pages, tmp_path / "out", PhotoSource(root=tmp_path),
            EndpointConfig(base_url="https://api.example.com/v1", model="m"), LabelConfig(),
        )  # fmt: skip
    with pytest.raises(ValueError, match="base_url must be"):
        EndpointConfig(base_url="ftp://user:secret@x", model="m")


@pytest.mark.parametrize("name", ["zero_shot", "guided", "guided-v1"])
def test_shipped_prompts_ask_for_what_is_checked(name):
    words = find_prompt(name).render(query='red "dress"', category="dress", n=7)
    for word in ('"red \\"dress\\""', "7 photos", "justification", "adjectives", "score", "JSON"):
        assert word in words


def test_a_prompt_of_ones_own_is_a_file(tmp_path):
    path = tmp_path / "mine.md"
    path.write_text("Judge {{ n }} photos of {{ colour }}.")
    with pytest.raises(InputError, match="cannot be filled in"):
        find_prompt(str(path)).render(n=3)
    with pytest.raises(InputError, match="no prompt 'nowhere'"):
        find_prompt("nowhere")


def test_a_journal_cut_off_in_a_line_goes_on_and_a_damaged_one_is_named(server, tmp_path):
    run(server, tmp_path, 3, translate=False)
    journal = tmp_path / "out" / "answers.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-40])  # the kill came in the middle of the last line
    server.answers.clear()
    told = run(server, tmp_path, 3, translate=False)
    assert (told.labelled, len(server.bodies), told.maybe_billed) == (3, 4, 1)
    journal.write_bytes(b"{}\n" + whole)
    with pytest.raises(InputError, match=r"answers\.jsonl line 1 is damaged"):
        run(server, tmp_path, 3, translate=False)


def command(server, folder: Path, *more: str) -> list[str]:
    where = [str(folder / "serps.jsonl"), "--out", str(folder / "out"), "--photos", str(folder)]
    how = ["--model", "m", "--base-url", server.url, "--no-translate", "--workers", "2"]
    return ["scorer", "label", *where, *how, *more]


def test_the_command_prints_cost_and_bias_and_fails_in_one_sentence(server, tmp_path):
    shop(tmp_path, 12)
    words = command(server, tmp_path, "--price-in", "1000", "--price-out", "10000", "--prompt", "zero_shot")
    done = CliRunner().invoke(full_app(), words)
    assert done.exit_code == 0, done.stderr
    assert "24.0000" in done.stdout
    assert "position bias" in done.stderr
    assert "wrote" in done.stderr
    missing = CliRunner().invoke(full_app(), [*words, "--prompt", "poem"])
    assert isinstance(missing.exception, InputError)
    assert "no prompt 'poem'" in str(missing.exception)
    wrong = CliRunner().invoke(full_app(), [*words, "--base-url", "localhost"])
    assert "base_url must be an http(s) address" in str(wrong.exception)


def test_bias_slope_is_the_least_squares_one():
    class One:
        def __init__(self, scores):
            self.scores, self.order = scores, np.arange(len(scores))
            self.page = type("P", (), {"serp_id": str(scores)})

    told = position_bias([One((8, 7, 4)), One((6, 6, 5)), One((9, 5, 4))])
    slopes = [np.polyfit([0, 0.5, 1], scores, 1)[0] for scores in [(8, 7, 4), (6, 6, 5), (9, 5, 4)]]
    assert told.slope == pytest.approx(np.mean(slopes))
    assert told.low < told.slope < told.high
