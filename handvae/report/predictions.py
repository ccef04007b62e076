"""The files of an experiment, predictions and metrics: the result that they are of, and the predictions' arrays.

The two files must fit the experiment's settings in params.yaml, so that no table is made from what an earlier setting
left behind.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from handvae.base.errors import InputError
from handvae.base.joints import Skeleton
from handvae.base.params import Experiment
from handvae.base.seeds import seed_name
from handvae.evaluation import metrics
from handvae.report.results import ALL_JOINTS, ENDS, STATISTICS, Model, Result

MIXED = ("rgb", "joints_2d", "joints_3d")  # the modalities of Figure 8
SAMPLES = 500  # of each modality, as in the paper's Figure 1
PER_SEED = ("joints_pred_mm", "latent/")  # what a predictions file has again for each further seed
SOURCE_KEYS = ("source", "synthetic", "published")  # attributes that params.yaml does not decide
ARRAYS = ("joints_true_mm", "mean_pose_mm", "visible", "block", "row", "name")


class OtherSettingsError(InputError):
    """Results that are whole, but of other settings or other data than those asked for; `why` says which."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


def read_results(predictions: Path, scores: Path, name: str, experiment: Experiment, profile: str) -> list[Result]:
    """The results of an experiment of params.yaml, one for each set that it is tested on.

    `predictions` is an HDF5 file, `scores` the JSON file of its metrics; where there are two sets, each has a group, or
    a key, of its name. InputError names the file that is missing or broken, OtherSettingsError where it does not fit.
    """
    results = []
    for dataset in experiment.datasets:
        group = dataset if len(experiment.datasets) > 1 else "/"
        facts, counts = _read_header(predictions, expected_of(name, experiment, profile, dataset), group)
        numbers = _read_metrics(scores, group, depth=experiment.input == "depth")
        for key, count in counts.items():
            if (in_metrics := numbers.get(key, 1)) != count:
                message = f"{scores}: expected the {count} {key} of {predictions}, found {in_metrics}"
                raise OtherSettingsError(message, f"metrics and predictions of different {key}")
        results.append(Result(**facts, metrics=numbers, predictions=predictions, group=group))
    return results


def expected_of(name: str, experiment: Experiment, profile: str, dataset: str) -> dict[str, str | int | float]:
    """The attributes that the predictions of an experiment on `dataset` must carry."""
    keys = ("input", "variant", "invariances", "encoder", "label_fraction", "validation", "recipe")
    settings = {key: getattr(experiment, key) for key in keys}
    settings |= {"trained_on": experiment.dataset, "test_subject": experiment.test_subject or ""}
    return {"experiment": name, "dataset": dataset, "profile": profile, **settings}


def _read_header(path: Path, expected: dict[str, object], group: str) -> tuple[dict[str, object], dict[str, int]]:
    """The attributes that a Result has, as plain Python values, and the numbers of frames and seeds."""
    try:
        with h5py.File(path) as file:
            attributes = file[group].attrs.items()
            stored = {key: value.item() if hasattr(value, "item") else value for key, value in attributes}
            seeds = 1 + sum(name.startswith("seed-") for name in file[group])
            counts = {"frames": len(file[group]["row"]), "seeds": seeds}
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: expected the predictions that the evaluate stage writes, found: {error}") from error
    for key, value in expected.items():
        if (actual := stored.get(key)) != value:
            message = f"{path}: expected {key} {value!r} as in params.yaml, found {actual!r}"
            why = f"results of {key} {actual!r} where params.yaml has {value!r}"
            raise OtherSettingsError(message, why if key in stored else f"results of a version without {key}")
    for key in SOURCE_KEYS:
        if key not in stored:
            raise InputError(f"{path}: expected the attribute {key}, found {', '.join(stored)}")
    return {key: stored[key] for key in (*expected, *SOURCE_KEYS)}, counts


def _read_metrics(path: Path, group: str, depth: bool) -> dict[str, float]:
    try:
        numbers = json.loads(path.read_text())
        numbers = numbers if group == "/" else numbers[group]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected the metrics that the evaluate stage writes, found: {error}") from error
    ends = (*ENDS, "_sd") if "seeds" in numbers else ENDS
    with_interval = ["epe_mean_mm"] if depth else [*STATISTICS, *ALL_JOINTS.values()]
    keys = [f"{statistic}{end}" for statistic in with_interval for end in ends]
    keys += ["epe_median_mm", "mean_pose_epe_mm", "frames", "blocks"]
    for key in [*keys, *([] if depth else ["auc_20_50", "auc_21_50", "auc_0_50"])]:
        if key not in numbers:
            raise InputError(f"{path}: expected the key {key}, found {', '.join(numbers)}")
    # JSON has no NaN: null is the end of an interval that there is not
    return {key: math.nan if value is None else value for key, value in numbers.items()}


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
        np.stack(read_arrays(result, *(f"latent/{parameter}_{modality}" for modality in modalities), seed=seed))
        for parameter in ("mu", "log_var")
    )
    rows = np.unique(np.linspace(0, mu.shape[1] - 1, min(SAMPLES, mu.shape[1])).round().astype(int))
    return rows, mu[:, rows], log_var[:, rows]
