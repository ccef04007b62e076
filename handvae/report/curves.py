"""Figures 3, 4 and 5: errors by share of labels, and shares of keypoints and of frames within a distance.

A figure whose experiments are not among the results is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from handvae.evaluation import metrics
from handvae.report import paper, semi_supervised, style
from handvae.report.hands import depth_name
from handvae.report.predictions import read_frames
from handvae.report.results import Model, Result, best, best_depth_models

THRESHOLDS_MM = np.linspace(0, 80, 161)
DEPTH_PARTS = {"nyu": "a", "icvl": "b", "msra": "c"}
SERIES = {
    1: ("variant 1, supervised: learns from the labelled images alone", style.BLUE, "s"),
    3: ("variant 3, semi-supervised: reconstructs the other images too", style.RED, "o"),
}
SIDE_BY_SIDE = 1.085  # ratio of two points on Figure 3's logarithmic axis that are a bar's width apart
COLOURS = {"rgb": style.RED, "joints_2d": style.BLUE, "resnet18": style.RED, "resnet50": style.BLUE}
OTHERS = [  # looks of other methods; after eight they begin again
    (colour, line)
    for lines in (("--", "-.", "--", "-."), ":" * 4)
    for colour, line in zip((style.GREEN, style.PURPLE, style.ORANGE, style.SKY), lines, strict=True)
]
MEAN_POSE = "mean pose of the training set"

# by dataset: a label, thresholds (T,) in mm and shares (T,), 0 to 1
References = dict[str, list[tuple[str, np.ndarray, np.ndarray]]]


@dataclass(frozen=True)
class Curve:
    """Shares (T,), 0 to 1, of keypoints or frames whose error is at most thresholds_mm (T,)."""

    label: str
    thresholds_mm: np.ndarray
    shares: np.ndarray
    colour: str
    line: str = "-"


def curves(results: list[Result], references: References | None = None) -> dict[str, Figure]:
    """File name without suffix -> figure; `references`: other methods', for Figure 5 of a published set."""
    rgb, lifting, stb = (best(results, task) for task in (("rhd", "rgb"), ("rhd", "joints_2d"), ("stb", "rgb")))
    made = {
        "fig03": _figure_3(semi_supervised.models_of(results)),
        "fig04a": _figure_4("a", [result for result in (rgb, lifting) if result]),
        "fig04b": _figure_4("b", [stb] if stb else []),
    }
    for dataset, part in DEPTH_PARTS.items():
        others = (references or {}).get(dataset, [])
        made[f"fig05{part}"] = _figure_5(part, best_depth_models(results, dataset), others)
    return {name: figure for name, figure in made.items() if figure is not None}


@style.styled
def _figure_3(models: list[Result]) -> Figure | None:
    """Median EPE of variants 1 and 3 by share of labels, and of the mean pose; `models`: fewest labels first."""
    if not models:
        return None
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for (variant, look), aside in zip(SERIES.items(), (-0.5, 0.5), strict=True):
        # a hair apart, so that intervals at the same share do not lie on each other
        _draw_series(axes, [model for model in models if model.variant == variant], SIDE_BY_SIDE**aside, *look)
    most = read_frames(models[-1:])
    still_mm = metrics.median_over_joints(most.mean_pose_errors_mm, most.counted)
    axes.axhline(still_mm, color=style.GREY, linestyle=":", label=MEAN_POSE)
    axes.set(xscale="log", xlabel="labelled training data (%, logarithmic)", ylabel="median EPE (mm)")
    percent = np.unique([100 * model.label_fraction for model in models])
    axes.set_xticks(percent, [f"{share:.3g}" for share in percent])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    handles, labels = axes.get_legend_handles_labels()  # lines come first: here the baseline
    axes.legend(handles[1:] + handles[:1], labels[1:] + labels[:1], loc="lower left", bbox_to_anchor=(-0.02, 1.0))
    title = "Figure 3: median EPE by share of labelled data, RGB->3D on STB"
    caption = f"{_bars_text(models)}\n{style.data_lines([[model] for model in models])}"
    return style.titled(figure, title, caption)


def _draw_series(axes: Axes, models: list[Result], aside: float, label: str, colour: str, marker: str) -> None:
    percent = np.array([100 * model.label_fraction for model in models]) * aside
    columns = np.array([model.interval("epe_median_mm") for model in models])
    epe_mm, low_mm, high_mm = columns.reshape(-1, 3).T
    deviation_mm = np.array([model.metrics.get("epe_median_mm_sd", np.nan) for model in models])
    if np.isfinite(deviation_mm).any():  # not in the legend: the caption says what they are
        look = {"color": colour, "alpha": 0.3, "elinewidth": 10, "fmt": "none", "zorder": 1.9}
        axes.errorbar(percent, epe_mm, deviation_mm, label="_spread over seeds", **look)
    look = {"color": colour, "marker": marker, "markersize": 4, "capsize": 3, "elinewidth": 1.2}
    axes.errorbar(percent, epe_mm, (epe_mm - low_mm, high_mm - epe_mm), label=label, **look)


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


