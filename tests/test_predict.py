import h5py
import numpy as np
import torch

from handvae.evaluation import predict
from handvae.model import batches
from handvae.model.draws import unaugmented
from tests.test_batches import load, write_depth_hands, write_hands


class Oracle:
    """A model that decodes to the normalised truth; the pipeline around it must give back millimetres exactly."""

    def __init__(self, split, offset=0.0):
        everything = unaugmented(torch.arange(len(split)))
        self.answers = batches.batch(split, everything, {"joints_3d"})["joints_3d"] + offset
        self.asked = 0

    def predict(self, source, target, x, side_onehot):
        answers = self.answers[self.asked : self.asked + len(x)]
        self.asked += len(x)
        return answers


def splits(tmp_path, scale_invariant=True):
    path = write_hands(tmp_path / "set.h5")
    return load(path, images=False, unit_mm=None if scale_invariant else 50.0)


def test_the_ground_truth_scale_is_given_back_with_and_without_scale_invariance(tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "BATCH", 4)  # more than one batch
    for scale_invariant in (True, False):
        split = splits(tmp_path, scale_invariant)
        truth = split.joints_mm - split.joints_mm[:, :1]
        predicted = predict.predict_joints_mm(Oracle(split), "joints_2d", split)
        np.testing.assert_allclose(predicted, truth, atol=1e-3)


class Turning:
    """Predicts the true pose of the view that it is given, and a constant in the camera's frame beside it."""

    def __init__(self, split, rotations_deg, aside):
        draws = []
        for rows in torch.arange(len(split)).split(predict.BATCH):
            for rotation_deg in rotations_deg:
                draw = unaugmented(rows)
                draw.rotation_rad += np.deg2rad(rotation_deg)
                draws.append(draw)
        self.answers = [batches.batch(split, draw, {"joints_3d"})["joints_3d"] for draw in draws]
        self.aside = torch.tensor([aside, 0.0, 0.0]).repeat(split.joints_mm.shape[1])

    def predict(self, source, target, x, side_onehot):
        return self.answers.pop(0) + self.aside


def test_poses_of_turned_crops_are_turned_back_and_averaged(tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "BATCH", 4)
    split, rotations_deg = splits(tmp_path, scale_invariant=False), (0.0, -30.0, 30.0)
    truth = (split.joints_mm - split.joints_mm[:, :1]).numpy()
    for aside in (0.0, 1.0):
        model = Turning(split, rotations_deg, aside)
        predicted = predict.predict_joints_mm(model, "joints_2d", split, rotations_deg)
        assert not model.answers
        # turned back by both angles, what the constant adds across goes; along, its cosines' mean stays
        error_mm = np.array([aside * 50.0 * (1 + 2 * np.cos(np.deg2rad(30))) / 3, 0, 0])
        np.testing.assert_allclose(predicted - truth, np.broadcast_to(error_mm, truth.shape), atol=2e-3)


def test_predictions_are_not_re_centred(tmp_path):
    split = splits(tmp_path)
    predicted = predict.predict_joints_mm(Oracle(split, offset=0.5), "joints_2d", split)
    np.testing.assert_allclose(predicted[:, 0], np.repeat(0.5 * split.scale_mm[:, None].numpy(), 3, axis=1), rtol=1e-6)


def test_the_mean_pose_is_the_mean_of_normalised_poses_times_each_hands_scale(tmp_path):
    split = splits(tmp_path)
    truth = (split.joints_mm - split.joints_mm[:, :1]).numpy()
    scale = split.scale_mm.numpy()[:, None, None]
    np.testing.assert_allclose(
        predict.mean_pose_mm(split, split), (truth / scale).mean(axis=0) * scale, rtol=1e-4, atol=1e-3
    )


def test_what_is_written_is_read_back_and_of_two_sets_each_has_a_group(tmp_path):
    columns = {"joints_pred_mm": np.random.default_rng(0).normal(size=(3, 21, 3)).astype(np.float32)}
    columns["name"] = np.array(["a", "ü", "c"], dtype=object)
    latent = {"mu_rgb": np.arange(6.0).reshape(3, 2)}
    further = [(columns["joints_pred_mm"] + 1, {"mu_rgb": latent["mu_rgb"] - 1})]
    prediction = predict.Prediction(columns, latent, {"source": "made up", "variant": 1}, further)
    predict.write(tmp_path / "one.h5", {"/": prediction})
    predict.write(tmp_path / "two.h5", {"rhd": prediction, "stb": prediction})
    with h5py.File(tmp_path / "one.h5") as one, h5py.File(tmp_path / "two.h5") as two:
        for root in (one, two["rhd"], two["stb"]):
            assert sorted(root) == ["joints_pred_mm", "latent", "name", "seed-1"] and root.attrs["variant"] == 1
            assert root["name"].asstr()[:].tolist() == ["a", "ü", "c"]
            np.testing.assert_array_equal(root["joints_pred_mm"], columns["joints_pred_mm"])
            np.testing.assert_array_equal(root["latent/mu_rgb"], latent["mu_rgb"])
            np.testing.assert_array_equal(root["seed-1/joints_pred_mm"], columns["joints_pred_mm"] + 1)
            np.testing.assert_array_equal(root["seed-1/latent/mu_rgb"], latent["mu_rgb"] - 1)


def test_depth_predictions_come_back_to_absolute_millimetres(tmp_path):
    path = write_depth_hands(tmp_path / "set.h5")
    split = load(path, ["train"], True, 50.0)
    predicted = predict.predict_joints_mm(Oracle(split), "depth", split)
    np.testing.assert_allclose(predicted, split.joints_mm, atol=1e-3)
    np.testing.assert_array_equal(split.true_mm(), split.joints_mm)
    off = predict.predict_joints_mm(Oracle(split, offset=0.25), "depth", split)
    np.testing.assert_allclose(off - predicted, 25.0, atol=1e-3)  # a quarter of half a 200 mm cube


def test_the_mean_pose_of_depth_is_placed_in_each_test_hands_cube(tmp_path):
    split = load(write_depth_hands(tmp_path / "set.h5"))
    baseline = predict.mean_pose_mm(split, split)
    relative = (split.joints_mm - split.centre_mm[:, None]).numpy()
    np.testing.assert_allclose(
        baseline - split.centre_mm[:, None].numpy(), relative.mean(0)[None].repeat(6, 0), atol=1e-3
    )


def test_previous_rows_are_those_of_the_frame_before_in_the_same_sequence():
    sequence = np.array(["a", "b", "a", "a", "b", "", ""], dtype=object)
    frame = np.array([4, 4, 5, 7, 5, 1, 2])
    assert predict.previous_rows(sequence, frame).tolist() == [-1, -1, 0, -1, 1, -1, -1]
