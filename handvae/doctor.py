"""Looks a dataset over before anybody trains on it: label statistics, and the joints drawn over images.

What the labels of a set must satisfy (they project to their pixels, bones have a hand's lengths, the hand is the one
that the set says) is a finding; what is merely good to know is a line of text.
"""

import math
from dataclasses import dataclass

import matplotlib.style
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from handvae.base.geometry import handedness, project
from handvae.base.joints import FINGERS, LEFT, RIGHT, Skeleton
from handvae.datasets.labels import Hands
from handvae.datasets.sample import DepthSample, Sample
from handvae.report.figures import GREY, LOOK

REPROJECTION_PX = 1.0
BONE_MM = (3.0, 130.0)  # the mean length of any bone of any skeleton here
BENT = 0.35  # of the largest possible value of the handedness test: below it a hand is too flat to tell
SHEET_COLUMNS = 4
FINGER_COLOURS = ("#D55E00", "#E69F00", "#009E73", "#56B4E9", "#CC79A7")  # thumb to little finger, Okabe and Ito
PALM_COLOUR = "#F0E442"


@dataclass(frozen=True)
class Examination:
    lines: list[str]  # what was found
    problems: list[str]  # what cannot be right


def examine(hands: Hands) -> Examination:
    """Statistics of all labels of a set, and what is wrong with them."""
    lines, problems = [], []
    depth_mm = hands.joints_mm[..., 2]
    low, high = hands.uv_px.min(axis=(0, 1)), hands.uv_px.max(axis=(0, 1))
    lines.append(
        f"{len(depth_mm):,} labelled hands of {hands.joints_mm.shape[1]} joints; depth {depth_mm.min():.0f} to "
        f"{depth_mm.max():.0f} mm; u {low[0]:.0f} to {high[0]:.0f}, v {low[1]:.0f} to {high[1]:.0f} px"
    )
    _examine_reprojection(hands, lines, problems)
    _examine_bones(hands, lines, problems)
    _examine_handedness(hands, lines, problems)
    return Examination(lines, problems)


def _examine_reprojection(hands: Hands, lines: list[str], problems: list[str]) -> None:
    projected = project(hands.joints_mm, hands.camera)
    error_px = np.linalg.norm(projected - hands.uv_px, axis=-1)
    # far outside the picture float32 labels are coarse themselves
    allowed_px = REPROJECTION_PX + 1e-4 * np.abs(hands.uv_px).max(axis=-1)
    lines.append(
        f"joints project to their pixels: error {error_px.mean():.3f} px on average, {error_px.max():.3f} at most"
    )
    if (error_px > allowed_px).any():
        share = 100 * (error_px > allowed_px).mean()
        problems.append(f"{share:.1f} % of the joints project more than {REPROJECTION_PX:g} px from their pixels")


def _examine_bones(hands: Hands, lines: list[str], problems: list[str]) -> None:
    joints, bones = hands.skeleton.joints, hands.skeleton.bones
    parents, children = (list(ends) for ends in zip(*bones, strict=True))
    lengths_mm = np.linalg.norm(hands.joints_mm[:, children] - hands.joints_mm[:, parents], axis=-1)
    means, spreads = lengths_mm.mean(axis=0), lengths_mm.std(axis=0)
    texts = [
        f"{joints[parent]} to {joints[child]} {mean:.1f} ± {spread:.1f}"
        for (parent, child), mean, spread in zip(bones, means, spreads, strict=True)
    ]
    lines += [f"bones, mm, mean ± deviation over all hands: {'; '.join(texts)}"]
    within = [lengths_mm[hands.subject == subject].std(axis=0).max() for subject in np.unique(hands.subject)]
    lines.append(
        f"bones vary by {max(within):.1f} mm at most within one subject or sequence ({len(within)} of them; "
        "0: the labels are fits of a rigid hand)"
    )
    for (parent, child), mean in zip(bones, means, strict=True):
        if not BONE_MM[0] <= mean <= BONE_MM[1]:
            problems.append(
                f"the bone {joints[parent]} to {joints[child]} has {mean:.1f} mm on average: wrong unit or order?"
            )


