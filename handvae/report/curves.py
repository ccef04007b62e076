"""Figures 3, 4 and 5: errors by share of labels, and shares of keypoints and of frames within a distance.

A figure whose experiments are not among the results is left out.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from handvae.base.params import Experiment
from handvae.evaluation import metrics
from handvae.report import paper, semi_supervised, style
from handvae.report.hands import depth_name
from handvae.report.predictions import Frames, read_frames
from handvae.report.results import Model, Result, best, best_depth_models, rival
from handvae.report.style import Captioned
from handvae.report.text import WORDS

THRESHOLDS_MM = np.linspace(0, 80, 161)
DEPTH_FIGURES = {"nyu": "fig05a", "icvl": "fig05b", "msra": "fig05c"}
SERIES = {
    1: ("variant 1, supervised: learns from the labelled images alone", style.BLUE, "s"),
    3: ("variant 3, semi-supervised: reconstructs the other images too", style.VERMILION, "o"),
}
SIDE_BY_SIDE = 1.085  # ratio of two points on Figure 3's logarithmic axis that are a bar's width apart
COLOURS = {"rgb": style.VERMILION, "joints_2d": style.BLUE, "resnet18": style.VERMILION, "resnet50": style.BLUE}
OTHERS = [(style.GREEN, "--"), (style.PURPLE, "-."), (style.ORANGE, "--"), (style.SKY, "-.")]  # looks of other methods
OTHERS += [(colour, ":") for colour, _ in OTHERS]  # after these eight they begin again
MEAN_POSE = "mean pose of the training set"

Reference = tuple[str, np.ndarray, np.ndarray]  # a label, thresholds (T,) in mm and shares (T,), 0 to 1
References = dict[str, list[Reference]]  # by dataset


@dataclass(frozen=True)
class Curve:
    """Shares (T,), 0 to 1, of keypoints or frames whose error is at most thresholds_mm (T,)."""

    label: str
    thresholds_mm: np.ndarray
    shares: np.ndarray
    colour: str
    line: str = "-"


def curves(results: list[Result], references: References | None = None) -> dict[str, Captioned]:
    """File name without suffix -> figure; `references`: other methods', for Figure 5 of a published set."""
    figures = {}
    if few_labels := semi_supervised.models_of(results):
        figures["fig03"] = _figure_3(few_labels)
    for name, tasks in {"fig04a": [("rhd", "rgb"), ("rhd", "joints_2d")], "fig04b": [("stb", "rgb")]}.items():
        if models := [[model] for task in tasks if (model := best(results, task))]:
            figures[name] = _figure_4(name, models, [[model] for task in tasks if (model := rival(results, task))])
    for dataset, name in DEPTH_FIGURES.items():
        if of_encoders := best_depth_models(results, dataset):
            models = [of_encoders[encoder] for encoder in sorted(of_encoders)]
            figures[name] = _figure_5(name, models, (references or {}).get(dataset, []))
    return figures


@style.styled
def _figure_3(models: list[Result]) -> Captioned:
    """Median EPE of variants 1 and 3 by share of labels, and of the mean pose; `models`: fewest labels first."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for (variant, look), aside in zip(SERIES.items(), (-0.5, 0.5), strict=True):
        # a hair apart, so that intervals at the same share do not lie on each other
        _draw_series(axes, [model for model in models if model.variant == variant], SIDE_BY_SIDE**aside, *look)
    most = read_frames(models[-1:])
    mean_pose_mm = metrics.median_over_joints(most.mean_pose_errors_mm, most.counted)
    axes.axhline(mean_pose_mm, color=style.GREY, linestyle=":", label=MEAN_POSE)
    axes.set(xscale="log", xlabel="labelled training data (%, logarithmic)", ylabel="median EPE (mm)")
    percent = np.unique([100 * model.label_fraction for model in models])
    axes.set_xticks(percent, [f"{share:.3g}" for share in percent])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    handles, labels = axes.get_legend_handles_labels()  # lines come first: here the baseline
    axes.legend(handles[1:] + handles[:1], labels[1:] + labels[:1], loc="lower left", bbox_to_anchor=(-0.02, 1.0))
    seeds = sorted({model.seeds for model in models})
    bars = WORDS["figures"]["fig03"]["one_seed" if seeds == [1] else "several_seeds"]
    bars = bars.format(seeds=" or ".join(map(str, seeds)))
    return style.titled(figure, "fig03", [[model] for model in models], bars=bars)


def _draw_series(axes: Axes, models: list[Result], aside: float, label: str, colour: str, marker: str) -> None:
    percent = np.array([100 * model.label_fraction for model in models]) * aside
    epe_mm, low_mm, high_mm = np.array([model.interval("epe_median_mm") for model in models]).reshape(-1, 3).T
    deviation_mm = np.array([model.metrics.get("epe_median_mm_sd", np.nan) for model in models])
    if np.isfinite(deviation_mm).any():  # not in the legend: the caption says what they are
        look = {"color": colour, "alpha": 0.3, "elinewidth": 10, "fmt": "none", "zorder": 1.9}
        axes.errorbar(percent, epe_mm, deviation_mm, label="_spread over seeds", **look)
    look = {"color": colour, "marker": marker, "markersize": 4, "capsize": 3, "elinewidth": 1.2}
    axes.errorbar(percent, epe_mm, (epe_mm - low_mm, high_mm - epe_mm), label=label, **look)


def _figure_4(name: str, models: list[Model], rivals: list[Model]) -> Captioned:
    """PCK of the best model of each task, of [38] trained on the same images, of the mean pose, and the paper's curves
    where the data is the paper's."""
    first = models[0][0]

    def label(model: Model, _: Frames) -> str:
        (result,) = model
        area = area_text(result.metrics["auc_21_50"], metrics.THRESHOLDS_21_50_MM)  # as the paper's
        name = "[38], trained here" if result.is_rival else result.experiment
        return f"{paper.DIRECTIONS[result.input]}, {name}: {area}"

    drawn = _our_curves(
        models + rivals, label, lambda errors_mm, counted: metrics.pck(errors_mm, counted, THRESHOLDS_MM)
    )
    if first.published and first.input == "rgb":
        for curve, look in zip(paper.PCK[first.dataset], [(style.BLACK, "--"), *OTHERS], strict=False):
            thresholds_mm = np.array(curve.get("thresholds_mm", metrics.THRESHOLDS_21_50_MM))
            name_and_area = f"{curve['name']}: {area_text(curve['auc'], thresholds_mm)}"
            drawn.append(Curve(name_and_area, thresholds_mm, np.array(curve["shares"]), *look))
    axes_names = ("error threshold (mm)", "PCK: share of keypoints within the threshold")
    figure = curves_figure(drawn, axes_names, paper_mm=(20, 50))
    words = {"set": first.dataset.upper(), "rival": WORDS["rival_curve"] if rivals else ""}
    return style.titled(figure, name, models, **words)


