"""Trained models to take along: the same predictions from half the bytes, and a card that says what they are."""

import dataclasses

import numpy as np
import pytest
import safetensors.torch
import torch

from handvae.base.errors import InputError
from handvae.model.checkpoints import Trained
from handvae.model.vae import CrossModalVAE
from handvae.prediction import card, directions, portable
from tests.test_training import CPU, settings

FACTS = {"made by": "`python -m stages.grid`", "commit": "0123", "versions": "Python 3.11.7, torch 2.11.0"}
METRICS = {"epe_mean_mm": 16.6, "epe_mean_mm_low": 16.1, "epe_mean_mm_high": 17.0, "seeds": 3}
METRICS |= {"epe_median_mm": 14.2, "mean_pose_epe_mm": 75.7}


@pytest.fixture(scope="module")
def trained():
    chosen = settings("rhd-2d-v3")
    return Trained(CrossModalVAE(chosen.architecture, 0).eval(), chosen, "digest")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def predicted(model):
    x, side = torch.randn(50, 42, generator=torch.Generator().manual_seed(0)), torch.eye(2)[torch.arange(50) % 2]
    with torch.inference_mode():
        return model.predict("joints_2d", "joints_3d", x, side)


def test_a_model_comes_back_with_its_settings_and_nearly_its_predictions(trained, path):
    portable.save(path, trained)
    model, back, digest = portable.load(path, CPU)
    assert (back, digest) == (trained.settings, "digest") and not model.training
    assert {value.dtype for value in model.state_dict().values()} <= {torch.float32, torch.int64}
    before, after = predicted(trained.model), predicted(model)
    assert 0 < (after - before).norm() / before.norm() < 2e-3
    floats = sum(value.numel() for value in trained.model.state_dict().values() if value.is_floating_point())
    assert path.stat().st_size < 2 * floats + 20_000
    first = path.read_bytes()
    for _ in range(8):  # safetensors itself orders the metadata anew each time
        portable.save(path, trained)
        assert path.read_bytes() == first


def test_the_directions_of_a_latent_space_go_along_and_a_file_without_them_is_refused_for_these_alone(trained, path):
    latent = directions.of_means(np.random.default_rng(0).normal(size=(50, 30)), "synthetic hands", "")
    portable.save(path, trained, latent)
    assert portable.load_directions(path).as_dict() == latent.as_dict()
    for without in (None, latent._replace(axes=latent.axes[:, :29])):
        portable.save(path, trained, without)
        assert portable.load(path, CPU).settings == trained.settings
        with pytest.raises(InputError, match=r"model\.safetensors: expected a model's file with the directions of its"):
            portable.load_directions(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", safetensors.torch.save({"a": torch.zeros(2)})])
def test_another_file_is_refused_by_name(path, content):
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors: expected a model that stages\.pretrained wrote"):
        portable.load(path, CPU)


def test_a_name_that_leads_out_of_a_folder_is_refused(trained, path):
    portable.save(path, trained._replace(settings=dataclasses.replace(trained.settings, name="../elsewhere")))
    with pytest.raises(
        InputError, match=r"model\.safetensors: expected a model that stages\.pretrained wrote: .*names"
    ):
        portable.load(path, CPU)


def test_weights_of_another_network_are_refused(trained, path):
    portable.save(path, trained._replace(settings=settings("rhd-2d-v1")))
    with pytest.raises(InputError, match=r"model\.safetensors: expected the weights of"):
        portable.load(path, CPU)


@pytest.mark.parametrize(
    ("data", "said"), [("synthetic hands (seed 0)", "synthetic hands only"), ("RHD", "other people")]
)
def test_the_card_says_what_a_model_is_and_what_it_is_not_good_for(trained, data, said):
    text = card.text(trained.settings, 1_234_567, FACTS, METRICS, data)
    for part in ("# rhd-2d-v3: 2D -> 3D hand pose, RHD", "variant 3", "1.2 MB", f"| trained on | {data} |", said):
        assert part in text
    assert "16.6 mm [16.1, 17.0], mean of 3 seeds, of which this is the first" in text
    assert "$" not in text and ("synthetic hands only" in text) == ("synthetic" in data)
