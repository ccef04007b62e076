"""From a trained model and a split to 3D joints in millimetres, and the mean-pose baseline in the same terms."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch

from handvae.base import atomic
from handvae.base.sections import TARGET
from handvae.base.seeds import seed_name
from handvae.model import batches
from handvae.model.batches import Split
from handvae.model.draws import unaugmented
from handvae.model.parts import Part
from handvae.model.settings import Settings
from handvae.model.vae import CrossModalVAE

BATCH = 256

Columns = dict[str, np.ndarray]


def all_rows(split: Split) -> torch.Tensor:
    """The numbers (N,) of the split's rows, on its device."""
    return torch.arange(len(split), device=split.side.device)


@torch.inference_mode()
def predict_joints_mm(
    model: CrossModalVAE, source: str, split: Split, rotations_deg: Sequence[float] = (0.0,)
) -> np.ndarray:
    """Joints (N, J, 3) in mm of every row of the split, unaugmented, from the posterior's mean: see `split.to_mm`.

    The true scale (invariance S) or cube (depth) is given back. Nothing is re-centred: the predicted palm counts as it
    is. `rotations_deg`: crops turned by these angles are predicted from, turned back and averaged.
    """
    joints_mm = []
    for rows in all_rows(split).split(BATCH):
        poses = []
        for rotation_deg in rotations_deg:
            draw = unaugmented(rows)
            draw.rotation_rad += math.radians(rotation_deg)
            inputs = batches.batch(split, draw, {source})
            normalised = model.predict(source, TARGET, inputs[source], inputs["side_onehot"])
            poses.append(normalised.view(len(rows), -1, 3) @ draw.turn())
        joints_mm.append(split.to_mm(rows, torch.stack(poses).mean(dim=0)))
    return torch.cat(joints_mm).cpu().numpy()


def mean_pose_mm(train: Split, test: Split) -> np.ndarray:
    """The baseline (N, J, 3): the training split's mean normalised pose, given each test hand's scale (and cube)."""
    pose = train.targets(unaugmented(all_rows(train))).mean(dim=0, keepdim=True)
    return test.to_mm(all_rows(test), pose).cpu().numpy()


def previous_rows(sequence: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """The row (N,) of the frame before each row in its sequence, -1 where that is not among the rows."""
    frames = list(zip(sequence, frame.tolist(), strict=True))
    row_of = {key: row for row, key in enumerate(frames)}
    return np.array([row_of.get((name, number - 1), -1) if name else -1 for name, number in frames], np.int64)


def predict_split(model: CrossModalVAE, settings: Settings, scored: Part, test: Split, train: Split) -> Columns:
    """Predictions for the rows `scored`, loaded as `test`, as `write` takes them. `train` gives the mean pose."""
    true_mm = test.true_mm().cpu().numpy().astype(np.float32)
    every = np.ones(true_mm.shape[:2], bool)  # the depth sets say nothing of visibility: every joint counts
    return {
        "joints_pred_mm": predict_joints_mm(model, settings.encoded, test).astype(np.float32),
        "joints_true_mm": true_mm,
        "mean_pose_mm": mean_pose_mm(train, test).astype(np.float32),
        "visible": every if settings.experiment.input == "depth" else scored.column("visible"),
        "side": scored.column("side"),
        "row": np.flatnonzero(scored.rows),
        "previous_row": previous_rows(scored.column("sequence"), scored.column("frame")),
        **{key: scored.column(key) for key in ("name", "moment", "sequence", "frame")},
    }


@dataclass(frozen=True)
class Prediction:
    """Predictions of an experiment's models for the rows of one set: a predictions file, or one of its two groups.

    `latent`: see `handvae.evaluation.latent`; `further_seeds`: joints_pred_mm and latent columns of the models after
    the first, which are stored in groups seed-1, seed-2, ...; `turned_mm`: the joints (N, J, 3) of every model from the
    average of turned crops, if these are scored too, which are not stored.
    """

    columns: Columns
    latent: Columns
    attributes: dict[str, object]
    further_seeds: Sequence[tuple[np.ndarray, Columns]] = ()
    turned_mm: Sequence[np.ndarray] = ()

    @property
    def joints_pred_mm(self) -> list[np.ndarray]:
        """The joints (N, J, 3) of every model."""
        return [self.columns["joints_pred_mm"], *(joints_mm for joints_mm, _ in self.further_seeds)]


def write(path: Path | str, predictions: dict[str, Prediction]) -> None:
    """data/predictions/<name>.h5, all or nothing; every metric and figure can be made again from it without a GPU.

    A model that is tested on one set has its prediction at the file's root, "/". A model that is tested on two has each
    in a group of the set's name.
    """
    with atomic.replacing_file(path) as partial, h5py.File(partial, "w") as file:
        for name, prediction in predictions.items():
            root = file.require_group(name)
            root.attrs.update(prediction.attributes)
            groups = {".": prediction.columns, "latent": prediction.latent}
            for number, (joints_pred_mm, latent) in enumerate(prediction.further_seeds, 1):
                seed = seed_name(number)
                groups |= {seed: {"joints_pred_mm": joints_pred_mm}, f"{seed}/latent": latent}
            for group, columns in groups.items():
                for key, values in columns.items():
                    if values.dtype == object:
                        values = np.array([value.encode() for value in values], dtype=h5py.string_dtype())
                    root.create_dataset(f"{group}/{key}", data=values)
