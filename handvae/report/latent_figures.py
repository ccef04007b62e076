"""Figures 1 and 8: encodings of test samples by several modalities in the plane; 6 and 9: walks between encodings.

Encodings are posterior means. t-SNE keeps neighbours together; its axes have no unit, and large distances no meaning.
The evaluate stage decoded what the figures show; `handvae.evaluation.latent` has the rules.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from scipy.optimize import linear_sum_assignment
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from handvae.report import latent_claims, style
from handvae.report.comparison import SEED
from handvae.report.hands import read_network_crop
from handvae.report.predictions import MIXED, read_arrays, read_encodings
from handvae.report.results import Result, of_variant
from handvae.report.style import Captioned
from handvae.report.text import WORDS

PERPLEXITY = 30
LOOKS = {  # name, short name, colour as in the paper (its yellow is hard to see on white), marker
    "rgb": ("RGB images", "RGB", style.BLUE, "o"),
    "joints_2d": ("2D joints", "2D", style.ORANGE, "s"),
    "joints_3d": ("3D joints", "3D", style.GREEN, "^"),
}
RING = 5  # hands along each side of Figure 1
LEGEND = {"markerscale": 1.8, "handletextpad": 0.2, "columnspacing": 1.4}
LAYERS = 8  # in which the points are drawn, so that no modality lies on all others


@dataclass(frozen=True)
class Embedding:
    """N test samples of M modalities in a latent space, and as points of the plane by t-SNE."""

    modalities: tuple[str, ...]
    rows: np.ndarray  # (N,) of the test split
    names: np.ndarray  # (N,)
    encodings: np.ndarray  # (M, N, D)
    points: np.ndarray  # (M, N, 2)

    @property
    def table(self) -> pd.DataFrame:
        """One row a point: modality, row, name, x, y."""
        index = pd.MultiIndex.from_product([self.modalities, range(len(self.rows))], names=["modality", "sample"])
        table = pd.DataFrame(self.points.reshape(-1, 2), index, columns=["x", "y"]).reset_index()
        samples = table.pop("sample")
        table.insert(1, "row", self.rows[samples])
        table.insert(2, "name", self.names[samples])
        return table

    @property
    def purity(self) -> str:
        """How well the modalities mix, in words."""
        purity = latent_claims.purities(self.encodings).mean(axis=1)
        each = ", ".join(f"{LOOKS[name][1]} {share:.2f}" for name, share in zip(self.modalities, purity, strict=True))
        mean, low, high = latent_claims.purity_of_shuffled(self.encodings, SEED)
        apart = latent_claims.apart_percent(purity.mean(), mean)
        words = {"neighbours": latent_claims.NEIGHBOURS, "purity": purity.mean(), "each": each, "apart": round(apart)}
        return WORDS["purity"].format(**words, mean=mean, low=low, high=high)


def latent_figures(results: list[Result], processed: Path) -> tuple[dict[str, Captioned], dict[str, pd.DataFrame]]:
    """File name without suffix -> figure, and the t-SNE coordinates of those that have some, by the same name.

    A figure whose experiment is not among the results is left out. `processed` is the folder of the preprocessed sets;
    InputError where predictions lack their latent group or do not fit those sets.
    """
    figures, embeddings = {}, {}
    for name, variant in (("fig08a", "cross"), ("fig08b", "separate")):
        if model := of_variant(results, variant):
            embeddings[name] = embedding_of(model)
            figures[name] = _figure_8(name, model, embeddings[name])
    if cross := of_variant(results, "cross"):
        embeddings["fig01"] = embedding_of(cross, ("rgb", "joints_3d"))
        figures["fig01"] = _figure_1(cross, embeddings["fig01"])
        figures["fig06"] = _walks_figure("fig06", cross, processed, False)
        figures["fig09"] = _walks_figure("fig09", cross, processed, True)
    return figures, {name: embedding.table for name, embedding in embeddings.items()}


def embedding_of(result: Result, modalities: tuple[str, ...] = MIXED) -> Embedding:
    """The test samples of `read_encodings` in the plane; the same bytes each time.

    On one thread: the sum over threads has no fixed order, and on a busy machine threads that wait make it slower.
    """
    rows, mu, _ = read_encodings(result, modalities)
    (names,) = read_arrays(result, "name")
    points = mu.reshape(-1, mu.shape[2])
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)  # of few points: what the method can still balance
    with threadpool_limits(1):
        xy = TSNE(perplexity=perplexity, init="pca", random_state=SEED, n_jobs=1).fit_transform(points)
    return Embedding(modalities, rows, names[rows], mu, xy.reshape(*mu.shape[:2], 2))


@style.styled
def _figure_8(name: str, result: Result, embedding: Embedding) -> Captioned:
    """The modalities in one plane."""
    figure = Figure(figsize=(6.4, 6.2), layout="constrained")
    axes = figure.add_subplot()
    _draw_points(axes, embedding)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=len(embedding.modalities), **LEGEND)
    return style.titled(figure, name, [[result]], model=result.experiment, purity=embedding.purity)


@style.styled
def _figure_1(result: Result, embedding: Embedding) -> Captioned:
    """The modalities in one plane, within a ring of hands decoded from encodings that are spread out over it."""
    decoded_mm = read_arrays(result, *(f"latent/decoded_mm_{modality}" for modality in embedding.modalities))
    joints_mm = np.concatenate([of_modality[embedding.rows] for of_modality in decoded_mm])
    points = embedding.points.reshape(-1, 2)
    picked = spread_out(points, 4 * (RING - 1))
    # by hand: constrained layout differs in the last bits from run to run, which slanting lines make visible
    figure = Figure(figsize=(7.4, 7.7))
    grid = figure.add_gridspec(RING, RING, left=0.01, right=0.99, bottom=0.01, top=0.925, wspace=0.08, hspace=0.08)
    axes = figure.add_subplot(grid[1:-1, 1:-1])
    _draw_points(axes, embedding)
    low, high = np.array([axes.get_xlim(), axes.get_ylim()]).T
    xy_mm = style.seen_from(joints_mm[picked], 0)
    cells = ring_cells((points[picked] - low) / (high - low))
    thumbnails = [figure.add_subplot(grid[cell]) for cell in cells]
    for index, hand_xy, (row, column), thumbnail in zip(picked, xy_mm, cells, thumbnails, strict=True):
        colour = LOOKS[embedding.modalities[index // len(embedding.rows)]][2]
        style.draw_skeleton(thumbnail, result.skeleton, hand_xy, colour)
        thumbnail.set_axis_off()
        # a thin line from the point to the joint that lies nearest to the plot
        towards = np.array([RING // 2 - column, RING // 2 - row])
        axes.scatter(*points[index], s=34, facecolors="none", edgecolors=style.BLACK, linewidths=0.9, zorder=4)
        ends = (points[index], hand_xy[(hand_xy @ towards).argmax()], axes.transData, thumbnail.transData)
        lead = ConnectionPatch(*ends, color="#444444", linewidth=0.6, shrinkA=3, shrinkB=3)
        lead.set_in_layout(False)
        figure.add_artist(lead)
    style.fit(thumbnails, xy_mm)
    names = {"loc": "upper left", "bbox_to_anchor": (0.0, 0.968), "ncols": len(embedding.modalities)}
    figure.legend(*axes.get_legend_handles_labels(), **names, **LEGEND)
    return style.titled(figure, "fig01", [[result]], model=result.experiment, purity=embedding.purity)


def spread_out(points: np.ndarray, count: int) -> np.ndarray:
    """Indices of `count` of the points (N, 2): first the nearest to their mean, then each the furthest from all before.

    All of them, in that order, where there are no more.
    """
    picked = [int(np.linalg.norm(points - points.mean(axis=0), axis=1).argmin())]
    distances = np.linalg.norm(points - points[picked[0]], axis=1)
    while len(picked) < min(count, len(points)):
        distances[picked] = -1  # of equal points each is taken once
        picked.append(int(distances.argmax()))
        distances = np.minimum(distances, np.linalg.norm(points - points[picked[-1]], axis=1))
    return np.array(picked)


def ring_cells(points: np.ndarray) -> list[tuple[int, int]]:
    """A (row, column) of the ring round the plot for each point (P, 2) of the unit square, x right and y up.

    The lines to them are shortest in sum, so that no two cross.
    """
    ring = [(row, column) for row in range(RING) for column in range(RING) if {row, column} & {0, RING - 1}]
    centres = np.array([(column + 0.5, RING - 0.5 - row) for row, column in ring])
    inside = 1 + (RING - 2) * points
    _, chosen = linear_sum_assignment(np.linalg.norm(inside[:, None] - centres, axis=2))
    return [ring[index] for index in chosen]


def _draw_points(axes: Axes, embedding: Embedding) -> None:
    for layer in range(LAYERS):
        for modality, points in zip(embedding.modalities, embedding.points, strict=True):
            name, _, colour, marker = LOOKS[modality]
            look = {"color": colour, "marker": marker, "s": 13, "alpha": 0.75, "linewidths": 0}
            axes.scatter(*points[layer::LAYERS].T, label="" if layer else f"{name} ({len(points)})", **look)
    axes.set(xticks=[], yticks=[])
    axes.margins(0.03)
    axes.spines[["top", "right"]].set_visible(True)


@style.styled
def _walks_figure(name: str, result: Result, processed: Path, overlay: bool) -> Captioned:
    """A column a step, decoded images over decoded 3D joints, between the two images and their truth.

    `overlay`: with the 2D joints drawn over the images, decoded ones (orange) and at the ends the true ones (blue).
    """
    decoded = ("walk_row", "walk_rgb_u8", "walk_uv_px", "walk_joints_mm")
    ends, rgb_u8, uv_px, joints_mm = read_arrays(result, *(f"latent/{name}" for name in decoded))
    true_mm, names = read_arrays(result, "joints_true_mm", "name")
    steps = joints_mm.shape[1]
    widths = [1, 0.12, *steps * [1], 0.12, 1]
    figure, panels = style.panels(2 * len(ends), widths, (10.4, 2.0 * len(ends) + 0.45), pad=0.01)
    panels = panels[:, [0, *range(2, 2 + steps), len(widths) - 1]]
    for number, (first, last) in enumerate(ends):
        crops = [read_network_crop(result, row, names[row], processed) for row in (first, last)]
        images = [crops[0][0], *rgb_u8[number], crops[1][0]]
        uv_walk = [crops[0][1], *uv_px[number], crops[1][1]]
        poses_mm = [true_mm[first], *joints_mm[number], true_mm[last]]
        _draw_walk(panels[2 * number : 2 * number + 2], result, images, uv_walk if overlay else None, poses_mm)
    for axes, step in zip(panels[0], ["image 1", *map(str, range(1, steps + 1)), "image 2"], strict=True):
        axes.set_title(step, pad=3)
    drawn = "images with decoded 2D joints" if overlay else "images"
    return style.titled(figure, name, [[result]], model=result.experiment, drawn=drawn, steps=steps)


def _draw_walk(panels: np.ndarray, result: Result, images: list, uv_px: list | None, joints_mm: list) -> None:
    """Two rows of panels (2, T + 2): images, with 2D joints if any, and 3D joints, the true ones first and last."""
    views = [style.seen_from(joints, 0) for joints in joints_mm]
    for column, (above, below) in enumerate(panels.T):
        colour = style.TRUTH if column in (0, len(views) - 1) else style.PREDICTION
        # left to itself matplotlib shows squares at a whole ratio of sizes, which hide fingers
        above.imshow(images[column], interpolation="bicubic")
        if uv_px:  # on a white edge, since skin and orange are alike; what lies outside the image is cut off
            bones = [uv_px[column][list(bone)] for bone in result.skeleton.bones]
            above.add_collection(LineCollection(bones, colors="white", linewidths=1.5, capstyle="round"))
            above.add_collection(LineCollection(bones, colors=colour, linewidths=0.8, capstyle="round"))
            side = len(images[column])
            above.set(xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5))
        style.draw_skeleton(below, result.skeleton, views[column], colour)
    style.fit(panels[1], views)
