"""Figures of the latent space from predictions files and preprocessed sets: walks (6, 9), samples (11), t-SNE (1, 8).

What they show was decoded when the model was evaluated: by which rules, `handvae.evaluation.latent` says.
"""

from dataclasses import dataclass
from pathlib import Path

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from handvae.base.joints import SKELETON_OF, SKELETONS, Skeleton
from handvae.preprocessing import store
from handvae.report import embedding_figures, figures, shown_hands, tables
from handvae.report.latent_arrays import read_latent
from handvae.report.results import Result

SMOOTH = "bicubic"  # left to itself matplotlib shows squares at a whole ratio of sizes, which hide fingers
SEVERAL_MM = 1.12  # side of a panel over the largest hand in it


@dataclass(frozen=True)
class Walk:
    """T steps between two test images of S x S pixels: what was decoded, and what the ends' images and labels are."""

    rgb_u8: np.ndarray  # (T, S, S, 3)
    uv_px: np.ndarray  # (T, J, 2)
    joints_mm: np.ndarray  # (T, J, 3)
    end_rgb_u8: np.ndarray  # (2, S, S, 3)
    end_uv_px: np.ndarray  # (2, J, 2)
    end_joints_mm: np.ndarray  # (2, J, 3)


def latent_figures_of(results: list[Result], processed: Path) -> tuple[dict[str, Figure], dict[str, pd.DataFrame]]:
    """File name without suffix -> figure, and the t-SNE coordinates of those that have some, by the same name.

    A figure whose experiment is not among the results is left out. `processed` is the folder of the preprocessed sets;
    InputError where predictions lack their latent group or do not fit those sets.
    """
    cross, separate = (next((r for r in results if r.variant == name), None) for name in ("cross", "separate"))
    best = tables.best(results, ("stb", "rgb")) or tables.best(results, ("rhd", "rgb"))
    made: dict[str, Figure] = {}
    embeddings: dict[str, embedding_figures.Embedding] = {}
    if cross:
        walks, skeleton = read_walks(cross, processed), SKELETONS[SKELETON_OF[cross.dataset]]
        embeddings["fig01"] = embedding_figures.embedding_of(cross, ("rgb", "joints_3d"))
        made["fig01"] = embedding_figures.figure_1(cross, embeddings["fig01"], _data(cross))
        made["fig06"] = walk_figure(walks, skeleton, False, f"Figure 6: latent walk, {cross.experiment}", _data(cross))
    for part, result in (("a", cross), ("b", separate)):
        if result:
            embedding = embeddings[f"fig08{part}"] = embedding_figures.embedding_of(result)
            made[f"fig08{part}"] = embedding_figures.figure_8(part, result, embedding, _data(result))
    if cross:
        title = f"Figure 9: latent walk in three modalities, {cross.experiment}"
        made["fig09"] = walk_figure(walks, skeleton, True, title, _data(cross))
    if best:
        made["fig11"] = _figure_11(best, processed)
    return made, {name: embedding.table for name, embedding in embeddings.items()}


def read_walks(result: Result, processed: Path) -> list[Walk]:
    """The walks of a cross-trained model, with the images and labels of their ends."""
    rows, *decoded = read_latent(result, "walk_row", "walk_rgb_u8", "walk_uv_px", "walk_joints_mm")
    joints_mm, labels = read_latent(result, "/joints_true_mm", "/name")
    walks = []
    for ends, *of_walk in zip(rows, *decoded, strict=True):
        images = [_read_crop(result, row, labels[row], processed) for row in ends]
        walks.append(Walk(*of_walk, *(np.stack(parts) for parts in zip(*images, strict=True)), joints_mm[ends]))
    return walks


def walk_figure(walks: list[Walk], skeleton: Skeleton, overlay: bool, title: str, data: str) -> Figure:
    """Figures 6 and 9: a column a step, decoded images over decoded 3D joints, between the two images and their truth.

    `overlay`: with the 2D joints drawn over the images, decoded ones (red) and at the ends the true ones (blue).
    """
    steps = len(walks[0].joints_mm)
    widths = [1, 0.12, *steps * [1], 0.12, 1]
    with matplotlib.style.context(figures.LOOK, after_reset=True):
        figure = Figure(figsize=(10.4, 2.0 * len(walks) + 0.95), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.01, h_pad=0.02, wspace=0.0, hspace=0.02)
        panels = figure.subplots(2 * len(walks), len(widths), squeeze=False, width_ratios=widths)
        for axes in panels.ravel():
            axes.set_axis_off()
        columns = [0, *range(2, 2 + steps), len(widths) - 1]
        for number, walk in enumerate(walks):
            _draw_walk(panels[2 * number : 2 * number + 2, columns], walk, skeleton, overlay)
        for axes, name in zip(panels[0, columns], ["image 1", *map(str, range(1, steps + 1)), "image 2"], strict=True):
            axes.set_title(name, pad=3)
        drawn = "images with decoded 2D joints" if overlay else "images"
        caption = (
            f"Decoded {drawn} and decoded 3D joints (red) at {steps} points of the straight line between the encodings "
            "of two test images, which stand beside it with their truth (blue). Pairs drawn at random; of the half "
            "predicted better and of it the half further apart in pose, those at evenly spaced ranks of that distance."
        )
        figures.titled(figure, title, f"{caption}\n{data}")
    return figure