def _figure_5(name: str, models: list[Model], references: list[Reference]) -> Captioned:
    """PCF of the best model of each encoder and of the mean pose, evaluated joints only; on a published set others'."""
    first = models[0][0]

    def label(model: Model, frames: Frames) -> str:
        return f"{depth_name(model)}: mean error {np.mean(frames.errors_mm):.1f} mm"

    drawn = _our_curves(models, label, lambda errors_mm, _: metrics.pcf(errors_mm, THRESHOLDS_MM))
    if first.published:
        drawn += [Curve(*other, *OTHERS[number % len(OTHERS)]) for number, other in enumerate(references)]
    figure = curves_figure(drawn, ("error threshold D (mm)", "PCF: frames whose worst joint is within D"))
    return style.titled(figure, name, models, set=first.dataset.upper(), joints=len(first.skeleton.evaluated))


def _our_curves(
    models: list[Model], label: Callable[[Model, Frames], str], share: Callable[..., np.ndarray]
) -> list[Curve]:
    """Of each model the mean over seeds, and of the mean pose; `share`: (T,) of errors (N, E) and which count."""
    read, drawn = [read_frames(model) for model in models], []
    for model, frames in zip(models, read, strict=True):
        shares = np.mean([share(of_seed, frames.counted) for of_seed in frames.errors_mm], axis=0)
        colour = COLOURS[model[0].encoder if model[0].input == "depth" else model[0].input]
        line = "--" if model[0].is_rival else "-"
        drawn.append(Curve(label(model, frames), THRESHOLDS_MM, shares, colour, line))
    most = max(read, key=lambda frames: len(frames.row))
    mean_pose = share(most.mean_pose_errors_mm, most.counted)
    return [*drawn, Curve(MEAN_POSE, THRESHOLDS_MM, mean_pose, style.GREY, ":")]


def area_text(area: float, thresholds_mm: np.ndarray) -> str:
    """The area under a PCK curve with the range it was taken over: the reference's "20-50 mm" begins at 21.05 mm."""
    return f"AUC {thresholds_mm[0]:.4g}–{thresholds_mm[-1]:.4g} mm {area:.3f}"


@style.styled
def curves_figure(curves: list[Curve], names: tuple[str, str], paper_mm: tuple[float, float] | None = None) -> Figure:
    """Curves under their legend; `names` of the axes; the band of thresholds that the paper's figure shows, if less."""
    further = max(0, len(curves) - 3)  # lines of the legend
    figure = Figure(figsize=(6.4, 4.6 + 0.19 * further), layout="constrained")
    axes = figure.add_subplot()
    drawn = []
    for curve in curves:
        # unclipped, since at 100 % half the line would be cut off
        look = {"color": curve.colour, "linestyle": curve.line, "clip_on": False}
        drawn += axes.plot(curve.thresholds_mm, curve.shares, label=curve.label, **look)
    if paper_mm:
        drawn.append(axes.axvspan(*paper_mm, color="#EFEFEF", zorder=0, label="range of the paper's figure"))
    widest_mm = max(curve.thresholds_mm[-1] for curve in curves)
    axes.set(xlabel=names[0], ylabel=names[1], xlim=(0, widest_mm), ylim=(0, 1))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    # above the axes: nowhere inside is surely empty; given its labels, or those that begin with _ were left out
    axes.legend(drawn, [artist.get_label() for artist in drawn], loc="lower left", bbox_to_anchor=(-0.02, 1.0))
    return figure


def with_losses(tasks: dict[str, str], experiments: dict[str, Experiment]) -> dict[str, str]:
    """The tasks of rows, told apart where the numbers of two losses cannot be compared."""
    recipes = Counter(row.recipe for row in experiments.values())
    usual = max(recipes, key=recipes.get, default="")
    others = {name: f", recipe {row.recipe}" for name, row in experiments.items() if row.recipe != usual}
    others |= {name: ", [38]" for name, row in experiments.items() if row.variant in paper.RIVAL.values()}
    return {name: task + others.get(name, "") for name, task in tasks.items()}
