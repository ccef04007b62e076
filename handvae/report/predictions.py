"""The arrays of predictions files: what models predict of their test frames, and how they encode them."""

from dataclasses import dataclass

import h5py
import numpy as np

from handvae.base.errors import InputError
from handvae.base.joints import Skeleton
from handvae.base.seeds import seed_name
from handvae.evaluation import metrics
from handvae.report.results import Model, Result

MIXED = ("rgb", "joints_2d", "joints_3d")  # the modalities of Figure 8
SAMPLES = 500  # of each modality, as in the paper's Figure 1
PER_SEED = ("joints_pred_mm", "latent/")  # what a predictions file has again for each further seed
ARRAYS = ("joints_true_mm", "mean_pose_mm", "visible", "block", "row", "name")


def read_arrays(result: Result, *names: str, seed: int = 0) -> list[np.ndarray]:
    """Arrays of a result's predictions; `seed`: of which model, where each has its own. InputError where one lacks."""
    paths = [f"{seed_name(seed)}/{name}" if seed and name.startswith(PER_SEED) else name for name in names]
    with h5py.File(result.predictions) as file:
        group = file[result.group]
        if missing := ", ".join(path for path in paths if path not in group):
            raise InputError(
                f"{result.predictions}: expected {missing}, found none; run `dvc repro` to evaluate it again"
            )
        return [group[path].asstr()[:] if group[path].dtype == object else group[path][:] for path in paths]


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
        """(N, E) of the evaluated joints, of each seed."""
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
    seeds, blocks, folds = min(result.seeds for result in model), 0, []
    for number, result in enumerate(model):
        fold = dict(zip(ARRAYS, read_arrays(result, *ARRAYS), strict=True))
        fold["block"] = fold["block"] + blocks
        fold["fold"] = np.full(len(fold["row"]), number)
        blocks = fold["block"].max() + 1
        pred_mm = [read_arrays(result, "joints_pred_mm", seed=seed)[0] for seed in range(seeds)]
        expected = (len(fold["row"]), len(result.skeleton), 3)
        for joints_mm in (*pred_mm, fold["joints_true_mm"]):
            if joints_mm.shape != expected:
                raise InputError(f"{result.predictions}: expected joints {expected}, found {joints_mm.shape}")
        folds.append((pred_mm, fold))
    joints_pred_mm = [np.concatenate([pred_mm[seed] for pred_mm, _ in folds]) for seed in range(seeds)]
    joined = {name: np.concatenate([fold[name] for _, fold in folds]) for name in (*ARRAYS, "fold")}
    return Frames(joints_pred_mm, **joined, skeleton=model[0].skeleton)


def read_encodings(result: Result, modalities: tuple[str, ...] = MIXED, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Rows (N,), posterior means (M, N, 30) and log-variances (M, N, 30) of test samples by several encoders.

    At most SAMPLES samples, evenly spaced over the test split.
    """
    mu, log_var = (
        np.stack(read_arrays(result, *(f"latent/{what}_{modality}" for modality in modalities), seed=seed))
        for what in ("mu", "log_var")
    )
    rows = np.unique(np.linspace(0, mu.shape[1] - 1, min(SAMPLES, mu.shape[1])).round().astype(int))
    return rows, mu[:, rows], log_var[:, rows]