def _figure_4(part: str, models: list[Result]) -> Figure | None:
    """PCK of the best model of each task, of the mean pose, and the paper's curves where the data is the paper's."""
    if not models:
        return None
    drawn = []
    for result in models:
        area = area_text(result.metrics["auc_21_50"], metrics.THRESHOLDS_21_50_MM)  # as the paper's
        label = f"{paper.DIRECTIONS[result.input]}, {result.experiment}: {area}"
        frames = read_frames([result])
        share = partial(metrics.pck, visible=frames.counted, thresholds_mm=THRESHOLDS_MM)
        drawn.append(_curve(label, share, frames.errors_mm, COLOURS[result.input]))
        if result is models[0]:
            still = _curve(MEAN_POSE, share, [frames.mean_pose_errors_mm], style.GREY, ":")
    first = models[0]
    drawn.append(still)
    if first.published and first.input == "rgb":
        drawn += printed(first.dataset)
    title = f"Figure 4{part}: PCK on {first.dataset.upper()}, best variant" + " of each task" * (part == "a")
    names = ("error threshold (mm)", "PCK: share of keypoints within the threshold")
    return curves_figure(drawn, title, style.data_lines([[result] for result in models]), names, paper_mm=(20, 50))


def _figure_5(part: str, models: list[Model], references: list) -> Figure | None:
    """PCF of the best model of each encoder and of the mean pose, evaluated joints only; on a published set others'."""
    if not models:
        return None
    first, read = models[0][0], [read_frames(model) for model in models]
    share = partial(metrics.pcf, thresholds_mm=THRESHOLDS_MM)
    drawn = []
    for model, frames in zip(models, read, strict=True):
        label = f"{depth_name(model)}: mean error {np.mean(frames.errors_mm):.1f} mm"
        drawn.append(_curve(label, share, frames.errors_mm, COLOURS[model[0].encoder]))
    most = max(read, key=lambda frames: len(frames.row))
    drawn.append(_curve(MEAN_POSE, share, [most.mean_pose_errors_mm], style.GREY, ":"))
    if first.published:
        drawn += [Curve(*other, *OTHERS[number % len(OTHERS)]) for number, other in enumerate(references)]
    joints = len(first.skeleton.evaluated)
    title = f"Figure 5{part}: PCF on {first.dataset.upper()}, depth->3D, {joints} joints"
    names = ("error threshold D (mm)", "PCF: frames whose worst joint is within D")
    return curves_figure(drawn, title, style.data_lines(models), names)


def area_text(area: float, thresholds_mm: np.ndarray) -> str:
    """The area under a PCK curve with the range it was taken over: the reference's "20-50 mm" begins at 21.05 mm."""
    return f"AUC {thresholds_mm[0]:.4g}–{thresholds_mm[-1]:.4g} mm {area:.3f}"


def _curve(
    label: str, share: Callable[[np.ndarray], np.ndarray], errors_mm: Sequence[np.ndarray], colour: str, line: str = "-"
) -> Curve:
    """The shares of each seed's errors, the mean over seeds."""
    return Curve(label, THRESHOLDS_MM, np.mean([share(of_seed) for of_seed in errors_mm], axis=0), colour, line)


def printed(dataset: str) -> list[Curve]:
    """The curves of the paper's Figure 4 on a colour set, its own first."""
    drawn = []
    for curve, look in zip(paper.PCK[dataset], [(style.BLACK, "--"), *OTHERS], strict=False):
        thresholds_mm = np.array(curve.get("thresholds_mm", metrics.THRESHOLDS_21_50_MM))
        label = f"{curve['name']}: {area_text(curve['auc'], thresholds_mm)}"
        drawn.append(Curve(label, thresholds_mm, np.array(curve["shares"]), *look))
    return drawn


@style.styled
def curves_figure(
    curves: list[Curve], title: str, caption: str, names: tuple[str, str], paper_mm: tuple[float, float] | None = None
) -> Figure:
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
        label = "range of the paper's figure"
        drawn.append(axes.axvspan(*paper_mm, color="#EFEFEF", zorder=0, label=label))
    axes.set(xlim=(0, max(curve.thresholds_mm[-1] for curve in curves)), ylim=(0, 1))
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    # above the axes: nowhere inside is surely empty; given its labels, or those that begin with _ were left out
    axes.legend(drawn, [artist.get_label() for artist in drawn], loc="lower left", bbox_to_anchor=(-0.02, 1.0))
    return style.titled(figure, title, caption)
