"""Every judged measure against ir_measures on random rankings, ties and short pages, to 1e-12.

The runs handed to ir_measures carry our rank as the score: its own ties (by descending document id) never
come into play. The last test shows what they would do.
"""

from __future__ import annotations

import subprocess
from importlib.resources import files
from pathlib import Path

import ir_measures
import numpy as np
import pytest

from ranking.capture import CapturedItem
from ranking.profile import Profile
from replay import rank
from replay.engine import Ranking
from replay.judgments import Judgments
from replay.log import CaptureLog
from replay.measures import measure
from tests.unit.replay.captured import PLAIN, log_of, record

IMAGE = Profile.model_validate({"name": "image", "image": {"mode": "additive", "weight": 2.0}})

Case = tuple[CaptureLog, Ranking, Judgments]


@pytest.fixture(scope="module", params=["spread", "ties"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Sixty random searches; under `ties`, scores take three values."""
    rng = np.random.default_rng(5)

    def value() -> float:
        return float(np.float32(rng.random() if request.param == "spread" else rng.integers(1, 3)))

    records = []
    grades: dict[str, dict[str, float]] = {}
    for i in range(60):
        query = f"{i + 1}"
        pool = rng.permutation(60)
        items = tuple(
            CapturedItem(f"i{j:02}", rel=value(), image_score=min(value(), 1.0))
            for j in pool[: rng.integers(1, 40)]
        )
        records.append(record(f"s{i}", query, items))
        grades[query] = {
            f"i{j:02}": float(rng.choice(5, p=[0.5, 0.2, 0.15, 0.1, 0.05]))
            for j in pool[rng.integers(0, 5) :]
            if rng.random() < 0.5
        }
        grades[query][f"i{pool[0]:02}"] = 3.0  # every query has a relevant item: elsewhere we say NaN
    log = log_of(tmp_path_factory.mktemp(request.param), records)
    return log, rank(log, IMAGE), Judgments(grades, ("random",))


def qrels_of(judgments: Judgments) -> list[ir_measures.Qrel]:
    return [
        ir_measures.Qrel(query, item, int(grade))
        for query, known in judgments.by_query.items()
        for item, grade in known.items()
    ]


def run_of(log: CaptureLog, ranking: Ranking, k: int | None = None) -> list[ir_measures.ScoredDoc]:
    return [
        ir_measures.ScoredDoc(log.searches["query"][log.owner[p]], log.item_id[p], -float(ranking.ranks[p]))
        for p in range(log.n_candidates)
        if k is None or ranking.ranks[p] <= k
    ]


def values_of(case: Case, spelling: str) -> dict[str, float]:
    log, ranking, judgments = case
    values = measure(spelling).values(log, ranking, judgments)
    return dict(zip(log.searches["query"], values, strict=True))


def assert_equal(theirs: dict[str, float], ours: dict[str, float], within: float = 1e-12) -> None:
    assert theirs.keys() == ours.keys()
    for query, value in theirs.items():
        assert ours[query] == pytest.approx(value, abs=within, rel=0), query


@pytest.mark.parametrize(
    "spelling",
    [
        "nDCG",
        "nDCG@1",
        "nDCG@5",
        "NDCG@10",
        "nDCG@100",
        "nDCG(judged_only=True)@10",
        "nDCG(gains={1:1,2:3,3:7,4:15})@10",
        "P@1",
        "Precision@5",
        "P(rel=2)@5",
        "P@50",
        "P(judged_only=True)@10",
        "R@5",
        "Recall(rel=3)@10",
        "R(judged_only=True)@5",
        "RR",
        "RR@10",
        "RR(rel=3)@3",
        "MRR(rel=2)",
        "RR(judged_only=True)",
        "AP",
        "AP@10",
        "MAP(rel=2)@20",
        "AP(judged_only=True)",
        "Judged@1",
        "Judged@10",
        "Judged",
        "RBP(rel=1)",
        "RBP(rel=2,p=0.5)",
    ],
)
def test_values_are_those_of_ir_measures(case: Case, spelling: str) -> None:
    log, ranking, judgments = case
    theirs = ir_measures.iter_calc(
        [ir_measures.parse_measure(spelling)], qrels_of(judgments), run_of(log, ranking)
    )
    assert_equal({one.query_id: one.value for one in theirs}, values_of(case, spelling))


@pytest.mark.parametrize("k", [1, 3, 10, 30])
def test_rbp_at_k_is_rbp_of_the_ranking_cut_at_k(case: Case, k: int) -> None:
    log, ranking, judgments = case  # ir_measures has no cutoff for RBP
    theirs = ir_measures.iter_calc(
        [ir_measures.RBP(rel=1, p=0.8)], qrels_of(judgments), run_of(log, ranking, k)
    )
    assert_equal({one.query_id: one.value for one in theirs}, values_of(case, f"RBP(p=0.8)@{k}"))


@pytest.mark.parametrize("k", [1, 5, 10, 20])
def test_err_and_exponential_ndcg_are_those_of_gdeval(case: Case, k: int, tmp_path: Path) -> None:
    """ir_measures runs this very script, which prints five digits; here it prints all of them."""
    log, ranking, judgments = case
    script = files("ir_measures").joinpath("bin/gdeval.pl").read_text().replace("%.5f", "%.17g")
    (tmp_path / "gdeval.pl").write_text(script)
    (tmp_path / "qrels").write_text(
        "".join(f"{q.query_id} 0 {q.doc_id} {q.relevance}\n" for q in qrels_of(judgments))
    )
    (tmp_path / "run").write_text(
        "".join(f"{d.query_id} Q0 {d.doc_id} 1 {d.score} us\n" for d in run_of(log, ranking))
    )
    command = ["perl", "gdeval.pl", "qrels", "run", str(k)]
    out = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    rows = [line.split(",") for line in out.splitlines()[1:]]
    assert_equal({row[1]: float(row[2]) for row in rows}, values_of(case, f"nDCG(dcg='exp-log2')@{k}"))
    assert_equal({row[1]: float(row[3]) for row in rows}, values_of(case, f"ERR@{k}"))
    theirs = ir_measures.iter_calc([ir_measures.ERR @ k], qrels_of(judgments), run_of(log, ranking))
    assert_equal({one.query_id: one.value for one in theirs}, values_of(case, f"ERR@{k}"), within=5.1e-6)


@pytest.mark.parametrize(
    "spelling",
    ["NDCG@10", "nDCG(dcg='log2')@5", "P(rel=2)@5", "MAP", "RBP(p=0.9,rel=2)", "P(rel=1,judged_only=True)@3"],
)
def test_names_are_those_of_ir_measures(spelling: str) -> None:
    assert measure(spelling).name == str(ir_measures.parse_measure(spelling))


def test_ties_go_by_item_id_and_not_as_in_trec_eval(tmp_path: Path) -> None:
    items = tuple(CapturedItem(name, rel=1.0) for name in ("a", "b", "c"))
    log = log_of(tmp_path, [record("s", "1", items)])
    judgments = Judgments({"1": {"c": 1.0}}, ("hand",))
    assert measure("RR").values(log, rank(log, PLAIN), judgments).tolist() == [1 / 3]
    tied = [ir_measures.ScoredDoc("1", name, 1.0) for name in ("a", "b", "c")]
    assert ir_measures.calc_aggregate([ir_measures.RR], qrels_of(judgments), tied)[ir_measures.RR] == 1.0
