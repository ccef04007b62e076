"""Directions of a latent space: the axes along which encodings vary, and from predictions to a page of them."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from handvae.base.errors import InputError
from handvae.model import checkpoints
from handvae.model.checkpoints import Trained
from handvae.model.vae import CrossModalVAE
from handvae.prediction import directions, portable
from stages import latent, run
from tests.test_training import settings

DATA = "synthetic hands in STB's format (seed 0)"


def encodings(count=200, sds=(3.0, 2.0, 0.5)):
    """Posterior means (M, 30) that vary by `sds` along axes of their own, and these axes (3, 30)."""
    random = np.random.default_rng(0)
    axes = np.linalg.qr(random.normal(size=(30, len(sds))))[0].T
    along = random.normal(size=(count, len(sds)))
    along = np.linalg.qr(along - along.mean(axis=0))[0] * np.sqrt(count)  # uncorrelated, of mean 0 and sd 1
    return (5 + along * sds @ axes).astype(np.float32), axes


def test_directions_are_those_along_which_the_encodings_vary_with_their_sd_and_share():
    mu, axes = encodings()
    found = directions.of_means(mu, DATA, "a.h5")
    assert found.encoded == 200 and found.data == DATA
    np.testing.assert_allclose(found.mean, 5, atol=1e-5)
    np.testing.assert_allclose(found.sd, [3, 2, 0.5], atol=1e-4)
    np.testing.assert_allclose(found.share, np.array([9, 4, 0.25]) / 13.25, atol=1e-5)
    np.testing.assert_allclose(np.abs(found.axes @ axes.T), np.eye(3), atol=1e-4)
    assert (found.axes.max(axis=1) == np.abs(found.axes).max(axis=1)).all()  # not their opposites
    assert len(directions.of_means(np.random.default_rng(0).normal(size=(50, 30)), DATA, "a.h5").sd) == 8


@pytest.mark.parametrize("mu", [np.ones((9, 30)), np.full((9, 30), np.nan), np.ones((1, 30))])
def test_encodings_without_a_direction_are_refused(mu):
    with pytest.raises(InputError, match=r"a\.h5: expected .*, found "):
        directions.of_means(mu, DATA, "a.h5")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("stb-cross", ["rgb", "joints_2d", "joints_3d"]),
        ("rhd-rgb-v4", ["joints_3d", "rgb"]),
        ("rhd-2d-v2", ["joints_3d"]),
        ("stb-separate", ["joints_3d"]),  # its three decoders share no latent space
    ],
)
def test_views_are_decoded_from_the_encoding_of_the_input(name, expected):
    assert directions.views(settings(name)) == expected


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data/predictions").mkdir(parents=True)


def trained_row(name="stb-cross", predictions=True):
    """models/<name> as it is at the start of training, and encodings of test hands."""
    chosen = settings(name)
    model = CrossModalVAE(chosen.architecture, 0).eval()
    identity = {"settings": chosen.as_dict(), "data_sha256": "digest"}
    checkpoints.save_model(Path("models") / name, model.state_dict(), [{"step": 1}], identity)
    if predictions:
        with h5py.File(f"data/predictions/{name}.h5", "w") as file:
            file[f"latent/mu_{chosen.encoded}"] = encodings()[0]
            file.attrs.update(settings=json.dumps(chosen.as_dict(), sort_keys=True), source=DATA)
    return Trained(model, chosen, "digest")


def refused(*words):
    with pytest.raises(SystemExit) as ended:
        run(latent.main, *words)
    assert "\n" not in ended.value.code and not list(Path().rglob("*.html*"))
    return ended.value.code


def test_the_page_of_a_row_is_that_of_its_file_and_the_same_each_time(workspace, capsys):
    trained = trained_row()
    latent.main()
    latent.main("stb-cross", "--out", "again.html")
    page = Path("latent.html").read_bytes()
    assert page == Path("again.html").read_bytes() and b"stb-cross" in page and b"$" not in page.split(b"<script")[0]
    assert "latent: wrote latent.html, 6." in capsys.readouterr().out
    found = directions.of_predictions(Path("data/predictions/stb-cross.h5"), trained.settings)
    portable.save(Path("cross.safetensors"), trained, found)
    latent.main("cross.safetensors", "--out", "of_file.html")
    without_weights = [text.partition(b'"weights"')[0] for text in (page, Path("of_file.html").read_bytes())]
    assert without_weights[0] == without_weights[1]


def test_models_that_decode_one_modality_or_lack_directions_are_refused_in_one_line(workspace):
    trained = trained_row(predictions=False)
    assert "data/predictions/stb-cross.h5: expected the predictions of stb-cross, found no file; run" in refused()
    trained_row("rhd-2d-v2")
    expected = "models/rhd-2d-v2: expected a model that decodes several modalities, found joints_3d; take stb-cross"
    assert expected in refused("rhd-2d-v2")
    portable.save(Path("old.safetensors"), trained)
    assert "old.safetensors: expected a model's file with the directions of its latent space" in refused(
        "old.safetensors"
    )


def test_predictions_of_another_model_or_without_encodings_are_refused(workspace):
    path, chosen = Path("data/predictions/stb-cross.h5"), trained_row().settings
    with h5py.File(path, "r+") as file:
        file.attrs["settings"] = json.dumps(chosen.as_dict() | {"width": 99})
    assert f"{path}: expected predictions of this model, found those of other settings" in refused()
    with h5py.File(path, "r+") as file:
        del file["latent"]
    assert f"{path}: expected latent/mu_rgb of stb, found none" in refused()


def test_a_model_of_two_sets_has_the_directions_of_both(workspace):
    chosen = settings("stb-cross")
    chosen = replace(chosen, experiment=replace(chosen.experiment, dataset="rhd+stb"))
    with h5py.File("two.h5", "w") as file:
        for number, dataset in enumerate(chosen.experiment.datasets):
            file[f"{dataset}/latent/mu_rgb"] = encodings()[0] + number
            file[dataset].attrs.update(settings=json.dumps(chosen.as_dict()), source=f"synthetic {dataset}")
    found = directions.of_predictions(Path("two.h5"), chosen)
    assert found.encoded == 400 and found.data == "synthetic rhd; synthetic stb"
    np.testing.assert_allclose(found.mean, 5.5, atol=1e-5)
