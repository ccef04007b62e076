"""Figures 10 to 12: predicted hands beside their images, and samples of the posterior, picked by rule and never by eye.

The images come from the preprocessed sets, which must be those that were predicted from.
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from handvae.base.dataset_params import MSRA_SUBJECTS
from handvae.base.errors import InputError
from handvae.base.joints import Skeleton
from handvae.evaluation import statistics
from handvae.preprocessing import store
from handvae.report import paper, style
from handvae.report.predictions import read_arrays, read_frames
from handvae.report.results import Model, Result, best, best_depth_models
from handvae.report.style import Captioned
from handvae.report.text import WORDS

COLOUR_HANDS = 6  # of a set
DEPTH_HANDS = 4
DEPTH_ROWS = ("icvl", "nyu", "msra")
RULE = WORDS["rule"]  # by which the hands of a figure are picked
PANELS = {  # of a hand: title and its colour
    "image": style.BLACK,
    "ground truth": style.TRUTH,
    "prediction": style.PREDICTION,
    f"both, turned {style.TURN_DEG}°": style.BLACK,
}


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


def hands(results: list[Result], processed: Path) -> dict[str, Captioned]:
    """File name without suffix -> figure; `processed` is the folder of the preprocessed sets.

    A figure whose experiments are not among the results is left out. On RHD Figure 10 is of the best model from RGB, in
    a grid without one from 2D. InputError where predictions and preprocessed sets do not fit.
    """
    stb, rgb, lifting = (best(results, task) for task in (("stb", "rgb"), ("rhd", "rgb"), ("rhd", "joints_2d")))
    figures = {}
    for name, model in {"fig10a": stb, "fig10b": rgb or lifting}.items():
        if model:
            figure = predictions_figure({"": picked_hands([model], COLOUR_HANDS, processed)})
            words = {"set": model.dataset.upper(), "direction": paper.direction(model.input, model.variant)}
            words |= {"model": model.experiment, "rule": RULE.format(joints="visible")}
            figures[name] = style.titled(figure, name, [[model]], **words)
    if rgb or stb:
        figures["fig11"] = _figure_11(stb or rgb, processed)
    if depth := best_of_depth_sets(results):
        sets = {model[0].dataset.upper(): model for model in depth}
        figure = predictions_figure({name: picked_hands(sets[name], DEPTH_HANDS, processed) for name in sets})
        names = "; ".join(f"{name} {depth_name(model)}" for name, model in sets.items())
        figures["fig12"] = style.titled(figure, "fig12", depth, names=names, rule=RULE.format(joints="evaluated"))
    return figures


def best_of_depth_sets(results: list[Result]) -> list[Model]:
    """The best model of each depth set that has one."""
    return [next(iter(models.values())) for dataset in DEPTH_ROWS if (models := best_depth_models(results, dataset))]


def picked_hands(model: Model, count: int, processed: Path) -> list[PredictedHand]:
    """`count` hands at evenly spaced ranks of error, best first, with their images.

    Of depth both poses are moved by the true hand's centre, so that the prediction's offset stays in sight.
    """
    frames = read_frames(model)
    seen = np.flatnonzero(frames.counted.any(axis=1))  # frames with a joint that counts
    errors_mm = np.average(frames.errors_mm[0][seen], axis=1, weights=frames.counted[seen])
    true_mm, pred_mm = frames.joints_true_mm, frames.joints_pred_mm[0]
    if model[0].input == "depth":
        centre_mm = true_mm.mean(axis=1, keepdims=True)
        true_mm, pred_mm = true_mm - centre_mm, pred_mm - centre_mm
    picked = []
    for index in statistics.evenly_ranked(errors_mm, count):
        frame = seen[index]
        crop = read_crop(model[frames.fold[frame]], frames.row[frame], frames.name[frame], processed)
        poses = true_mm[frame], pred_mm[frame]
        picked.append(PredictedHand(*crop, *poses, float(errors_mm[index]), frames.skeleton))
    return picked


def depth_name(model: Model) -> str:
    folds = len(MSRA_SUBJECTS)
    few = f", {len(model)} of {folds} subjects" if model[0].test_subject and len(model) < folds else ""
    return f"{model[0].encoder.replace('resnet', 'ResNet-')}, variant {model[0].variant}{few}"


def read_crop(result: Result, row: int, name: str, processed: Path) -> tuple[np.ndarray, np.ndarray]:
    """The picture (C, C, 3) uint8 and uv_px (J, 2) of a row; refuses an image that is not the one predicted from."""
    path, group = processed / f"{result.dataset}.h5", result.test_subject or "test"
    key = "depth_f16" if result.input == "depth" else "image_u8"
    if key not in store.columns(path, group):
        raise InputError(f"{path}: {group}: figures expected the column {key}, found none")
    with h5py.File(path) as file:
        rows = file[group]
        stored = rows["name"].asstr()[row] if row < len(rows["name"]) else "no such row"
        if stored != name:
            raise InputError(f"{result.predictions}: expected row {row} of {path} to be {name}, found {stored}")
        image, uv_px = rows[key][row], rows["uv_px"][row]
    return depth_picture(image) if result.input == "depth" else image, uv_px


def read_network_crop(result: Result, row: int, name: str, processed: Path) -> tuple[np.ndarray, np.ndarray]:
    """The same of what the network sees: (S, S, 3), the middle of the stored crop, and uv_px in it."""
    image_u8, uv_px = read_crop(result, row, name, processed)
    sizes = store.attributes(processed / f"{result.dataset}.h5")
    margin = (sizes["context_px"] - sizes["crop_px"]) // 2
    inside = slice(margin, margin + sizes["crop_px"])
    return image_u8[inside, inside], uv_px - margin


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


@style.styled
def predictions_figure(sets: dict[str, list[PredictedHand]]) -> Figure:
    """Image, ground truth (blue), prediction (orange), and both from the side; two hands a row.

    Each set begins a row, with its name at the left ("": no name).
    """
    rows = [(name, picked[row : row + 2]) for name, picked in sets.items() for row in range(0, len(picked), 2)]
    widths = [1, 1, 1, 1, 0.12, 1, 1, 1, 1]  # a gap between the two
    figure, panels = style.panels(len(rows), widths, (8.6, 1.17 * len(rows) + 0.45), pad=0.02)
    for number, (name, pair) in enumerate(rows):
        for hand, four in zip(pair, (panels[number, :4], panels[number, 5:]), strict=False):
            _draw_hand(four, hand)
            if number == 0:
                for axes, (title, colour) in zip(four, PANELS.items(), strict=True):
                    axes.set_title(title, pad=3, color=colour)
        if name:
            axes = panels[number, 0]
            axes.text(-0.04, 0.5, name, transform=axes.transAxes, ha="right", va="center", rotation=90)
    return figure


def _draw_hand(panels: np.ndarray, hand: PredictedHand) -> None:
    """One hand in four panels. The first shows the image round the hand: the square that holds its joints, with a
    margin, as far as the crop reaches."""
    panels[0].imshow(hand.image_u8)
    low, high = hand.uv_px.min(axis=0), hand.uv_px.max(axis=0)
    half_px = 0.6 * (high - low).max()
    border = (-0.5, hand.image_u8.shape[0] - 0.5)
    left, top = np.clip((low + high) / 2 - half_px, *border)
    right, bottom = np.clip((low + high) / 2 + half_px, *border)
    panels[0].set(xlim=(left, right), ylim=(bottom, top))
    poses_mm = np.stack([hand.joints_true_mm, hand.joints_pred_mm])
    front, side = style.seen_from(poses_mm, 0), style.seen_from(poses_mm, style.TURN_DEG)
    style.draw_skeleton(panels[1], hand.skeleton, front[0], style.TRUTH)
    style.draw_skeleton(panels[2], hand.skeleton, front[1], style.PREDICTION)
    style.draw_skeleton(panels[3], hand.skeleton, side[0], style.TRUTH)
    style.draw_skeleton(panels[3], hand.skeleton, side[1], style.PREDICTION)
    style.fit(panels[1:], (front, front, side))
    text, look = f"{hand.error_mm:.1f} mm", {"ha": "center", "va": "top", "fontsize": 8, "color": style.PREDICTION}
    panels[2].text(0.5, -0.01, text, transform=panels[2].transAxes, **look)


@style.styled
def _figure_11(result: Result, processed: Path) -> Captioned:
    """Samples of the posterior of some test images (orange) over the truth (blue): front and side; two hands a row."""
    latent = ("posterior_row", "posterior_joints_mm", "posterior_spread_mm")
    rows, samples_mm, spread_mm = read_arrays(result, *(f"latent/{name}" for name in latent))
    frames = read_frames([result])
    error_mm, counted, bones = frames.errors_mm[0], frames.counted, np.array(result.skeleton.bones)
    lines = -(-len(rows) // 2)
    figure, panels = style.panels(lines, [1, 1, 1, 0.15, 1, 1, 1], (8.6, 1.72 * lines + 0.45), pad=0.02)
    three_each = np.concatenate([panels[:, :3], panels[:, 4:]], axis=1).reshape(-1, 3)
    for three, row, samples in zip(three_each, rows, samples_mm, strict=False):
        three[0].imshow(read_network_crop(result, row, frames.name[row], processed)[0])
        poses_mm = np.concatenate([frames.joints_true_mm[row][None], samples])
        views = [style.seen_from(poses_mm, turn) for turn in (0, style.TURN_DEG)]
        for axes, view in zip(three[1:], views, strict=True):
            style.draw_skeleton(axes, result.skeleton, view[0], style.TRUTH)
            thin = view[1:, bones].reshape(-1, 2, 2)
            axes.add_collection(LineCollection(thin, colors=style.PREDICTION, linewidths=0.5, alpha=0.45))
        style.fit(three[1:], views)
        means_mm = (of_joints[row][counted[row]].mean() for of_joints in (spread_mm, error_mm))
        text = "spread {:.1f} mm, error {:.1f} mm".format(*means_mm)
        three[1].set_title(text, x=1.0, y=-0.02, va="top", fontsize=8)
    for three in three_each[: min(2, len(rows))]:
        three[0].set_title("image", pad=3)
    words = {"samples": samples_mm.shape[1], "turn_deg": style.TURN_DEG, "rule": RULE.format(joints="visible")}
    return style.titled(figure, "fig11", [[result]], model=result.experiment, **words)