def _examine_handedness(hands: Hands, lines: list[str], problems: list[str]) -> None:
    values = handedness(hands.joints_mm, hands.skeleton)
    for side, name, sign in ((LEFT, "left", -1), (RIGHT, "right", 1)):
        of_side = values[hands.side == side] * sign
        bent = of_side[np.abs(of_side) > BENT]
        if len(bent):
            share = (bent > 0).mean()
            lines.append(
                f"{len(of_side):,} {name} hands: {100 * share:.1f} % of the {len(bent):,} bent ones bend like one"
            )
            if share < 0.8:
                problems.append(
                    f"{name} hands bend like those of the other side: mirrored, or an axis of the wrong sign?"
                )
        elif len(of_side):
            lines.append(f"{len(of_side):,} {name} hands, all too flat to tell the side by")


def evenly(items: list, count: int) -> list:
    """`count` of the items at even distances, fewer if there are not so many."""
    if not items:
        return []
    picked = np.unique(np.linspace(0, len(items) - 1, count).round().astype(int))
    return [items[number] for number in picked]


def contact_sheet(samples: list[Sample | DepthSample], skeleton: Skeleton, title: str, caption: str) -> Figure:
    """Images with their joints drawn over them, cut to the hand: whether labels and images belong together."""
    rows = math.ceil(len(samples) / SHEET_COLUMNS)
    with matplotlib.style.context(LOOK, after_reset=True):
        figure = Figure(figsize=(2.6 * SHEET_COLUMNS, 2.75 * rows + 0.8), layout="constrained")
        panels = figure.subplots(rows, SHEET_COLUMNS, squeeze=False)
        for axes in panels.ravel():
            axes.set_axis_off()
        for axes, sample in zip(panels.ravel(), samples, strict=False):
            _draw_sample(axes, sample, skeleton)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        figure.supxlabel(caption, x=0.01, ha="left", fontsize=7.5, color=GREY)
    return figure


def _draw_sample(axes, sample: Sample | DepthSample, skeleton: Skeleton) -> None:
    low, high = sample.uv_px.min(axis=0), sample.uv_px.max(axis=0)
    centre, half_px = (low + high) / 2, 0.72 * max((high - low).max(), 20.0)
    if isinstance(sample, Sample):
        axes.imshow(sample.image_u8, interpolation="nearest")
    else:
        z_mm, half_mm = sample.joints_mm[sample.centre_joint, 2], sample.cube_mm / 2
        shown = np.where((sample.depth_mm > 0) & (sample.depth_mm < z_mm + half_mm), sample.depth_mm, np.nan)
        axes.imshow(shown, cmap="gray_r", vmin=z_mm - half_mm, vmax=z_mm + half_mm, interpolation="nearest")
        axes.set_facecolor("#DCE6F0")
    for finger, bones in _bones_by_finger(skeleton).items():
        colour = PALM_COLOUR if finger is None else FINGER_COLOURS[finger]
        lines = [sample.uv_px[list(bone)] for bone in bones]
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=1.6, capstyle="round"))
    axes.plot(*sample.uv_px.T, linestyle="none", marker="o", markersize=2.4, color="white", mec="black", mew=0.5)
    axes.set(xlim=(centre[0] - half_px, centre[0] + half_px), ylim=(centre[1] + half_px, centre[1] - half_px))
    axes.set_title(sample.name, fontsize=7, pad=3)


def _bones_by_finger(skeleton: Skeleton) -> dict[int | None, list[tuple[int, int]]]:
    """Bones by the finger that their outer end belongs to, 0 thumb to 4 little finger; None for the palm's own."""
    groups: dict[int | None, list[tuple[int, int]]] = {}
    for bone in skeleton.bones:
        finger = skeleton.joints[bone[1]].partition("_")[0]
        groups.setdefault(FINGERS.index(finger) if finger in FINGERS else None, []).append(bone)
    return groups
