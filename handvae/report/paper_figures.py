"""The figures that the grid's experiments fill: results in, matplotlib Figures by file name out.

A figure whose experiments are not among the results is left out. Curves and hands come from the predictions; the images
beside them from the preprocessed set, which must be the one predicted from.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from handvae.evaluation import metrics
from handvae.report import comparison, depth_table, figures, paper, pck_curves, semi_supervised, tables
from handvae.report.results import Result
from handvae.report.shown_hands import (
    Arrays,
    Model,
    data_lines,
    depth_name,
    evaluated_errors_mm,
    picked_hands,
    read_arrays,
    rule,
    skeleton_of,
)

HANDS_SHOWN = 6  # of a colour set
HANDS_SHOWN_OF_DEPTH = 4  # of each set
DEPTH_FIGURES = {"nyu": "a", "icvl": "b", "msra": "c"}
DEPTH_ROWS = ("icvl", "nyu", "msra")
SUPERVISED = ("variant 1, supervised: learns from the labelled images alone", figures.BLUE, "s")
SEMI_SUPERVISED = ("variant 3, semi-supervised: reconstructs the other images too", figures.RED, "o")
COLOURS = {"rgb": figures.RED, "joints_2d": figures.BLUE, "resnet18": figures.RED, "resnet50": figures.BLUE}
MEAN_POSE = "mean pose of the training set"


def figures_of(
    results: list[Result], processed: Path, references: pck_curves.References | None = None
) -> dict[str, Figure]:
    """File name without suffix -> figure; `processed` is the folder of the preprocessed sets.

    `references`: other methods' curves by depth set, for Figure 5 of a published set. InputError where predictions and
    preprocessed sets do not fit the results.
    """
    rgb, lifting, stb = (tables.best(results, task) for task in (("rhd", "rgb"), ("rhd", "joints_2d"), ("stb", "rgb")))
    depth = {dataset: depth_models(results, dataset) for dataset in DEPTH_FIGURES}
    others = references or {}
    made = {
        "fig03": _figure_3(semi_supervised.models_of(results)),
        "fig04a": _figure_4("a", [found for found in (rgb, lifting) if found]),
        "fig04b": _figure_4("b", [stb] if stb else []),
        **{f"fig05{part}": _figure_5(part, depth[name], others.get(name, [])) for name, part in DEPTH_FIGURES.items()},
        "fig10a": _figure_10("a", stb, processed),
        "fig10b": _figure_10("b", rgb or lifting, processed),
        "fig12": _figure_12([depth[dataset] for dataset in DEPTH_ROWS], processed),
    }
    return {name: figure for name, figure in made.items() if figure is not None}


def depth_models(results: list[Result], dataset: str) -> list[Model]:
    """The best model of each encoder on a depth set, by encoder: that of most folds, then of the lowest mean EPE."""
    models: dict[tuple, dict[str, Result]] = {}
    for result in sorted(results, key=_epe_mm):
        if result.compared and result.task == (dataset, "depth"):
            folds = models.setdefault((result.encoder, result.variant, result.invariances), {})
            folds.setdefault(result.test_subject, result)  # of two seeds the better one
    best: dict[str, Model] = {}
    for model in sorted(([folds[subject] for subject in sorted(folds)] for folds in models.values()), key=rank):
        best.setdefault(model[0].encoder, model)
    return [best[encoder] for encoder in sorted(best)]


def _figure_3(models: list[Result]) -> Figure | None:
    """Median EPE of variants 1 and 3 by share of labels, and of the mean pose; `models`: fewest labels first."""
    if not models:
        return None
    series = []
    for variant, (label, colour, marker) in ((1, SUPERVISED), (3, SEMI_SUPERVISED)):
        of_variant = [result for result in models if result.variant == variant]
        percent = np.array([100 * result.label_fraction for result in of_variant])
        columns = np.array([tables.interval_of(result, "epe_median_mm") for result in of_variant]).reshape(-1, 3).T
        deviation_mm = np.array([result.metrics.get("epe_median_mm_sd", np.nan) for result in of_variant])
        series.append(figures.Series(label, percent, *columns, deviation_mm, colour, marker))
    most = read_arrays(models[-1:])
    baseline = (MEAN_POSE, metrics.median_over_joints(_errors_mm(most, "mean_pose_mm"), most["visible"]))
    title = "Figure 3: median EPE by share of labelled data, RGB->3D on STB"
    caption = f"{_bars_text(models)}\n{data_lines([[result] for result in models])}"
    return figures.labels_figure(series, baseline, title, caption)


def _bars_text(models: list[Result]) -> str:
    """What the bars of Figure 3 are, and of how many seeds."""
    counts = sorted({result.seeds for result in models})
    if counts == [1]:
        return "Bars: 95 % interval over blocks of test frames, of one model each."
    seeds = " or ".join(map(str, counts))
    return (
        f"Points: mean over {seeds} seeds. Thin bars: 95 % interval, over blocks of test frames and over seeds where "
        "there are several; thick bars: one standard deviation over seeds to either side."
    )


def _figure_4(part: str, shown: list[Result]) -> Figure | None:
    """PCK of the best model of each task, of the mean pose, and the paper's curves where the data is the paper's."""
    if not shown:
        return None
    models = [read_arrays([result]) for result in shown]
    curves = []
    for result, arrays in zip(shown, models, strict=True):
        area = pck_curves.area_text(result.metrics["auc_21_50"], metrics.THRESHOLDS_21_50_MM)  # as the paper's
        label = f"{paper.DIRECTIONS[result.input]}, {result.experiment}: {area}"
        errors_mm = comparison.read_frames(result).errors_mm  # of every seed
        curves.append(pck_curves.pck_curve(label, errors_mm, arrays["visible"], COLOURS[result.input]))
    still_mm = _errors_mm(models[0], "mean_pose_mm")
    curves.append(pck_curves.pck_curve(MEAN_POSE, [still_mm], models[0]["visible"], figures.GREY, ":"))
    if shown[0].published and shown[0].input == "rgb":
        curves += pck_curves.printed(shown[0].dataset)
    title = f"Figure 4{part}: PCK on {shown[0].dataset.upper()}, best variant" + " of each task" * (part == "a")
    return figures.pck_figure(curves, title, data_lines([[result] for result in shown]))


def _figure_5(part: str, models: list[Model], references: list[pck_curves.Reference]) -> Figure | None:
    """PCF of the best model of each encoder and of the mean pose, evaluated joints only; on a published set others'."""
    if not models:
        return None
    skeleton, read = skeleton_of(models[0]), [read_arrays(model) for model in models]
    curves = []
    for model in models:
        pooled = depth_table.pooled(model)
        errors_mm = [metrics.joint_errors_mm(joints_mm, pooled.joints_true_mm) for joints_mm in pooled.joints_pred_mm]
        label = f"{depth_name(model)}: mean error {np.mean(errors_mm):.1f} mm"
        curves.append(pck_curves.pcf_curve(label, errors_mm, COLOURS[model[0].encoder]))
    most = max(read, key=lambda arrays: len(arrays["row"]))
    still_mm = evaluated_errors_mm(models[0], most, "mean_pose_mm")
    curves.append(pck_curves.pcf_curve(MEAN_POSE, [still_mm], figures.GREY, ":"))
    if models[0][0].published:
        curves += pck_curves.of_methods(references)
    title = f"Figure 5{part}: PCF on {models[0][0].dataset.upper()}, depth->3D, {len(skeleton.evaluated)} joints"
    return figures.pcf_figure(curves, title, data_lines(models))


