"""The replay held against the server: every captured score, and every place that it claims to have proven.

Shards, ties, curves, modes, transforms, factors, AI rules and missing values are drawn at random; documents
are deleted and rescored between capture and replay.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from elasticsearch import Elasticsearch, helpers
from typer.testing import CliRunner

from index_templates import apply_steps, desired_state, plan_steps, read_live
from ranking.capture import CaptureRecord, write_captures
from ranking.cli import full_app
from ranking.clock import DAY_MS
from ranking.profile import Profile
from ranking.search import Searcher
from replay import rank, read_log, verify, verify_live
from replay.exact import merge, requery, unproven
from replay.fixed import FixedIndex
from tests.integration.test_parity import NOW, WORDS, random_documents, random_profile

pytestmark = pytest.mark.engines

N_DOCS = 900


@pytest.fixture(params=[1, 3, 5], ids=["1 shard", "3 shards", "5 shards"])
def index(request: pytest.FixtureRequest, es: Elasticsearch, prefix: str) -> str:
    wanted = desired_state(prefix)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    name = f"{prefix}-000001"
    es.indices.create(index=name, settings={"number_of_shards": request.param})
    rng = np.random.default_rng(request.param)
    documents = list(random_documents(rng, N_DOCS))
    # a third of the documents are twins of others in all but their id: ties in every ranking
    for i, source in enumerate(rng.integers(0, N_DOCS // 2, N_DOCS // 3), start=N_DOCS - N_DOCS // 3):
        documents[i] = {**documents[source], "item_id": documents[i]["item_id"]}
    helpers.bulk(es, ({"_index": name, "_id": d["item_id"], **d} for d in documents), refresh=True)
    return name


def words(rng: np.random.Generator) -> str:
    return " ".join(rng.choice(WORDS[:15], size=rng.integers(1, 4)))


def captured(
    es: Elasticsearch,
    index: str,
    rng: np.random.Generator,
    n: int,
    *,
    k: int,
    window: int,
    reads: Profile | None = None,
) -> tuple[list[CaptureRecord], list[Profile]]:
    """Searches under n random profiles; with `reads`, all bring the fields of its factors along."""
    profiles, records = [], []
    for i in range(n):
        size = {"k": k, "window": window * (1, 1, 8, 30)[i % 4]}
        profile = random_profile(rng, i).model_copy(update=size)
        if reads is not None:
            profile = profile.model_copy(update={"factors": reads.factors})
        profiles.append(profile)
        now_ms = NOW + int(rng.integers(-5, 30)) * DAY_MS
        records.append(Searcher(es, index, profile).capture(words(rng), now_ms=now_ms))
    return records, profiles


def churn(es: Elasticsearch, index: str) -> None:
    """Some documents are deleted, some rescored, some sold."""

    def every(n: int, **action: object) -> list[dict[str, object]]:
        return [{"_index": index, "_id": f"i{i:05d}", **action} for i in range(n, N_DOCS, n)]

    helpers.bulk(es, every(7, _op_type="update", doc={"image_score": 0.5}))
    helpers.bulk(es, every(11, _op_type="update", doc={"status": "sold"}))
    helpers.bulk(es, every(9, _op_type="delete"), refresh=True)


def test_every_logged_score_and_page_of_random_profiles_comes_out_bit_for_bit(
    es: Elasticsearch, index: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(21)
    records, profiles = captured(es, index, rng, 70, k=100, window=120)
    ties = sum(
        len(scores) - len(set(scores))
        for scores in ([item.score for item in record.items if item.rank] for record in records)
    )
    churn(es, index)
    write_captures(tmp_path, records, profiles)
    log = read_log(tmp_path)
    parity = verify(log)
    assert (parity.bit_equal, parity.worst_ulp) == (parity.scores, 0)
    assert parity.identical_topk == parity.searches == 70
    assert parity.scores > 6_000
    assert ties > 500
    # the cluster of now: other parts, the same formula, and its order is ours, ties included
    live = verify_live(es, log)
    assert (live.bit_equal, live.worst_ulp, live.same_order) == (live.scores, 0, 70)
    assert live.holds
    assert live.drift.rescored > 0
    assert live.drift.left > 0


def full_factors(rng: np.random.Generator) -> Profile:
    """A profile whose factors read every field that a random contender may read."""
    while True:
        profile = random_profile(rng, 0)
        if {"category", "price", "image_attributes.sharpness"} <= profile.factor_fields.keys():
            return profile


def test_every_proven_place_is_that_of_the_full_query(es: Elasticsearch, index: str, tmp_path: Path) -> None:
    """Twin of exact_k: 30 captures with small windows, each under 7 contenders: 210 rankings per index."""
    rng = np.random.default_rng(22)
    records, profiles = captured(es, index, rng, 30, k=5, window=30, reads=full_factors(rng))
    records = [
        replace(record, profile_hash=profile.hash) for record, profile in zip(records, profiles, strict=True)
    ]
    write_captures(tmp_path, records, profiles)
    log = read_log(tmp_path)
    contenders = [random_profile(rng, 1_000 + i) for i in range(7)]
    rankings = [rank(log, contender) for contender in contenders]
    cases = proven = beyond = partial = 0
    with FixedIndex(es, index, [*profiles, *contenders]) as fixed:
        for i in range(len(log)):
            served = log.profiles[log.searches["profile_hash"][i]]
            for contender, ranking in zip(contenders, rankings, strict=True):
                formula = contender.model_copy(update={"base_query": served.base_query})
                k = int(ranking.exact_k[i])
                ours = ranking.top(log, i, log.n_candidates)
                truth = fixed.page(
                    formula,
                    str(log.searches["query"][i]),
                    now_ms=int(log.searches["now_ms"][i]),
                    size=max(1, len(ours)),
                )
                mine = [(str(log.item_id[p]), float(ranking.scores[p])) for p in ours]
                theirs = [(item.item_id, item.score) for item in truth.items]
                assert mine[:k] == theirs[:k], (contender.model_dump_json(), i)
                cases += 1
                proven += k
                beyond += mine != theirs[: len(mine)]
                partial += 0 < k < len(mine)
    assert cases == 210
    assert proven > 20_000
    assert partial > 20  # claims that stop in the middle of a ranking
    assert beyond > 20  # and rankings that do go wrong where nothing is claimed


def test_asking_again_proves_what_was_not_proven(es: Elasticsearch, index: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(23)
    reads = full_factors(rng)
    records, profiles = captured(es, index, rng, 12, k=5, window=12, reads=reads)
    folder = tmp_path / "captures"
    write_captures(folder, records, profiles)
    log = read_log(folder)
    contenders = [random_profile(rng, 50), random_profile(rng, 51)]
    shifts = (0, DAY_MS, -2 * DAY_MS)
    lacking = unproven(log, contenders, 10, shifts)
    assert len(lacking) > 0
    asked = requery(es, log, contenders, k=10, shifts_ms=shifts)
    assert asked.requeried == asked.unproven == len(lacking)
    again = read_log(merge(folder, asked, tmp_path / "merged"))
    assert len(unproven(again, contenders, 10, shifts)) == 0
    assert verify(again).holds  # page and candidates of one moment
    assert sorted(again.searches["search_id"]) == sorted(log.searches["search_id"])
    for contender in contenders:
        ranking = rank(again, contender, clock_shift_ms=DAY_MS)
        with FixedIndex(es, index, [*profiles, *contenders]) as fixed:
            for i in range(len(again)):
                served = again.profiles[again.searches["profile_hash"][i]]
                now_ms = int(again.searches["now_ms"][i])
                truth = fixed.page(
                    contender.model_copy(update={"base_query": served.base_query}),
                    str(again.searches["query"][i]),
                    now_ms=now_ms + DAY_MS,
                    size=10,
                    created_until_ms=now_ms,
                )
                top = list(again.item_id[ranking.top(again, i, 10)])
                assert top == [item.item_id for item in truth.items]
    small = requery(es, log, contenders, k=10, most=15)
    assert len(small.too_many) > 0
    files = []
    for contender in contenders:
        (tmp_path / f"{contender.name}.json").write_text(contender.model_dump_json())
        files += ["--contender", str(tmp_path / f"{contender.name}.json")]
    kept = tmp_path / "kept"
    words = ["replay", "run", str(folder), "--baseline", "control", *files, "--require-exact", "10"]
    result = CliRunner().invoke(full_app(), [*words, "--keep", str(kept), "--format", "json"])
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["requeried"]["requeried"] > 0
    assert all(one["proven"] == one["searches"] == 12 for one in found["comparisons"])
    assert (kept / "requeried.json").is_file()


def test_one_point_in_time_holds_the_claims_of_the_replay(
    es: Elasticsearch, index: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(24)
    records, profiles = captured(es, index, rng, 8, k=10, window=60)
    write_captures(tmp_path, records, profiles)
    churn(es, index)
    live = verify_live(es, read_log(tmp_path), fixed=True)
    claims = live.counterfactuals
    assert claims is not None
    assert (claims.rankings, claims.equal_places) == (64, claims.proven_places)
    assert claims.proven_places > 50
    assert live.holds
    command = ["replay", "verify", str(tmp_path), "--fixed", "--limit", "3", "--format", "json"]
    result = CliRunner().invoke(full_app(), command)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["live"]["counterfactuals"]["rankings"] == 24


def test_candidates_by_relevance_come_in_pages_and_down_to_a_least_relevance(
    es: Elasticsearch, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = Profile.model_validate({"name": "plain", "base_query": {"statuses": []}})
    with FixedIndex(es, index, [profile]) as fixed:
        everything, whole = fixed.most_relevant(profile, "w0 w1", now_ms=NOW)
        assert whole
        assert len(everything) > 300
        monkeypatch.setattr("replay.fixed._PAGE", 50)  # ties run across the edges of pages
        paged, whole = fixed.most_relevant(profile, "w0 w1", now_ms=NOW)
        assert whole
        assert paged == everything
        first, whole = fixed.most_relevant(profile, "w0 w1", now_ms=NOW, most=120)
        assert (first, whole) == (everything[:120], False)
        least = everything[100].rel
        above, whole = fixed.most_relevant(profile, "w0 w1", now_ms=NOW, least_rel=least)
        assert whole
        assert above == [item for item in everything if item.rel >= least]
