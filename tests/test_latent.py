"""Latent columns of small untrained models, and of decoders whose answers are known."""

from dataclasses import replace
from functools import cache

import h5py
import numpy as np
import pytest
import torch

from handvae.base import params
from handvae.base.errors import InputError
from handvae.base.joints import SKELETONS
from handvae.evaluation import latent, predict
from handvae.model import batches
from handvae.model.draws import unaugmented
from handvae.model.parts import whole
from handvae.model.settings import settings_of
from handvae.model.vae import CrossModalVAE
from tests.conftest import REPOSITORY
from tests.test_batches import load, write_depth_hands, write_hands

HANDS = 12


@pytest.fixture(scope="module")
def colour(tmp_path_factory):
    path = write_hands(tmp_path_factory.mktemp("colour") / "set.h5", count=HANDS)
    with h5py.File(path, "a") as file:
        file.copy("train", "test")
    return path


@pytest.fixture(scope="module")
def depth(tmp_path_factory):
    return write_depth_hands(tmp_path_factory.mktemp("depth") / "set.h5", groups=("train", "test"), count=HANDS)


def settings(name):
    return replace(settings_of(params.load(REPOSITORY / "params.yaml"), name), width=16)


@cache
def made(name, data, seed=0, certain=False):
    """Settings, predictions and latent columns of an untrained model; `certain`: with very narrow posteriors."""
    of_name = settings(name)
    of_name = replace(of_name, experiment=replace(of_name.experiment, seed=seed))
    model = CrossModalVAE(of_name.architecture, seed=0).eval()
    if certain:
        for encoder in model.encoders.values():
            encoder.head.weight.data[30:], encoder.head.bias.data[30:] = 0, -8
    scored, images, unit_mm = whole(data, ["test"]), of_name.uses_images, of_name.joint_unit_mm
    test, train = load(data, ["test"], images, unit_mm), load(data, ["train"], False, unit_mm)
    predictions = predict.predict_split(model, of_name, scored, test, train)
    return of_name, predictions, latent.latent_columns(model, of_name, scored, test, predictions)


@pytest.mark.parametrize(
    ("name", "encoders", "decoded"),
    [
        ("stb-cross", "rgb joints_2d joints_3d", "rgb joints_2d joints_3d"),
        ("stb-separate", "rgb joints_2d joints_3d", "joints_3d"),
        ("icvl-resnet18", "depth", "depth"),
    ],
)
def test_every_kind_of_experiment_has_its_columns_and_is_scored_on_the_encodings_kept(
    name, encoders, decoded, colour, depth
):
    of_name, predictions, columns = made(name, depth if name.startswith("icvl") else colour)
    expected = {f"{what}_{modality}" for modality in encoders.split() for what in ("mu", "log_var")}
    expected |= {f"decoded_mm_{modality}" for modality in decoded.split()}
    expected |= {"posterior_spread_mm", "posterior_row", "posterior_joints_mm"}
    if name == "stb-cross":
        of_walk = ("row", "joints_mm", "uv_px", "projected_px")
        expected |= {f"{walk}_{what}" for walk in ("walk", "random_walk") for what in of_walk} | {"walk_rgb_u8"}
    assert set(columns) == expected
    np.testing.assert_allclose(columns[f"decoded_mm_{of_name.encoded}"], predictions["joints_pred_mm"], atol=1e-3)


def test_the_same_experiment_gives_the_same_bytes_and_another_seed_other_samples(colour):
    first, again, other = (made.__wrapped__("stb-cross", colour, seed=seed)[2] for seed in (0, 0, 1))
    assert all(first[key].tobytes() == again[key].tobytes() for key in first)
    assert not np.array_equal(first["posterior_spread_mm"], other["posterior_spread_mm"])
    np.testing.assert_array_equal(first["mu_rgb"], other["mu_rgb"])


@pytest.mark.parametrize(("name", "data"), [("rhd-rgb-v1", "colour"), ("icvl-resnet18", "depth")])
def test_samples_of_a_certain_posterior_lie_round_the_prediction_in_its_frame(name, data, request):
    _, predictions, columns = made(name, request.getfixturevalue(data), certain=True)
    samples_mm, rows = columns["posterior_joints_mm"], columns["posterior_row"]
    predicted_mm, spread_mm = predictions["joints_pred_mm"][rows], columns["posterior_spread_mm"]
    assert 0 < spread_mm.max() < 8  # sigma 0.02
    assert np.abs(samples_mm.mean(axis=1) - predicted_mm).max() < spread_mm.max()
    off_mm = np.linalg.norm(samples_mm - samples_mm.mean(axis=1, keepdims=True), axis=3).mean(axis=1)
    np.testing.assert_allclose(off_mm, spread_mm[rows], rtol=1e-4)
    wide = made(name, request.getfixturevalue(data))[2]["posterior_spread_mm"]
    assert np.median(wide / spread_mm) > 5  # sigma 0.22


def test_samples_do_not_depend_on_how_many_rows_are_decoded_at_once(colour, monkeypatch):
    whole = made("rhd-rgb-v1", colour)[2]
    monkeypatch.setattr(predict, "BATCH", 5)
    parts = made.__wrapped__("rhd-rgb-v1", colour)[2]
    for key in whole:
        np.testing.assert_allclose(parts[key], whole[key], atol=1e-3, err_msg=key)


