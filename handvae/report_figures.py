"""The figures that the grid's experiments fill: results in, matplotlib Figures by file name out.

A figure whose experiments are not among the results is left out. Curves and hands come from the predictions; the images
beside them from the preprocessed set, which must be the one predicted from.
"""

from pathlib import Path

import h5py
import numpy as np
from matplotlib.figure import Figure

from handvae import figures, metrics, paper, store, tables
from handvae.errors import InputError
from handvae.joints import SKELETON_OF, SKELETONS, Skeleton
from handvae.params import MSRA_SUBJECTS

THRESHOLDS_MM = np.linspace(0, 80, 161)
HANDS_SHOWN = 6  # of a colour set
HANDS_SHOWN_OF_DEPTH = 4  # of each set
DEPTH_FIGURES = {"nyu": "a", "icvl": "b", "msra": "c"}
DEPTH_ROWS = ("icvl", "nyu", "msra")

COLOURS = {"rgb": figures.RED, "joints_2d": figures.BLUE, "resnet18": figures.RED, "resnet50": figures.BLUE}
MEAN_POSE = "mean pose of the training set"

Arrays = dict[str, np.ndarray]
Model = list[tables.Result]  # one result, or on MSRA one for each subject left out


def figures_of(results: list[tables.Result], processed: Path) -> dict[str, Figure]:
    """File name without suffix -> figure; `processed` is the folder of the preprocessed sets.

    InputError if the results fill no figure, or where predictions and preprocessed sets do not fit them.
    """
    rgb, lifting, stb = (tables.best(results, task) for task in (("rhd", "rgb"), ("rhd", "joints_2d"), ("stb", "rgb")))
    depth = {dataset: depth_models(results, dataset) for dataset in DEPTH_FIGURES}
    made = {
        "fig04a": _figure_4("a", [found for found in (rgb, lifting) if found], paper.FIGURE_4A, ", digitised"),
        "fig04b": _figure_4("b", [stb] if stb else [], paper.FIGURE_4B),
        **{f"fig05{part}": _figure_5(part, depth[dataset]) for dataset, part in DEPTH_FIGURES.items()},
        "fig10a": _figure_10("a", stb, processed),
        "fig10b": _figure_10("b", rgb or lifting, processed),
        "fig12": _figure_12([depth[dataset] for dataset in DEPTH_ROWS], processed),
    }
    found = {name: figure for name, figure in made.items() if figure is not None}
    if not found:
        raise InputError(
            "params.yaml: experiments: the figures expected an experiment on rhd or stb with T+S+H, or a depth set's, "
            "found none"
        )
    return found


def depth_models(results: list[tables.Result], dataset: str) -> list[Model]:
    """The best model of each encoder on a depth set, by encoder: that of most folds, then of the lowest mean EPE."""
    models: dict[tuple, dict[str, tables.Result]] = {}
    for result in sorted(results, key=_epe_mm):
        if result.task == (dataset, "depth"):
            folds = models.setdefault((result.encoder, result.variant, result.invariances), {})
            folds.setdefault(result.test_subject, result)  # of two seeds the better one
    best: dict[str, Model] = {}
    for model in sorted(([folds[subject] for subject in sorted(folds)] for folds in models.values()), key=_rank):
        best.setdefault(model[0].encoder, model)
    return [best[encoder] for encoder in sorted(best)]


def _figure_4(part: str, shown: list[tables.Result], printed: tuple, note: str = "") -> Figure | None:
    """PCK of the best model of each task, of the mean pose, and of the paper where the data is the paper's."""
    if not shown:
        return None
    models = [_read_arrays([result]) for result in shown]
    curves = []
    for result, arrays in zip(shown, models, strict=True):
        area = f"AUC 20–50 mm {result.metrics['auc_20_50']:.3f}"
        label = f"{paper.DIRECTIONS[result.input]}, {result.experiment}: {area}"
        curves.append(_pck_curve(label, arrays, "joints_pred_mm", COLOURS[result.input]))
    curves.append(_pck_curve(MEAN_POSE, models[0], "mean_pose_mm", figures.GREY, ":"))
    if shown[0].published and shown[0].input == "rgb":
        label = f"RGB->3D, the paper's curve{note}"
        curves.append(figures.Curve(label, *np.array(printed).T, figures.BLACK, "--"))
    title = f"Figure 4{part}: PCK on {shown[0].dataset.upper()}, best variant" + " of each task" * (part == "a")
    return figures.pck_figure(curves, title, _data([[result] for result in shown]))