def _figure_10(part: str, shown: Result | None, processed: Path) -> Figure | None:
    """Predictions of the best RGB->3D model (on RHD in a grid without RGB of the best 2D->3D model)."""
    if shown is None:
        return None
    hands = picked_hands([shown], HANDS_SHOWN, processed)
    title = f"Figure 10{part}: predictions on {shown.dataset.upper()}, {paper.DIRECTIONS[shown.input]}, "
    caption = f"{rule('visible')}\n{data_lines([[shown]])}"
    return figures.predictions_figure({"": hands}, title + shown.experiment, caption)


def _figure_12(models: list[list[Model]], processed: Path) -> Figure | None:
    """Predictions of the best depth model of each set."""
    shown = [min(of_set, key=rank) for of_set in models if of_set]
    if not shown:
        return None
    sets = {model[0].dataset.upper(): picked_hands(model, HANDS_SHOWN_OF_DEPTH, processed) for model in shown}
    models_shown = "; ".join(f"{model[0].dataset.upper()} {depth_name(model)}" for model in shown)
    caption = f"Models: {models_shown}.\n{rule('evaluated')} Near is dark.\n{data_lines(shown)}"
    return figures.predictions_figure(sets, "Figure 12: predictions, depth->3D", caption)


def _errors_mm(arrays: Arrays, key: str = "joints_pred_mm") -> np.ndarray:
    """(N, J) of all joints."""
    return metrics.joint_errors_mm(arrays[key], arrays["joints_true_mm"])


def _epe_mm(result: Result) -> float:
    return result.metrics["epe_mean_mm"]


def rank(model: Model) -> tuple[int, float]:
    return -len(model), float(np.mean([_epe_mm(result) for result in model]))
