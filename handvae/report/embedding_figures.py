"""Figures 1 and 8: encodings of test samples by several modalities, laid out in the plane by t-SNE.

Encodings are posterior means. t-SNE keeps neighbours together; its axes have no unit, and large distances no meaning.
"""

from dataclasses import dataclass

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from scipy.optimize import linear_sum_assignment
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from handvae.base.joints import SKELETON_OF, SKELETONS, Skeleton
from handvae.report import figures, mixing
from handvae.report.latent_arrays import MIXED, read_encodings, read_latent
from handvae.report.results import Result

PERPLEXITY = 30
SEED = 0
LOOKS = {  # name, colour as in the paper (its yellow is hard to see on white), marker
    "rgb": ("RGB images", figures.BLUE, "o"),
    "joints_2d": ("2D joints", figures.ORANGE, "s"),
    "joints_3d": ("3D joints", figures.GREEN, "^"),
}
SHORT = {"rgb": "RGB", "joints_2d": "2D", "joints_3d": "3D"}
RING = 5  # hands along each side of Figure 1
LEGEND = {"markerscale": 1.8, "handletextpad": 0.2, "columnspacing": 1.4}
LAYERS = 8  # in which the points are drawn, so that no modality lies on all others


@dataclass(frozen=True)
class Embedding:
    """N test samples of M modalities in a latent space, and their places in the plane by t-SNE."""

    modalities: tuple[str, ...]
    rows: np.ndarray  # (N,) of the test split
    names: np.ndarray  # (N,)
    encodings: np.ndarray  # (M, N, D)
    points: np.ndarray  # (M, N, 2)

    @property
    def table(self) -> pd.DataFrame:
        """One row a point: modality, row, name, x, y."""
        modality = np.repeat(self.modalities, len(self.rows))
        repeated = (np.tile(column, len(self.modalities)) for column in (self.rows, self.names))
        columns = dict(zip(("modality", "row", "name"), (modality, *repeated), strict=True))
        return pd.DataFrame(columns | dict(zip("xy", self.points.reshape(-1, 2).T, strict=True)))

    @property
    def purity(self) -> str:
        """How well the modalities mix, in words."""
        found = mixing.purities(self.encodings).mean(axis=1)
        each = ", ".join(f"{SHORT[name]} {share:.2f}" for name, share in zip(self.modalities, found, strict=True))
        mean, low, high = mixing.purity_of_shuffled(self.encodings, SEED)
        apart = mixing.apart_percent(found.mean(), mean)
        return (
            f"{mixing.NEIGHBOURS}-NN purity {round(apart)} (0: mixed as if shuffled, 100: each lies apart): of an "
            f"encoding's {mixing.NEIGHBOURS} nearest a share of {found.mean():.2f} is of its own modality ({each}); "
            f"were modalities shuffled, {mean:.2f} (95 % range {low:.2f} to {high:.2f})."
        )


def embedding_of(result: Result, modalities: tuple[str, ...] = MIXED) -> Embedding:
    """The test samples of `read_encodings` in the plane."""
    rows, mu, _ = read_encodings(result, modalities)
    (names,) = read_latent(result, "/name")
    points = tsne(mu.reshape(-1, mu.shape[2])).reshape(*mu.shape[:2], 2)
    return Embedding(modalities, rows, names[rows], mu, points)


def tsne(points: np.ndarray) -> np.ndarray:
    """Places (P, 2) in the plane of points (P, D); the same bytes each time.

    On one thread: the sum over threads has no fixed order, and on a busy machine threads that wait make it slower.
    """
    with threadpool_limits(1):
        perplexity = min(PERPLEXITY, (len(points) - 1) / 3)  # of few points: what the method can still balance
        return TSNE(perplexity=perplexity, init="pca", random_state=SEED, n_jobs=1).fit_transform(points)


def figure_8(part: str, result: Result, embedding: Embedding, data: str) -> Figure:
    """The modalities in one plane; part "a" cross-trained, "b" trained separately."""
    how = {"a": "cross-trained", "b": "trained separately"}[part]
    with matplotlib.style.context(figures.LOOK, after_reset=True):
        figure = Figure(figsize=(6.4, 6.8), layout="constrained")
        axes = figure.add_subplot()
        _draw_points(axes, embedding)
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=len(embedding.modalities), **LEGEND)
        caption = f"t-SNE of posterior means; its axes have no unit.\n{embedding.purity}\n{data}"
        figures.titled(figure, f"Figure 8{part}: latent space, {how}, {result.experiment}", caption)
    return figure


