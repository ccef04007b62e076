"""Profile `paper` as it stands in params.yaml, on the CPU: kinds of rows at full size, two steps of two samples."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handvae.base import params
from handvae.evaluation import latent, predict
from handvae.model import batches, checkpoints, parts, training
from handvae.model.settings import settings_of
from tests.conftest import REPOSITORY
from tests.test_batches import write_depth_hands, write_hands

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    text = (REPOSITORY / "params.yaml").read_text()
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_text(text.replace("\nprofile: small", "\nprofile: paper"))
    return params.load(path)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Four hands in each split of three sets."""
    folder = tmp_path_factory.mktemp("sets")
    for dataset, write in (("rhd", write_hands), ("stb", write_hands), ("icvl", write_depth_hands)):
        path = folder / f"{dataset}.h5"
        write(path, groups=("train", "test"), count=4, crop_px=256, context_px=384)
    return folder


def test_the_profile_is_the_papers_size(paper):
    profile = paper.profile
    assert (profile.crop_px, profile.context, profile.encoder_width, profile.needs_gpu) == (256, 1.5, 64, True)
    assert {of_input.batch_size for of_input in profile.training.values()} == {64}


@pytest.mark.parametrize("name", ["both-rgb-v1-t", "stb-rgb-v3-l10", "stb-cross", "icvl-resnet50"])
def test_every_kind_of_row_trains_and_predicts(paper, sets, tmp_path, name):
    settings = settings_of(paper, name)
    settings = replace(settings, training=replace(settings.training, steps=2, batch_size=2))
    trained_on = parts.training_parts(sets, settings.experiment)
    training.train(settings, trained_on, tmp_path / "model", tmp_path / "model.pt", CPU)
    model, of_model, _ = checkpoints.load_model(tmp_path / "model", CPU)
    assert of_model == settings and all(value.isfinite().all() for value in model.state_dict().values())
    for dataset in settings.experiment.datasets:
        scored = parts.scored_part(sets, settings.experiment, dataset)
        test = batches.load_split([scored], settings.uses_images, settings.joint_unit_mm, CPU)
        train = batches.load_split(trained_on, False, settings.joint_unit_mm, CPU)
        predictions = predict.predict_split(model, settings, scored, test, train)
        columns = latent.latent_columns(model, settings, scored, test, predictions)
        assert np.isfinite(predictions["joints_pred_mm"]).all() and len(columns) > 4
