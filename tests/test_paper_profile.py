"""Profile `paper` as it stands in params.yaml, on the CPU: each kind of row at full size, two steps of two samples."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from handvae.base import dataset_params, params
from handvae.base.joints import SKELETON_OF, SKELETONS
from handvae.evaluation import latent, predict
from handvae.model import checkpoints, parts, training
from handvae.model.settings import settings_of
from handvae.preprocessing import store
from tests.conftest import REPOSITORY

CPU = torch.device("cpu")
ROWS = 4
ROWS_OF_EVERY_KIND = [
    *("rhd-rgb-v1", "rhd-rgb-v2", "rhd-rgb-v3", "rhd-rgb-v4", "rhd-2d-v1", "rhd-2d-v4", "rhd-2d-v3-t"),
    *("both-rgb-v1-t", "stb-rgb-v3-l10", "stb-cross", "stb-separate"),
    *("icvl-resnet18", "icvl-resnet50", "nyu-resnet18", "msra-resnet18-p8"),
]


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    text = (REPOSITORY / "params.yaml").read_text()
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_text(text.replace("\nprofile: small", "\nprofile: paper"))
    return params.load(path)


def random_set(path, dataset, context_px, crop_px):
    """Random images and joints in the columns of the dataset."""
    rng, joints = np.random.default_rng(0), len(SKELETONS[SKELETON_OF[dataset]])
    groups = [f"P{number}" for number in range(9)] if dataset == "msra" else ["train", "test"]

    def hands(group):
        for number in range(ROWS):
            joints_mm = rng.normal([0, 0, 500], 40, (joints, 3)).astype(np.float32)
            uv_px = rng.uniform(0, context_px, (joints, 2)).astype(np.float32)
            side, visible = number // 2, np.ones(joints, bool)
            names = (f"{group} {number}", group, group, number, f"{group} {number}")
            if dataset in ("rhd", "stb"):
                image_u8 = rng.integers(0, 256, (context_px, context_px, 3), np.uint8)
                scale_bone_mm = np.float32(25)
                yield store.ColourHand(
                    image_u8, joints_mm, uv_px, visible, np.eye(3), side, scale_bone_mm, True, *names
                )
            else:
                depth_f16 = rng.uniform(-1, 1, (context_px, context_px)).astype(np.float16)
                centre_mm = np.float32([0, 0, 500])
                yield store.DepthHand(depth_f16, joints_mm, uv_px, np.eye(3), 1, centre_mm, 250.0, True, *names)

    store.write(path, {group: hands(group) for group in groups}, {"crop_px": crop_px, "context_px": context_px})
    return path


@pytest.fixture(scope="module")
def sets(paper, tmp_path_factory):
    folder, crop_px = tmp_path_factory.mktemp("sets"), paper.profile.crop_px
    context_px = round(crop_px * paper.profile.context)
    for name in dataset_params.DATASETS:
        random_set(folder / f"{name}.h5", name, context_px, crop_px)
    return folder


def test_the_profile_is_the_papers_size(paper):
    assert (paper.profile.crop_px, paper.profile.encoder_width, paper.profile.needs_gpu) == (256, 64, True)
    assert {of_input.batch_size for of_input in paper.profile.training.values()} == {64}


def biases_before_batchnorm(model: torch.nn.Module) -> set[str]:
    """BatchNorm takes them away: their gradient is rounding alone, in bfloat16 nothing."""
    norms = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)
    return {
        f"{name}.{number}.bias"
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Sequential)
        for number, (_, after) in enumerate(pairwise(module))
        if isinstance(after, norms)
    }


@pytest.mark.parametrize("name", ROWS_OF_EVERY_KIND)
def test_every_kind_of_row_trains_and_predicts(paper, sets, tmp_path, name):
    settings = settings_of(paper, name)
    settings = replace(settings, training=replace(settings.training, steps=2, batch_size=2))
    trained_on = parts.training_parts(sets, settings.experiment)
    training.train(settings, trained_on, tmp_path / "model", tmp_path / "model.pt", CPU)
    model, found, _ = checkpoints.load_model(tmp_path / "model", CPU)
    assert found == settings
    before = training.Run(settings, CPU).model.state_dict()
    for key, value in model.state_dict().items():
        assert value.isfinite().all()
        still = key.endswith("num_batches_tracked") or key in biases_before_batchnorm(model)
        assert not torch.equal(value, before[key]) or still, key
    for dataset in settings.experiment.datasets:
        scored = parts.scored_part(sets, settings.experiment, dataset)
        predictions = predict.predict_split(model, settings, scored, trained_on, CPU)
        columns = latent.latent_columns(model, settings, scored, predictions, CPU)
        assert np.isfinite(predictions["joints_pred_mm"]).all() and len(columns) > 4