def figure_1(result: Result, embedding: Embedding, data: str) -> Figure:
    """The modalities in one plane, in a ring of hands decoded from encodings at spread-out places."""
    decoded = read_latent(result, *(f"decoded_mm_{modality}" for modality in embedding.modalities))
    joints_mm = np.concatenate([of_modality[embedding.rows] for of_modality in decoded])
    points = embedding.points.reshape(-1, 2)
    picked = spread_out(points, 4 * (RING - 1))
    xy_mm = figures.seen_from(joints_mm[picked], 0)
    colours = [LOOKS[embedding.modalities[place // len(embedding.rows)]][1] for place in picked]
    with matplotlib.style.context(figures.LOOK, after_reset=True):
        # by hand: constrained layout differs in the last bits from run to run, which slanting lines make visible
        figure = Figure(figsize=(7.4, 8.4))
        grid = figure.add_gridspec(RING, RING, left=0.01, right=0.99, bottom=0.13, top=0.93, wspace=0.08, hspace=0.08)
        axes = figure.add_subplot(grid[1:-1, 1:-1])
        _draw_points(axes, embedding)
        places = ring_places(_in_unit_square(axes, points[picked]))
        for point, hand_xy, colour, (line, column) in zip(points[picked], xy_mm, colours, places, strict=True):
            thumbnail = figure.add_subplot(grid[line, column])
            _draw_thumbnail(thumbnail, SKELETONS[SKELETON_OF[result.dataset]], hand_xy, colour, _half_mm(xy_mm))
            towards = np.array([RING // 2 - column, RING // 2 - line])
            _lead(figure, axes, point, thumbnail, hand_xy[(hand_xy @ towards).argmax()])
        names = {"loc": "upper left", "bbox_to_anchor": (0.0, 0.968), "ncols": len(embedding.modalities)}
        figure.legend(*axes.get_legend_handles_labels(), **names, **LEGEND)
        rule = "Hands, as the camera sees them: decoded from the circled encodings, which are spread out by rule."
        caption = f"t-SNE of posterior means; its axes have no unit. {rule}\n{embedding.purity}\n{data}"
        figures.titled(figure, f"Figure 1: cross-modal latent space, {result.experiment}", caption)
    return figure


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


def ring_places(points: np.ndarray) -> list[tuple[int, int]]:
    """A (line, column) of the ring round the plot for each point (P, 2) of the unit square, x right and y up.

    The lines to them are shortest in sum, so that no two cross.
    """
    ring = [(line, column) for line in range(RING) for column in range(RING) if {line, column} & {0, RING - 1}]
    centres = np.array([(column + 0.5, RING - 0.5 - line) for line, column in ring])
    inside = 1 + (RING - 2) * points
    _, chosen = linear_sum_assignment(np.linalg.norm(inside[:, None] - centres, axis=2))
    return [ring[place] for place in chosen]


def _draw_points(axes: Axes, embedding: Embedding) -> None:
    for layer in range(LAYERS):
        for modality, points in zip(embedding.modalities, embedding.points, strict=True):
            name, colour, marker = LOOKS[modality]
            look = {"color": colour, "marker": marker, "s": 13, "alpha": 0.75, "linewidths": 0}
            axes.scatter(*points[layer::LAYERS].T, label="" if layer else f"{name} ({len(points)})", **look)
    axes.set(xticks=[], yticks=[])
    axes.margins(0.03)
    axes.spines[["top", "right"]].set_visible(True)


def _in_unit_square(axes: Axes, points: np.ndarray) -> np.ndarray:
    low, high = np.array([axes.get_xlim(), axes.get_ylim()]).T
    return (points - low) / (high - low)


def _half_mm(xy_mm: np.ndarray) -> float:
    """Half the side of a square that holds each of the hands (P, J, 2), with a margin: one scale for all."""
    return 0.56 * float(np.ptp(xy_mm, axis=1).max())


def _draw_thumbnail(axes: Axes, skeleton: Skeleton, xy_mm: np.ndarray, colour: str, half_mm: float) -> None:
    figures.draw_skeleton(axes, skeleton, xy_mm, colour)
    x, y = (xy_mm.min(axis=0) + xy_mm.max(axis=0)) / 2
    axes.set(xlim=(x - half_mm, x + half_mm), ylim=(y + half_mm, y - half_mm), aspect="equal")
    axes.set_axis_off()


def _lead(figure: Figure, axes: Axes, point: np.ndarray, thumbnail: Axes, joint_mm: np.ndarray) -> None:
    """A thin line from a point of the plot to a joint of its hand."""
    axes.scatter(*point, s=34, facecolors="none", edgecolors=figures.BLACK, linewidths=0.9, zorder=4)
    line = ConnectionPatch(
        point, joint_mm, axes.transData, thumbnail.transData, color="#444444", linewidth=0.6, shrinkA=3, shrinkB=3
    )
    line.set_in_layout(False)
    figure.add_artist(line)
