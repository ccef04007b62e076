"""The paper's figures: arrays in, a matplotlib Figure or its PNG bytes out.

One look for all: colours of Okabe and Ito, told apart by colour-blind readers; truth is blue and prediction red, as in
the paper; the last line of each figure says which data and profile it was made from.
"""

import io
from dataclasses import dataclass

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from handvae.base.joints import Skeleton

BLUE, RED, GREEN, GREY, BLACK = "#0072B2", "#D55E00", "#009E73", "#767676", "#000000"
ORANGE, SKY, PURPLE = "#E69F00", "#56B4E9", "#CC79A7"
TRUTH, PREDICTION = BLUE, RED

LOOK = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "text.parse_math": False,  # names of users may hold a $
}
PIXELS_PER_INCH = 150
SIDE_BY_SIDE = 1.085  # ratio of two places on Figure 3's logarithmic axis that are a bar's width apart
TURN_DEG = 60  # the third view of a hand: from its side, where the camera sees no depth


@dataclass(frozen=True)
class Curve:
    """Shares (T,), 0 to 1, of keypoints or frames whose error is at most thresholds_mm (T,)."""

    label: str
    thresholds_mm: np.ndarray
    shares: np.ndarray
    colour: str
    line: str = "-"


@dataclass(frozen=True)
class Series:
    """Errors (P,) in mm with the ends of their intervals, at shares of labelled training data (P,) in percent."""

    label: str
    labelled_percent: np.ndarray
    epe_mm: np.ndarray
    low_mm: np.ndarray
    high_mm: np.ndarray
    deviation_mm: np.ndarray  # over seeds; NaN of one model
    colour: str
    marker: str


@dataclass(frozen=True)
class PredictedHand:
    """One test sample: the crop (C, C, 3) it was predicted from, uv (J, 2) in it, and both poses (J, 3) in mm.

    Poses lie as they were evaluated, about the palm or, from depth, the true hand's centre; neither is aligned.
    """

    image_u8: np.ndarray
    uv_px: np.ndarray
    joints_true_mm: np.ndarray
    joints_pred_mm: np.ndarray
    error_mm: float
    skeleton: Skeleton


def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG; the same figure gives the same bytes.

    The layout's solver leaves positions that differ in their last bits from run to run; they are rounded and kept.
    """
    buffer = io.BytesIO()
    with matplotlib.style.context(LOOK, after_reset=True):
        figure.set_dpi(PIXELS_PER_INCH)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for axes in figure.axes:
            axes.set_position(np.round(axes.get_position(original=True).bounds, 6))
        # matplotlib would sign the file with its version
        figure.savefig(buffer, format="png", dpi=PIXELS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


def pck_figure(curves: list[Curve], title: str, caption: str) -> Figure:
    """Figure 4: share of keypoints within a distance of the truth, against that distance."""
    names = {"xlabel": "error threshold (mm)", "ylabel": "PCK: share of keypoints within the threshold"}
    return _curves_figure(curves, title, caption, names, paper_mm=(20, 50))


def pcf_figure(curves: list[Curve], title: str, caption: str) -> Figure:
    """Figure 5: share of frames of which every joint is within a distance of the truth, against that distance."""
    names = {"xlabel": "error threshold D (mm)", "ylabel": "PCF: frames whose worst joint is within D"}
    return _curves_figure(curves, title, caption, names)


def labels_figure(series: list[Series], baseline: tuple[str, float], title: str, caption: str) -> Figure:
    """Figure 3: median error against the share of labelled training data; `baseline`: a label and an error in mm."""
    with matplotlib.style.context(LOOK, after_reset=True):
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for place, one in enumerate(series):
            # a hair apart, so that intervals at the same share do not lie on each other
            percent = one.labelled_percent * SIDE_BY_SIDE ** (place - (len(series) - 1) / 2)
            if np.isfinite(one.deviation_mm).any():  # without a place in the legend: the caption says what they are
                look = {"color": one.colour, "alpha": 0.3, "elinewidth": 10, "fmt": "none", "zorder": 1.9}
                axes.errorbar(percent, one.epe_mm, one.deviation_mm, label="_spread over seeds", **look)
            reach_mm = (one.epe_mm - one.low_mm, one.high_mm - one.epe_mm)
            look = {"color": one.colour, "marker": one.marker, "markersize": 4, "capsize": 3, "elinewidth": 1.2}
            axes.errorbar(percent, one.epe_mm, reach_mm, label=one.label, **look)
        axes.axhline(baseline[1], color=GREY, linestyle=":", label=baseline[0])
        axes.set(xscale="log", xlabel="labelled training data (%, logarithmic)", ylabel="median EPE (mm)")
        shares = np.unique(np.concatenate([one.labelled_percent for one in series]))
        axes.set_xticks(shares, [f"{share:.3g}" for share in shares])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        handles, labels = axes.get_legend_handles_labels()  # lines come first: here the baseline
        axes.legend(handles[1:] + handles[:1], labels[1:] + labels[:1], loc="lower left", bbox_to_anchor=(-0.02, 1.0))
        titled(figure, title, caption)
    return figure


def predictions_figure(sets: dict[str, list[PredictedHand]], title: str, caption: str) -> Figure:
    """Figures 10 and 12: image, ground truth (blue), prediction (red), and both from the side; two hands a row.

    Each set begins a row, which bears its name ("": no name).
    """
    rows = [(name, hands[row : row + 2]) for name, hands in sets.items() for row in range(0, len(hands), 2)]
    with matplotlib.style.context(LOOK, after_reset=True):
        figure = Figure(figsize=(8.6, 1.17 * len(rows) + 0.95), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.03, wspace=0.0, hspace=0.02)
        widths = [1, 1, 1, 1, 0.12, 1, 1, 1, 1]  # a gap between the two
        panels = figure.subplots(len(rows), len(widths), squeeze=False, width_ratios=widths)
        for axes in panels.ravel():
            axes.set_axis_off()
        for number, (name, hands) in enumerate(rows):
            for place, hand in enumerate(hands):
                _draw_hand(panels[number, 5 * place : 5 * place + 4], hand)
                if number == 0:
                    _name_panels(panels[0, 5 * place : 5 * place + 4])
            if name:
                axes = panels[number, 0]
                axes.text(-0.04, 0.5, name, transform=axes.transAxes, ha="right", va="center", rotation=90)
        titled(figure, title, caption)
    return figure


def depth_picture(depth: np.ndarray) -> np.ndarray:
    """A depth crop (C, C), -1 near to +1 background, as a picture (C, C, 3) uint8: near is dark, background white."""
    depth = depth.astype(np.float32)
    hand = depth < 1
    grey = np.full(depth.shape, 255, np.uint8)
    if hand.any():
        near, far = depth[hand].min(), depth[hand].max()
        # the grey levels are spread over the hand, of which a cube is seldom full; its back stays off the white
        grey[hand] = 30 + 180 * (depth[hand] - near) / max(far - near, 1e-6)
    return np.repeat(grey[..., None], 3, axis=2)


def draw_skeleton(axes: Axes, skeleton: Skeleton, joints_xy: np.ndarray, colour: str) -> None:
    """Bones and joints of one hand; joints (J, 2) with x right and y down, in the units of the axes."""
    bones = [joints_xy[list(bone)] for bone in skeleton.bones]
    axes.add_collection(LineCollection(bones, colors=colour, linewidths=1.5, capstyle="round"))
    axes.plot(*joints_xy.T, linestyle="none", marker="o", markersize=2.2, color=colour)


def seen_from(joints_mm: np.ndarray, turn_deg: float) -> np.ndarray:
    """Orthographic view (..., 2) of joints (..., 3) by a camera that has gone round the vertical axis by `turn_deg`."""
    turn = np.deg2rad(turn_deg)
    x, y, z = np.moveaxis(joints_mm, -1, 0)
    return np.stack([x * np.cos(turn) + z * np.sin(turn), y], axis=-1)


def _curves_figure(
    curves: list[Curve], title: str, caption: str, names: dict[str, str], paper_mm: tuple[float, float] | None = None
) -> Figure:
    """Curves under their legend; `names` of the axes; the band of thresholds that the paper's figure shows, if less."""
    with matplotlib.style.context(LOOK, after_reset=True):
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
        axes.set(**names, xlim=(0, max(curve.thresholds_mm[-1] for curve in curves)), ylim=(0, 1))
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        # above the axes: nowhere inside is surely empty; given its labels, or those that begin with _ were left out
        axes.legend(drawn, [one.get_label() for one in drawn], loc="lower left", bbox_to_anchor=(-0.02, 1.0))
        titled(figure, title, caption)
    return figure


