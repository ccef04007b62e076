"""How all figures look: colours of Okabe and Ito, told apart by colour-blind readers; truth is blue and prediction
orange (the paper: red). A figure's caption is text beside it: its last lines say which data and profile it was made of.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image

from handvae.base.joints import Skeleton
from handvae.report.results import Model, weakness
from handvae.report.text import WORDS

BLUE, VERMILION, GREEN, GREY, BLACK = "#0072B2", "#D55E00", "#009E73", "#767676", "#000000"
ORANGE, SKY, PURPLE = "#E69F00", "#56B4E9", "#CC79A7"
TRUTH, PREDICTION = BLUE, VERMILION

PIXELS_PER_INCH = 150
COLOURS = 256  # of a PNG: a third of the bytes, and no difference that one sees
TURN_DEG = 60  # a further view of a hand: from its side, where the camera sees no depth

styled = matplotlib.style.context(Path(__file__).with_name("figures.mplstyle"), after_reset=True)  # a decorator


@dataclass(frozen=True)
class Captioned:
    """A figure with its title, which is drawn on it, its caption, which is not, and what is seen on it, in words."""

    figure: Figure
    title: str
    caption: str
    alt: str


@styled
def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG; the same figure gives the same bytes.

    The layout's solver leaves positions that differ in their last bits from run to run; they are rounded and kept.
    """
    drawn, reduced = io.BytesIO(), io.BytesIO()
    figure.set_dpi(PIXELS_PER_INCH)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(np.round(axes.get_position(original=True).bounds, 6))
    figure.savefig(drawn, format="png", dpi=PIXELS_PER_INCH)
    picture = Image.open(drawn).convert("RGB").quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    picture.save(reduced, format="png", optimize=True)
    return reduced.getvalue()


@styled
def titled(figure: Figure, name: str, models: list[Model], **words: object) -> Captioned:
    """The figure with its title, and what it shows and what it was made from, by words.yaml."""
    words |= {"part": name[-1]}
    title, caption, alt = (WORDS["figures"][name].get(key, "").format(**words) for key in ("title", "caption", "alt"))
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    lines = [caption, *filter(None, map(weakness, models)), data_lines(models)]
    return Captioned(figure, title, "\n".join(line for line in lines if line), alt)


def panels(rows: int, widths: Sequence[float], size: tuple[float, float], pad: float) -> tuple[Figure, np.ndarray]:
    """A figure of `size` inches with axes (rows, widths) that hold pictures alone; `pad` inches between columns."""
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=pad, h_pad=pad + 0.01, wspace=0.0, hspace=0.02)
    axes = figure.subplots(rows, len(widths), squeeze=False, width_ratios=widths)
    for panel in axes.ravel():
        panel.set_axis_off()
    return figure, axes


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


def fit(panels: Sequence[Axes], views: Sequence[np.ndarray]) -> None:
    """Squares of one scale, so that lengths can be compared: each round the middle of its points (..., 2), y down."""
    views = [view.reshape(-1, 2) for view in views]
    half = 1.12 * max(np.ptp(points, axis=0).max() for points in views) / 2
    for axes, points in zip(panels, views, strict=True):
        x, y = (points.min(axis=0) + points.max(axis=0)) / 2
        axes.set(xlim=(x - half, x + half), ylim=(y + half, y - half), aspect="equal")


def data_lines(models: list[Model]) -> str:
    """What data the figure shows: a line for each that differs, one line for all folds of a model."""
    lines = []
    for model in models:
        frames, first = sum(result.metrics["frames"] for result in model), model[0]
        pooled = f"{first.named_source}; profile {first.profile}; {frames:,} test frames of {len(model)} subjects"
        lines.append(f"Data: {pooled if first.test_subject else first.data}.")
    return "\n".join(dict.fromkeys(lines))