def _figure_5(part: str, models: list[Model]) -> Figure | None:
    """PCF of the best model of each encoder and of the mean pose, evaluated joints only."""
    if not models:
        return None
    skeleton, read = _skeleton(models[0]), [_read_arrays(model) for model in models]
    curves = []
    for model, arrays in zip(models, read, strict=True):
        error = f"mean error {_depth_errors_mm(skeleton, arrays, 'joints_pred_mm').mean():.1f} mm"
        colour = COLOURS[model[0].encoder]
        curves.append(_pcf_curve(f"{_depth_name(model)}: {error}", skeleton, arrays, "joints_pred_mm", colour))
    most = max(read, key=lambda arrays: len(arrays["row"]))
    curves.append(_pcf_curve(MEAN_POSE, skeleton, most, "mean_pose_mm", figures.GREY, ":"))
    title = f"Figure 5{part}: PCF on {models[0][0].dataset.upper()}, depth->3D, {len(skeleton.evaluated)} joints"
    return figures.pcf_figure(curves, title, _data(models))


def _figure_10(part: str, shown: tables.Result | None, processed: Path) -> Figure | None:
    """Predictions of the best RGB->3D model (on RHD in a grid without RGB of the best 2D->3D model)."""
    if shown is None:
        return None
    arrays = _read_arrays([shown])
    seen = np.flatnonzero(arrays["visible"].any(axis=1))
    errors_mm = metrics.joint_errors_mm(arrays["joints_pred_mm"], arrays["joints_true_mm"])
    means_mm = np.average(errors_mm[seen], axis=1, weights=arrays["visible"][seen])
    picked = figures.evenly_ranked(means_mm, HANDS_SHOWN)
    hands = _hands([shown], arrays, seen[picked], means_mm[picked], processed)
    title = f"Figure 10{part}: predictions on {shown.dataset.upper()}, {paper.DIRECTIONS[shown.input]}, "
    caption = f"{_rule('visible')}\n{_data([[shown]])}"
    return figures.predictions_figure({"": hands}, title + shown.experiment, caption)


def _figure_12(models: list[list[Model]], processed: Path) -> Figure | None:
    """Predictions of the best depth model of each set."""
    shown = [min(of_set, key=_rank) for of_set in models if of_set]
    if not shown:
        return None
    sets = {}
    for model in shown:
        arrays = _read_arrays(model)
        means_mm = _depth_errors_mm(_skeleton(model), arrays, "joints_pred_mm").mean(axis=1)
        picked = figures.evenly_ranked(means_mm, HANDS_SHOWN_OF_DEPTH)
        # absolute poses: both are moved by the true hand's centre, so that the prediction's offset stays in sight
        centre_mm = arrays["joints_true_mm"].mean(axis=1, keepdims=True)
        centred = {key: arrays[key] - centre_mm for key in ("joints_pred_mm", "joints_true_mm")}
        sets[model[0].dataset.upper()] = _hands(model, arrays | centred, picked, means_mm[picked], processed)
    models_shown = "; ".join(f"{model[0].dataset.upper()} {_depth_name(model)}" for model in shown)
    caption = f"Models: {models_shown}.\n{_rule('evaluated')} Near is dark.\n{_data(shown)}"
    return figures.predictions_figure(sets, "Figure 12: predictions, depth->3D", caption)


