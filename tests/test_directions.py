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

PREDICTIONS = Path("data/predictions/stb-cross.h5")


def encodings(count=200, sds=(3.0, 2.0, 0.5)):
    """Posterior means (M, 30) that vary by `sds` along axes of their own, and these axes (3, 30)."""
    random = np.random.default_rng(0)
    axes = np.linalg.qr(random.normal(size=(30, len(sds))))[0].T
    along = random.normal(size=(count, len(sds)))
    along = np.linalg.qr(along - along.mean(axis=0))[0] * np.sqrt(count)  # uncorrelated, of mean 0 and sd 1
    return (5 + along * sds @ axes).astype(np.float32), axes


def test_directions_are_those_along_which_the_encodings_vary_with_their_sd_and_share():
    mu, axes = encodings()
    along = directions.of_means(mu, "synthetic hands", "a.h5")
    assert along.encoded == 200 and along.data == "synthetic hands"
    np.testing.assert_allclose(along.mean, 5, atol=1e-5)
    np.testing.assert_allclose(along.sd, [3, 2, 0.5], atol=1e-4)
    np.testing.assert_allclose(along.share, np.array([9, 4, 0.25]) / 13.25, atol=1e-5)
    np.testing.assert_allclose(np.abs(along.axes @ axes.T), np.eye(3), atol=1e-4)
    assert (along.axes.max(axis=1) == np.abs(along.axes).max(axis=1)).all()  # not their opposites


@pytest.mark.parametrize("mu", [np.ones((9, 30)), np.full((9, 30), np.nan), np.ones((1, 30))])
def test_encodings_without_a_direction_are_refused(mu):
    with pytest.raises(InputError, match=r"a\.h5: expected .*, found "):
        directions.of_means(mu, "synthetic hands", "a.h5")


def test_views_are_decoded_from_the_encoding_of_the_input():
    assert directions.views(settings("stb-cross")) == ["rgb", "joints_2d", "joints_3d"]
    assert directions.views(settings("stb-separate")) == ["joints_3d"]  # its three decoders share no latent space


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    PREDICTIONS.parent.mkdir(parents=True)


def trained_row(name="stb-cross"):
    """models/<name> as it is at the start of training."""
    chosen = settings(name)
    model = CrossModalVAE(chosen.architecture, 0).eval()
    identity = {"settings": chosen.as_dict(), "data_sha256": "digest"}
    checkpoints.save_model(Path("models") / name, model.state_dict(), [{"step": 1}], identity)
    return Trained(model, chosen, "digest")


def write_predictions(chosen, groups=("/",)):
    """Encodings of test hands, in each group larger by 1."""
    with h5py.File(PREDICTIONS, "w") as file:
        for number, group in enumerate(groups):
            file[f"{group}/latent/mu_rgb"] = encodings()[0] + number
            file[group].attrs.update(settings=json.dumps(chosen.as_dict()), source=f"hands of {group}")


def refusal(*words):
    with pytest.raises(SystemExit) as ended:
        run(latent.main, *words)
    assert "\n" not in ended.value.code and not list(Path().rglob("*.html*"))
    return ended.value.code


def test_the_page_of_a_row_is_that_of_its_file(workspace, capsys):
    trained = trained_row()
    write_predictions(trained.settings)
    latent.main()
    page = Path("latent.html").read_bytes()
    assert b"stb-cross" in page and b"$" not in page.split(b"<script")[0]
    assert "latent: wrote latent.html, 6." in capsys.readouterr().out
    portable.save(Path("cross.safetensors"), trained, directions.of_predictions(PREDICTIONS, trained.settings))
    latent.main("cross.safetensors", "--out", "of_file.html")
    of_file = Path("of_file.html").read_bytes()
    assert page.partition(b'"weights"')[0] == of_file.partition(b'"weights"')[0]  # those are of half precision


def test_models_that_decode_one_modality_or_lack_predictions_are_refused_in_one_line(workspace):
    trained_row()
    assert f"{PREDICTIONS}: expected the predictions of stb-cross, found no file; run" in refusal()
    trained_row("rhd-2d-v2")
    expected = "models/rhd-2d-v2: expected a model that decodes several modalities, found joints_3d; take stb-cross"
    assert expected in refusal("rhd-2d-v2")


def test_predictions_of_another_model_or_without_encodings_are_refused(workspace):
    chosen = trained_row().settings
    write_predictions(replace(chosen, width=99))
    assert f"{PREDICTIONS}: expected predictions of this model, found those of other settings" in refusal()
    with h5py.File(PREDICTIONS, "r+") as file:
        del file["latent"]
    assert f"{PREDICTIONS}: expected latent/mu_rgb of stb, found none" in refusal()


def test_a_model_of_two_sets_has_the_directions_of_both(workspace):
    chosen = settings("stb-cross")
    chosen = replace(chosen, experiment=replace(chosen.experiment, dataset="rhd+stb"))
    write_predictions(chosen, chosen.experiment.datasets)
    along = directions.of_predictions(PREDICTIONS, chosen)
    assert along.encoded == 400 and along.data == "hands of rhd; hands of stb"
    np.testing.assert_allclose(along.mean, 5.5, atol=1e-5)