class Truth:
    """Decoders linear in z, which give the truth of row n, in the networks' units, at the n-th unit vector."""

    def __init__(self, split):
        everything = batches.batch(split, unaugmented(torch.arange(len(split))), {"joints_2d", "joints_3d"})
        self.answers = {key: everything[key] for key in ("joints_2d", "joints_3d")}

    def decode(self, modality, z):
        if modality == "rgb":  # from black to far brighter than white
            return (torch.tensor([-0.5, 0.0, 0.5]) + 2.0 * z[:, :1]).view(-1, 3, 1, 1).expand(-1, 3, 4, 4)
        return z[:, : len(self.answers[modality])] @ self.answers[modality]


@pytest.mark.parametrize("scale_invariant", [True, False])
def test_a_perfect_model_walks_from_truth_to_truth_in_millimetres_and_pixels(colour, scale_invariant):
    split = load(colour, ["test"], False, None if scale_invariant else 50.0)
    pairs = np.array([[0, 4], [3, 9]])
    columns = latent.walk_columns(Truth(split), torch.eye(HANDS, 30), split, pairs, np.array([0]))
    true_mm = (split.joints_mm - split.joints_mm[:, :1]).numpy()
    draw = unaugmented(torch.arange(HANDS))
    true_px = split.warped_uv_px(draw).numpy()
    for end, step in ((0, 0), (1, -1)):
        np.testing.assert_allclose(columns["random_walk_joints_mm"][:, step], true_mm[pairs[:, end]], atol=1e-3)
        for picture in ("uv_px", "projected_px"):
            np.testing.assert_allclose(columns[f"random_walk_{picture}"][:, step], true_px[pairs[:, end]], atol=2e-3)
    # half way each hand is the mean pose in its own units, at the mean scale
    scale_mm = split.scale_mm.numpy()
    middle = (true_mm / scale_mm[:, None, None])[pairs].mean(axis=1) * scale_mm[pairs].mean(axis=1)[:, None, None]
    np.testing.assert_allclose(columns["random_walk_joints_mm"][:, 4], middle, atol=1e-3)
    np.testing.assert_array_equal(columns["walk_row"], pairs[[0]])
    # images are clipped to what a screen can show: 0.5 + z is added to black, grey and white while z goes from 1 to 0
    of_steps = columns["walk_rgb_u8"][0, [0, -2, -1], 0, 0].tolist()
    assert of_steps == [[255, 255, 255], [64, 191, 255], [0, 128, 255]]


def test_random_pairs_are_of_one_side_disjoint_and_of_hands_that_can_be_seen():
    side = np.random.default_rng(0).integers(0, 2, 301)
    errors_mm = np.where(np.arange(301) % 10, 20.0, np.nan)
    pairs = latent.random_pairs(side, errors_mm, seed=0)
    assert pairs.shape == (latent.RANDOM_WALKS, 2)
    assert (side[pairs[:, 0]] == side[pairs[:, 1]]).all() and set(side[pairs[:, 0]]) == {0, 1}
    assert len(np.unique(pairs)) == pairs.size and np.isfinite(errors_mm[pairs]).all()
    np.testing.assert_array_equal(pairs, latent.random_pairs(side, errors_mm, seed=0))
    assert not np.array_equal(pairs, latent.random_pairs(side, errors_mm, seed=1))
    assert len(latent.random_pairs(np.array([0, 1]), np.zeros(2), seed=0)) == 0


def test_shown_walks_are_predicted_well_lie_far_apart_and_are_spread_over_the_distance():
    pairs = np.arange(40).reshape(20, 2)
    errors_mm = np.repeat(np.arange(20.0), 2)  # of pair p: p mm; the better half is 0 to 9
    joints_mm = np.zeros((40, 21, 3))
    joints_mm[1::2, :, 0] = np.arange(20)[:, None]  # pair p lies p mm apart; of the better half the further is 5 to 9
    assert latent.shown_pairs(pairs, errors_mm, joints_mm).tolist() == [5, 7, 9]
    assert latent.shown_pairs(pairs, errors_mm[::-1], joints_mm).tolist() == [15, 17, 19]
    assert latent.shown_pairs(pairs[:1], errors_mm, joints_mm).tolist() == [0]  # few pairs: what there is


def test_a_frames_error_counts_evaluated_and_visible_joints():
    nyu = SKELETONS["NYU36"]
    true_mm = np.zeros((2, 36, 3))
    pred_mm = true_mm + [0, 0, 7.0]
    pred_mm[0, nyu.evaluated[0]] = [0, 0, 9]
    pred_mm[0, 1] = 1e6  # not evaluated
    visible = np.ones((2, 36), bool)
    visible[0, nyu.evaluated[2:]] = visible[1] = False
    columns = {"joints_pred_mm": pred_mm, "joints_true_mm": true_mm, "visible": visible}
    np.testing.assert_array_equal(latent.frame_errors_mm(columns, nyu), [8, np.nan])


def test_without_two_hands_of_one_side_there_is_no_walk(tmp_path):
    path = write_hands(tmp_path / "set.h5", count=2)  # one left, one right
    with h5py.File(path, "a") as file:
        file.copy("train", "test")
    with pytest.raises(InputError, match=r"set\.h5: expected two test hands of one side to walk between, found none"):
        made("stb-cross", path)
