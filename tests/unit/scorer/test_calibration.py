"""Distributions, drift, domain, and a new model on the old one's scale."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from typer.testing import CliRunner

from ranking.cli.scorer import app
from ranking.errors import InputError
from scorer.calibration import (
    DOMAIN_FILE,
    Domain,
    OtherModel,
    Reference,
    by_category,
    drift,
    fit_score_map,
    population_stability,
    read_domain,
    read_reference,
    save_domain,
    save_reference,
    take,
)
from scorer.calibration.rescale import write_mapped
from scorer.model.head import ScoreMap
from scorer.model.scorer import load_scorer
from tests.unit.scorer.tiny import SIZE, made

cli = CliRunner()


def test_distributions_are_of_all_photos_and_of_each_category():
    found = by_category(np.array([0.0, 0.5, 1.0, 0.2]), ["hat", "hat", "hat", "shoes"])
    assert [(d.category, d.n) for d in found] == [("all", 4), ("hat", 3), ("shoes", 1)]
    assert found[1].mean == pytest.approx(0.5)
    assert found[1].quantiles == pytest.approx((0.05, 0.25, 0.5, 0.75, 0.95))


def test_psi_of_a_hand_made_shift():
    # two bins at the reference's median: shares 0.5, 0.5 before, 0.25, 0.75 after
    reference, sample = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.1, 0.8, 0.85, 0.9])
    expected = (0.25 - 0.5) * math.log(0.25 / 0.5) + (0.75 - 0.5) * math.log(0.75 / 0.5)
    assert population_stability(reference, sample, n_bins=2) == pytest.approx(expected)


def test_psi_is_that_of_scipys_relative_entropies():
    from scipy.stats import entropy

    rng = np.random.default_rng(0)
    reference, sample = rng.beta(2, 2, 4000), rng.beta(2.5, 2, 3000)
    edges = np.quantile(reference, np.linspace(0, 1, 11)[1:-1])
    q, p = (np.bincount(np.digitize(x, edges), minlength=10) / len(x) for x in (reference, sample))
    assert population_stability(reference, sample) == pytest.approx(entropy(p, q) + entropy(q, p), rel=1e-9)


def test_the_verdict_follows_the_size_of_the_shift():
    rng = np.random.default_rng(0)
    before = rng.beta(2, 2, 5000)
    assert drift(before, rng.beta(2, 2, 5000)).verdict == "stable"
    assert drift(before, rng.beta(2.8, 2, 5000)).verdict == "moved"
    assert drift(before, rng.beta(6, 2, 5000)).verdict == "shifted"


def test_few_photos_are_not_called_a_shift():
    rng = np.random.default_rng(3)
    verdicts = [drift(rng.random(30), rng.random(30)) for _ in range(100)]
    assert np.mean([d.psi for d in verdicts]) > 0.25  # PSI alone would call most of them shifted
    assert np.mean([d.verdict != "stable" for d in verdicts]) <= 0.05


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_scores_that_are_all_alike_have_no_drift_and_no_error(value):
    same = np.full(50, value)
    assert drift(same, same).psi == pytest.approx(0.0, abs=1e-9)
    assert drift(np.full(500, 0.5), np.full(500, 0.9)).verdict == "shifted"


def unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def test_one_in_a_hundred_of_the_same_kind_is_out_of_domain_and_all_of_another_kind():
    rng = np.random.default_rng(0)
    centre = np.array([5.0, 0, 0, 0, 0, 0, 0, 0])
    same = lambda n: unit(centre + rng.normal(size=(n, 8)))  # noqa: E731
    domain = Domain.of(same(1000))
    assert domain.outside(same(4000)).mean() == pytest.approx(0.01, abs=0.008)
    assert domain.outside(unit(-centre + rng.normal(size=(50, 8)))).all()


def test_the_distance_is_the_mean_of_those_to_five_neighbours():
    angle = np.deg2rad(np.arange(60.0))
    domain = Domain.of(unit(np.stack([np.cos(angle), np.sin(angle)], axis=1)))
    # a photo at -10 degrees: the nearest lie 10 to 14 degrees away, a chord of 2 sin(angle / 2)
    query = unit(np.array([[np.cos(np.deg2rad(-10)), np.sin(np.deg2rad(-10))]]))
    expected = (2 * np.sin(np.deg2rad([5, 5.5, 6, 6.5, 7]))).mean()
    assert domain.distances(query)[0] == pytest.approx(expected, abs=1e-6)
    # at the end of the arc, neighbours lie 1 to 5 degrees away: the furthest that a reference photo is
    assert domain.threshold <= (2 * np.sin(np.deg2rad([0.5, 1, 1.5, 2, 2.5]))).mean() + 1e-6


def test_distances_have_a_twin_in_scipy():
    from scipy.spatial import KDTree

    rng = np.random.default_rng(1)
    known, asked = rng.normal(size=(200, 6)).astype(np.float32), rng.normal(size=(40, 6)).astype(np.float32)
    expected = KDTree(known).query(asked, k=5)[0].mean(axis=1)
    np.testing.assert_allclose(Domain.of(known).distances(asked), expected, atol=1e-5)


def test_of_many_photos_some_are_kept_and_the_others_say_what_is_usual():
    rng = np.random.default_rng(0)
    known, fresh = rng.normal(size=(1500, 8)), rng.normal(size=(4000, 8))
    domain = Domain.of(known.astype(np.float32), keep=200)
    assert (len(domain.features), domain.n_photos) == (200, 1500)
    assert domain.outside(fresh.astype(np.float32)).mean() == pytest.approx(0.01, abs=0.008)
    assert (
        len(Domain.of(known[:240].astype(np.float32), keep=200).features) == 240
    )  # 40 others say too little


def test_too_few_photos_for_a_domain_are_refused():
    with pytest.raises(InputError, match="at least 50"):
        Domain.of(np.eye(8, dtype=np.float32))


def test_a_map_gives_the_old_distribution_and_keeps_the_new_order():
    rng = np.random.default_rng(0)
    new, old = rng.beta(6, 2, 4000), rng.beta(2, 3, 3000)
    fitted = fit_score_map(new, old)
    mapped = fitted(torch.from_numpy(new)).numpy()
    assert population_stability(old, new) > 1.0
    assert population_stability(old, mapped) < 0.01
    levels = np.linspace(0.05, 0.95, 19)
    np.testing.assert_allclose(np.quantile(mapped, levels), np.quantile(old, levels), atol=0.01)
    order = np.argsort(new)
    assert (np.diff(mapped[order]) >= 0).all()
    ends = fitted(torch.tensor([0.0, 1.0])).tolist()
    assert ends == [pytest.approx(0.0), pytest.approx(1.0)]


def test_a_map_is_what_numpy_interpolates():
    rule = ScoreMap(x=(0.1, 0.4, 0.9), y=(0.2, 0.3, 0.8))
    scores = torch.linspace(0, 1, 101, dtype=torch.float64)
    np.testing.assert_allclose(rule(scores).numpy(), np.interp(scores.numpy(), rule.x, rule.y), atol=1e-12)


def test_a_map_between_few_photos_or_of_one_score_is_refused():
    with pytest.raises(InputError, match="at least 100"):
        fit_score_map(np.linspace(0, 1, 99), np.linspace(0, 1, 500))
    with pytest.raises(InputError, match="nearly all photos one score"):
        fit_score_map(np.full(500, 0.3), np.linspace(0, 1, 500))


@pytest.mark.parametrize(
    ("x", "y"), [((0.0, 0.0), (0.0, 1.0)), ((0.0, 1.0), (0.5, 0.2)), ((0.0, 1.0), (0.0,)), ((0, 2), (0, 1))]
)
def test_a_map_that_is_not_monotone_or_not_in_range_is_refused(x, y):
    with pytest.raises(ValidationError):
        ScoreMap(x=x, y=y)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """120 photos in two categories, and one file that is none."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for category in ("hat", "shoes"):
        (folder / category).mkdir()
        for i in range(60):
            ground = rng.integers(40, 250, 3)
            rgb = np.clip(ground + rng.normal(0, rng.uniform(1, 40), (40, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(rgb).save(folder / category / f"{i}.png")
    (folder / "hat" / "broken.jpg").write_bytes(b"no photo")
    return folder


@pytest.fixture(scope="module")
def model(photos, tmp_path_factory):
    """A tiny scorer folder whose scores are spread over those photos."""
    pixels = np.stack([np.asarray(Image.open(path).resize((SIZE, SIZE))) for path in photos.rglob("*.png")])
    return str(made(tmp_path_factory.mktemp("model") / "tiny", spread_over=pixels))


@pytest.fixture(scope="module")
def scorer(model):
    return load_scorer(model)


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.*"))


def test_a_reference_is_read_as_it_was_taken(scorer, photos, tmp_path):
    taken = take(scorer, photos, names(photos))
    assert len(taken.scores) == 120
    assert len(taken.unreadable) == 1
    save_reference(taken, tmp_path / "r.npz")
    read = read_reference(tmp_path / "r.npz")
    assert (read.version, read.categories) == (scorer.version, taken.categories)
    np.testing.assert_allclose(read.scores, taken.scores, atol=1e-6)
    np.testing.assert_allclose(read.features, taken.features, atol=2e-3)


@pytest.mark.parametrize("data", [None, b"", b"no archive", b"PK\x03\x04cut"])
def test_a_file_that_is_no_reference_is_refused(tmp_path, data):
    path = tmp_path / "r.npz"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=r"does not exist|is no reference"):
        read_reference(path)


def test_a_mapped_model_is_another_version_with_the_same_order(model, scorer, tmp_path):
    write_mapped(model, ScoreMap(x=(0.0, 0.5, 1.0), y=(0.0, 0.1, 1.0)), tmp_path / "new")
    mapped = load_scorer(tmp_path / "new")
    assert mapped.version != scorer.version
    batch = torch.randint(0, 256, (6, *[scorer.image_size] * 2, 3), generator=torch.manual_seed(0)).byte()
    with torch.inference_mode():
        expected = np.interp(scorer(batch).numpy(), [0, 0.5, 1], [0, 0.1, 1])
        np.testing.assert_allclose(mapped(batch).numpy(), expected, atol=1e-6)
    with pytest.raises(InputError, match="already holds"):
        write_mapped(model, ScoreMap(x=(0.0, 1.0), y=(0.0, 1.0)), tmp_path / "new")
    with pytest.raises(InputError, match="already on another"):
        write_mapped(str(tmp_path / "new"), ScoreMap(x=(0.0, 1.0), y=(0.0, 1.0)), tmp_path / "newer")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new"]  # nothing half-written


def run(*arguments):
    return cli.invoke(app, ["calibrate", *map(str, arguments)])


def test_the_same_photos_have_not_drifted_and_darker_ones_have(model, photos, tmp_path):
    reference, dark = tmp_path / "r.npz", tmp_path / "dark"
    ours = ("--model", model)
    first = run(*ours, "--photos", photos, "--save", reference, "--format", "json")
    assert first.exit_code == 0, first.output
    data = json.loads(first.stdout)
    assert (data["n_photos"], data["n_unreadable"]) == (120, 1)
    assert [d["category"] for d in data["distributions"]] == ["all", "hat", "shoes"]
    assert "broken.jpg" in first.stderr
    same = run(*ours, "--photos", photos, "--against", reference, "--check", "--format", "json")
    assert same.exit_code == 0
    assert json.loads(same.stdout)["drift"]["scores"][0]["psi"] == pytest.approx(0.0, abs=1e-6)
    for path in photos.rglob("*.png"):
        (dark / path.parent.name).mkdir(parents=True, exist_ok=True)
        Image.open(path).point(lambda v: v // 12).save(dark / path.parent.name / path.name)
    moved = run(*ours, "--photos", dark, "--against", reference, "--check")
    assert moved.exit_code == 2
    assert "out of domain" in moved.stderr
    assert "shifted" in moved.stdout


def test_a_new_model_takes_over_the_old_ones_scale(model, photos, tmp_path):
    write_mapped(model, ScoreMap(x=(0.0, 0.5, 1.0), y=(0.0, 0.9, 1.0)), tmp_path / "old")
    result = run(
        "--model",
        model,
        "--photos",
        photos,
        "--like",
        tmp_path / "old",
        "--out",
        tmp_path / "new",
        "--format",
        "json",
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["map"]
    assert found["psi_after"] < 0.1 < found["psi_before"]
    assert load_scorer(tmp_path / "new").version == found["model_version"]


def test_a_domain_lies_beside_the_model_and_is_bound_to_it(model, scorer, photos, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(model, folder)
    assert read_domain(folder, scorer.version) is None
    taken = take(scorer, photos, names(photos))
    save_domain(taken, folder)
    read, whole = read_domain(folder, scorer.version), Domain.of(taken.features)
    assert (read.n_photos, len(read.features)) == (120, 120)
    assert read.threshold == pytest.approx(whole.threshold, abs=1e-6)
    np.testing.assert_allclose(read.features, taken.features, atol=np.abs(taken.features).max() / 127)
    with pytest.raises(OtherModel, match=f"is of {scorer.version}, the model is other-1"):
        read_domain(folder, "other-1")
    few = Reference("v", taken.scores[:9], taken.categories[:9], taken.features[:9])
    with pytest.raises(InputError, match="at least 50"):
        save_domain(few, folder)
    assert read_domain(folder, scorer.version) is not None  # the one before is still there
    for data in (b"", b"no tensors", (folder / DOMAIN_FILE).read_bytes()[:300]):
        (folder / DOMAIN_FILE).write_bytes(data)
        with pytest.raises(InputError, match="is no domain"):
            read_domain(folder, scorer.version)


def scored(folder, *words):
    result = cli.invoke(app, ["score", *map(str, words), "--model", str(folder), "--format", "json"])
    assert result.exception is None, result.exception
    return json.loads(result.stdout), result.stderr


def test_score_tells_a_strange_photo_once_the_model_has_a_domain(model, photos, tmp_path):
    folder, usual, strange = tmp_path / "copy", photos / "hat" / "0.png", tmp_path / "strange.png"
    shutil.copytree(model, folder)
    halves = np.zeros((40, 40, 3), np.uint8)
    halves[:, 20:] = 255  # those it knows are of one tone each
    Image.fromarray(halves).save(strange)
    before, _ = scored(folder, usual, strange)
    assert before["domain"] is None
    assert {(row["out_of_domain"], row["domain_distance"]) for row in before["photos"]} == {(None, None)}
    made = run(
        "--model", folder, "--photos", photos, "--domain", "--save", tmp_path / "r.npz", "--format", "json"
    )
    assert json.loads(made.stdout)["domain"] == str(folder / DOMAIN_FILE)
    after, note = scored(folder, usual, strange)
    assert after["domain"]["n_photos"] == 120
    assert [row["out_of_domain"] for row in after["photos"]] == [False, True]
    near, far = (row["domain_distance"] for row in after["photos"])
    assert near < after["domain"]["threshold"] < far
    assert "1 of 2 photos out of domain" in note
    assert [row["score"] for row in after["photos"]] == [row["score"] for row in before["photos"]]
    (folder / DOMAIN_FILE).unlink()
    by_reference, _ = scored(folder, usual, strange, "--reference", tmp_path / "r.npz")
    assert [row["out_of_domain"] for row in by_reference["photos"]] == [False, True]


def test_what_another_model_wrote_is_not_believed(model, photos, tmp_path):
    run("--model", model, "--photos", photos, "--save", tmp_path / "r.npz")
    write_mapped(model, ScoreMap(x=(0.0, 0.5, 1.0), y=(0.0, 0.1, 1.0)), tmp_path / "other")
    photo = photos / "hat" / "0.png"
    words = ["score", str(photo), "--model", str(tmp_path / "other"), "--reference", str(tmp_path / "r.npz")]
    refused = cli.invoke(app, words)
    assert isinstance(refused.exception, OtherModel)
    save_domain(read_reference(tmp_path / "r.npz"), tmp_path / "other")
    found, note = scored(tmp_path / "other", photo)
    assert found["domain"] is None
    assert found["photos"][0]["out_of_domain"] is None
    assert "out of domain is not told" in note
    assert "calibrate --photos" in note


@pytest.mark.parametrize("options", [("--like", "compact"), ("--check",)])
def test_options_that_need_another_are_refused(photos, options):
    result = run("--photos", photos, *options)
    assert isinstance(result.exception, InputError)
