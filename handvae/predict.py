"""From a trained model and a split to 3D joints in millimetres, and the mean-pose baseline in the same terms."""

from pathlib import Path

import h5py
import numpy as np
import torch

from handvae import atomic, batches, geometry, store
from handvae.batches import Split
from handvae.params import TARGET
from handvae.settings import Settings
from handvae.vae import CrossModalVAE

BATCH = 256


@torch.inference_mode()
def predict_joints_mm(model: CrossModalVAE, source: str, split: Split) -> np.ndarray:
    """Palm-relative joints (N, 21, 3) in mm of every row of the split, unaugmented, from the posterior's mean.

    The ground-truth scale is given back (invariance S) and nothing is re-centred: the predicted palm counts as it is.
    """
    device = split.side.device
    results = []
    for start in range(0, len(split), BATCH):
        rows = torch.arange(start, min(start + BATCH, len(split)), device=device)
        inputs = batches.batch(split, batches.unaugmented(rows), {source})
        normalised = model.predict(source, TARGET, inputs[source], inputs["side_onehot"])
        results.append(normalised.view(len(rows), -1, 3) * split.scale_mm[rows, None, None])
    return torch.cat(results).cpu().numpy()


def mean_pose_mm(train: Split, test: Split) -> np.ndarray:
    """The baseline (N, 21, 3): the training split's mean normalised pose, given each test hand's scale."""
    rows = torch.arange(len(train), device=train.side.device)
    poses = batches.batch(train, batches.unaugmented(rows), {TARGET})[TARGET]
    return (poses.mean(dim=0).view(1, -1, 3) * test.scale_mm[:, None, None]).cpu().numpy()


def predict_split(model: CrossModalVAE, settings: Settings, data: Path, device: torch.device) -> dict[str, np.ndarray]:
    """Predictions for the `test` group of `data`, as written by `write`."""
    source, scale_invariant = settings.experiment.input, settings.experiment.scale_invariant
    test = batches.load_split(data, "test", source == "rgb", scale_invariant, device)
    train = batches.load_split(data, "train", False, scale_invariant, device)
    columns = store.read(data, "test", ["visible", "side", "name"])
    return {
        "joints_pred_mm": predict_joints_mm(model, source, test).astype(np.float32),
        "joints_true_mm": geometry.palm_relative(test.joints_mm.cpu().numpy()).astype(np.float32),
        "mean_pose_mm": mean_pose_mm(train, test).astype(np.float32),
        "visible": columns["visible"],
        "side": columns["side"],
        "row": np.arange(len(test), dtype=np.int64),
        "name": columns["name"],
    }


def write(path: Path | str, predictions: dict[str, np.ndarray], attributes: dict[str, object]) -> None:
    """data/predictions/<name>.h5, all or nothing; every metric and figure can be made again from it without a GPU."""
    with atomic.replacing_file(path) as partial, h5py.File(partial, "w") as file:
        file.attrs.update(attributes)
        for key, values in predictions.items():
            if values.dtype == object:
                values = np.array([value.encode() for value in values], dtype=h5py.string_dtype())
            file.create_dataset(key, data=values)
