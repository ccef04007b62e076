"""Trained models to take along: a file and a card each, of rows that are up to date; the detector beside them."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from handvae.base.errors import InputError
from handvae.detection import network
from handvae.detection.detect import Detector
from handvae.model import checkpoints
from handvae.model.vae import CrossModalVAE
from handvae.prediction import directions, models, portable
from stages import evaluate_detector, pretrained, snapshot
from tests.conftest import REPOSITORY
from tests.fabricated import write_processed
from tests.test_detection import SETTINGS, THRESHOLDS
from tests.test_training import CPU, settings

SHIPPED = Path("pretrained")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with params.yaml and metrics of the grid; git and DVC find nothing to say."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(snapshot, "dvc_status", lambda targets: {})
    monkeypatch.setattr(snapshot, "commit_of_code", lambda: "0123abcd")
    monkeypatch.setattr(snapshot, "command", lambda commit, rows: f"`python -m stages.grid {' '.join(rows)}`")
    shutil.copy(REPOSITORY / "params.yaml", "params.yaml")
    shutil.copytree(REPOSITORY / "reports/metrics", "data/metrics")


def save_trained(name):
    chosen = settings(name)
    weights = CrossModalVAE(chosen.architecture, 0).state_dict()
    identity = {"settings": chosen.as_dict(), "data_sha256": "digest"}
    checkpoints.save_model(Path("models", name), weights, [{"step": 1}], identity)
    write_processed(Path("data/processed"), name.split("-")[0], source="synthetic hands (seed 0)")
    return chosen


def test_trained_models_go_along_with_a_card_each(capsys):
    chosen = save_trained("rhd-2d-v1")
    pretrained.main("rhd-2d-v1")
    card = (SHIPPED / "rhd-2d-v1.md").read_text()
    epe_mm = json.loads(Path("data/metrics/rhd-2d-v1.json").read_text())["epe_mean_mm"]
    for part in (f"| {epe_mm:.1f} mm [", "| trained on | synthetic hands (seed 0) |", "stages.grid rhd-2d-v1`"):
        assert part in card
    assert "| [rhd-2d-v1](rhd-2d-v1.md) | 2D -> 3D hand pose, RHD |" in (SHIPPED / "README.md").read_text()
    assert "pretrained: 1 models with a card each" in capsys.readouterr().out
    assert models.load("rhd-2d-v1", CPU)[1] == Path("models/rhd-2d-v1")  # what was trained here comes first
    shutil.rmtree("models")
    trained, path = models.load("rhd-2d-v1", CPU)
    assert (trained.settings, path) == (chosen, SHIPPED / "rhd-2d-v1.safetensors")
    with pytest.raises(InputError, match=r"^rhd: expected a trained model's file, .*; names are: rhd-2d-v1$"):
        models.load("rhd", CPU)


def test_the_directions_of_its_latent_space_go_along_with_a_model_that_decodes_several_modalities():
    chosen, predictions = save_trained("stb-cross"), Path("data/predictions/stb-cross.h5")
    with pytest.raises(InputError, match=rf"^{predictions}: expected the predictions of stb-cross"):
        pretrained.main("stb-cross")
    predictions.parent.mkdir()
    with h5py.File(predictions, "w") as file:
        file["latent/mu_rgb"] = np.random.default_rng(0).normal(size=(50, 30))
        file.attrs.update(settings=json.dumps(chosen.as_dict()), source="synthetic hands (seed 0)")
    pretrained.main("stb-cross")
    expected = directions.of_predictions(predictions, chosen)
    assert portable.load_directions(SHIPPED / "stb-cross.safetensors").as_dict() == expected.as_dict()


def test_the_detector_goes_along_with_its_scores(monkeypatch):
    for name in ("rhd-2d-v1", "rhd-rgb-v1"):
        save_trained(name)
    Detector(network.DetectorNetwork(8), SETTINGS, THRESHOLDS, "squares").save(Path("models/detector.safetensors"))
    models_asked = {}

    def of_set(name, test, detector, trained):
        models_asked[name] = trained and trained.settings.name
        return {"recall_percent": 98.7} | ({"epe_true_boxes_mm": 24.3} if trained else {})

    monkeypatch.setattr(pretrained, "labelled", lambda *words: [])
    monkeypatch.setattr(evaluate_detector, "of_set", of_set)
    pretrained.main("rhd-2d-v1", "rhd-rgb-v1")
    assert models_asked == {"rhd": "rhd-rgb-v1", "stb": None}
    card = (SHIPPED / "detector.md").read_text()
    for part in ("| trained on | squares |", "| dataset | recall, % | epe true boxes, mm |", "| rhd | 98.7 | 24.3 |"):
        assert part in card
    assert (SHIPPED / "detector.safetensors").read_bytes() == Path("models/detector.safetensors").read_bytes()


def test_rows_that_are_not_up_to_date_are_refused(monkeypatch):
    monkeypatch.setattr(snapshot, "dvc_status", lambda targets: {"train_paper@rhd-2d-v1": []})
    with pytest.raises(InputError, match=r"^rhd-2d-v1: expected the results .* train_paper@rhd-2d-v1; run `python"):
        pretrained.main("rhd-2d-v1")
    assert not SHIPPED.exists()
