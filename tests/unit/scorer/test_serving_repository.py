import numpy as np
import pytest

from ranking.errors import InputError
from scorer.model.head import Head, HeadConfig
from scorer.model.scorer import HERE, ImageScorer, ScorerConfig
from scorer.model.tower import new_tower, save_tower
from scorer.serving import ServingOptions, write_repository
from scorer.serving.weights import load_weights

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 32, "width": 16, "heads": 1, "layers": 1},
}
PREPROCESS = {"size": 32, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}


def tiny_scorer(folder, *, seed=0):
    """A scorer folder with random weights."""
    tower = new_tower(MODEL, PREPROCESS, seed=seed)
    head = Head(HeadConfig(embed_dim=16, hidden=(8,)))
    scorer = ImageScorer(tower, head, ScorerConfig(name="tiny", tower=HERE, head=head.config))
    scorer.save_head(folder)
    save_tower(tower.visual, folder, MODEL, PREPROCESS)
    return folder


@pytest.fixture
def scorer_folder(tmp_path):
    return tiny_scorer(tmp_path / "scorer")


def test_the_repository_has_tritons_layout_and_weights_that_stand_alone(tmp_path, scorer_folder):
    exported = write_repository(tmp_path / "triton" / "models", str(scorer_folder))
    names = sorted(str(p.relative_to(exported.folder)) for p in exported.folder.rglob("*") if p.is_file())
    assert names == [
        "1/model.py",
        "1/weights/head.safetensors",
        "1/weights/open_clip_config.json",
        "1/weights/open_clip_model.safetensors",
        "1/weights/scorer.json",
        "config.pbtxt",
    ]
    assert all(p.stat().st_mode & 0o444 == 0o444 for p in exported.folder.rglob("*") if p.is_file())
    config = (exported.folder / "config.pbtxt").read_text()
    assert "TYPE_UINT8 dims: [ 32, 32, 3 ]" in config
    assert f'string_value: "{exported.model_version}"' in config
    assert "priority_levels: 2" in config
    for path in scorer_folder.iterdir():
        path.unlink()
    loaded = load_weights(exported.folder / "1" / "weights")
    assert loaded.version == exported.model_version
    scores = loaded.score(np.zeros((2, 32, 32, 3), dtype=np.uint8))
    assert scores.shape == (2,)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert [p.name for p in (tmp_path / "triton").iterdir()] == ["models"]  # nothing temporary is left


def test_the_same_export_again_changes_nothing_and_another_is_the_next_version(tmp_path, scorer_folder):
    repository = tmp_path / "models"
    first = write_repository(repository, str(scorer_folder))
    (repository / "image_score" / "1" / "__pycache__").mkdir()
    (repository / "image_score" / "1" / "__pycache__" / "model.cpython-311.pyc").write_bytes(b"by the server")
    assert write_repository(repository, str(scorer_folder)).changed is False
    tiny_scorer(scorer_folder, seed=1)
    second = write_repository(repository, str(scorer_folder))
    assert (first.number, second.number, second.changed) == (1, 2, True)
    assert first.model_version != second.model_version
    third = write_repository(repository, str(scorer_folder), options=ServingOptions(max_batch_size=4))
    assert third.number == 3
    assert sorted(p.name for p in third.folder.iterdir()) == ["2", "3", "config.pbtxt"]


def test_bfloat16_weights_have_a_version_of_their_own(tmp_path, scorer_folder):
    exported = write_repository(
        tmp_path / "m", str(scorer_folder), options=ServingOptions(precision="bfloat16")
    )
    assert exported.model_version.endswith("+bfloat16")
    loaded = load_weights(exported.folder / "1" / "weights", precision="bfloat16")
    assert loaded.version == exported.model_version
    assert np.isfinite(loaded.score(np.zeros((1, 32, 32, 3), dtype=np.uint8))).all()


def test_an_export_that_fails_leaves_the_repository_as_it_was(tmp_path):
    with pytest.raises(InputError):
        write_repository(tmp_path / "triton" / "models", str(tmp_path / "absent"))
    assert list((tmp_path / "triton" / "models").iterdir()) == []
    assert [p.name for p in (tmp_path / "triton").iterdir()] == ["models"]


@pytest.mark.parametrize("wrong", [{"max_batch_size": 0}, {"instances": 0}, {"max_queue_delay_us": -1}])
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ServingOptions(**wrong)