def titled(figure: Figure, title: str, caption: str) -> None:
    """What every figure has: its title, and below it what it was made from."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    # matplotlib wraps a text as if its $ were mathematics, whatever parse_math says: here they are escaped
    escaped, look = caption.replace("$", r"\$"), {"fontsize": 8, "color": GREY, "wrap": True, "parse_math": True}
    figure.supxlabel(escaped, x=0.01, ha="left", **look)


def _draw_hand(panels: np.ndarray, hand: PredictedHand) -> None:
    """One hand in four panels. The three drawn ones share a scale, so that lengths can be compared."""
    _draw_image(panels[0], hand)
    front, side = (
        [seen_from(joints, turn) for joints in (hand.joints_true_mm, hand.joints_pred_mm)] for turn in (0, TURN_DEG)
    )
    draw_skeleton(panels[1], hand.skeleton, front[0], TRUTH)
    draw_skeleton(panels[2], hand.skeleton, front[1], PREDICTION)
    draw_skeleton(panels[3], hand.skeleton, side[0], TRUTH)
    draw_skeleton(panels[3], hand.skeleton, side[1], PREDICTION)
    half_mm = 1.12 * max(np.ptp(np.concatenate(view), axis=0).max() for view in (front, side)) / 2
    for axes, view in zip(panels[1:], (front, front, side), strict=True):
        points = np.concatenate(view)
        centre = (points.min(axis=0) + points.max(axis=0)) / 2
        axes.set(xlim=(centre[0] - half_mm, centre[0] + half_mm), ylim=(centre[1] + half_mm, centre[1] - half_mm))
        axes.set_aspect("equal")
    text = f"{hand.error_mm:.1f} mm"
    panels[2].text(0.5, -0.01, text, transform=panels[2].transAxes, ha="center", va="top", fontsize=8, color=PREDICTION)


def _name_panels(panels: np.ndarray) -> None:
    names = ("image", "ground truth", "prediction", f"both, turned {TURN_DEG}°")
    for axes, name, colour in zip(panels, names, (BLACK, TRUTH, PREDICTION, BLACK), strict=True):
        axes.set_title(name, pad=3, color=colour)


def _draw_image(axes: Axes, hand: PredictedHand) -> None:
    """The image round the hand: the square that holds its joints, with a margin, as far as the crop reaches."""
    axes.imshow(hand.image_u8)
    low, high = hand.uv_px.min(axis=0), hand.uv_px.max(axis=0)
    half_px = 0.6 * (high - low).max()
    border = (-0.5, hand.image_u8.shape[0] - 0.5)
    left, top = np.clip((low + high) / 2 - half_px, *border)
    right, bottom = np.clip((low + high) / 2 + half_px, *border)
    axes.set(xlim=(left, right), ylim=(bottom, top))
