"""Write synthetic hands as a data set in RHD's layout: resumable, on several processes, always the same bytes.

Work goes on in `<root>.partial`: finished units of frames stay when a run is killed, and the next run goes on there.
"""

import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from handvae.atomic import write_bytes, write_text
from handvae.datasets.rhd import MASK_LABELS, TO_HAND21, write_annotations, write_frame
from handvae.errors import InputError
from handvae.joints import LEFT
from handvae.progress import Progress
from handvae.synthetic.kinematics import FOREARM, PALM
from handvae.synthetic.scenes import Scene, backdrop_depth_m, picture, project, sample_scene, scene_rng, visible_joints
from handvae.workers import in_order

VERSION = 2  # raise it whenever the same seed gives other pictures or labels
SPLITS = ("training", "evaluation")  # the position is part of every frame's seed
UNIT_FRAMES = 100
MIN_VISIBLE_JOINTS = 3  # a forearm can hide its hand; of less than this a picture says nothing


@dataclass(frozen=True)
class Frame:
    color_u8: np.ndarray  # (H, W, 3)
    mask_u8: np.ndarray  # (H, W) RHD part labels
    depth_m: np.ndarray  # (H, W) float32
    uv_vis: np.ndarray  # (42, 3) u, v in pixels, visible 0 or 1; left hand first, each wrist, then tip to base
    xyz_m: np.ndarray  # (42, 3) camera frame
    K: np.ndarray  # (3, 3)


@dataclass(frozen=True)
class Unit:
    """Frames start to stop of a split: what is done or not done when a run is killed."""

    work: Path
    split: str
    start: int
    stop: int
    seed: int
    image_px: int

    @property
    def frames(self) -> int:
        return self.stop - self.start

    @property
    def labels_path(self) -> Path:
        return self.work / "units" / f"{self.split}-{self.start:05d}.npz"


def generate_rhd(root: Path, counts: dict[str, int], seed: int, image_px: int, processes: int) -> None:
    """Write counts["training"] and counts["evaluation"] frames of image_px squared pixels to `root` in RHD's layout.

    The bytes depend on seed, counts and image_px only. A finished set already at `root` is replaced at the very end.
    Raises InputError for counts that name other splits or do not fit the layout's five digits.
    """
    if set(counts) != set(SPLITS) or not all(1 <= n <= 99_999 for n in counts.values()):
        raise InputError(
            f"counts of synthetic frames: expected training and evaluation, 1 to 99,999 each, found {counts}"
        )
    root = Path(root)
    work = root.with_name(root.name + ".partial")
    recipe = json.dumps({"version": VERSION, "seed": seed, "counts": counts, "image_px": image_px}, sort_keys=True)
    _prepare(work, recipe)
    units = [
        Unit(work, split, start, min(start + UNIT_FRAMES, counts[split]), seed, image_px)
        for split in SPLITS
        for start in range(0, counts[split], UNIT_FRAMES)
    ]
    missing = [unit for unit in units if not unit.labels_path.exists()]
    progress = Progress("render", sum(unit.frames for unit in units), "images")
    progress.resume_at(sum(unit.frames for unit in units if unit not in missing))
    alone = processes == 1 or len(missing) < 2
    for unit in map(_render_unit, missing) if alone else in_order(_render_unit, missing, processes):
        progress.advance(unit.frames)
    for split in SPLITS:
        _join_labels(work / "data" / split, [unit for unit in units if unit.split == split])
    if root.exists():
        shutil.rmtree(root)
    os.replace(work / "data", root)
    shutil.rmtree(work)


def make_frame(seed: int, split: int, index: int, image_px: int) -> Frame:
    """Frame `index` of SPLITS[split]: a function of its arguments alone."""
    rng, uv_vis = scene_rng(seed, split, index), np.zeros((42, 3))
    while uv_vis[:, 2].sum() < MIN_VISIBLE_JOINTS:  # about one scene in a thousand is drawn again
        scene = sample_scene(rng, image_px, image_px)
        seen = picture(scene, image_px, image_px)
        xyz_m, uv_vis = _annotate(scene, seen.depth_m)
    backdrop_m = backdrop_depth_m(scene.backdrop, image_px, image_px)
    depth_m = np.where(np.isfinite(seen.depth_m), seen.depth_m, backdrop_m)
    return Frame(seen.image_u8, part_labels(scene.hand.side)[seen.bones], depth_m, uv_vis, xyz_m, scene.camera)


def part_labels(side: int) -> np.ndarray:
    """(256,) RHD's mask label of every bone: body, then thumb to little finger tip to palm, then the palm."""
    first, last = MASK_LABELS[side]
    labels = np.zeros(256, np.uint8)  # 0 is the background: render.NO_BONE
    labels[FOREARM], labels[PALM] = 1, last
    labels[1:16] = (first + np.arange(15)).reshape(5, 3)[:, ::-1].ravel()
    return labels


def _annotate(scene: Scene, depth_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """xyz_m and uv_vis (42, 3). The hand that is not in the picture is the other's mirror image, far to the side."""
    hand, order, width = scene.hand, list(TO_HAND21), depth_m.shape[1]
    absent_m = hand.joints_m * [-1, 1, 1]
    edge_m = absent_m[:, 2] * (1.5 * width - scene.camera[0, 2]) / scene.camera[0, 0]
    absent_m[:, 0] += (edge_m - absent_m[:, 0]).max()
    xyz_m, uv_vis = np.zeros((2, 21, 3)), np.zeros((2, 21, 3))
    block, other = (0, 1) if hand.side == LEFT else (1, 0)
    xyz_m[block], xyz_m[other] = hand.joints_m[order], absent_m[order]
    uv_vis[..., :2] = project(xyz_m, scene.camera)
    uv_vis[block, :, 2] = visible_joints(hand, project(hand.joints_m, scene.camera), depth_m)[order]
    return xyz_m.reshape(42, 3), uv_vis.reshape(42, 3)


def _prepare(work: Path, recipe: str) -> None:
    """Keep what an interrupted run of the same recipe left; otherwise start afresh."""
    file = work / "recipe.json"
    if not ((work / "data").is_dir() and file.is_file() and file.read_text() == recipe):
        shutil.rmtree(work, ignore_errors=True)
        for split in SPLITS:
            (work / "data" / split).mkdir(parents=True)
        write_text(file, recipe)


def _render_unit(unit: Unit) -> Unit:
    """Write a unit's images, then its labels, whose file says that the images are all there."""
    labels = []
    with _one_thread():
        for index in range(unit.start, unit.stop):
            frame = make_frame(unit.seed, SPLITS.index(unit.split), index, unit.image_px)
            write_frame(unit.work / "data" / unit.split, index, frame.color_u8, frame.mask_u8, frame.depth_m)
            labels.append((frame.uv_vis, frame.xyz_m, frame.K))
    buffer = io.BytesIO()
    np.savez(
        buffer,
        **{
            name: np.stack(column)
            for name, column in zip(("uv_vis", "xyz_m", "K"), zip(*labels, strict=True), strict=True)
        },
    )
    write_bytes(unit.labels_path, buffer.getvalue())
    return unit


def _join_labels(split_root: Path, units: list[Unit]) -> None:
    columns = {"uv_vis": [], "xyz_m": [], "K": []}
    for unit in units:
        with np.load(unit.labels_path, allow_pickle=False) as file:
            for name, parts in columns.items():
                parts.append(file[name])
    write_annotations(split_root, **{name: np.concatenate(parts) for name, parts in columns.items()})


@contextmanager
def _one_thread() -> Iterator[None]:
    """Two threads may round a sum differently, and one per process is faster."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
