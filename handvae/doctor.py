"""Looks a dataset over before anybody trains on it: label statistics, and the joints drawn over images.

Labels that do not project to their pixels, bones without a hand's lengths and hands of the other side are problems.
What is merely good to know is a line of text.
"""

import math
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from handvae.base.geometry import handedness, project
from handvae.base.joints import FINGERS, LEFT, RIGHT, Skeleton
from handvae.datasets.labels import Hands
from handvae.datasets.sample import DepthSample, Sample
from handvae.report.style import GREY, styled

REPROJECTION_PX = 1.0
BONE_MM = (3.0, 130.0)  # the mean length of any bone of any skeleton here
BENT = 0.35  # of the largest possible value of the handedness test: below it a hand is too flat to tell
# where visible joints lie in an image, the least share of them that does so, and what may be wrong below it
ON_MASK = (
    "lie on their own hand's mask",
    0.8,  # real photographs and the synthetic sets have 1.0
    "K or labels of other images, mirrored images, or masks whose left hands do not have 2 to 17 and right hands 18 "
    "to 33?",
)
ON_DEPTH = (
    "have measured flesh before them",
    0.5,  # of all joints: fingers hide each other, labels are rough; the synthetic sets have 0.84 to 0.99
    "labels of other images, or another camera?",
)
FLESH_MM = (15.0, 60.0)  # so far behind and before a joint its flesh may be measured
SHEET_COLUMNS = 4
COLOURS = ("#D55E00", "#E69F00", "#009E73", "#56B4E9", "#CC79A7", "#F0E442")  # Okabe and Ito
COLOUR_OF = dict(zip((*FINGERS, "palm"), COLOURS, strict=True))


@dataclass(frozen=True)
class Examination:
    lines: list[str]  # statistics
    problems: list[str]  # what cannot be right


def examine(hands: Hands) -> Examination:
    """Statistics of all labels of a set, and what is wrong with them."""
    depth_mm = hands.joints_mm[..., 2]
    low, high = hands.uv_px.min(axis=(0, 1)), hands.uv_px.max(axis=(0, 1))
    lines, problems = [], []
    lines.append(
        f"{len(depth_mm):,} labelled hands of {hands.joints_mm.shape[1]} joints; depth {depth_mm.min():.0f} to "
        f"{depth_mm.max():.0f} mm; u {low[0]:.0f} to {high[0]:.0f}, v {low[1]:.0f} to {high[1]:.0f} px"
    )
    _examine_reprojection(hands, lines, problems)
    _examine_bones(hands, lines, problems)
    _examine_handedness(hands, lines, problems)
    return Examination(lines, problems)


def _examine_reprojection(hands: Hands, lines: list[str], problems: list[str]) -> None:
    if not hands.pixels_labelled:
        lines.append("the set labels joints in space or in the image, not in both: only images show whether they fit")
        return
    error_px = np.linalg.norm(project(hands.joints_mm, hands.camera) - hands.uv_px, axis=-1)
    mean_px, largest_px = error_px.mean(), error_px.max()
    lines.append(f"joints project to their pixels: error {mean_px:.3f} px on average, {largest_px:.3f} at most")
    # far outside the image float32 labels are coarse themselves
    too_far = error_px > REPROJECTION_PX + 1e-4 * np.abs(hands.uv_px).max(axis=-1)
    if too_far.any():
        share = 100 * too_far.mean()
        problems.append(f"{share:.1f} % of the joints project more than {REPROJECTION_PX:g} px from their pixels")


