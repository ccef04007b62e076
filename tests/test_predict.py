import h5py
import numpy as np
import torch

from handvae import batches, predict
from handvae.vae import Architecture, CrossModalVAE
from tests.test_batches import write_hands

CPU = torch.device("cpu")


class Oracle:
    """A model that decodes to the normalised truth; the pipeline around it must give back millimetres exactly."""

    def __init__(self, split, offset=0.0):
        everything = batches.unaugmented(torch.arange(len(split)))
        self.answers = batches.batch(split, everything, {"joints_3d"})["joints_3d"] + offset
        self.asked = 0

    def predict(self, source, target, x, side_onehot):
        answers = self.answers[self.asked : self.asked + len(x)]
        self.asked += len(x)
        return answers


def splits(tmp_path, scale_invariant=True):
    path = write_hands(tmp_path / "set.h5")
    return batches.load_split(path, "train", False, scale_invariant, CPU)


def test_the_ground_truth_scale_is_given_back_with_and_without_scale_invariance(tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "BATCH", 4)  # more than one batch
    for scale_invariant in (True, False):
        split = splits(tmp_path, scale_invariant)
        truth = split.joints_mm - split.joints_mm[:, :1]
        predicted = predict.predict_joints_mm(Oracle(split), "joints_2d", split)
        np.testing.assert_allclose(predicted, truth, atol=1e-3)


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


def test_a_prediction_does_not_depend_on_its_batch(tmp_path):
    split = splits(tmp_path)
    model = CrossModalVAE(Architecture((("joints_2d", "joints_3d"),), 64, 8, True), seed=0).eval()
    whole = predict.predict_joints_mm(model, "joints_2d", split)
    singly = []
    for row in range(len(split)):
        inputs = batches.batch(split, batches.unaugmented(torch.tensor([row])), {"joints_2d"})
        output = model.predict("joints_2d", "joints_3d", inputs["joints_2d"], inputs["side_onehot"])
        singly.append(output.detach().view(21, 3) * split.scale_mm[row])
    np.testing.assert_allclose(whole, torch.stack(singly), atol=1e-3)


def test_what_is_written_is_read_back(tmp_path):
    columns = {"joints_pred_mm": np.random.default_rng(0).normal(size=(3, 21, 3)).astype(np.float32),
               "name": np.array(["a", "ü", "c"], dtype=object)}  # fmt: skip
    predict.write(tmp_path / "p.h5", columns, {"source": "made up", "variant": 1})
    with h5py.File(tmp_path / "p.h5") as file:
        np.testing.assert_array_equal(file["joints_pred_mm"], columns["joints_pred_mm"])
        assert file["name"].asstr()[:].tolist() == ["a", "ü", "c"] and file.attrs["variant"] == 1
