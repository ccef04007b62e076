"""The arrays of predictions files: what models predict of their test frames, and how they encode them."""

from dataclasses import dataclass

import h5py
import numpy as np

from handvae.base.errors import InputError
from handvae.base.joints import Skeleton
from handvae.evaluation import metrics
from handvae.report.results import Model, Result

MIXED = ("rgb", "joints_2d", "joints_3d")  # the modalities of Figure 8
SAMPLES = 500  # of each modality, as in the paper's Figure 1
PER_SEED = ("joints_pred_mm", "latent/")  # what a predictions file has again for each further seed
ARRAYS = ("joints_true_mm", "mean_pose_mm", "visible", "block", "row", "name")


def read_arrays(result: Result, *names: str, seed: int = 0) -> list[np.ndarray]:
    """Arrays of a result's predictions; `seed`: of which model, where each has its own. InputError where one lacks."""
    paths = [f"seed-{seed}/{name}" if seed and name.startswith(PER_SEED) else name for name in names]
    with h5py.File(result.predictions) as whole:
        file = whole[result.group]
        if missing := [path for path in paths if path not in file]:
            raise InputError(
                f"{result.predictions}: expected {', '.join(missing)}, found none; run `dvc repro` to evaluate it again"
            )
        return [file[path].asstr()[:] if file[path].dtype == object else file[path][:] for path in paths]


@dataclass(frozen=True)
class Frames:
    """N test frames with J joints, palm-relative or, from depth, absolute; of several folds one after the other."""

    joints_pred_mm: list[np.ndarray]  # of each training seed (N, J, 3)
    joints_true_mm: np.ndarray
    mean_pose_mm: np.ndarray  # (N, J, 3) of the training set
    visible: np.ndarray  # (N, J) bool; of depth throughout
    block: np.ndarray  # (N,) of those drawn together
    row: np.ndarray  # (N,) of the preprocessed set
    name: np.ndarray  # (N,)
    fold: np.ndarray  # (N,) its place in the model
    skeleton: Skeleton

    @property
    def errors_mm(self) -> list[np.ndarray]:
        """(N, E) of the evaluated joints of each seed."""
        return [self._errors_mm(joints_mm) for joints_mm in self.joints_pred_mm]

    @property
    def mean_pose_errors_mm(self) -> np.ndarray:
        """(N, E)."""
        return self._errors_mm(self.mean_pose_mm)

    @property
    def counted(self) -> np.ndarray:
        """(N, E) bool: the evaluated joints that are visible."""
        return self.visible[:, self.skeleton.evaluated]

    def _errors_mm(self, joints_mm: np.ndarray) -> np.ndarray:
        evaluated = list(self.skeleton.evaluated)
        return metrics.joint_errors_mm(joints_mm[:, evaluated], self.joints_true_mm[:, evaluated])


def read_frames(model: Model) -> Frames:
    """The frames of a model, with the predictions of each seed that all its folds have."""
    predicted = ["joints_pred_mm"] * min(result.seeds for result in model)
    names, blocks, parts = (*ARRAYS, "fold"), 0, []
    for number, result in enumerate(model):
        arrays = dict(zip(ARRAYS, read_arrays(result, *ARRAYS), strict=True))
        arrays["block"] = arrays["block"] + blocks
        arrays["fold"] = np.full(len(arrays["row"]), number)
        blocks = arrays["block"].max() + 1
        seeds = [read_arrays(result, name, seed=seed)[0] for seed, name in enumerate(predicted)]
        expected = (len(arrays["row"]), len(result.skeleton), 3)
        for joints_mm in (*seeds, arrays["joints_true_mm"]):
            if joints_mm.shape != expected:
                raise InputError(f"{result.predictions}: expected joints {expected}, found {joints_mm.shape}")
        parts.append([*seeds, *(arrays[name] for name in names)])
    joined = [np.concatenate(of_folds) for of_folds in zip(*parts, strict=True)]
    count = len(predicted)
    return Frames(joined[:count], **dict(zip(names, joined[count:], strict=True)), skeleton=model[0].skeleton)


def read_encodings(
    result: Result, modalities: tuple[str, ...] = MIXED, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows (N,), posterior means (M, N, 30) and log-variances (M, N, 30) of test samples by several encoders.

    At most SAMPLES samples, evenly spaced over the test split.
    """
    mu, log_var = (
        np.stack(read_arrays(result, *(f"latent/{what}_{modality}" for modality in modalities), seed=seed))
        for what in ("mu", "log_var")
    )
    rows = np.unique(np.linspace(0, mu.shape[1] - 1, min(SAMPLES, mu.shape[1])).round().astype(int))
    return rows, mu[:, rows], log_var[:, rows]
