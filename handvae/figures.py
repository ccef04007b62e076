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

from handvae.joints import BONES21, MIDDLE_MCP

BLUE, RED, GREEN, GREY, BLACK = "#0072B2", "#D55E00", "#009E73", "#767676", "#000000"
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
}
PIXELS_PER_INCH = 150
TURN_DEG = 60  # the third view of a hand: from its side, where the camera sees no depth


@dataclass(frozen=True)
class PckCurve:
    """PCK (T,), 0 to 1, at thresholds_mm (T,)."""

    label: str
    thresholds_mm: np.ndarray
    pck: np.ndarray
    colour: str
    line: str = "-"


@dataclass(frozen=True)
class PredictedHand:
    """One test sample: the crop it was predicted from, joints (21, 3) palm-relative in mm, uv (21, 2) in the crop."""

    image_u8: np.ndarray
    uv_px: np.ndarray
    joints_true_mm: np.ndarray
    joints_pred_mm: np.ndarray
    error_mm: float


def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with matplotlib.style.context(LOOK, after_reset=True):
        # matplotlib would sign the file with its version
        figure.savefig(buffer, format="png", dpi=PIXELS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


def pck_figure(curves: list[PckCurve], title: str, caption: str) -> Figure:
    """Figure 4: share of keypoints within a distance of the truth, against that distance."""
    with matplotlib.style.context(LOOK, after_reset=True):
        figure = Figure(figsize=(6.4, 4.6), layout="constrained")
        axes = figure.add_subplot()
        for curve in curves:
            axes.plot(curve.thresholds_mm, curve.pck, label=curve.label, color=curve.colour, linestyle=curve.line)
        axes.axvspan(20, 50, color="#F3F3F3", zorder=0)
        axes.text(35, 0.01, "range of the paper's figure", ha="center", va="bottom", color=GREY, fontsize=8)
        axes.set(xlabel="error threshold (mm)", ylabel="PCK: share of keypoints within the threshold", ylim=(0, 1.0))
        axes.set_xlim(0, max(curve.thresholds_mm[-1] for curve in curves))
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0))  # above the axes: nowhere inside is surely empty
        figure.supxlabel(caption, x=0.01, ha="left", fontsize=7.5, color=GREY)
    return figure


def predictions_figure(hands: list[PredictedHand], title: str, caption: str, groups: int = 2) -> Figure:
    """Figure 10: image, ground truth (blue), prediction (red), and both from the side; `groups` hands a row."""
    rows = -(-len(hands) // groups)
    with matplotlib.style.context(LOOK, after_reset=True):
        figure = Figure(figsize=(5.0 * groups, 1.32 * rows + 0.75), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.0, hspace=0.02)
        widths = [1, 1, 1, 1, 0.15] * groups  # each group ends in a gap
        panels = figure.subplots(rows, len(widths), squeeze=False, width_ratios=widths)
        for axes in panels.ravel():
            axes.set_axis_off()
        for number, hand in enumerate(hands):
            row, group = number % rows, number // rows
            _draw_hand(panels[row, 5 * group : 5 * group + 4], hand, with_titles=row == 0)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        figure.supxlabel(caption, x=0.01, ha="left", fontsize=7.5, color=GREY)
    return figure


def evenly_ranked(errors_mm: np.ndarray, count: int) -> np.ndarray:
    """Indices of `count` frames at evenly spaced ranks of error, 10th to 90th percentile, best first.

    The rule by which a figure picks its samples, so that it shows neither the best nor the worst by choice. Where there
    are too few frames for that, each is taken once.
    """
    ranks = np.linspace(0.1, 0.9, count) * (len(errors_mm) - 1)
    return np.argsort(errors_mm, kind="stable")[np.unique(np.round(ranks).astype(int))]


def draw_skeleton(axes: Axes, joints_xy: np.ndarray, colour: str) -> None:
    """Bones and joints of one hand; joints (21, 2) with x right and y down, in the units of the axes."""
    bones = [joints_xy[list(bone)] for bone in BONES21]
    axes.add_collection(LineCollection(bones, colors=colour, linewidths=1.5, capstyle="round"))
    axes.plot(*joints_xy.T, linestyle="none", marker="o", markersize=2.2, color=colour)


def seen_from(joints_mm: np.ndarray, turn_deg: float) -> np.ndarray:
    """Orthographic view (..., 2) of joints (..., 3) by a camera that has gone round the vertical axis by `turn_deg`."""
    turn = np.deg2rad(turn_deg)
    x, y, z = np.moveaxis(joints_mm, -1, 0)
    return np.stack([x * np.cos(turn) + z * np.sin(turn), y], axis=-1)


def _draw_hand(panels: np.ndarray, hand: PredictedHand, with_titles: bool) -> None:
    """One hand in four panels. The three drawn ones share a scale, so that lengths can be compared."""
    _draw_image(panels[0], hand)
    front, side = (
        [seen_from(joints, turn) for joints in (hand.joints_true_mm, hand.joints_pred_mm)] for turn in (0, TURN_DEG)
    )
    draw_skeleton(panels[1], front[0], TRUTH)
    draw_skeleton(panels[2], front[1], PREDICTION)
    draw_skeleton(panels[3], side[0], TRUTH)
    draw_skeleton(panels[3], side[1], PREDICTION)
    half_mm = 1.12 * max(np.ptp(np.concatenate(view), axis=0).max() for view in (front, side)) / 2
    for axes, view in zip(panels[1:], (front, front, side), strict=True):
        points = np.concatenate(view)
        centre = (points.min(axis=0) + points.max(axis=0)) / 2
        axes.set(xlim=(centre[0] - half_mm, centre[0] + half_mm), ylim=(centre[1] + half_mm, centre[1] - half_mm))
        axes.set_aspect("equal")
    if with_titles:
        for axes, text in zip(
            panels, ("image", "ground truth", "prediction", f"both, turned {TURN_DEG}°"), strict=True
        ):
            axes.set_title(text, pad=3)
    text = f"{hand.error_mm:.1f} mm"
    panels[2].text(0.5, -0.01, text, transform=panels[2].transAxes, ha="center", va="top", fontsize=8, color=PREDICTION)


def _draw_image(axes: Axes, hand: PredictedHand) -> None:
    """The image, shown as far as the crop rule reaches: a square round the middle finger's base that holds the hand."""
    size_px = hand.image_u8.shape[0]
    axes.imshow(hand.image_u8)
    centre = hand.uv_px[MIDDLE_MCP]
    half_px = 1.1 * np.abs(hand.uv_px - centre).max()
    left, top = np.clip(centre - half_px, -0.5, size_px - 0.5)
    right, bottom = np.clip(centre + half_px, -0.5, size_px - 0.5)
    axes.set(xlim=(left, right), ylim=(bottom, top))
