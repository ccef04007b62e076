"""Predicted hands of a model with their images: which of them are shown, by a rule and never by eye."""

from pathlib import Path

import h5py
import numpy as np

from handvae.base.dataset_params import MSRA_SUBJECTS
from handvae.base.errors import InputError
from handvae.base.joints import SKELETON_OF, SKELETONS, Skeleton
from handvae.evaluation import metrics, statistics
from handvae.preprocessing import store
from handvae.report import figures
from handvae.report.results import Result

Arrays = dict[str, np.ndarray]
Model = list[Result]  # one result, or on MSRA one for each subject left out


def picked_hands(model: Model, count: int, processed: Path) -> list[figures.PredictedHand]:
    """`count` hands at evenly spaced ranks of error, best first, with their images; see `rule`.

    Of depth both poses are moved by the true hand's centre, so that the prediction's offset stays in sight.
    """
    arrays = read_arrays(model)
    frames, errors_mm = frame_errors_mm(model, arrays)
    places = statistics.evenly_ranked(errors_mm, count)
    if model[0].input == "depth":
        centre_mm = arrays["joints_true_mm"].mean(axis=1, keepdims=True)
        arrays |= {key: arrays[key] - centre_mm for key in ("joints_pred_mm", "joints_true_mm")}
    hands = []
    for frame, error_mm in zip(frames[places], errors_mm[places], strict=True):
        of_fold = model[arrays["fold"][frame]]
        image_u8, uv_px = read_image(of_fold, arrays["row"][frame], arrays["name"][frame], processed)
        poses = (arrays[key][frame] for key in ("joints_true_mm", "joints_pred_mm"))
        hands.append(figures.PredictedHand(image_u8, uv_px, *poses, float(error_mm), skeleton_of(model)))
    return hands


def frame_errors_mm(model: Model, arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """Frames (F,) that can be shown, and the mean error (F,) of each over its visible (depth: evaluated) joints."""
    if model[0].input == "depth":
        errors_mm = evaluated_errors_mm(model, arrays).mean(axis=1)
        return np.arange(len(errors_mm)), errors_mm
    seen = np.flatnonzero(arrays["visible"].any(axis=1))
    errors_mm = metrics.joint_errors_mm(arrays["joints_pred_mm"], arrays["joints_true_mm"])
    return seen, np.average(errors_mm[seen], axis=1, weights=arrays["visible"][seen])


def joints_counted(model: Model) -> str:
    """Over which joints a shown hand's error is."""
    return "evaluated" if model[0].input == "depth" else "visible"


def rule(joints: str) -> str:
    """Said under every figure of picked hands."""
    return (
        "Hands at evenly spaced ranks of error, 10th to 90th percentile, not chosen by eye; "
        f"in mm the hand's mean error over {joints} joints."
    )


def read_image(result: Result, row: int, name: str, processed: Path) -> tuple[np.ndarray, np.ndarray]:
    """The picture (C, C, 3) uint8 and uv_px (J, 2) of a row; refuses an image that is not the one predicted from."""
    path, group = processed / f"{result.dataset}.h5", result.test_subject or "test"
    key = "depth_f16" if result.input == "depth" else "image_u8"
    if key not in store.columns(path, group):
        raise InputError(f"{path}: {group}: figures expected the column {key}, found none")
    with h5py.File(path) as file:
        rows = file[group]
        found = rows["name"].asstr()[row] if row < len(rows["name"]) else "no such row"
        if found != name:
            raise InputError(f"{result.predictions}: expected row {row} of {path} to be {name}, found {found}")
        image, uv_px = rows[key][row], rows["uv_px"][row]
    return figures.depth_picture(image) if result.input == "depth" else image, uv_px


def read_arrays(model: Model) -> Arrays:
    """The predictions of all folds, frame after frame, and `fold` (N,), the place in the model of each frame's."""
    names = ("joints_pred_mm", "joints_true_mm", "mean_pose_mm", "visible", "row", "name")
    parts: dict[str, list[np.ndarray]] = {name: [] for name in (*names, "fold")}
    for number, result in enumerate(model):
        with result.opened() as file:
            missing = [name for name in names if name not in file]
            if missing:
                raise InputError(f"{result.predictions}: expected the datasets {', '.join(names)}; missing: {missing}")
            joints, found = len(skeleton_of(model)), file["joints_pred_mm"].shape
            if found[1:] != (joints, 3):
                raise InputError(f"{result.predictions}: expected joints_pred_mm (N, {joints}, 3), found {found}")
            for name in names:
                parts[name].append(file[name].asstr()[:] if name == "name" else file[name][:])
            parts["fold"].append(np.full(found[0], number))
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def evaluated_errors_mm(model: Model, arrays: Arrays, key: str = "joints_pred_mm") -> np.ndarray:
    """(N, E) of the evaluated joints."""
    joints = list(skeleton_of(model).evaluated)
    return metrics.joint_errors_mm(arrays[key][:, joints], arrays["joints_true_mm"][:, joints])


def skeleton_of(model: Model) -> Skeleton:
    return SKELETONS[SKELETON_OF[model[0].dataset]]


def depth_name(model: Model) -> str:
    folds = len(MSRA_SUBJECTS)
    few = f", {len(model)} of {folds} subjects" if model[0].test_subject and len(model) < folds else ""
    return f"{model[0].encoder.replace('resnet', 'ResNet-')}, variant {model[0].variant}{few}"


def data_lines(models: list[Model]) -> str:
    """What the figure's data is: a line for each that differs; folds, which differ in their frames, in one."""
    lines = []
    for model in models:
        frames, first = sum(result.metrics["frames"] for result in model), model[0]
        pooled = f"{first.named_source}; profile {first.profile}; {frames:,} test frames of {len(model)} subjects"
        lines.append(f"Data: {pooled if first.test_subject else first.data}.")
    return "\n".join(dict.fromkeys(lines))