def _draw_walk(panels: np.ndarray, walk: Walk, skeleton: Skeleton, overlay: bool) -> None:
    """Two rows of panels (2, T + 2): images and 3D joints, the true ones first and last."""
    images = [walk.end_rgb_u8[0], *walk.rgb_u8, walk.end_rgb_u8[1]]
    uv_px = [walk.end_uv_px[0], *walk.uv_px, walk.end_uv_px[1]]
    joints_mm = [walk.end_joints_mm[0], *walk.joints_mm, walk.end_joints_mm[1]]
    colours = [figures.TRUTH, *len(walk.rgb_u8) * [figures.PREDICTION], figures.TRUTH]
    views = [figures.seen_from(joints, 0) for joints in joints_mm]
    side_mm = SEVERAL_MM * max(np.ptp(view, axis=0).max() for view in views)
    for column, colour in enumerate(colours):
        above, below = panels[:, column]
        above.imshow(images[column], interpolation=SMOOTH)
        if overlay:
            _draw_over(above, skeleton, uv_px[column], colour)
        figures.draw_skeleton(below, skeleton, views[column], colour)
        _fit(below, views[column], side_mm)


def _draw_over(axes: Axes, skeleton: Skeleton, uv_px: np.ndarray, colour: str) -> None:
    """2D joints on an image; on a white edge, since skin and red are alike. What lies outside the image is cut off."""
    bones = [uv_px[list(bone)] for bone in skeleton.bones]
    axes.add_collection(LineCollection(bones, colors="white", linewidths=1.5, capstyle="round"))
    axes.add_collection(LineCollection(bones, colors=colour, linewidths=0.8, capstyle="round"))
    side = axes.images[0].get_array().shape[0]
    axes.set(xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5))


def _figure_11(result: Result, processed: Path) -> Figure:
    """Samples of the posterior of some test images (red) over the truth (blue): front and side; two hands a row."""
    skeleton = SKELETONS[SKELETON_OF[result.dataset]]
    rows, samples_mm, spread_mm = read_latent(result, "posterior_row", "posterior_joints_mm", "posterior_spread_mm")
    true_mm, pred_mm, visible, names = read_latent(result, "/joints_true_mm", "/joints_pred_mm", "/visible", "/name")
    lines = -(-len(rows) // 2)
    with matplotlib.style.context(figures.LOOK, after_reset=True):
        figure = Figure(figsize=(8.6, 1.72 * lines + 0.95), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.03, wspace=0.0, hspace=0.02)
        panels = figure.subplots(lines, 7, squeeze=False, width_ratios=[1, 1, 1, 0.15, 1, 1, 1])
        for axes in panels.ravel():
            axes.set_axis_off()
        for place, (row, samples) in enumerate(zip(rows, samples_mm, strict=True)):
            three = panels[place // 2, 4 * (place % 2) : 4 * (place % 2) + 3]
            three[0].imshow(_read_crop(result, row, names[row], processed)[0])
            _draw_samples(three[1:], skeleton, true_mm[row], samples)
            error_mm = np.linalg.norm(pred_mm[row] - true_mm[row], axis=1)[visible[row]].mean()
            text = f"spread {spread_mm[row][visible[row]].mean():.1f} mm, error {error_mm:.1f} mm"
            three[1].set_title(text, x=1.0, y=-0.02, va="top", fontsize=8)
            if place < 2:
                three[0].set_title("image", pad=3)
        caption = (
            f"Joints decoded from {samples_mm.shape[1]} samples of each image's posterior (red) over the truth (blue), "
            f"from the front and turned {figures.TURN_DEG}°. Spread: mean distance of the samples to their mean; "
            f"error: of the posterior's mean. {shown_hands.rule('visible')}"
        )
        figures.titled(
            figure, f"Figure 11: samples of the posterior, {result.experiment}", f"{caption}\n{_data(result)}"
        )
    return figure


def _draw_samples(panels: np.ndarray, skeleton: Skeleton, true_mm: np.ndarray, samples_mm: np.ndarray) -> None:
    """The truth (J, 3) under the samples (S, J, 3), from the front and from the side, in one scale."""
    bones = np.array(skeleton.bones)
    every_mm = np.concatenate([true_mm[None], samples_mm])
    views = [figures.seen_from(every_mm, turn) for turn in (0, figures.TURN_DEG)]
    side_mm = SEVERAL_MM * max(np.ptp(view.reshape(-1, 2), axis=0).max() for view in views)
    for axes, view in zip(panels, views, strict=True):
        figures.draw_skeleton(axes, skeleton, view[0], figures.TRUTH)
        thin = view[1:, bones].reshape(-1, 2, 2)
        axes.add_collection(LineCollection(thin, colors=figures.PREDICTION, linewidths=0.5, alpha=0.45))
        _fit(axes, view.reshape(-1, 2), side_mm)


def _fit(axes: Axes, points: np.ndarray, side: float) -> None:
    """A square of the given side round the middle of the points (P, 2), y down."""
    x, y = (points.min(axis=0) + points.max(axis=0)) / 2
    axes.set(xlim=(x - side / 2, x + side / 2), ylim=(y + side / 2, y - side / 2), aspect="equal")


def _read_crop(result: Result, row: int, name: str, processed: Path) -> tuple[np.ndarray, np.ndarray]:
    """The network's crop (S, S, 3) of a row and uv_px (J, 2) in it: the middle of the stored context crop."""
    image_u8, uv_px = shown_hands.read_image(result, row, name, processed)
    found = store.attributes(processed / f"{result.dataset}.h5")
    margin = (found["context_px"] - found["crop_px"]) // 2
    inside = slice(margin, margin + found["crop_px"])
    return image_u8[inside, inside], uv_px - margin


def _data(result: Result) -> str:
    return f"Data: {result.data}."