def _examine_bones(hands: Hands, lines: list[str], problems: list[str]) -> None:
    joints, bones = hands.skeleton.joints, hands.skeleton.bones
    parents, children = (list(ends) for ends in zip(*bones, strict=True))
    lengths_mm = np.linalg.norm(hands.joints_mm[:, children] - hands.joints_mm[:, parents], axis=-1)
    means, spreads = lengths_mm.mean(axis=0), lengths_mm.std(axis=0)
    lines.append("bones, mm, mean ± deviation over all hands:")
    for finger, of_finger in _bones_by_finger(hands.skeleton).items():
        numbers = [bones.index(bone) for bone in of_finger]
        if len(numbers) > 1 and children[numbers[1]] == parents[numbers[0]]:  # NYU's fingers run from the tip
            numbers.reverse()
        texts = [f"to {joints[children[number]]} {means[number]:.1f} ± {spreads[number]:.1f}" for number in numbers]
        lines.append(f"  {finger}: from {joints[parents[numbers[0]]]} {', '.join(texts)}")
    within = [lengths_mm[hands.subject == subject].std(axis=0).max() for subject in np.unique(hands.subject)]
    where = f"within each of {len(within)} subjects or sequences" if len(within) > 1 else "from hand to hand"
    lines.append(f"bones vary by {max(within):.1f} mm at most {where} (0: the labels are fits of a rigid hand)")
    wrong = [number for number, mean in enumerate(means) if not BONE_MM[0] <= mean <= BONE_MM[1]]
    if wrong:
        first = wrong[0]
        more = f"; {len(wrong) - 1} other bones are out of range too" if len(wrong) > 1 else ""
        problems.append(
            f"the bone from {joints[parents[first]]} to {joints[children[first]]} has {means[first]:.3g} mm on average"
            f", expected {BONE_MM[0]:g} to {BONE_MM[1]:g} mm{more}: wrong unit or order of the joints?"
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
                hint = "mirrored, or an axis of the wrong sign?"
                problems.append(f"{name} hands bend like those of the other side: {hint}")
        elif len(of_side):
            lines.append(f"{len(of_side):,} {name} hands, all too flat to tell the side by")


def examine_images(agreements: list[np.ndarray], samples: list[Sample | DepthSample], total: int) -> Examination:
    """Whether images show a hand where the labels say; `agreements` (see `depth_agreement`) are of some of the images.

    A colour image without a mask tells nothing (STB): then `agreements` is empty, and only a person can see it.
    """
    lines, problems = [], []
    joints = np.concatenate([np.zeros(0, bool), *agreements])
    if joints.size:
        where, least, hint = ON_DEPTH if isinstance(samples[0], DepthSample) else ON_MASK
        share = joints.mean()
        lines.append(f"{100 * share:.0f} % of the visible joints in {len(samples):,} of {total:,} images {where}")
        if share < least:
            problems.append(f"only {100 * share:.0f} % of the visible joints {where}: {hint}")
    unseen = sum(isinstance(sample, Sample) and not sample.visible.any() for sample in samples)
    if unseen:
        lines.append(f"{unseen} of these images show no visible joint of the hand with more mask pixels")
    if unseen > 0.1 * len(samples):
        problems.append(
            f"{unseen} of {len(samples)} images show no visible joint of the hand with more mask pixels: do left hands "
            "have 2 to 17 in the masks, and right hands 18 to 33?"
        )
    return Examination(lines, problems)


def depth_agreement(sample: DepthSample) -> np.ndarray:
    """Whether something was measured a little before each joint (J,), where its flesh is."""
    u, v = np.rint(sample.uv_px).astype(int).T
    height, width = sample.depth_mm.shape
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    measured_mm = np.where(inside, sample.depth_mm[v.clip(0, height - 1), u.clip(0, width - 1)], 0)
    before_mm = sample.joints_mm[:, 2] - measured_mm
    return (measured_mm > 0) & (before_mm > -FLESH_MM[0]) & (before_mm < FLESH_MM[1])


def evenly(items: list, count: int) -> list:
    """`count` of the items, of which there are some, at even distances; fewer if there are not so many."""
    picked = np.unique(np.linspace(0, len(items) - 1, count).round().astype(int))
    return [items[number] for number in picked]


@styled
def contact_sheet(samples: list[Sample | DepthSample], skeleton: Skeleton, title: str, caption: str) -> Figure:
    """Images with their joints drawn over them, cut to the hand: whether labels and images belong together."""
    rows = math.ceil(len(samples) / SHEET_COLUMNS)
    figure = Figure(figsize=(2.6 * SHEET_COLUMNS, 2.75 * rows + 1.1), layout="constrained")
    panels = figure.subplots(rows, SHEET_COLUMNS, squeeze=False)
    for axes in panels.ravel():
        axes.set_axis_off()
    for axes, sample in zip(panels.ravel(), samples, strict=False):
        _draw_sample(axes, sample, skeleton)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold", parse_math=False)
    figure.supxlabel(caption, x=0.01, ha="left", fontsize=7.5, color=GREY)
    fingers = [finger for finger in COLOUR_OF if finger in _bones_by_finger(skeleton)]
    keys = [Line2D([], [], color=COLOUR_OF[finger], linewidth=3) for finger in fingers]
    figure.legend(keys, fingers, loc="outside upper right", ncols=len(keys), fontsize=7.5, frameon=False)
    return figure


def _draw_sample(axes, sample: Sample | DepthSample, skeleton: Skeleton) -> None:
    low, high = sample.uv_px.min(axis=0), sample.uv_px.max(axis=0)
    centre, half_px = (low + high) / 2, 0.72 * max((high - low).max(), 20.0)
    if isinstance(sample, Sample):
        axes.imshow(sample.image_u8, interpolation="nearest")
    else:
        z_mm, half_mm = sample.joints_mm[sample.centre_joint, 2], sample.cube_mm / 2
        depth_mm = np.where((sample.depth_mm > 0) & (sample.depth_mm < z_mm + half_mm), sample.depth_mm, np.nan)
        colours = matplotlib.colormaps["gray_r"].with_extremes(bad="#DCE6F0")  # nothing, or something farther
        axes.imshow(depth_mm, cmap=colours, vmin=z_mm - half_mm, vmax=z_mm + half_mm, interpolation="nearest")
    for finger, bones in _bones_by_finger(skeleton).items():
        lines = [sample.uv_px[list(bone)] for bone in bones]
        axes.add_collection(LineCollection(lines, colors=COLOUR_OF[finger], linewidths=1.6, capstyle="round"))
    axes.plot(*sample.uv_px.T, linestyle="none", marker="o", markersize=2.4, color="white", mec="black", mew=0.5)
    axes.set(xlim=(centre[0] - half_px, centre[0] + half_px), ylim=(centre[1] + half_px, centre[1] - half_px))
    axes.set_title(sample.name, fontsize=7, pad=3)


def _bones_by_finger(skeleton: Skeleton) -> dict[str, list[tuple[int, int]]]:
    """Bones by the finger that their outer end belongs to, or by "palm"."""
    groups: dict[str, list[tuple[int, int]]] = {}
    for bone in skeleton.bones:
        finger = skeleton.joints[bone[1]].partition("_")[0]
        groups.setdefault(finger if finger in FINGERS else "palm", []).append(bone)
    return groups
