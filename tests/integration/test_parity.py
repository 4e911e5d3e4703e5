"""The formula and the server, held together bit for bit: many profiles, documents, shards and clocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from elasticsearch import Elasticsearch, helpers

from index_templates import apply_steps, desired_state, plan_steps, read_live
from ranking.clock import DAY_MS
from ranking.explain import explain_items
from ranking.profile import Profile
from ranking.search import Searcher
from replay.parity import ulp_distance

pytestmark = pytest.mark.engines

NOW = 1_795_000_000_000
WORDS = [f"w{i}" for i in range(40)]
N_DOCS = 3_000


def random_documents(rng: np.random.Generator, n: int) -> Iterator[dict[str, object]]:
    share = 1 / np.arange(1, len(WORDS) + 1)
    share /= share.sum()
    for i in range(n):
        document: dict[str, object] = {
            "item_id": f"i{i:05d}",
            "title": " ".join(rng.choice(WORDS, size=rng.integers(1, 9), p=share)),
            "description": " ".join(rng.choice(WORDS, size=rng.integers(0, 20), p=share)),
            "status": "on_sale" if rng.random() < 0.95 else "sold",
        }
        if rng.random() < 0.9:
            document["category"] = str(rng.choice(["dress", "hat", "shoes", "shirt"]))
        if rng.random() < 0.9:
            document["price"] = int(rng.integers(300, 30_000))
        if rng.random() < 0.5:
            document["ai_generated"] = {"probability": float(rng.random())}
        if rng.random() < 0.5:
            document["image_attributes"] = {"sharpness": float(rng.random())}
        if rng.random() < 0.9:
            document["image_score"] = float(rng.beta(5, 4))
        if rng.random() < 0.95:
            # some are younger than the clock's offset, some newer than the clock, some very old
            document["created_at"] = int(NOW - rng.exponential(20 * DAY_MS) + DAY_MS)
        yield document


@pytest.fixture(params=[1, 3], ids=["1 shard", "3 shards"])
def index(request: pytest.FixtureRequest, es: Elasticsearch, prefix: str) -> str:
    wanted = desired_state(prefix)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    name = f"{prefix}-000001"
    es.indices.create(index=name, settings={"number_of_shards": request.param})
    rng = np.random.default_rng(request.param)
    actions = ({"_index": name, "_id": doc["item_id"], **doc} for doc in random_documents(rng, N_DOCS))
    helpers.bulk(es, actions, refresh=True)
    return name


def random_image(rng: np.random.Generator) -> dict[str, object]:
    mode = str(rng.choice(["none", "additive", "multiplicative"]))
    weight = float(rng.choice([0.1, 0.5, 1.0, rng.random()])) * (1 if mode == "multiplicative" else 7)
    image: dict[str, object] = {"mode": mode, "weight": weight, "missing": float(rng.choice([0.0, 0.3, 0.5]))}
    match int(rng.integers(0, 6)):
        case 0:
            image["transform"] = {
                "type": "power",
                "exponent": float(rng.choice([0.5, 2.0, rng.uniform(0.2, 4)])),
            }
        case 1:
            image["transform"] = {
                "type": "sigmoid",
                "center": float(rng.random()),
                "steepness": float(rng.uniform(1, 40)),
            }
        case 2:
            x, y = np.sort(rng.random((2, int(rng.integers(2, 6)))), axis=1)
            image["transform"] = {"type": "piecewise", "points": np.stack([x, y], axis=1).tolist()}
    if rng.random() < 0.4:
        rule = str(rng.choice(["cap", "neutral"]))
        image["ai_generated"] = {"above": float(rng.random()), rule: float(rng.random())}
    return image


def random_factors(rng: np.random.Generator) -> list[dict[str, object]]:
    choices: list[dict[str, object]] = [
        {
            "type": "category",
            "weights": {"dress": float(rng.uniform(0, 2)), "hat": float(rng.uniform(0, 2))},
            "default": float(rng.choice([1.0, 0.7])),
        },
        {
            "type": "numeric",
            "field": "price",
            "modifier": str(rng.choice(["none", "log1p", "ln1p", "log2p", "sqrt", "square", "reciprocal"])),
            "factor": float(rng.choice([1e-3, 0.01, rng.random()])),
            "missing": float(rng.integers(0, 5000)),
            "min": 0.25,
            "max": float(rng.uniform(1, 5)),
        },
        {"type": "rule", "field": "category", "any_of": ["shoes", "hat"], "weight": float(rng.uniform(0, 3))},
        {"type": "rule", "field": "price", "gte": 5000, "lt": 20000.5, "weight": float(rng.uniform(0, 3))},
        {"type": "rule", "field": "image_attributes.sharpness", "gte": 0.5, "weight": 1.1},
    ]
    return [choices[i] for i in rng.permutation(len(choices))[: int(rng.integers(0, 4))]]


def random_profile(rng: np.random.Generator, i: int) -> Profile:
    freshness = None
    if rng.random() < 0.85:
        freshness = {
            "curve": str(rng.choice(["gauss", "exp", "linear"])),
            "scale": f"{int(rng.integers(1, 60 * 24))}h",
            "offset": f"{int(rng.integers(0, 3))}d",
            "decay": float(rng.uniform(0.05, 0.95)),
            "missing": float(rng.choice([1.0, 1.0, 0.0, 0.3])),
        }
    return Profile.model_validate(
        {
            "name": f"random-{i}",
            "base_query": {
                "fields": {"title": float(rng.choice([1.0, 2.0, 3.7])), "description": 1.0},
                "type": str(rng.choice(["best_fields", "most_fields", "cross_fields"])),
            },
            "image": random_image(rng),
            "freshness": freshness,
            "factors": random_factors(rng),
            "execution": str(rng.choice(["function_score", "script_score"])),
            "k": 200,
        }
    )


def test_every_score_of_random_profiles_is_bit_equal_to_the_servers(es: Elasticsearch, index: str) -> None:
    rng = np.random.default_rng(11)
    compared = 0
    for i in range(150):
        profile = random_profile(rng, i)
        text = " ".join(rng.choice(WORDS, size=rng.integers(1, 4)))
        now_ms = NOW + int(rng.integers(-5, 30)) * DAY_MS
        page = Searcher(es, index, profile, scripts="stored" if i % 2 else "inline").search(
            text, now_ms=now_ms
        )
        rows = explain_items(profile, page.items, now_ms)
        wrong = [row for row in rows if not row.exact]
        assert not wrong, (profile.model_dump_json(), wrong[:3])
        compared += len(rows)
    assert compared > 10_000


def test_both_arithmetics_give_one_order_up_to_ties_of_their_rounding(es: Elasticsearch, index: str) -> None:
    # nested nodes cast to float32 twice, one script once: each rounding moves a score by half a step
    rng = np.random.default_rng(12)
    worst = swapped = compared = 0
    for i in range(25):
        drawn = random_profile(rng, i)
        text = " ".join(rng.choice(WORDS, size=rng.integers(1, 4)))
        pages = {}
        for execution in ("function_score", "script_score"):
            profile = drawn.model_copy(update={"execution": execution, "k": 3000})
            pages[execution] = Searcher(es, index, profile).search(text, now_ms=NOW).items
        nested = {item.item_id: item.score for item in pages["function_score"]}
        assert nested.keys() == {item.item_id for item in pages["script_score"]}
        scores = np.array([nested[item.item_id] for item in pages["script_score"]], dtype=np.float32)
        lowest = np.minimum.accumulate(scores)
        steps = ulp_distance(scores, lowest)
        worst, swapped, compared = (
            max(worst, int(steps.max(initial=0))),
            swapped + int((steps > 0).sum()),
            compared + len(steps),
        )
    assert compared > 15_000
    assert swapped < compared / 1_000
    assert worst <= 2


def test_dates_that_read_as_other_numbers_are_read_as_dates(es: Elasticsearch, index: str) -> None:
    # a date field takes "2025" for a year, and the long beside it for 2025 ms
    days = {"year": "2025", "day": "2025-06-01", "early": 5_000_000, "number": NOW - 9 * DAY_MS}
    documents = [
        {"item_id": name, "title": "unheardof", "created_at": day, "image_score": 0.5, "status": "on_sale"}
        for name, day in days.items()
    ]
    helpers.bulk(es, ({"_index": index, **doc} for doc in documents), refresh=True)
    for scripts in ("inline", "stored", "constant"):
        profile = Profile.model_validate(
            {"name": "dated", "freshness": {"scale": "9000d", "curve": "exp"}, "execution": "script_score"}
        )
        page = Searcher(es, index, profile, scripts=scripts).search("unheardof", now_ms=NOW)
        assert {item.item_id for item in page.items} == set(days)
        assert all(row.exact for row in explain_items(profile, page.items, NOW))


def test_a_document_newer_than_the_clock_is_not_found(es: Elasticsearch, index: str) -> None:
    profile = Profile(name="plain", base_query={"statuses": ()}, k=1000, window=1000)  # type: ignore[arg-type]
    page = Searcher(es, index, profile).search("w0 w1 w2", now_ms=NOW)
    created = [item.created_ms for item in page.items]
    assert any(ms is None for ms in created)
    assert all(ms is None or ms <= NOW for ms in created)


def test_a_capture_holds_the_page_and_the_most_relevant_documents(es: Elasticsearch, index: str) -> None:
    profile = Profile.model_validate(
        {
            "name": "boosted",
            "image": {"mode": "additive", "weight": 3.0},
            "freshness": {"scale": "14d"},
            "k": 20,
            "window": 100,
        }
    )
    searcher = Searcher(es, index, profile)
    record = searcher.capture("w0 w3", now_ms=NOW)
    assert [item.rank for item in record.items[:20]] == list(range(1, 21))
    assert [item.item_id for item in record.items[:20]] == [
        item.item_id for item in searcher.search("w0 w3", now_ms=NOW).items
    ]
    plain = Searcher(es, index, Profile(name="plain", k=100, window=100)).search("w0 w3", now_ms=NOW)
    assert {item.item_id for item in plain.items} <= {item.item_id for item in record.items}
    assert record.rel_floor == plain.items[-1].score
    assert record.rel_floor == min(item.rel for item in record.items if item.rank is None)