def _hands(
    model: Model, arrays: Arrays, frames: np.ndarray, errors_mm: np.ndarray, processed: Path
) -> list[figures.PredictedHand]:
    """The frames of a model's pooled arrays with their images."""
    hands = []
    for frame, error_mm in zip(frames, errors_mm, strict=True):
        image_u8, uv_px = _read_image(
            model[arrays["fold"][frame]], arrays["row"][frame], arrays["name"][frame], processed
        )
        poses = (arrays[key][frame] for key in ("joints_true_mm", "joints_pred_mm"))
        hands.append(figures.PredictedHand(image_u8, uv_px, *poses, float(error_mm), _skeleton(model)))
    return hands


def _read_image(result: tables.Result, row: int, name: str, processed: Path) -> tuple[np.ndarray, np.ndarray]:
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


def _read_arrays(model: Model) -> Arrays:
    """The predictions of all folds, frame after frame, and `fold` (N,), the place in the model of each frame's."""
    names = ("joints_pred_mm", "joints_true_mm", "mean_pose_mm", "visible", "row", "name")
    parts: dict[str, list[np.ndarray]] = {name: [] for name in (*names, "fold")}
    for number, result in enumerate(model):
        with h5py.File(result.predictions) as file:
            missing = [name for name in names if name not in file]
            if missing:
                raise InputError(f"{result.predictions}: expected the datasets {', '.join(names)}; missing: {missing}")
            joints, found = len(_skeleton(model)), file["joints_pred_mm"].shape
            if found[1:] != (joints, 3):
                raise InputError(f"{result.predictions}: expected joints_pred_mm (N, {joints}, 3), found {found}")
            for name in names:
                parts[name].append(file[name].asstr()[:] if name == "name" else file[name][:])
            parts["fold"].append(np.full(found[0], number))
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def _pck_curve(label: str, arrays: Arrays, key: str, colour: str, line: str = "-") -> figures.Curve:
    errors_mm = metrics.joint_errors_mm(arrays[key], arrays["joints_true_mm"])
    return figures.Curve(label, THRESHOLDS_MM, metrics.pck(errors_mm, arrays["visible"], THRESHOLDS_MM), colour, line)


def _pcf_curve(label: str, skeleton: Skeleton, arrays: Arrays, key: str, colour: str, line: str = "-") -> figures.Curve:
    errors_mm = _depth_errors_mm(skeleton, arrays, key)
    return figures.Curve(label, THRESHOLDS_MM, metrics.pcf(errors_mm, THRESHOLDS_MM), colour, line)


def _depth_errors_mm(skeleton: Skeleton, arrays: Arrays, key: str) -> np.ndarray:
    """(N, E) of the evaluated joints."""
    joints = list(skeleton.evaluated)
    return metrics.joint_errors_mm(arrays[key][:, joints], arrays["joints_true_mm"][:, joints])


def _skeleton(model: Model) -> Skeleton:
    return SKELETONS[SKELETON_OF[model[0].dataset]]


def _depth_name(model: Model) -> str:
    folds = len(MSRA_SUBJECTS)
    few = f", {len(model)} of {folds} subjects" if model[0].test_subject and len(model) < folds else ""
    return f"{model[0].encoder.replace('resnet', 'ResNet-')}, variant {model[0].variant}{few}"


def _epe_mm(result: tables.Result) -> float:
    return result.metrics["epe_mean_mm"]


def _rank(model: Model) -> tuple[int, float]:
    return -len(model), float(np.mean([_epe_mm(result) for result in model]))


def _rule(joints: str) -> str:
    return (
        "Hands at evenly spaced ranks of error, 10th to 90th percentile, not chosen by eye; "
        f"in mm the hand's mean error over {joints} joints."
    )


def _data(models: list[Model]) -> str:
    """What the figure's data is: a line for each that differs; folds, which differ in their frames, in one."""
    lines = []
    for model in models:
        frames, first = sum(result.metrics["frames"] for result in model), model[0]
        pooled = f"{first.source}; profile {first.profile}; {frames:,} test frames of {len(model)} subjects"
        lines.append(f"Data: {pooled if first.test_subject else first.data}.")
    return "\n".join(dict.fromkeys(lines))
